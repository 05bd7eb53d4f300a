//! Connections to targets that carry several exchanges at a time, one worker's share of them.
//!
//! Invariants: for each target and errand at most one connection is being opened at a time; whoever needs one meanwhile
//! waits for it. A connection is for its own errand alone.

use super::errand::Errand;
use crate::net::{Signal, coarse_now};
use crate::tls::Multiplexed;
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// A connection that carries several exchanges at a time.
pub trait Trunk {
    /// Exchanges that it carries; `None` if it takes no more for now, or for ever.
    fn load(&self) -> Option<usize>;
    /// Whether it is of no more use.
    fn is_over(&self) -> bool;
    /// Begins an exchange. Fails if the connection is broken or the target lets nothing more begin on it.
    fn open(&self) -> io::Result<Box<dyn Multiplexed>>;
    /// Ends it at once, and what it carries.
    fn cut(&self);
}

/// A worker's connections of this kind, by target.
#[derive(Default)]
pub struct Trunks(Vec<Target>);

#[derive(Default)]
struct Target {
    held: RefCell<Vec<Held>>,
    /// Connections being opened, with who is waiting for them.
    opening: RefCell<Vec<(Errand, Signal)>>,
    /// Whether HTTP/2 was agreed on the last time that it was asked.
    speaks_h2: Cell<Option<bool>>,
}

struct Held {
    errand: Errand,
    trunk: Rc<dyn Trunk>,
    /// When it last carried anything.
    used: Cell<Duration>,
}

/// What to do for an exchange.
pub enum Way<'a> {
    /// Begin it on this connection.
    Use(Rc<dyn Trunk>),
    /// Open a connection, and keep it with the opening's help.
    Open(Opening<'a>),
    /// Look again when this is raised: a connection is being opened.
    Wait(Signal),
}

/// A connection being opened. Whoever waits for it looks again when this is dropped.
pub struct Opening<'a> {
    target: &'a Target,
    errand: Errand,
}

impl Trunks {
    /// For `targets` targets.
    pub(super) fn new(targets: usize) -> Self {
        Self((0..targets).map(|_| Target::default()).collect())
    }

    /// How an exchange gets to `target` on this errand: on the connection with the fewest others, if one has room.
    /// `None`: there is no such target.
    pub fn way(&self, target: usize, errand: &Errand) -> Option<Way<'_>> {
        let target = self.0.get(target)?;
        let held = target.held.borrow();
        let fitting = held.iter().filter(|held| held.errand == *errand);
        let loads = fitting.filter_map(|held| Some((held.trunk.load()?, held)));
        if let Some((_, best)) = loads.min_by_key(|(load, _)| *load) {
            best.used.set(coarse_now());
            return Some(Way::Use(best.trunk.clone()));
        }
        let mut opening = target.opening.borrow_mut();
        if let Some((_, signal)) = opening.iter().find(|(for_whom, _)| for_whom == errand) {
            return Some(Way::Wait(signal.clone()));
        }
        opening.push((errand.clone(), Signal::default()));
        Some(Way::Open(Opening { target, errand: errand.clone() }))
    }

    /// Keeps a connection to `target` for other exchanges.
    pub fn hold(&self, target: usize, errand: &Errand, trunk: Rc<dyn Trunk>) {
        if let Some(target) = self.0.get(target) {
            target.hold(errand.clone(), trunk);
        }
    }

    /// Notes whether `target` agreed on HTTP/2.
    pub fn note(&self, target: usize, h2: bool) {
        if let Some(target) = self.0.get(target) {
            target.speaks_h2.set(Some(h2));
        }
    }

    /// Takes over the connections to what is `before` among `others` and `target` here.
    pub(super) fn take_over(&self, target: usize, others: &Self, before: usize) {
        if let (Some(target), Some(other)) = (self.0.get(target), others.0.get(before)) {
            target.held.borrow_mut().append(&mut other.held.borrow_mut());
            target.speaks_h2.set(other.speaks_h2.get());
        }
    }

    /// Whether `target` agreed on HTTP/2 the last time, if it was asked.
    pub fn speaks_h2(&self, target: usize) -> Option<bool> {
        self.0.get(target)?.speaks_h2.get()
    }

    /// Ends those to `target` at once, and what they carry.
    pub(super) fn cut(&self, target: usize) {
        if let Some(target) = self.0.get(target) {
            target.held.borrow().iter().for_each(|held| held.trunk.cut());
        }
    }

    /// Lets go of those that are over, have carried nothing for `idle`, or were verified by another `state` of the files
    /// than the present one; of `gone` targets of all.
    pub(super) fn sweep(&self, idle: Duration, state: u64, is_gone: impl Fn(usize) -> bool) {
        let now = coarse_now();
        for (index, target) in self.0.iter().enumerate() {
            let gone = is_gone(index);
            target.held.borrow_mut().retain(|held| {
                if held.trunk.load() != Some(0) {
                    held.used.set(now);
                }
                let current = held.errand.purpose.as_ref().is_none_or(|purpose| purpose.state() == state);
                !held.trunk.is_over() && !gone && current && now.saturating_sub(held.used.get()) < idle
            });
        }
    }

    /// Connections that carry nothing now.
    pub(super) fn idle(&self) -> usize {
        let idle = |target: &Target| target.held.borrow().iter().filter(|held| held.trunk.load() == Some(0)).count();
        self.0.iter().map(idle).sum()
    }
}

impl Target {
    fn hold(&self, errand: Errand, trunk: Rc<dyn Trunk>) {
        self.held.borrow_mut().push(Held { errand, trunk, used: Cell::new(coarse_now()) });
    }
}

impl Opening<'_> {
    /// Keeps the connection for this exchange and others.
    pub fn done(self, trunk: Rc<dyn Trunk>) {
        self.target.hold(self.errand.clone(), trunk);
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        let mut opening = self.target.opening.borrow_mut();
        if let Some(place) = opening.iter().position(|(for_whom, _)| *for_whom == self.errand) {
            opening.swap_remove(place).1.raise();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake(Cell<Option<usize>>);

    impl Trunk for Fake {
        fn load(&self) -> Option<usize> {
            self.0.get()
        }

        fn is_over(&self) -> bool {
            self.0.get().is_none()
        }

        fn open(&self) -> io::Result<Box<dyn Multiplexed>> {
            Err(io::ErrorKind::NotConnected.into())
        }

        fn cut(&self) {
            self.0.set(None);
        }
    }

    #[test]
    fn one_opens_the_others_wait_and_all_share() {
        let trunks = Trunks::new(1);
        let Some(Way::Open(opening)) = trunks.way(0, &Errand::default()) else {
            panic!("a connection is to be opened")
        };
        let Some(Way::Wait(signal)) = trunks.way(0, &Errand::default()) else { panic!("it is being opened") };
        let (first, second) = (Rc::new(Fake(Cell::new(Some(3)))), Rc::new(Fake(Cell::new(Some(1)))));
        opening.done(first.clone());
        assert!(signal.is_raised());
        assert!(matches!(trunks.way(0, &Errand::default()), Some(Way::Use(_))));
        first.0.set(None);
        let Some(Way::Open(opening)) = trunks.way(0, &Errand::default()) else { panic!("there is no room") };
        opening.done(second.clone());
        first.0.set(Some(3));
        let Some(Way::Use(used)) = trunks.way(0, &Errand::default()) else { panic!("there is room") };
        assert_eq!(used.load(), Some(1));
        first.0.set(None);
        trunks.sweep(Duration::from_secs(1), 0, |_| false);
        assert_eq!(trunks.0[0].held.borrow().len(), 1);
        trunks.sweep(Duration::from_secs(1), 0, |_| true);
        assert!(trunks.0[0].held.borrow().is_empty() && trunks.way(1, &Errand::default()).is_none());
    }

    #[test]
    fn a_failed_opening_lets_the_next_one_try() {
        let trunks = Trunks::new(1);
        let Some(Way::Open(opening)) = trunks.way(0, &Errand::default()) else {
            panic!("a connection is to be opened")
        };
        drop(opening);
        assert!(matches!(trunks.way(0, &Errand::default()), Some(Way::Open(_))));
    }
}
