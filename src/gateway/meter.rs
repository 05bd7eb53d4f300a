//! What counts requests.

use super::limits::{Decision, Limiter, several};
use super::quota::{self, Quota};
use super::{Asked, CountKey, Who};
use std::time::Duration;

/// What counts requests.
#[derive(Clone, Debug)]
pub enum Meter {
    /// How often they come.
    Rate(Limiter),
    /// How many there are in a period of the calendar.
    Quota(Quota),
}

/// What a request took, so that it can be given back.
#[derive(Debug)]
pub enum Taken {
    /// Of a rate.
    Rate(<Limiter as several::Counts>::Taken),
    /// Of a quota.
    Quota(quota::Taken),
}

/// The time, as monotonic time since the boot of the host and as time since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub(super) running: Duration,
    pub(super) clock: Duration,
}

impl Meter {
    /// What is refused that is too much, in a word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Rate(_) => "rate-limit",
            Self::Quota(_) => "quota",
        }
    }

    /// The key of a request.
    pub(super) fn key(&self, key: &CountKey, asked: &Asked<'_>, who: &Who) -> u64 {
        match self {
            Self::Rate(limiter) => key.of(limiter.table(), asked, who),
            Self::Quota(quota) => key.of(quota.table(), asked, who),
        }
    }
}

impl several::Counts for Meter {
    type Now = Now;
    type Taken = Taken;

    fn take(&self, key: u64, now: Now) -> Result<(Taken, Decision), Decision> {
        match self {
            Self::Rate(of) => several::Counts::take(of, key, now.running).map(|(one, said)| (Taken::Rate(one), said)),
            Self::Quota(of) => several::Counts::take(of, key, now.clock).map(|(one, said)| (Taken::Quota(one), said)),
        }
    }

    fn look(&self, key: u64, now: Now) -> Decision {
        match self {
            Self::Rate(of) => several::Counts::look(of, key, now.running),
            Self::Quota(of) => of.look(key, now.clock),
        }
    }

    fn denied(&self, key: u64) {
        if let Self::Rate(of) = self {
            several::Counts::denied(of, key);
        }
    }

    fn give_back(&self, key: u64, taken: &Taken, now: Now) {
        match (self, taken) {
            (Self::Rate(of), Taken::Rate(one)) => several::Counts::give_back(of, key, one, now.running),
            (Self::Quota(of), Taken::Quota(one)) => several::Counts::give_back(of, key, one, now.clock),
            // What took it was another.
            _ => debug_assert!(false, "what was taken of one is given back to another"),
        }
    }

    fn slowness(&self) -> u64 {
        match self {
            Self::Rate(of) => of.slowness(),
            Self::Quota(of) => of.slowness(),
        }
    }
}
