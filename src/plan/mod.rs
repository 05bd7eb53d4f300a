//! The configuration compiled into the immutable `Plan`: routers and pools. Pure: no I/O, no clocks.
