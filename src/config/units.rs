//! Units as the configuration writes them. Each type parses from a string (numbers may come quoted) and shows itself
//! in the same form.

use std::time::Duration;

/// A count of bytes: `"64KiB"`, `"10MiB"`, `"1GB"`, `"unlimited"` (where allowed), or a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A span of time: `"250ms"`, `"5s"`, `"1h"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A share of a whole between 0 and 1: `"20%"`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Share(pub f64);
