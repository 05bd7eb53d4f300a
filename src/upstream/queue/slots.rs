//! How much a target or a pool has in hand, counted exactly, and how much it may have.
//!
//! What always holds: never more are taken than the limit was when the last one was. Pure atomics; the model in tests/loom
//! drives them as they are.

use super::sync::{AtomicU32, Ordering};

/// No limit.
pub(super) const UNLIMITED: u32 = u32::MAX;

/// Slots that workers take and give back.
pub(super) struct Slots {
    taken: AtomicU32,
    limit: AtomicU32,
    /// How many of those taken each worker has, or has been given.
    held: Box<[AtomicU32]>,
}

impl Slots {
    pub(super) fn new(workers: usize, limit: u32) -> Self {
        let held = (0..workers).map(|_| AtomicU32::new(0)).collect();
        Self { taken: AtomicU32::new(0), limit: AtomicU32::new(limit), held }
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    pub(super) fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// How many are taken now.
    pub(super) fn taken(&self) -> u32 {
        self.taken.load(Ordering::Acquire)
    }

    /// How many of them worker `worker` has.
    pub(super) fn held(&self, worker: usize) -> u32 {
        self.held.get(worker).map_or(0, |held| held.load(Ordering::Relaxed))
    }

    /// Takes one for worker `worker`, if fewer than `limit` are taken.
    pub(super) fn take(&self, worker: usize, limit: u32) -> bool {
        let more = |taken: u32| (taken < limit).then_some(taken.saturating_add(1));
        if self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_err() {
            return false;
        }
        if let Some(held) = self.held.get(worker) {
            held.fetch_add(1, Ordering::AcqRel);
        }
        true
    }

    /// Gives one back that worker `worker` has.
    pub(super) fn give_back(&self, worker: usize) {
        if let Some(held) = self.held.get(worker) {
            held.fetch_sub(1, Ordering::AcqRel);
        }
        let before = self.taken.fetch_sub(1, Ordering::AcqRel);
        debug_assert!(before > 0, "what is given back was taken");
    }

    /// Gives back all that worker `worker` has: it is gone.
    pub(super) fn forget(&self, worker: usize) {
        if let Some(held) = self.held.get(worker) {
            self.taken.fetch_sub(held.swap(0, Ordering::AcqRel), Ordering::AcqRel);
        }
    }
}
