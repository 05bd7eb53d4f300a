//! Targets, balancing policies, idle connections, health checks.

pub mod balance;
pub mod health;
