//! Connections that end with their targets: what a worker's exchanges and tunnels hold of targets of a pool that wants so.
//!
//! What always holds: an entry is there for as long as its connection is in use by its attempt, so that what is cut is never
//! another's. A target that is down has no entries for longer than a beat, whenever they came; those of backups end in the
//! moment in which another target comes up. What goes to targets whose health is not believed is left alone.

use super::local::{Attempt, Local};
use crate::net::{self, Handle};
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// What becomes of the connections of a target that goes down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDown {
    /// They go on for as long as they can.
    #[default]
    Keep,
    /// They end.
    Close,
}

/// What becomes of the connections of backups when a target that is none comes up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUp {
    /// They go on.
    #[default]
    Keep,
    /// They end.
    CloseBackups,
}

/// A worker's connections to the targets of a pool, over all plans that have it.
#[derive(Default)]
pub(super) struct Ties(RefCell<Slab<Entry>>);

struct Entry {
    /// The target's serial.
    target: u64,
    /// The connection; `None` where others share it.
    stream: Option<Handle>,
    cut: bool,
}

/// An attempt's place among them.
pub(super) struct Tie {
    ties: Rc<Ties>,
    place: usize,
}

/// What a worker saw of a pool's targets the last time that it looked.
#[derive(Default)]
pub(super) struct Sight {
    /// Which of them were up.
    up: RefCell<Vec<bool>>,
    /// Until when what still comes to backups is cut, too: who chose one just before may only now be there.
    closing: Cell<Duration>,
}

/// Connections that are cut at one look: some ten milliseconds' worth. The next look is a beat later.
const AT_ONCE: usize = 4096;
/// How long after another target came up what comes to backups is cut.
const AFTERMATH: Duration = Duration::from_millis(500);

impl Drop for Tie {
    fn drop(&mut self) {
        self.ties.0.borrow_mut().try_remove(self.place);
    }
}

impl Tie {
    fn is_cut(&self) -> bool {
        self.ties.0.borrow().get(self.place).is_some_and(|entry| entry.cut)
    }
}

impl Ties {
    /// Cuts the connections to this target. Returns how many there were.
    fn cut(&self, target: u64) -> usize {
        let mut cut = 0;
        for (_, entry) in self.0.borrow_mut().iter_mut() {
            if entry.target == target && !entry.cut {
                entry.cut = true;
                entry.stream.map(Handle::cut);
                cut += 1;
                if cut == AT_ONCE {
                    break;
                }
            }
        }
        cut
    }
}

impl Attempt {
    /// What the attempt is about to use ends with its target, if its pool wants so. `stream`: the connection, where it has it for
    /// itself alone.
    #[inline]
    pub fn tie(&self, local: &Local, stream: Option<Handle>) {
        let pool = self.pool();
        if pool.on_down == OnDown::Close || pool.on_up == OnUp::CloseBackups {
            self.tie_to(local, stream);
        }
    }

    #[cold]
    fn tie_to(&self, local: &Local, stream: Option<Handle>) {
        let entry = Entry { target: self.target().live().serial, stream, cut: false };
        // What it was tied to before is let go first.
        self.set_tie(None);
        let place = local.ties.0.borrow_mut().insert(entry);
        self.set_tie(Some(Box::new(Tie { ties: local.ties.clone(), place })));
    }

    /// It uses its connection no more. Returns whether that was cut.
    #[inline]
    pub fn untie(&self) -> bool {
        self.take_tie().is_some_and(|tie| tie.is_cut())
    }

    /// Whether its connection was cut.
    pub fn is_cut(&self) -> bool {
        let tie = self.take_tie();
        let cut = tie.as_ref().is_some_and(|tie| tie.is_cut());
        self.set_tie(tie);
        cut
    }
}

impl Local {
    /// Ends what is to end with its target. Called about ten times a second.
    pub(super) fn cut_ties(&self) {
        let pool = self.pool();
        if pool.on_down == OnDown::Keep && pool.on_up == OnUp::Keep {
            return;
        }
        let now = net::coarse_now();
        let believed = !self.ignores_health();
        let mut up = self.sight.up.borrow_mut();
        let known = up.len() == pool.targets.len();
        let mut risen = false;
        for (place, target) in pool.targets.iter().enumerate() {
            let is_up = target.is_up() && target.weight() > 0;
            if known && is_up && !up[place] && !target.backup {
                risen = true;
            }
            if pool.on_down == OnDown::Close && target.is_down() && (believed || target.is_in_maintenance()) {
                self.end_ties(place, "its target is down");
            }
        }
        up.clear();
        up.extend(pool.targets.iter().map(|target| target.is_up() && target.weight() > 0));
        drop(up);
        if pool.on_up == OnUp::CloseBackups {
            if risen {
                self.sight.closing.set(now + AFTERMATH);
            }
            if now < self.sight.closing.get() {
                let backups = pool.targets.iter().enumerate().filter(|(_, target)| target.backup);
                backups.for_each(|(place, _)| self.end_ties(place, "another target came up, and this one is a backup"));
            }
        }
    }

    fn end_ties(&self, place: usize, reason: &str) {
        let target = &self.pool().targets[place];
        let closed = self.ties.cut(target.live().serial);
        self.trunks.cut(place);
        if closed > 0 {
            tracing::info!(pool = self.pool().name, target = target.name, reason, closed, "connections are ended");
        }
    }

    /// What it saw of the targets goes over to the one that follows, whose targets are at other places.
    pub(super) fn hand_sight(&self, next: &Self, origin: impl Fn(usize) -> Option<usize>) {
        let seen = self.sight.up.borrow();
        if seen.is_empty() {
            return;
        }
        let targets = next.pool().targets.iter().enumerate();
        // One that is new was never down.
        let up = targets.map(|(place, _)| origin(place).and_then(|before| seen.get(before).copied()).unwrap_or(true));
        next.sight.up.replace(up.collect());
        next.sight.closing.set(self.sight.closing.get());
    }
}
