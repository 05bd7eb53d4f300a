//! Limits of what is in flight at a target and in a pool, and the line of those who wait for room.
//!
//! Each attempt in a pool that has limits holds a slot of its target and one of the pool for as long as it lives. Without
//! anybody waiting a slot is taken by one atomic operation each; else whoever comes stands in [`line::Line`]. Who gives a
//! slot back while others wait gives it to the first of them who can use it, whichever worker that is on, and calls it.
//!
//! What always holds: who waits for nothing that could come is told so at once. A pool without limits has no [`Queue`], and
//! nothing of this is done for it.
//!
//! [`slots`], [`line`] and [`gradient`] are pure.

mod adaptive;
mod choose;
mod gradient;
mod line;
mod room;
mod slots;
mod sync;
mod ticket;

pub use adaptive::Adaptive;
pub use gradient::Settings as AdaptiveSettings;
pub(in crate::upstream) use room::Room;
pub use ticket::Waiting;

use super::target::{Pool, Target};
use line::Line;
use slots::{Slots, UNLIMITED};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use ticket::Ticket;

/// The limits of a pool as a plan has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Exchanges or connections in flight in the pool; `None`: any.
    pub max_in_flight: Option<u32>,
    /// How many may wait.
    pub length: usize,
}

/// A pool's limits and its line.
pub struct Queue {
    /// As the plan has them.
    pub limits: Limits,
    shared: Arc<Shared>,
}

/// What plans that follow each other share.
struct Shared {
    slots: Slots,
    /// Whether there may be attempts that took no slot.
    uncounted: AtomicBool,
    line: Line<Ticket>,
    /// How many were let in who had waited for any target, for the log.
    let_in: AtomicU32,
}

impl Queue {
    /// A line with nobody in it, for a process of `workers`.
    pub fn new(limits: Limits, workers: usize) -> Self {
        let slots = Slots::new(workers, limits.max_in_flight.unwrap_or(UNLIMITED));
        let (uncounted, let_in) = (AtomicBool::new(false), AtomicU32::new(0));
        Self { limits, shared: Arc::new(Shared { slots, uncounted, line: Line::new(), let_in }) }
    }

    /// The same line under another plan.
    pub fn succeed(&self, limits: Limits) -> Self {
        Self { limits, shared: self.shared.clone() }
    }

    /// How many wait now.
    pub fn len(&self) -> usize {
        self.shared.line.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether whoever comes may take room without standing in line: nobody waits, or as many as may, who have no use for the room
    /// that there is.
    pub(super) fn lets_past(&self) -> bool {
        let waiting = self.len();
        waiting == 0 || waiting >= self.limits.length
    }

    /// What may be in flight in the pool by what is in force now; `None`: any.
    pub fn limit(&self) -> Option<u32> {
        Some(self.shared.slots.limit()).filter(|&limit| limit != UNLIMITED)
    }

    /// Takes a slot of the pool and one of `target` for worker `worker`, if there are both.
    pub(super) fn take(&self, pool: &Pool, target: &Target, worker: usize) -> bool {
        if !self.take_own(pool, worker) {
            return false;
        }
        if target.take(worker) {
            return true;
        }
        // Somebody may have come meanwhile and found it taken.
        self.shared.slots.give_back(worker);
        self.shared.line.offer();
        false
    }

    fn take_own(&self, pool: &Pool, worker: usize) -> bool {
        let Shared { slots, uncounted, .. } = &*self.shared;
        let others = || pool.targets.iter().map(Target::uncounted).sum();
        let others = if uncounted.load(Ordering::Relaxed) { others() } else { 0 };
        slots.take(worker, slots.limit().saturating_sub(others))
    }

    /// Gives both back, to whoever waits.
    pub(super) fn give_back(&self, target: &Target, worker: usize) {
        target.room().slots.give_back(worker);
        self.shared.slots.give_back(worker);
        self.shared.line.offer();
    }
}

impl Pool {
    /// From now on its limits are those that hold, for whoever waits as well.
    pub fn take_force(&self) {
        let Some(queue) = &self.queue else { return };
        queue.shared.slots.set_limit(queue.limits.max_in_flight.unwrap_or(UNLIMITED));
        self.targets.iter().for_each(Target::take_force);
        queue.shared.line.offer();
    }

    /// It has limits from now on, of which attempts know nothing that have begun before.
    pub fn expect_uncounted(&self) {
        if let Some(queue) = &self.queue {
            queue.shared.uncounted.store(true, Ordering::Relaxed);
            self.targets.iter().for_each(Target::expect_uncounted);
        }
    }

    /// Whether anybody waits for room.
    pub fn has_waiting(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| !queue.is_empty())
    }

    /// Serves whom it can: targets may have come up or gone down.
    pub(super) fn look_at_line(&self) {
        if let Some(queue) = &self.queue {
            queue.shared.line.offer();
        }
    }

    /// Forgets what worker `worker` had in flight, and who waited on it: they died with it.
    pub fn forget(&self, worker: usize) {
        if let Some(queue) = &self.queue {
            queue.shared.line.forget(worker);
            queue.shared.slots.forget(worker);
        }
        self.targets.iter().for_each(|target| target.forget(worker));
        self.look_at_line();
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("limits", &self.limits).field("waiting", &self.len()).finish_non_exhaustive()
    }
}
