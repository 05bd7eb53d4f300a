//! Sockets and workers' lives, reloads, the schedule of health checks, certificate files and authorities, the admin listener,
//! signals. Runs on one tokio thread.
//!
//! What always holds: control owns every listening socket for as long as its listener exists; a worker that stands still
//! or is gone has its slots accepted from by its siblings within a second, and a gone one is started again.
//!
//! May depend on everything below it in the list of `lib.rs`.

mod acme;
pub mod admin;
mod certificates;
mod checks;
mod crew;
mod end;
mod files;
mod handover;
mod life;
mod limits;
mod logs;
mod present;
mod reload;
mod report;
mod run;
mod signals;
mod sockets;
mod systemd;
mod trial;
mod upgrade;

pub use handover::Inheritance;
pub use run::{Start, run};
