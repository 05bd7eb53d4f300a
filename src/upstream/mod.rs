//! Targets, balancing policies, idle connections, health checks, what live traffic says.
//!
//! A [`Pool`] is what all workers share: its targets with their health and in-flight counts, all atomics. A [`Local`] is
//! one worker's side of it: its balancer and its connections, which no other thread sees.
//!
//! May depend on `tls`, `compress`, `net` and `observe`.

pub mod agent;
mod ask;
pub mod balance;
mod budget;
mod errand;
mod flow;
pub mod health;
mod live;
mod local;
pub mod mirror;
mod open;
pub mod outlier;
mod owner;
mod panic;
pub mod queue;
mod slow_start;
pub mod split;
pub mod sticky;
mod target;
mod ties;
mod trunk;

pub use ask::Ask;
pub use budget::Budget;
pub use errand::Errand;
pub use live::{Live, LiveText};
pub use local::{Attempt, Local, Tried};
pub use sticky::Sticky;
pub use target::{Keepalive, Mode, Patient, Pool, Protocol, Target, Timeouts};
pub use ties::{OnDown, OnUp};
pub use trunk::{Opening, Trunk, Trunks, Way};
