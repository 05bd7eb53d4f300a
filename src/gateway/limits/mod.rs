//! Limits on how often something is done and on how much of it is under way, and what they count with.
//!
//! What always holds:
//! - State machines without I/O and clock: time is passed in, as monotonic time since the boot of the host, which the next process
//!   shares.
//! - What is counted is counted for all workers at once, without a lock: each step on a key is one atomic step.
//! - Memory is taken once, when a limit is made. Who has recovered all that it may have is forgotten; when that is not enough, the
//!   one gives way that is missed the least, and that is counted.
//!
//! May depend on nothing of this crate.

mod allowance;
pub mod fields;
pub mod flight;
pub mod flow;
mod keep;
mod key;
pub mod limit;
pub mod open;
mod pace;
pub mod several;
pub mod shares;
mod sync;
mod table;
mod window;

pub use allowance::{Allowance, Decision, Unfit};
pub use flight::InFlight;
pub use flow::Speed;
pub use limit::Limiter;
pub use open::{Clients, Full, Held};
pub use pace::Pace;
pub use several::decide_all;
pub use shares::Shares;
pub(crate) use table::Place;
pub use table::{Record, Table, bytes};

#[cfg(test)]
mod tests;
