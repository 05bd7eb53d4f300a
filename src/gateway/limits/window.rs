//! How often something may happen in a window that slides: by the count of the current fixed window, and that of the one before for
//! the share of it that the sliding window still covers, as if its requests had come evenly.
//!
//! Both counts and the number of the window are 64 bits, so that all of it is looked at and changed in one step. The count of the window before
//! is kept with twelve significant bits, rounded up: beyond 4095 it is at most 1/2048 too high. Of the window's number 24 bits are kept:
//! for a second's windows they come round after half a year.

use super::table::EMPTY;

/// The length of a window, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    length: u64,
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// The number of the current window since the boot of the host.
    number: u64,
    /// How many came in the window before.
    before: u64,
    count: u64,
}

/// The most that a window may have.
pub(super) const MOST: u64 = COUNT - 1;

const COUNT_BITS: u32 = 24;
const COUNT: u64 = (1 << COUNT_BITS) - 1;
const BEFORE_BITS: u32 = 16;
const NUMBER: u64 = (1 << (64 - COUNT_BITS - BEFORE_BITS)) - 1;
const SIGNIFICANT: u32 = 12;
/// By how many windows a thread's time may be behind that of another.
const BEHIND: u64 = 64;

impl Span {
    pub(super) fn new(length: u64) -> Self {
        Self { length: length.max(1) }
    }

    pub(super) fn length(self) -> u64 {
        self.length
    }

    /// What is known of a key at `now`, in nanoseconds.
    pub(super) fn seen(self, rest: u64, now: u64) -> Seen {
        let number = now / self.length;
        let none = Seen { number, before: 0, count: 0 };
        if rest == EMPTY {
            return none;
        }
        let (count, before) = (rest & COUNT, decoded(rest >> COUNT_BITS & ((1 << BEFORE_BITS) - 1)));
        match number.wrapping_sub(rest >> (COUNT_BITS + BEFORE_BITS)) & NUMBER {
            0 => Seen { number, before, count },
            1 => Seen { number, before: decoded(encoded(count)), count: 0 },
            age if age > NUMBER - BEHIND => Seen { number: number + (NUMBER + 1 - age), before, count },
            _ => none,
        }
    }

    /// What is known of a key, in 64 bits.
    pub(super) fn rest(self, seen: Seen) -> u64 {
        debug_assert!(seen.count <= MOST);
        (seen.number & NUMBER) << (COUNT_BITS + BEFORE_BITS) | encoded(seen.before) << COUNT_BITS | seen.count
    }

    /// From when on nothing of it needs to be known.
    pub(super) fn due(self, seen: Seen) -> u64 {
        let windows = if seen.count > 0 { 2 } else { u64::from(seen.before > 0) };
        if windows == 0 { 0 } else { self.length.saturating_mul(seen.number + windows) }
    }

    /// How many count at `now`, rounded up.
    pub(super) fn used(self, seen: Seen, now: u64) -> u64 {
        let left = self.left(seen, now);
        let covered = match seen.before.checked_mul(left) {
            Some(product) => product.div_ceil(self.length),
            None => {
                let share = (u128::from(seen.before) * u128::from(left)).div_ceil(u128::from(self.length));
                u64::try_from(share).unwrap_or(seen.before)
            }
        };
        covered + seen.count
    }

    /// Nanoseconds until no more than `most` count, if no more come.
    pub(super) fn until(self, seen: Seen, most: u64, now: u64) -> u64 {
        if self.used(seen, now) <= most {
            return 0;
        }
        let left = self.left(seen, now);
        // So long before the end of a window no more than `room` of `count` count.
        let before_end = |room: u64, count: u64| {
            let room = u128::from(room.min(count)).max(u128::from(count == 0));
            let share = u128::from(self.length) * room / u128::from(count.max(1));
            u64::try_from(share).unwrap_or(self.length)
        };
        let wait = match most.checked_sub(seen.count).filter(|&room| room > 0) {
            Some(room) => left.saturating_sub(before_end(room, seen.before)),
            None => left + self.length - before_end(most, decoded(encoded(seen.count))),
        };
        wait + self.behind(seen, now)
    }

    /// Nanoseconds until the window is over.
    fn left(self, seen: Seen, now: u64) -> u64 {
        self.length.saturating_mul(seen.number + 1).saturating_sub(now).min(self.length)
    }

    /// By how much `now` is before the window.
    fn behind(self, seen: Seen, now: u64) -> u64 {
        self.length.saturating_mul(seen.number).saturating_sub(now)
    }
}

impl Seen {
    /// One more.
    pub(super) fn and_one(self) -> Self {
        Self { count: self.count + 1, ..self }
    }

    /// One less of those that came in the window `number`, where it is known exactly.
    pub(super) fn less_one(self, number: u64) -> Option<Self> {
        if self.number == number && self.count > 0 {
            return Some(Self { count: self.count - 1, ..self });
        }
        let exact = self.number == number + 1 && (1..1 << SIGNIFICANT).contains(&self.before);
        exact.then(|| Self { before: self.before - 1, ..self })
    }

    pub(super) fn number(self) -> u64 {
        self.number
    }
}

/// Twelve significant bits, rounded up, below how often they are doubled.
fn encoded(count: u64) -> u64 {
    let doubled = (u64::BITS - count.leading_zeros()).saturating_sub(SIGNIFICANT);
    match count.div_ceil(1 << doubled) {
        // Rounded up to one bit more.
        all if all == 1 << SIGNIFICANT => u64::from(doubled + 1) << SIGNIFICANT | all >> 1,
        significant => u64::from(doubled) << SIGNIFICANT | significant,
    }
}

fn decoded(code: u64) -> u64 {
    (code & ((1 << SIGNIFICANT) - 1)) << (code >> SIGNIFICANT)
}
