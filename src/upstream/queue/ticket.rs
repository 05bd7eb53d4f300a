//! One who waits in a pool's line.

use super::Queue;
use super::line::{Pass, Served, Waiter};
use crate::net::{self, Callee, Caller};
use crate::observe::access::Places;
use crate::observe::reason::Failure;
use crate::upstream::Ask;
use crate::upstream::local::{Attempt, Local, Tried};
use crate::upstream::target::{Pool, Target};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};

/// One who waits, as all workers see it.
pub(super) struct Ticket {
    pool: Arc<Pool>,
    tried: Tried,
    /// The only target that will do, while it is up.
    owner: Option<usize>,
    /// Whether no other will, even then.
    only_owner: bool,
    worker: usize,
    pass: Pass,
    caller: Caller,
    /// How many of those who wait for the same had been let in when it came.
    before: u32,
    /// Its place among them, once it has been let in; 0 until then.
    place: AtomicU32,
}

/// Told in place of a target's position: none is left to wait for.
const NO_TARGET: usize = 1 << 32;

/// A place in a pool's line: done when it is its turn. Dropped, it is given up, and what was given to it goes to the next.
pub struct Waiting {
    ticket: Arc<Ticket>,
    called: Callee,
}

impl Local {
    /// Stands in line for a target with room; those of a lower `class` go first. Fails if there is no target to wait for, or if too
    /// many wait.
    pub fn line_up(&self, ask: &Ask<'_>, class: i32) -> Result<Waiting, Failure> {
        let pool = self.pool();
        let Ask { tried, owner, only_owner, .. } = *ask;
        let Some(queue) = pool.queue.as_ref().filter(|_| pool.best(tried, owner, only_owner).is_some()) else {
            return Err(Failure::NoTarget);
        };
        let (caller, called) = net::call().map_err(|error| {
            tracing::warn!(pool = pool.name, %error, "nobody can wait in the queue");
            Failure::QueueFull
        })?;
        let owner = owner.filter(|&owner| !tried.contains(owner));
        let (tried, worker, pass) = (tried.clone(), self.worker(), Pass::new(class));
        let before = let_in(pool, queue, owner).load(Relaxed);
        let (pool, place) = (pool.clone(), AtomicU32::new(0));
        let ticket = Arc::new(Ticket { pool, tried, owner, only_owner, worker, pass, caller, before, place });
        if !queue.shared.line.enter(ticket.clone(), queue.limits.length) {
            return Err(Failure::QueueFull);
        }
        Ok(Waiting { ticket, called })
    }
}

/// What counts those who were let in after they had waited for `owner`, or for any target where there is none.
fn let_in<'a>(pool: &'a Pool, queue: &'a Queue, owner: Option<usize>) -> &'a AtomicU32 {
    let owner = owner.and_then(|owner| pool.targets.get(owner));
    owner.map_or(&queue.shared.let_in, |owner| &owner.room().let_in)
}

impl Waiting {
    /// Where it stood in line: 1 and as many as were let in before it, or have been by now if it waits still.
    pub fn places(&self) -> Places {
        let Ticket { pool, owner, before, place, .. } = &*self.ticket;
        let place = match (place.load(Relaxed), &pool.queue) {
            (0, Some(queue)) => let_in(pool, queue, *owner).load(Relaxed).wrapping_sub(*before).wrapping_add(1),
            (place, _) => place,
        };
        match owner {
            Some(_) => Places { target: place, pool: 0 },
            None => Places { target: 0, pool: place },
        }
    }
}

impl Future for Waiting {
    type Output = Result<Attempt, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(given) = self.ticket.pass.accept() {
            return Poll::Ready(self.ticket.take(given));
        }
        // All that a call says is that there is something to accept.
        match pin!(&mut self.called).poll(cx) {
            Poll::Ready(()) => {
                Poll::Ready(self.ticket.pass.accept().map_or(Err(Failure::NoTarget), |given| self.ticket.take(given)))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(queue) = &self.ticket.pool.queue else { return };
        if let Some(given) = queue.shared.line.leave(&self.ticket) {
            // An attempt that ends before it has begun.
            drop(self.ticket.take(given));
        }
    }
}

impl Ticket {
    /// What was given, as its own.
    fn take(&self, given: usize) -> Result<Attempt, Failure> {
        if given == NO_TARGET {
            return Err(Failure::NoTarget);
        }
        Ok(Attempt::begin(&self.pool, given, self.worker))
    }

    fn offer(&self, queue: &Queue) -> Served {
        // Whoever is quicker leaves less room for the next look.
        for _ in 0..=self.pool.targets.len() {
            let target = match self.pool.best(&self.tried, self.owner, self.only_owner) {
                None => return if self.pass.grant(NO_TARGET) { Served::Granted } else { Served::Gone },
                Some(None) if self.tried.is_empty() => return Served::NoneOfIts,
                Some(None) => return Served::Later,
                Some(Some(target)) => target,
            };
            let of = &self.pool.targets[target];
            if !queue.take_own(&self.pool, self.worker) {
                return Served::Nobody;
            }
            if of.take(self.worker) {
                let let_in = let_in(&self.pool, queue, self.owner);
                // It may look as soon as it has been let in.
                self.place.store(let_in.load(Relaxed).wrapping_sub(self.before).wrapping_add(1), Relaxed);
                if self.pass.grant(target) {
                    let_in.fetch_add(1, Relaxed);
                    return Served::Granted;
                }
                self.place.store(0, Relaxed);
                of.room().slots.give_back(self.worker);
                queue.shared.slots.give_back(self.worker);
                return Served::Gone;
            }
            queue.shared.slots.give_back(self.worker);
        }
        Served::Later
    }
}

impl Waiter for Ticket {
    fn serve(&self) -> Served {
        self.pool.queue.as_ref().map_or(Served::Later, |queue| self.offer(queue))
    }

    fn pass(&self) -> &Pass {
        &self.pass
    }

    fn worker(&self) -> usize {
        self.worker
    }

    fn kind(&self) -> (usize, usize) {
        let waits_for = match self.owner {
            // What each of them can use differs, and is not found out together.
            _ if !self.tried.is_empty() => usize::MAX,
            Some(owner) => owner.saturating_add(1),
            None => 0,
        };
        (Arc::as_ptr(&self.pool).addr(), waits_for)
    }

    fn call(&self) {
        self.caller.call();
    }
}

impl Pool {
    /// The target with room that has the least in hand for its weight, of those that are up and were not tried. `Some(None)`: none
    /// of them has room; `None`: there is none. Backups count where no other can be used.
    ///
    /// Where there is an owner that is up, whatever its weight, no other counts.
    fn best(&self, tried: &Tried, owner: Option<usize>, only_owner: bool) -> Option<Option<usize>> {
        let ignore_health = self.is_doubted() || self.is_open() && !self.any_up();
        let is_there = |index: usize, target: &Target| {
            let up = if ignore_health { !target.is_in_maintenance() } else { target.is_up() };
            up && !tried.contains(index)
        };
        if let Some((owner, target)) = owner.and_then(|owner| Some((owner, self.targets.get(owner)?)))
            && is_there(owner, target)
        {
            return Some(Some(owner).filter(|_| target.has_room()));
        }
        if only_owner {
            return None;
        }
        let among = |backups: bool| {
            let mut there = false;
            let mut best: Option<(usize, u64, u64)> = None;
            for (index, target) in self.targets.iter().enumerate() {
                let weight = u64::from(target.weight());
                if target.backup != backups || weight == 0 || !is_there(index, target) {
                    continue;
                }
                there = true;
                let taken = u64::from(target.room().slots.taken());
                if target.has_room() && best.is_none_or(|(_, least, of)| taken * of < least * weight) {
                    best = Some((index, taken, weight));
                }
            }
            there.then_some(best.map(|(index, ..)| index))
        };
        among(false).or_else(|| among(true))
    }
}
