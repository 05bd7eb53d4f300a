//! Sockets and workers' lives, reloads, the schedule of health checks, targets that are found, certificate files and authorities,
//! the admin listener, the delivery of spans, signals. Runs on one tokio thread.
//!
//! What always holds: control owns every listening socket for as long as its listener exists; a worker that stands still
//! or is gone has its slots accepted from by its siblings within a second, and a gone one is started again.
//!
//! May depend on everything below it in the list of `lib.rs`.

mod acme;
pub mod admin;
pub mod analytics;
mod answers;
mod bans;
mod caches;
mod certificates;
mod checks;
mod chronicle;
pub mod command;
mod consumers;
mod crew;
mod dashboard;
mod database;
pub mod discovery;
mod edits;
mod egress;
mod end;
mod enrolment;
mod files;
mod guards;
mod handover;
mod hooks;
mod idempotency;
mod issuers;
mod keep;
mod kept;
mod life;
mod lifecycles;
mod limits;
mod live;
mod logs;
mod maintenance;
mod mirrors;
mod otlp;
pub mod overrides;
mod parts;
mod passwords;
mod present;
mod privileges;
mod purge;
mod queues;
mod quotas;
pub mod reload;
mod report;
pub mod roster;
mod run;
pub mod secrets;
mod shares;
mod shelves;
mod signals;
mod sockets;
mod splits;
mod staging;
mod sticky;
mod store;
mod systemd;
mod trial;
mod upgrade;
mod web;

pub use enrolment::recall;
pub use handover::Inheritance;
pub use keep::Keep;
pub use privileges::Privileges;
pub use run::{Start, run};

use futures_util::FutureExt;
use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

/// Until work that has panicked is begun again.
const REST: Duration = Duration::from_millis(if cfg!(test) { 10 } else { 1000 });

/// Does what is to be done for as long as the process lives. If it panics, it is begun again.
fn keep_up<W: Future<Output = ()> + Send>(what: &'static str, work: impl Fn() -> W + Send + 'static) {
    tokio::spawn(async move {
        while AssertUnwindSafe(work()).catch_unwind().await.is_err() {
            tracing::error!("{what} has panicked, which is a fault of Ringway's: it begins again");
            tokio::time::sleep(REST).await;
        }
    });
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn work_that_panics_is_begun_again_until_it_ends() {
        let begun = Arc::new(AtomicUsize::new(0));
        let count = begun.clone();
        keep_up("a test", move || {
            let turn = count.fetch_add(1, Ordering::Relaxed);
            async move { assert!(turn == 2, "this is meant to panic") }
        });
        for _ in 0..1000 {
            if begun.load(Ordering::Relaxed) == 3 {
                return;
            }
            tokio::time::sleep(REST).await;
        }
        panic!("it was not begun again");
    }
}
