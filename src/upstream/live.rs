//! What live traffic says of one target, over all workers and plans.

use super::outlier::{Ejection, Kept, Traffic};
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What is known of a target beyond its checks.
#[derive(Debug)]
pub struct Live {
    pub(super) ejection: Ejection,
    /// Made when a pool first wants it.
    pub(super) traffic: OnceLock<Traffic>,
    /// What connections know it by: no other target of the process has the same number, be it one at the same address.
    pub(super) serial: u64,
    /// When it came up, in milliseconds since the boot of the host; 0: before this process was there.
    came_up: AtomicU64,
    workers: usize,
}

/// What of it a process hands to the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LiveText {
    /// When it came up, in milliseconds since the boot of the host.
    pub came_up: u64,
    /// Where it stands with those that are ejected.
    pub ejection: Kept,
}

impl Live {
    pub(super) fn new(workers: usize) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            ejection: Ejection::default(),
            traffic: OnceLock::new(),
            serial: NEXT.fetch_add(1, Relaxed),
            came_up: AtomicU64::new(0),
            workers,
        }
    }

    pub(super) fn count(&self) {
        self.traffic.get_or_init(|| Traffic::new(self.workers));
    }

    pub(super) fn comes_up(&self, now: Duration) {
        self.came_up.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Its checks pass again.
    pub(super) fn rises(&self, now: Duration) {
        self.ejection.give_back(now);
        self.comes_up(now);
    }

    #[inline]
    pub(super) fn up_for(&self, now: Duration) -> Duration {
        match self.came_up.load(Relaxed) {
            0 => Duration::MAX,
            at => now.saturating_sub(Duration::from_millis(at)),
        }
    }

    /// What the next process is told of it; `None`: there is nothing worth it.
    pub fn keep(&self) -> Option<LiveText> {
        let kept = LiveText { came_up: self.came_up.load(Relaxed), ejection: self.ejection.keep() };
        (kept != LiveText::default()).then_some(kept)
    }

    /// Takes on what the process before has told.
    pub fn take_on(&self, kept: LiveText) {
        self.came_up.store(kept.came_up, Relaxed);
        self.ejection.take_on(kept.ejection);
    }
}
