//! How often something may happen: a bucket that leaks evenly (the generic cell rate algorithm, ITU-T I.371).
//!
//! All that is known of a key is when its next is due if it keeps to the pace; it may be ahead of that by a burst. Ticks are
//! whatever its user counts in.

/// One in each `interval`, and a burst at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    interval: u64,
    /// How far ahead of its time it may be.
    ahead: u64,
}

impl Pace {
    /// One in each `interval` ticks, which are no fewer than one, and `burst` at once.
    pub(super) fn ticking(interval: u64, burst: u32) -> Self {
        let interval = interval.max(1);
        Self { interval, ahead: interval.saturating_mul(u64::from(burst.saturating_sub(1))) }
    }

    /// The part of it that a host has: as many as `share` of `unit`, and of the burst, too, but one at least.
    pub(super) fn part(self, share: u32, unit: u32) -> Self {
        let share = share.max(1);
        // Each request asks for it: the wide division, which takes ten times as long, is for paces of one in hours.
        let interval = match self.interval.checked_mul(u64::from(unit)) {
            Some(all) => all.div_ceil(u64::from(share)),
            None => {
                let all = u128::from(self.interval) * u128::from(unit);
                u64::try_from(all.div_ceil(u128::from(share))).unwrap_or(u64::MAX)
            }
        };
        Self { interval, ahead: self.recovery().saturating_sub(interval) }
    }

    /// Ticks between two.
    pub(super) fn interval(self) -> u64 {
        self.interval
    }

    /// Ticks after which whoever did all that it may can do all of it again.
    pub(super) fn recovery(self) -> u64 {
        self.ahead.saturating_add(self.interval)
    }

    /// How many may come at once of whom nothing is known.
    pub(super) fn burst(self) -> u64 {
        self.recovery() / self.interval
    }

    /// When the next is due after one more at `now`; `None`: that is too soon.
    pub(super) fn next(self, due: u64, now: u64) -> Option<u64> {
        (due <= now.saturating_add(self.ahead)).then(|| due.max(now).saturating_add(self.interval))
    }

    /// How many more may come at once at `now`.
    pub(super) fn room(self, due: u64, now: u64) -> u64 {
        now.saturating_add(self.recovery()).saturating_sub(due.max(now)) / self.interval
    }

    /// Ticks until one more may come than at `now`; 0 if never more can.
    pub(super) fn more(self, due: u64, now: u64) -> u64 {
        if due <= now {
            return 0;
        }
        let behind = due.saturating_add(self.room(due, now) * self.interval);
        behind.saturating_sub(self.ahead).saturating_sub(now)
    }
}
