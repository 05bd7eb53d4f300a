//! What a target may have in hand at a time: a part of its state that all plans share.

use super::slots::{Slots, UNLIMITED};
use crate::upstream::Target;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a target has in hand and may have.
pub(in crate::upstream) struct Room {
    pub(super) slots: Slots,
    /// Whether there may be attempts that took no slot: they began when the pool had no limits.
    uncounted: AtomicBool,
}

impl Room {
    pub(in crate::upstream) fn new(workers: usize) -> Self {
        Self { slots: Slots::new(workers, UNLIMITED), uncounted: AtomicBool::new(false) }
    }

    pub(in crate::upstream) fn set_limit(&self, limit: Option<u32>) {
        self.slots.set_limit(limit.unwrap_or(UNLIMITED));
    }

    /// Gives back all that worker `worker` has: it is gone.
    pub(in crate::upstream) fn forget(&self, worker: usize) {
        self.slots.forget(worker);
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.slots.taken(), self.slots.limit())
    }
}

impl Target {
    /// Exchanges or connections that it may have in hand by what is in force now; `None`: any.
    pub fn limit(&self) -> Option<u32> {
        Some(self.bound()).filter(|&limit| limit != UNLIMITED)
    }

    /// The same as a number.
    fn bound(&self) -> u32 {
        self.room().slots.limit()
    }

    /// Whether it may take one more.
    pub(in crate::upstream) fn has_room(&self) -> bool {
        self.room().slots.taken() < self.bound().saturating_sub(self.uncounted())
    }

    /// Attempts at it that took no slot.
    pub(super) fn uncounted(&self) -> u32 {
        if !self.room().uncounted.load(Ordering::Relaxed) {
            return 0;
        }
        let of = |(worker, in_flight): (usize, u32)| in_flight.saturating_sub(self.room().slots.held(worker));
        self.in_flight_by_worker().enumerate().map(of).sum()
    }

    /// There may be some from now on.
    pub(super) fn expect_uncounted(&self) {
        self.room().uncounted.store(true, Ordering::Relaxed);
    }

    /// Takes a slot for worker `worker`, if there is one.
    pub(super) fn take(&self, worker: usize) -> bool {
        self.room().slots.take(worker, self.bound().saturating_sub(self.uncounted()))
    }
}
