//! Those who wait for a slot, of all workers, in the order in which they are served.
//!
//! What always holds:
//! - Who comes later is served later, within a class. While anybody waits, who comes stands in line, too.
//! - A slot that is given back while anybody waits is offered to all of them, first come first served, before this is over.
//! - Nobody waits for another thread: who finds the line being settled leaves a mark, and whoever is at it goes round once more.
//! - Who leaves has either left, and is given nothing, or been given what it must hand on. Never both, never neither.
//!
//! Pure: no I/O, no clock, no task. The model in tests/loom drives it as it is, through all that several threads can do.

use super::sync::{Arc, AtomicBool, AtomicU64, AtomicUsize, Mail, Ordering, TryLock, fence, yield_now};
use std::collections::BTreeMap;

/// Who waits.
pub(super) trait Waiter: Sized {
    /// What the waiter was given: a slot of a target, or word that there is none to wait for. Calls [`Pass::grant`].
    fn serve(&self) -> Served;
    /// Its part in the line.
    fn pass(&self) -> &Pass;
    /// Its worker.
    fn worker(&self) -> usize;
    /// What those have in common who can be served by the same targets.
    fn kind(&self) -> (usize, usize);
    /// Tells it that it was served. Called outside of the line.
    fn call(&self);
}

/// What came of trying to serve somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// It has been given something.
    Granted,
    /// It has left.
    Gone,
    /// Not now: what it can use is taken.
    Later,
    /// Not now, nor anybody else of its kind.
    NoneOfIts,
    /// Not now, nor anybody else.
    Nobody,
}

/// A waiter's part in the line.
pub(super) struct Pass {
    /// [`WAITING`], [`LEFT`], [`ACCEPTED`], or what was granted.
    state: AtomicUsize,
    /// Its place within its class, once it has one.
    place: AtomicU64,
    class: i32,
}

const WAITING: usize = usize::MAX;
const LEFT: usize = usize::MAX - 1;
const ACCEPTED: usize = usize::MAX - 2;

impl Pass {
    /// Of somebody who is about to come. Lower classes are served first.
    pub(super) fn new(class: i32) -> Self {
        Self { state: AtomicUsize::new(WAITING), place: AtomicU64::new(0), class }
    }

    /// Gives it `what`, a small number. False: it has left.
    pub(super) fn grant(&self, what: usize) -> bool {
        debug_assert!(what < ACCEPTED);
        self.state.compare_exchange(WAITING, what, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Takes what was given, which is the taker's own from now on.
    pub(super) fn accept(&self) -> Option<usize> {
        let state = self.state.load(Ordering::Acquire);
        if state >= ACCEPTED {
            return None;
        }
        // Nobody else changes what was granted.
        self.state.store(ACCEPTED, Ordering::Release);
        Some(state)
    }

    fn leave(&self) -> bool {
        self.state.compare_exchange(WAITING, LEFT, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// The line.
pub(super) struct Line<W> {
    /// Those who wait: they have come, and have neither been given anything nor left.
    waiting: AtomicUsize,
    /// Times that it has to be settled; whoever counts from 0 does it.
    turns: AtomicUsize,
    mail: Mail<Message<W>>,
    /// Whoever settles has it, and nobody else asks for it.
    order: TryLock<Order<W>>,
}

enum Message<W> {
    Comes(Arc<W>),
    Leaves(Arc<W>),
    /// All who wait on this worker are gone; tells when they have been taken out.
    Forget(usize, Arc<AtomicBool>),
}

struct Order<W> {
    next: u64,
    places: BTreeMap<Place, Arc<W>>,
    /// How many of each kind there are.
    kinds: Vec<((usize, usize), usize)>,
}

type Place = (i32, u64);

impl<W: Waiter> Line<W> {
    /// Nobody waits.
    pub(super) fn new() -> Self {
        let order = Order { next: 0, places: BTreeMap::new(), kinds: Vec::new() };
        Self { waiting: AtomicUsize::new(0), turns: AtomicUsize::new(0), mail: Mail::new(), order: TryLock::new(order) }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Puts somebody in, unless `most` wait already. It is served at once if there is something for it by now.
    pub(super) fn enter(&self, waiter: Arc<W>, most: usize) -> bool {
        let more = |waiting: usize| (waiting < most).then_some(waiting + 1);
        if self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_err() {
            return false;
        }
        // Whoever gives a slot back either sees that somebody waits, or is seen to have given it back.
        fence(Ordering::SeqCst);
        self.mail.push(Message::Comes(waiter));
        self.settle();
        true
    }

    /// Takes somebody out who waits no more. Returns what it was given meanwhile, which the caller has to hand on.
    pub(super) fn leave(&self, waiter: &Arc<W>) -> Option<usize> {
        if !waiter.pass().leave() {
            return waiter.pass().accept();
        }
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        self.mail.push(Message::Leaves(waiter.clone()));
        self.settle();
        None
    }

    /// Takes out all who wait on a worker that is gone. Until this returns another thread may be about to.
    pub(super) fn forget(&self, worker: usize) {
        let done = Arc::new(AtomicBool::new(false));
        self.mail.push(Message::Forget(worker, done.clone()));
        self.settle();
        // A matter of microseconds, for the control thread alone.
        while !done.load(Ordering::Acquire) {
            yield_now();
        }
    }

    /// To be called when a slot was given back, or there may be more of them.
    #[inline]
    pub(super) fn offer(&self) {
        // The other half of what stands in `enter`.
        fence(Ordering::SeqCst);
        if self.len() > 0 {
            self.settle();
        }
    }

    /// Serves whom it can.
    #[cold]
    pub(super) fn settle(&self) {
        if self.turns.fetch_add(1, Ordering::AcqRel) > 0 {
            return;
        }
        let mut served = Vec::new();
        let mut seen = 1;
        loop {
            // It is free: whoever had it before has let go of it, and then of its turn.
            self.order.enter(|order| self.serve(order, &mut served));
            match self.turns.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(more) => seen = more,
            }
        }
        served.iter().for_each(|waiter: &Arc<W>| waiter.call());
    }

    fn serve(&self, order: &mut Order<W>, served: &mut Vec<Arc<W>>) {
        while let Some(message) = self.mail.pop() {
            match message {
                Message::Comes(waiter) => order.add(waiter),
                Message::Leaves(waiter) => order.remove(&waiter),
                Message::Forget(worker, done) => {
                    let theirs = order.places.values().filter(|waiter| waiter.worker() == worker);
                    for waiter in theirs.cloned().collect::<Vec<_>>() {
                        if waiter.pass().leave() {
                            self.waiting.fetch_sub(1, Ordering::AcqRel);
                        }
                        order.remove(&waiter);
                    }
                    done.store(true, Ordering::Release);
                }
            }
        }
        let first = served.len();
        let mut gone = Vec::new();
        let mut without = Vec::new();
        for waiter in order.places.values() {
            let kind = waiter.kind();
            if without.contains(&kind) {
                continue;
            }
            match waiter.serve() {
                Served::Granted => {
                    self.waiting.fetch_sub(1, Ordering::AcqRel);
                    served.push(waiter.clone());
                }
                Served::Gone => gone.push(waiter.clone()),
                Served::Later => {}
                Served::NoneOfIts => {
                    without.push(kind);
                    if without.len() == order.kinds.len() {
                        break;
                    }
                }
                Served::Nobody => break,
            }
        }
        served[first..].iter().chain(&gone).for_each(|waiter| order.remove(waiter));
    }
}

impl<W: Waiter> Order<W> {
    fn add(&mut self, waiter: Arc<W>) {
        let (pass, kind) = (waiter.pass(), waiter.kind());
        self.next += 1;
        pass.place.store(self.next, Ordering::Relaxed);
        match self.kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => self.kinds.push((kind, 1)),
        }
        self.places.insert((pass.class, self.next), waiter);
    }

    /// Takes it out, if it is in.
    fn remove(&mut self, waiter: &Arc<W>) {
        let (pass, kind) = (waiter.pass(), waiter.kind());
        if self.places.remove(&(pass.class, pass.place.load(Ordering::Relaxed))).is_none() {
            return;
        }
        if let Some(place) = self.kinds.iter().position(|(known, _)| *known == kind) {
            self.kinds[place].1 -= 1;
            if self.kinds[place].1 == 0 {
                self.kinds.swap_remove(place);
            }
        }
    }
}
