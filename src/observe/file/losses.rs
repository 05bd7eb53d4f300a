//! What of the log was lost, for the metrics and for the operational log: a spell of failures is told once, the lines that it
//! cost once it works again.

use super::{Destination, Shared};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Losses are told at most this often.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// The account of one destination.
pub struct Losses {
    destination: Destination,
    shared: Arc<Shared>,
    failing: bool,
    /// Lines lost and not told yet.
    untold: u64,
    next_tell: Option<Instant>,
}

impl Losses {
    /// Nothing was lost so far.
    pub fn new(destination: Destination, shared: Arc<Shared>) -> Self {
        Self { destination, shared, failing: false, untold: 0, next_tell: None }
    }

    /// A write failed. Says once per spell what is wrong.
    pub fn fail(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.failing, true) {
            match &self.destination {
                Destination::Syslog(server) => {
                    tracing::error!(%server, %error, "the syslog server takes no lines: some wait, others are lost until it does");
                }
                path => {
                    tracing::error!(%path, %error, "cannot write the access log: lines are lost until it works");
                }
            }
        }
    }

    /// A write succeeded.
    pub fn works(&mut self) {
        self.failing = false;
    }

    /// Lines were written.
    pub fn wrote(&self, lines: u64) {
        self.shared.lines.written.add(lines);
    }

    /// Lines are lost.
    pub fn lose(&mut self, lines: u64) {
        self.shared.lines.lost.add(lines);
        self.untold += lines;
    }

    /// Lines were lost, and counted by who lost them.
    pub fn lost_before(&mut self, lines: u32) {
        self.untold += u64::from(lines);
    }

    /// Tells what was lost, if it is time to.
    pub fn tell(&mut self) {
        let now = Instant::now();
        if self.untold > 0 && !self.failing && self.next_tell.is_none_or(|at| at <= now) {
            tracing::warn!(path = %self.destination, "access log: lost {} lines", self.untold);
            self.untold = 0;
            self.next_tell = Some(now + TELL_EVERY);
        }
    }

    /// Tells what was lost, as there will be no other time.
    pub fn tell_last(&mut self) {
        self.next_tell = None;
        self.failing = false;
        self.tell();
    }

    /// When there is something to tell; `None` if there is nothing.
    pub fn due(&self) -> Option<Instant> {
        self.next_tell.filter(|_| self.untold > 0 && !self.failing)
    }
}
