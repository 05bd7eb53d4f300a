//! Sockets and workers' lives, the schedule of health checks, the admin listener, signals. Runs on one tokio thread.

pub mod admin;
