//! HTTP/1.0 and 1.1 on the wire: strict parsing, body framing, encoding. No I/O, no clocks.
