//! The configuration compiled into the immutable `Plan`: routers and pools. Pure: no I/O, no clocks.

pub mod host;
pub mod path;
pub mod router;
