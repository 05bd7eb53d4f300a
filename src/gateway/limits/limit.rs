//! How many requests a key may make: a limit that is exact over all workers, without a lock.
//!
//! What always holds:
//! - Never more are admitted in any time than the rate times it and a burst, of a window the limit in place of the burst, however many
//!   threads ask. Only a key that gave way to others begins anew, and that is counted.
//! - A request that is denied takes nothing.
//! - Who cannot be counted, as others were faster again and again, is denied.

use super::allowance::{Allowance, Decision, Window};
use super::sync::Arc;
use super::table::{EMPTY, Place, Record, Table};
use super::window::Span;
use std::convert::Infallible;
use std::time::Duration;

/// An allowance, and what is counted of its keys. Plans that follow each other share that.
#[derive(Clone, Debug)]
pub struct Limiter {
    allowance: Allowance,
    table: Arc<Table<Calls>>,
}

/// What is known of a key that makes requests, in nanoseconds.
#[derive(Debug)]
pub enum Calls {
    /// When the next is due. Whoever did all that it may can do all of it again after `recovery`.
    Pace {
        /// Nanoseconds.
        recovery: u64,
    },
    /// Counts of windows.
    Window {
        /// Their length, in nanoseconds.
        length: u64,
    },
}

/// What a request took, so that it can be given back.
#[derive(Debug)]
pub struct Taken {
    place: Place,
    before: u64,
    after: u64,
    now: u64,
}

impl Limiter {
    /// Counts `size` keys by an allowance, in as much memory as [`super::bytes`] says. What was counted `before` counts on, if it means the same and if
    /// it holds nobody back for longer than the allowance does.
    pub fn new(allowance: Allowance, size: usize, before: Option<&Self>) -> Self {
        let record = match allowance {
            Allowance::Pace(_) => Calls::Pace { recovery: allowance.recovery() },
            Allowance::Window(_) => Calls::Window { length: allowance.recovery() },
        };
        let goes_on = |before: &&Self| {
            before.table.size() == size
                && match (&before.allowance, &allowance) {
                    (Allowance::Pace(old), Allowance::Pace(new)) => old.recovery() <= new.recovery(),
                    (Allowance::Window(old), Allowance::Window(new)) => old.span == new.span,
                    _ => false,
                }
        };
        let table = before.filter(goes_on).map(|before| before.table.clone());
        Self { allowance, table: table.unwrap_or_else(|| Arc::new(Table::with(record, size))) }
    }

    /// Its allowance.
    pub fn allowance(&self) -> &Allowance {
        &self.allowance
    }

    /// Where it counts: for keys, metrics and the next process.
    pub fn table(&self) -> &Arc<Table<Calls>> {
        &self.table
    }

    /// Decides on a request of `key` at `now`, and counts it if it is admitted.
    pub fn decide(&self, key: u64, now: Duration) -> Decision {
        match self.take_at(key, Table::<Calls>::ticks(now)) {
            Ok((_, decision)) | Err(decision) => decision,
        }
    }

    /// Forgets what requests of `key` have taken.
    pub fn forget(&self, key: u64, now: Duration) {
        let now = Table::<Calls>::ticks(now);
        let none = match &self.allowance {
            Allowance::Pace(_) => now.max(1),
            Allowance::Window(Window { span, .. }) => span.rest(span.seen(EMPTY, now)),
        };
        // Who is not counted has taken nothing.
        let _ = self.table.change::<_, Infallible>(key, now, |_| Ok((none, ())));
    }

    /// Takes what a request takes. Fails with what is said to who is denied.
    pub(super) fn take_at(&self, key: u64, now: u64) -> Result<(Taken, Decision), Decision> {
        let next = |rest| match self.allowance.next(rest, now) {
            Some(after) => Ok((after, (rest, after))),
            None => Err(self.allowance.say(false, rest, now)),
        };
        match self.table.change(key, now, next)? {
            Some((place, (before, after))) => {
                Ok((Taken { place, before, after, now }, self.allowance.say(true, after, now)))
            }
            None => Err(self.allowance.say(false, self.table.look(key), now)),
        }
    }

    /// What a request of `key` would be told now, which is not counted.
    pub(super) fn look_at(&self, key: u64, now: u64) -> Decision {
        let rest = self.table.look(key);
        self.allowance.say(self.allowance.next(rest, now).is_some(), rest, now)
    }

    /// Gives back what a request took. By a pace it stays taken if another request of the key came since: what that one would have
    /// been told is not known any more, and nobody is to have more than it may.
    pub(super) fn take_back(&self, key: u64, taken: &Taken) {
        let Taken { place, before, after, now } = *taken;
        self.table.amend(place, key, |rest| match &self.allowance {
            Allowance::Pace(_) => (rest == after).then(|| before.max(now).max(1)),
            Allowance::Window(Window { span, .. }) => {
                let number = span.seen(after, now).number();
                span.seen(rest, now).less_one(number).map(|seen| span.rest(seen))
            }
        });
    }
}

impl Record for Calls {
    const TICK: u64 = 1;
    const LAST: u64 = u64::MAX - 1;

    fn due(&self, rest: u64, now: u64) -> u64 {
        match *self {
            Self::Pace { .. } => rest,
            Self::Window { length } => {
                let span = Span::new(length);
                span.due(span.seen(rest, now))
            }
        }
    }

    fn form(&self) -> String {
        match self {
            Self::Pace { .. } => "paces 1\n".to_owned(),
            Self::Window { length } => format!("windows 1 {length}\n"),
        }
    }

    fn told(&self, rest: u64) -> u64 {
        rest
    }

    /// Nobody is held back for longer than the allowance does.
    fn heard(&self, told: u64, now: u64) -> u64 {
        match self {
            Self::Pace { recovery } => told.min(now.saturating_add(*recovery)),
            Self::Window { .. } => told,
        }
    }
}
