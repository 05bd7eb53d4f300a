//! How many requests a key may make in a period.

use super::calendar::{Calendar, Window};
use super::count::{GREATEST, Seen, Used, exactly, seen};
use crate::gateway::limits::several::Counts;
use crate::gateway::limits::{Decision, Place, Table};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A limit on the requests of a period, and what is counted of its keys. Plans that follow each other share that.
#[derive(Clone, Debug)]
pub struct Quota {
    limit: u64,
    calendar: Arc<Calendar>,
    table: Arc<Table<Used>>,
    /// What counts of a key of which nothing is known, where hosts share the quota: all but what this one may admit blindly.
    floor: Arc<AtomicU64>,
}

/// What a request took, so that it can be given back.
#[derive(Debug)]
pub struct Taken {
    place: Place,
    seen: Seen,
}

/// The most that a period may have.
pub const MOST: u64 = 1_000_000_000_000;

impl Quota {
    /// So many in each period, at most [`MOST`], of each of `size` keys. What was counted `before` counts on if its periods are the same.
    pub fn new(limit: u64, calendar: Calendar, size: usize, before: Option<&Self>) -> Self {
        debug_assert!(limit <= MOST && MOST < GREATEST);
        let same = |before: &&Self| before.calendar.is_same(&calendar) && before.table.size() == size;
        if let Some(before) = before.filter(same) {
            return Self { limit, ..before.clone() };
        }
        let calendar = Arc::new(calendar);
        let table = Arc::new(Table::with(Used::new(calendar.clone()), size));
        Self { limit, calendar, table, floor: Arc::default() }
    }

    /// How many a key may make.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// The periods.
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// Where it is counted: for keys and metrics.
    pub fn table(&self) -> &Arc<Table<Used>> {
        &self.table
    }

    /// Decides on a request of `key` at `now`, and counts it if it is admitted.
    pub fn decide(&self, key: u64, now: Duration) -> Decision {
        let (Ok((_, decision)) | Err(decision)) = self.take(key, now);
        decision
    }

    /// Of a key of which nothing is known so many may be admitted.
    pub fn set_blind(&self, most: u64) {
        self.floor.store(self.limit.saturating_sub(most), Ordering::Relaxed);
    }

    /// What counts of a key.
    fn seen(&self, rest: u64, window: Window) -> Seen {
        match seen(rest, window) {
            nothing @ Seen { count: 0, .. } => nothing.and(self.floor.load(Ordering::Relaxed)),
            seen => seen,
        }
    }

    /// Has a key of which nothing is known have no more to admit. False: something is.
    pub(super) fn fill(&self, key: u64, window: Window, now: Duration) -> bool {
        let next = |rest| match seen(rest, window) {
            seen if seen.is_of(window) && seen.count == 0 => Ok((seen.and(self.limit).rest(), ())),
            _ => Err(()),
        };
        matches!(self.table.change(key, now.as_secs(), next), Ok(Some(_)))
    }

    /// Takes of what a key may still have, at most so many, and says how many.
    pub(super) fn withhold(&self, key: u64, most: u64, window: Window, now: Duration) -> u64 {
        let next = |rest| {
            let seen = seen(rest, window);
            let taken = self.limit.saturating_sub(seen.count).min(most);
            match seen.is_of(window) && seen.count > 0 && taken > 0 {
                true => Ok((seen.and(taken).rest(), taken)),
                false => Err(()),
            }
        };
        self.table.change(key, now.as_secs(), next).ok().flatten().map_or(0, |(_, taken)| taken)
    }

    /// Lets a key of which something is known have so many more. False: nothing is.
    pub(super) fn release(&self, key: u64, more: u64, window: Window, now: Duration) -> bool {
        let next = |rest| {
            let seen = seen(rest, window);
            match seen.is_of(window) && seen.count > more {
                true => Ok((seen.less(more).rest(), ())),
                false => Err(()),
            }
        };
        matches!(self.table.change(key, now.as_secs(), next), Ok(Some(_)))
    }

    /// Counts so many more of a key in a window, that were admitted elsewhere or before.
    pub(super) fn count(&self, key: u64, more: u64, window: Window, now: Duration) {
        let next = |rest| {
            let seen = seen(rest, window);
            // A worker may be in the next already, where these count for nothing.
            if seen.is_of(window) { Ok((seen.and(more).rest(), ())) } else { Err(()) }
        };
        // What cannot be counted is counted as that.
        let _ = self.table.change(key, now.as_secs(), next);
    }

    /// Counts so many fewer of a key in a window, that were not admitted after all.
    pub(super) fn uncount(&self, key: u64, fewer: u64, window: Window, now: Duration) {
        let next = |rest| {
            let seen = seen(rest, window);
            if seen.is_of(window) { Ok((seen.less(fewer).rest(), ())) } else { Err(()) }
        };
        // Where that cannot be, it goes on to count.
        let _ = self.table.change(key, now.as_secs(), next);
    }

    /// The keys of which something counts in a window, and how much.
    pub(super) fn counted(&self, window: Window) -> impl Iterator<Item = (u64, u64)> {
        self.table.known().filter_map(move |(key, rest)| {
            let count = exactly(rest, window);
            (count > 0).then_some((key, count))
        })
    }

    fn say(&self, allowed: bool, seen: Seen, window: Window, now: Duration) -> Decision {
        let remaining = self.limit.saturating_sub(seen.count);
        let left = window.left(now).max(1);
        Decision { allowed, limit: self.limit, remaining, more: left, reset: left }
    }
}

impl Counts for Quota {
    type Now = Duration;
    type Taken = Taken;

    fn take(&self, key: u64, now: Duration) -> Result<(Taken, Decision), Decision> {
        let window = self.calendar.window(now);
        let next = |rest| {
            let seen = self.seen(rest, window);
            match seen.count < self.limit {
                true => Ok((seen.and(1).rest(), seen.and(1))),
                false => Err(self.say(false, seen, window, now)),
            }
        };
        match self.table.change(key, now.as_secs(), next)? {
            Some((place, seen)) => Ok((Taken { place, seen }, self.say(true, seen, window, now))),
            // Others were faster again and again.
            None => Err(self.say(false, self.seen(self.table.look(key), window), window, now)),
        }
    }

    fn look(&self, key: u64, now: Duration) -> Decision {
        let window = self.calendar.window(now);
        let seen = self.seen(self.table.look(key), window);
        self.say(seen.count < self.limit, seen, window, now)
    }

    fn give_back(&self, key: u64, taken: &Taken, now: Duration) {
        let window = self.calendar.window(now);
        self.table.amend(taken.place, key, |rest| seen(rest, window).less_one(taken.seen).map(Seen::rest));
    }

    fn slowness(&self) -> u64 {
        self.calendar.period().seconds().saturating_mul(1_000_000_000) / self.limit.max(1)
    }
}
