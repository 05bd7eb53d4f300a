//! L4: the TCP pump.
