//! Quotas: how many requests a key may make in a minute, an hour, a day, a week or a month of the calendar.
//!
//! What always holds:
//! - State machines without I/O and clock: time is passed in, as time since 1970.
//! - Exact over all workers without a lock: each step on a key is one atomic step, and never more than the limit is admitted in a period.
//!   Only a key that gave way to others begins anew, and that is counted.
//! - A request that is denied takes nothing; of several quotas on a request, all count it or none.
//! - What is kept for the next process says never less than what was admitted, but for what came since it was last kept ([`Ledger`]).
//!
//! May depend on `limits`, whose table it counts in.

mod calendar;
mod count;
mod ledger;
mod row;
mod share;
mod spend;

pub use calendar::{Calendar, Period, Window};
pub use count::Used;
pub use ledger::{Draft, Ledger, Line};
pub use share::{Change, Peers, Share, Turn, blind, patience, stranger};
pub use spend::{MOST, Quota, Taken};

#[cfg(test)]
mod share_tests;
#[cfg(test)]
mod tests;
