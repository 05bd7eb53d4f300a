//! How many requests of a key were admitted in a period, in 64 bits: the period by the minute in which it begins, and the count.
//!
//! Of the minute 24 bits are kept, which come round after 31 years.

use super::calendar::{Calendar, Window};
use crate::gateway::limits::Record;
use std::sync::Arc;
use std::time::Duration;

/// What is known of keys.
#[derive(Debug)]
pub struct Used {
    calendar: Arc<Calendar>,
}

/// What counts of a key in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// When its period begins, as far as that is kept.
    start: u64,
    pub(super) count: u64,
}

const COUNT_BITS: u32 = 40;
/// The greatest count.
pub(super) const GREATEST: u64 = (1 << COUNT_BITS) - 2;
const START: u64 = (1 << (64 - COUNT_BITS)) - 1;
/// What is known to be nothing: no rest is written so.
const NOTHING: u64 = 0;

impl Used {
    pub(super) fn new(calendar: Arc<Calendar>) -> Self {
        Self { calendar }
    }
}

/// What counts of `rest` in a window. A thread's time may be a little behind that of another, or the clock may have been put back: what
/// was counted in the next period counts on.
pub(super) fn seen(rest: u64, window: Window) -> Seen {
    let start = u64::from(window.start) & START;
    let (kept, count) = (rest >> COUNT_BITS, rest & ((1 << COUNT_BITS) - 1));
    let ahead = kept.wrapping_sub(start) & START;
    let is_next = ahead != 0 && ahead <= u64::from(window.end - window.start);
    match rest {
        NOTHING => Seen { start, count: 0 },
        _ if ahead == 0 || is_next => Seen { start: kept, count },
        _ => Seen { start, count: 0 },
    }
}

/// How many `rest` says that there were in a window, be it that there are others in the next.
pub(super) fn exactly(rest: u64, window: Window) -> u64 {
    let seen = seen(rest, window);
    if seen.is_of(window) { seen.count } else { 0 }
}

impl Seen {
    /// Whether it is of that window and not of the next.
    pub(super) fn is_of(self, window: Window) -> bool {
        self.start == u64::from(window.start) & START
    }

    /// It, in 64 bits.
    pub(super) fn rest(self) -> u64 {
        self.start << COUNT_BITS | self.count.min(GREATEST)
    }

    /// With so many more.
    pub(super) fn and(self, more: u64) -> Self {
        Self { count: self.count.saturating_add(more).min(GREATEST), ..self }
    }

    /// With so many fewer.
    pub(super) fn less(self, fewer: u64) -> Self {
        Self { count: self.count.saturating_sub(fewer), ..self }
    }

    /// With one less, if `other` is of the same period.
    pub(super) fn less_one(self, other: Self) -> Option<Self> {
        (self.start == other.start && self.count > 0).then(|| Self { count: self.count - 1, ..self })
    }
}

impl Record for Used {
    const TICK: u64 = 1_000_000_000;
    const LAST: u64 = u64::MAX - 1;

    /// Who has used the least gives way first.
    fn due(&self, rest: u64, now: u64) -> u64 {
        match seen(rest, self.calendar.window(Duration::from_secs(now))).count {
            0 => 0,
            count => now.saturating_add(count),
        }
    }

    fn form(&self) -> String {
        format!("quotas 1 {:?}\n", self.calendar.period())
    }

    fn told(&self, rest: u64) -> u64 {
        rest
    }

    fn heard(&self, told: u64, _now: u64) -> u64 {
        told
    }
}
