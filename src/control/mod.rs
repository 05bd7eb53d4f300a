//! Sockets and workers' lives, reloads, the schedule of health checks, targets that are found, certificate files and authorities,
//! the admin listener, the delivery of spans, signals. Runs on one tokio thread.
//!
//! What always holds: control owns every listening socket for as long as its listener exists; a worker that stands still
//! or is gone has its slots accepted from by its siblings within a second, and a gone one is started again.
//!
//! May depend on everything below it in the list of `lib.rs`.

mod acme;
pub mod admin;
mod certificates;
mod checks;
pub mod command;
mod crew;
pub mod discovery;
mod edits;
mod egress;
mod end;
mod files;
mod guards;
mod handover;
mod keep;
mod life;
mod limits;
mod live;
mod logs;
mod otlp;
pub mod overrides;
mod present;
mod queues;
pub mod reload;
mod report;
mod run;
mod signals;
mod sockets;
mod sticky;
mod systemd;
mod trial;
mod upgrade;

pub use handover::Inheritance;
pub use keep::Keep;
pub use run::{Start, run};

use std::error::Error;

/// An error and what it was due to.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}
