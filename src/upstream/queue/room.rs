//! What a target may have in hand at a time: a part of its state that all plans share.

use super::adaptive::Adaptive;
use super::slots::{Slots, UNLIMITED};
use crate::upstream::Target;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// What a target has in hand and may have.
pub(in crate::upstream) struct Room {
    pub(super) slots: Slots,
    /// Whether there may be attempts that took no slot: they began when the pool had no limits.
    uncounted: AtomicBool,
    /// The limit that follows its latency.
    ceiling: AtomicU32,
    /// How many were let in who had waited for it alone, for the log.
    pub(super) let_in: AtomicU32,
}

impl Room {
    pub(in crate::upstream) fn new(workers: usize) -> Self {
        let (uncounted, ceiling) = (AtomicBool::new(false), AtomicU32::new(UNLIMITED));
        Self { slots: Slots::new(workers, UNLIMITED), uncounted, ceiling, let_in: AtomicU32::new(0) }
    }

    pub(super) fn set_ceiling(&self, limit: u32) {
        self.ceiling.store(limit, Ordering::Relaxed);
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
        let said = self.agent_limit().filter(|&limit| limit > 0).unwrap_or(UNLIMITED);
        self.room().slots.limit().min(self.room().ceiling.load(Ordering::Relaxed)).min(said)
    }

    /// From now on its limits are those that hold.
    pub(in crate::upstream) fn take_force(&self) {
        self.room().slots.set_limit(self.max_in_flight.unwrap_or(UNLIMITED));
        self.room().set_ceiling(self.adaptive.as_deref().map_or(UNLIMITED, Adaptive::limit));
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
