//! Targets, balancing policies, idle connections, health checks.
//!
//! A [`Pool`] is what all workers share: its targets with their health and in-flight counts, all atomics. A [`Local`] is
//! one worker's side of it: its balancer and its idle connections, which no other thread sees.
//!
//! May depend on `net` and `observe`.

pub mod balance;
pub mod health;
mod local;
mod target;

pub use local::{Attempt, Local, Tried};
pub use target::{Keepalive, Pool, Target, Timeouts};
