//! The line of those who wait for a target with room, its slots, and the table of the gateway's limits, as the data plane has them,
//! under loom: what two or three threads can do to each other is tried out in every order that the memory model allows.
//!
//! What is shown of the line: never more than the limit at a target, no slot lost, nobody left waiting while there is room, first come
//! first served, and that nobody waits for another thread.

#![cfg(test)]
#![allow(dead_code, reason = "a model needs a part of what it is made from")]

mod limits;
#[path = "../../../src/upstream/queue/line.rs"]
mod line;
#[path = "../../../src/upstream/queue/slots.rs"]
mod slots;
mod sync;

use line::{Line, Pass, Served, Waiter};
use loom::thread;
use slots::Slots;
use sync::{Arc, AtomicU32, AtomicUsize, Ordering};

/// A pool with one target, and its line.
struct Pool {
    slots: Slots,
    line: Line<One>,
    /// How many are at the target, and the most that there may be.
    at_once: AtomicUsize,
    served: AtomicUsize,
}

/// One who waits.
struct One {
    pool: Arc<Pool>,
    worker: usize,
    pass: Pass,
    called: AtomicU32,
}

impl Waiter for One {
    fn serve(&self) -> Served {
        let slots = &self.pool.slots;
        if !slots.take(self.worker, slots.limit()) {
            return Served::NoneOfIts;
        }
        if self.pass.grant(0) {
            return Served::Granted;
        }
        slots.give_back(self.worker);
        Served::Gone
    }

    fn pass(&self) -> &Pass {
        &self.pass
    }

    fn worker(&self) -> usize {
        self.worker
    }

    fn kind(&self) -> (usize, usize) {
        (0, 0)
    }

    fn call(&self) {
        self.called.store(1, Ordering::Release);
    }
}

impl Pool {
    fn new(limit: u32) -> Arc<Self> {
        Arc::new(Self {
            slots: Slots::new(4, limit),
            line: Line::new(),
            at_once: AtomicUsize::new(0),
            served: AtomicUsize::new(0),
        })
    }

    /// The way that goes past the line.
    fn take(&self, worker: usize) -> bool {
        self.line.len() == 0 && self.slots.take(worker, self.slots.limit())
    }

    fn give_back(&self, worker: usize) {
        self.slots.give_back(worker);
        self.line.offer();
    }

    /// The target works on one request.
    fn work(&self) {
        let others = self.at_once.fetch_add(1, Ordering::AcqRel);
        assert!(others < self.slots.limit() as usize, "one too many at the target");
        self.served.fetch_add(1, Ordering::AcqRel);
        self.at_once.fetch_sub(1, Ordering::AcqRel);
    }

    fn line_up(self: &Arc<Self>, worker: usize) -> Option<Arc<One>> {
        let one = One { pool: self.clone(), worker, pass: Pass::new(0), called: AtomicU32::new(0) };
        let one = Arc::new(one);
        self.line.enter(one.clone(), 8).then_some(one)
    }

    /// A request from its start to its end, by whichever way. Nothing is waited for: what was not given when nobody does anything
    /// any more never would be.
    fn request(self: &Arc<Self>, worker: usize) -> Option<Arc<One>> {
        if self.take(worker) {
            self.work();
            self.give_back(worker);
            return None;
        }
        let one = self.line_up(worker).expect("there is room in the line");
        self.finish(&one).is_none().then_some(one)
    }

    /// Works if its turn has come.
    fn finish(self: &Arc<Self>, one: &Arc<One>) -> Option<()> {
        one.pass.accept()?;
        self.work();
        self.give_back(one.worker);
        Some(())
    }

    /// Finishes all who are left, one after the other: each end lets the next one in.
    fn drain(self: &Arc<Self>, mut left: Vec<Arc<One>>) {
        while !left.is_empty() {
            let before = left.len();
            left.retain(|one| self.finish(one).is_none());
            assert!(left.len() < before, "somebody waits although there is room");
        }
    }

    fn assert_empty(&self) {
        assert_eq!((self.slots.taken(), self.line.len()), (0, 0), "a slot is lost, or somebody who waits");
    }
}

fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

/// Waits for a thread.
fn joined<T>(thread: thread::JoinHandle<T>) -> T {
    thread.join().unwrap()
}

#[test]
fn whoever_asks_is_served_and_the_limit_holds() {
    model(|| {
        let pool = Pool::new(1);
        let others: Vec<_> = (1..3)
            .map(|worker| {
                let pool = pool.clone();
                thread::spawn(move || pool.request(worker))
            })
            .collect();
        let own = pool.request(0);
        let left = others.into_iter().filter_map(joined).chain(own).collect();
        pool.drain(left);
        assert_eq!(pool.served.load(Ordering::Relaxed), 3);
        pool.assert_empty();
    });
}

#[test]
fn a_slot_given_back_while_somebody_comes_is_not_lost() {
    model(|| {
        let pool = Pool::new(1);
        assert!(pool.take(0));
        let coming = {
            let pool = pool.clone();
            thread::spawn(move || pool.request(1))
        };
        pool.work();
        pool.give_back(0);
        let left = joined(coming);
        // Whoever waits has been called: there is room.
        if let Some(one) = &left {
            assert_eq!(one.called.load(Ordering::Acquire), 1);
        }
        pool.drain(left.into_iter().collect());
        pool.assert_empty();
    });
}

#[test]
fn whoever_leaves_hands_on_what_it_was_given() {
    model(|| {
        let pool = Pool::new(1);
        assert!(pool.take(0));
        let (first, second) = (pool.line_up(1).unwrap(), pool.line_up(2).unwrap());
        let leaver = {
            let (pool, first) = (pool.clone(), first.clone());
            thread::spawn(move || {
                if pool.line.leave(&first).is_some() {
                    pool.give_back(1);
                }
            })
        };
        pool.work();
        pool.give_back(0);
        joined(leaver);
        assert_eq!(first.pass.accept(), None);
        pool.drain(vec![second]);
        assert_eq!(pool.served.load(Ordering::Relaxed), 2);
        pool.assert_empty();
    });
}

#[test]
fn all_may_leave_at_once() {
    model(|| {
        let pool = Pool::new(1);
        assert!(pool.take(0));
        let waiters = [pool.line_up(1).unwrap(), pool.line_up(2).unwrap()];
        let leavers = waiters.map(|one| {
            let pool = pool.clone();
            thread::spawn(move || {
                if pool.line.leave(&one).is_some() {
                    pool.give_back(one.worker);
                }
            })
        });
        pool.give_back(0);
        leavers.into_iter().for_each(joined);
        pool.assert_empty();
    });
}

#[test]
fn first_come_is_first_served() {
    model(|| {
        let pool = Pool::new(1);
        assert!(pool.take(0));
        let first = pool.line_up(1).unwrap();
        let coming = {
            let pool = pool.clone();
            thread::spawn(move || {
                // Nobody goes past who waits.
                (!pool.take(2)).then(|| pool.line_up(2).unwrap())
            })
        };
        pool.give_back(0);
        let second = joined(coming);
        if let Some(second) = &second {
            assert_eq!(second.called.load(Ordering::Acquire), 0, "there is one slot, and it is the first one's");
        }
        assert_eq!(first.called.load(Ordering::Acquire), 1);
        match second {
            Some(second) => pool.drain(vec![first, second]),
            None => unreachable!("the first one waits, or has been given the only slot"),
        }
        pool.assert_empty();
    });
}

#[test]
fn a_raised_limit_lets_in_who_waits() {
    model(|| {
        let pool = Pool::new(1);
        assert!(pool.take(0));
        let coming = {
            let pool = pool.clone();
            thread::spawn(move || pool.line_up(1).unwrap())
        };
        pool.slots.set_limit(2);
        pool.line.offer();
        let second = joined(coming);
        // A change that nobody was told of is seen at the next look.
        pool.line.offer();
        assert_eq!(second.called.load(Ordering::Acquire), 1);
        pool.drain(vec![second]);
        pool.give_back(0);
        pool.assert_empty();
    });
}

#[test]
fn a_worker_that_is_gone_leaves_nobody_in_line_and_no_slot_taken() {
    model(|| {
        let pool = Pool::new(1);
        assert!(pool.take(0));
        // Worker 1 dies while it waits; it may have been given the slot by then.
        let _gone = pool.line_up(1).unwrap();
        let second = pool.line_up(2).unwrap();
        let releasing = {
            let pool = pool.clone();
            thread::spawn(move || pool.give_back(0))
        };
        pool.line.forget(1);
        pool.slots.forget(1);
        pool.line.offer();
        joined(releasing);
        pool.drain(vec![second]);
        pool.assert_empty();
    });
}

#[test]
fn no_more_wait_than_may() {
    model(|| {
        let pool = Pool::new(1);
        assert!(pool.take(0));
        let enter = |worker| {
            let pool = pool.clone();
            move || {
                let one = Arc::new(One { pool: pool.clone(), worker, pass: Pass::new(0), called: AtomicU32::new(0) });
                pool.line.enter(one.clone(), 1).then_some(one)
            }
        };
        let other = thread::spawn(enter(1));
        let own = enter(2)();
        let waiting: Vec<_> = joined(other).into_iter().chain(own).collect();
        assert_eq!(waiting.len(), 1);
        pool.give_back(0);
        pool.drain(waiting);
        pool.assert_empty();
    });
}
