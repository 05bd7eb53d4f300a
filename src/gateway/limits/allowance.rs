//! What a key may do, and what it is told of that.
//!
//! What is not whole is rounded against the client, so that never more is admitted than the allowance says.

use super::pace::Pace;
use super::window::{MOST, Span};
use std::fmt;
use std::time::Duration;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// Evenly, and a burst at once (the generic cell rate algorithm).
    Pace(Pace),
    /// So many in a window that slides.
    Window(Window),
}

/// So many in any window of a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    limit: u64,
    pub(super) span: Span,
}

/// Why there is no such allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Nothing would ever be admitted.
    Nothing,
    /// More often than can be counted exactly.
    TooOften,
    /// More in a window than can be counted.
    TooMany,
    /// The window is too short for threads' clocks.
    TooShort,
    /// It takes too long until all may be done again.
    TooLong,
}

/// What a limiter says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is admitted.
    pub allowed: bool,
    /// How many fit into an allowance of which nothing is taken.
    pub limit: u64,
    /// How many more are admitted right now.
    pub remaining: u64,
    /// Whole seconds until more than that are: the `t` of `RateLimit`, and `Retry-After` of what is denied, which is at least 1.
    pub more: u64,
    /// Whole seconds until the whole allowance is there.
    pub reset: u64,
}

/// The shortest time between two requests: rounding it up costs no more than 2 % of the rate.
const SHORTEST: u64 = 50;
const SHORTEST_WINDOW: u64 = 100_000_000;
/// A hundred years.
const LONGEST: u64 = 100 * 366 * 86_400 * SECOND;
const SECOND: u64 = 1_000_000_000;

impl Allowance {
    /// `limit` in each `time`, evenly, and `burst` at once.
    pub fn pace(limit: u32, time: Duration, burst: u32) -> Result<Self, Unfit> {
        if limit == 0 || burst == 0 {
            return Err(Unfit::Nothing);
        }
        let interval = u64::try_from(time.as_nanos().div_ceil(u128::from(limit))).map_err(|_| Unfit::TooLong)?;
        if interval < SHORTEST {
            return Err(Unfit::TooOften);
        }
        let fits = interval.checked_mul(u64::from(burst)).is_some_and(|recovery| recovery <= LONGEST);
        if fits { Ok(Self::Pace(Pace::ticking(interval, burst))) } else { Err(Unfit::TooLong) }
    }

    /// `limit` in any window of `length`.
    pub fn window(limit: u32, length: Duration) -> Result<Self, Unfit> {
        let limit = u64::from(limit);
        match u64::try_from(length.as_nanos()) {
            _ if limit == 0 => Err(Unfit::Nothing),
            _ if limit > MOST => Err(Unfit::TooMany),
            Ok(length) if length < SHORTEST_WINDOW => Err(Unfit::TooShort),
            Ok(length) if length <= LONGEST => Ok(Self::Window(Window { limit, span: Span::new(length) })),
            _ => Err(Unfit::TooLong),
        }
    }

    /// The part of it that a host has, `share` of `unit`, rounded down; `None`: nothing.
    pub(super) fn part(&self, share: u32, unit: u32) -> Option<Self> {
        if share >= unit {
            return Some(*self);
        }
        match self {
            Self::Pace(pace) => (share > 0).then(|| Self::Pace(pace.part(share, unit))),
            Self::Window(Window { limit, span }) => {
                let limit = limit * u64::from(share) / u64::from(unit);
                (limit > 0).then_some(Self::Window(Window { limit, span: *span }))
            }
        }
    }

    /// What is said to a key that may do nothing.
    pub(super) fn nothing(&self) -> Decision {
        Decision { allowed: false, limit: self.quota(), remaining: 0, more: 1, reset: self.seconds() }
    }

    /// How many requests fit into an allowance of which nothing is taken: the burst, or a window's limit.
    pub fn quota(&self) -> u64 {
        match self {
            Self::Pace(pace) => pace.burst(),
            Self::Window(window) => window.limit,
        }
    }

    /// Whole seconds in which the quota comes back, at least 1.
    pub fn seconds(&self) -> u64 {
        seconds(self.recovery()).max(1)
    }

    /// Nanoseconds for each request: of several limits the slowest is reached first by who keeps asking.
    pub fn slowness(&self) -> u64 {
        match self {
            Self::Pace(pace) => pace.interval(),
            Self::Window(window) => window.span.length() / window.limit,
        }
    }

    pub(super) fn recovery(&self) -> u64 {
        match self {
            Self::Pace(pace) => pace.recovery(),
            Self::Window(window) => window.span.length(),
        }
    }

    /// What is known of a key that makes one more request; `None`: it may not.
    pub(super) fn next(&self, rest: u64, now: u64) -> Option<u64> {
        match self {
            Self::Pace(pace) => pace.next(rest, now),
            Self::Window(Window { limit, span }) => {
                let seen = span.seen(rest, now);
                (span.used(seen, now) < *limit).then(|| span.rest(seen.and_one()))
            }
        }
    }

    /// What is said to a key of which `rest` is known.
    pub(super) fn say(&self, allowed: bool, rest: u64, now: u64) -> Decision {
        let limit = self.quota();
        let (remaining, more, full) = match self {
            Self::Pace(pace) => (pace.room(rest, now), pace.more(rest, now), rest.saturating_sub(now)),
            Self::Window(Window { span, .. }) => {
                let seen = span.seen(rest, now);
                let remaining = limit.saturating_sub(span.used(seen, now));
                // With one more remaining.
                let used = limit.saturating_sub(remaining + 1);
                (remaining, span.until(seen, used, now), span.due(seen).saturating_sub(now))
            }
        };
        let least = u64::from(!allowed);
        let (more, reset) = (seconds(more).max(least), seconds(full).max(least));
        Decision { allowed, limit, remaining, more, reset }
    }
}

impl Decision {
    /// Seconds after which a request that was denied is admitted if no others come.
    pub fn retry_after(&self) -> Option<u64> {
        (!self.allowed).then_some(self.more)
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Nothing => "it admits nothing: limit and burst are at least 1",
            Self::TooOften => "more than 20 million requests a second cannot be told apart",
            Self::TooMany => "a window has at most 16777214 requests: a pace has no such bound",
            Self::TooShort => "a window is at least 100ms long: use a pace",
            Self::TooLong => "the whole allowance would take more than a hundred years to come back",
        })
    }
}

impl std::error::Error for Unfit {}

fn seconds(nanos: u64) -> u64 {
    nanos.div_ceil(SECOND)
}
