//! Clients that rules have banned, on their way to control, which adds them to those that are refused.
//!
//! What always holds: nobody waits. What finds no room is lost, and counted: a client that goes on is banned the next time.

use crossbeam::queue::ArrayQueue;
use ipnet::IpNet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The way of bans from workers to control.
#[derive(Debug)]
pub struct Feed {
    waiting: ArrayQueue<Wanted>,
    lost: AtomicU64,
}

/// A ban that a rule wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Whom it is for.
    pub client: IpNet,
    /// For how long.
    pub span: Duration,
    /// The rule's name.
    pub rule: Arc<str>,
    /// Why.
    pub reason: Arc<str>,
    /// Whether it is told and nothing else.
    pub shadow: bool,
}

/// Bans that may wait. Control takes them about ten times a second.
const ROOM: usize = 4096;

impl Default for Feed {
    fn default() -> Self {
        Self { waiting: ArrayQueue::new(ROOM), lost: AtomicU64::new(0) }
    }
}

impl Feed {
    /// Wants a ban, if there is room.
    pub fn want(&self, wanted: Wanted) {
        if self.waiting.push(wanted).is_err() {
            self.lose(1);
        }
    }

    /// What was wanted since.
    pub fn take(&self) -> Vec<Wanted> {
        std::iter::from_fn(|| self.waiting.pop()).take(ROOM).collect()
    }

    /// Counts what could not be carried out.
    pub fn lose(&self, bans: u64) {
        self.lost.fetch_add(bans, Ordering::Relaxed);
    }

    /// How many could not be carried out.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}
