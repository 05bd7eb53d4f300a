//! How many requests a key may make: a limit that is exact over all workers, without a lock.
//!
//! What always holds:
//! - Never more are admitted in any time than the rate times it and a burst, of a window the limit in place of the burst, however many
//!   threads ask. Only a key that gave way to others begins anew, and that is counted.
//! - A request that is denied takes nothing.
//! - Who cannot be counted, as others were faster again and again, is denied.
//! - Of a limit that hosts share, this holds for the part that this host has. What a key has used of a burst goes with the part when it is given
//!   to another host: of the whole, no more than one burst is there at any time. Of a window nobody gives away what is used.

use super::allowance::{Allowance, Decision, Window};
use super::shares::{FULL, Shares, UNIT};
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
    /// The parts of it that this host has; `None`: it has all of it.
    shares: Option<Arc<Shares>>,
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
        Self { allowance, table: table.unwrap_or_else(|| Arc::new(Table::with(record, size))), shares: None }
    }

    /// Of which this host has a part.
    pub fn shared(self, shares: Arc<Shares>) -> Self {
        Self { shares: Some(shares), ..self }
    }

    /// The parts of it that this host has; `None`: it has all of it.
    pub fn shares(&self) -> Option<&Arc<Shares>> {
        self.shares.as_ref()
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
        let Some(shares) = &self.shares else { return self.take_by(&self.allowance, key, now) };
        let (share, is_divided) = shares.ask(key);
        let Some(part) = self.allowance.part(share, UNIT) else {
            if !is_divided {
                shares.note_short(key);
            }
            return Err(self.allowance.nothing());
        };
        let mut said = self.take_by(&part, key, now);
        let (Ok((_, decision)) | Err(decision)) = &mut said;
        if !is_divided && is_short(decision) {
            shares.note_short(key);
        }
        decision.limit = self.allowance.quota();
        said
    }

    fn take_by(&self, allowance: &Allowance, key: u64, now: u64) -> Result<(Taken, Decision), Decision> {
        let next = |rest| match allowance.next(rest, now) {
            Some(after) => Ok((after, (rest, after))),
            None => Err(allowance.say(false, rest, now)),
        };
        match self.table.change(key, now, next)? {
            Some((place, (before, after))) => {
                Ok((Taken { place, before, after, now }, allowance.say(true, after, now)))
            }
            None => Err(allowance.say(false, self.table.look(key), now)),
        }
    }

    /// What a request of `key` would be told now, which is not counted.
    pub(super) fn look_at(&self, key: u64, now: u64) -> Decision {
        let part = match &self.shares {
            None => Some(self.allowance),
            Some(shares) => self.allowance.part(shares.of(key), UNIT),
        };
        let Some(part) = part else { return self.allowance.nothing() };
        let rest = self.table.look(key);
        let said = part.say(part.next(rest, now).is_some(), rest, now);
        Decision { limit: self.allowance.quota(), ..said }
    }

    /// A request was denied by what [`Self::look_at`] has said: it was asked for all the same.
    pub(super) fn denied(&self, key: u64) {
        if let Some(shares) = &self.shares
            && let (_, false) = shares.ask(key)
        {
            shares.note_short(key);
        }
    }

    /// How much of its burst a key has used, of [`FULL`]; more than that where the part that this host has is less than one request. Nothing of a window.
    pub fn debt(&self, key: u64, now: Duration) -> u32 {
        let Allowance::Pace(pace) = &self.allowance else { return 0 };
        let behind = self.table.look(key).saturating_sub(Table::<Calls>::ticks(now));
        let debt = u128::from(behind) * u128::from(FULL) / u128::from(pace.recovery());
        u32::try_from(debt).unwrap_or(u32::MAX)
    }

    /// In how many milliseconds a burst that is used up comes back, rounded up; 0 for a window, which has none.
    pub fn comes_back(&self) -> u64 {
        match &self.allowance {
            Allowance::Pace(pace) => pace.recovery().div_ceil(1_000_000),
            Allowance::Window(_) => 0,
        }
    }

    /// The part that this host has of `key` grows from one to the other, and what comes has used so much of its burst.
    pub fn grow(&self, key: u64, (from, to): (u32, u32), debt: u32, now: Duration) {
        let Allowance::Pace(pace) = &self.allowance else { return };
        let now = Table::<Calls>::ticks(now);
        let (old, more) = (u128::from(from), u128::from(to.saturating_sub(from)));
        let theirs = u128::from(debt) * u128::from(pace.recovery()) / u128::from(FULL);
        let next = |rest: u64| {
            let own = u128::from(rest.saturating_sub(now));
            let all = (own * old + theirs * more).div_ceil((old + more).max(1));
            let due = now.saturating_add(u64::try_from(all).unwrap_or(u64::MAX)).clamp(1, Calls::LAST);
            // Nothing is to be known of who is not behind.
            if due > now || rest != EMPTY { Ok((due, ())) } else { Err(()) }
        };
        // Who cannot be counted is denied anyway.
        let _ = self.table.change(key, now, next);
    }

    /// The smallest part, of [`UNIT`], by which no more of `key` is used than there is. Of a pace what is used goes along.
    pub fn least(&self, key: u64, now: Duration) -> u32 {
        let Allowance::Window(Window { span, .. }) = &self.allowance else { return 0 };
        let now = Table::<Calls>::ticks(now);
        let used = match self.table.look(key) {
            EMPTY => return 0,
            rest => span.used(span.seen(rest, now), now),
        };
        let least = (u128::from(used) * u128::from(UNIT)).div_ceil(u128::from(self.allowance.quota()));
        u32::try_from(least).unwrap_or(UNIT).min(UNIT)
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

/// Whether a key is denied, or soon may be: a burst of a few tells nothing.
fn is_short(said: &Decision) -> bool {
    !said.allowed || said.limit >= 4 && said.remaining * 2 < said.limit
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
