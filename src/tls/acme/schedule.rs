//! When a certificate is renewed, and how long to wait after a failure. Pure: time and chance are passed in.
//!
//! The waits are made for the limits of Let's Encrypt, which are the known ones: for one name 5 failed validations an hour, and
//! 5 certificates for the same names a week.

use std::time::Duration;

/// What a failure was due to: that decides how soon it makes sense to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The way to the authority, or something on this machine. It cost the authority nothing.
    Way,
    /// The authority did not take what it was shown.
    Refused,
    /// The authority says that it is asked too often.
    Limited,
    /// A certificate may have been issued that did not arrive.
    Spent,
}

/// How long to wait after failures in a row. Each blame is counted for itself: an authority that was down for a day is not
/// asked a day later because the first look at the name failed.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: [u32; 4],
}

const HOUR: Duration = Duration::from_secs(3600);

impl Backoff {
    /// The wait after one more failure. `chance`, of 0 to 1, spreads those that failed together.
    pub fn failed(&mut self, blame: Blame, chance: f64) -> Duration {
        let (first, longest) = match blame {
            Blame::Way => (Duration::from_secs(2), HOUR),
            Blame::Refused => (HOUR / 4, 24 * HOUR),
            Blame::Limited => (HOUR, 24 * HOUR),
            Blame::Spent => (12 * HOUR, 48 * HOUR),
        };
        let failures = &mut self.failures[blame as usize];
        let wait = first.saturating_mul(1 << (*failures).min(16)).min(longest);
        *failures = failures.saturating_add(1);
        wait.mul_f64(1.0 + chance.clamp(0.0, 1.0) / 4.0)
    }

    /// The next failure is a first one.
    pub fn succeeded(&mut self) {
        self.failures = [0; 4];
    }

    /// What of the wait after a refusal is left `since` it, so that restarts do not ask more often.
    pub fn left(since: Duration) -> Duration {
        (HOUR / 4).saturating_sub(since)
    }
}

/// When to renew a certificate that is valid from `not_before` to `not_after`, all in seconds since 1970: `before` its end,
/// or after two thirds of its lifetime. However large `before` is, a third of the lifetime passes first.
pub fn renewal(not_before: i64, not_after: i64, before: Option<Duration>) -> i64 {
    let third = not_after.saturating_sub(not_before).max(0) / 3;
    let before = before.map_or(third, |before| i64::try_from(before.as_secs()).unwrap_or(i64::MAX));
    not_after.saturating_sub(before.min(2 * third))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600;

    #[test]
    fn a_certificate_is_renewed_after_two_thirds_of_its_lifetime_or_as_asked() {
        assert_eq!(renewal(0, 90 * DAY, None), 60 * DAY);
        assert_eq!(renewal(0, 6 * DAY, None), 4 * DAY);
        assert_eq!(renewal(0, 90 * DAY, Some(10 * 24 * HOUR)), 80 * DAY);
        assert_eq!(renewal(0, 90 * DAY, Some(400 * 24 * HOUR)), 30 * DAY, "not always anew");
        assert_eq!(renewal(5, 5, None), 5);
        assert_eq!(renewal(9, 5, Some(HOUR)), 5, "nonsense is renewed at its end");
    }

    #[test]
    fn failures_stay_within_the_limits_of_the_authority() {
        let count = |blame, time: Duration| {
            let (mut backoff, mut now, mut count) = (Backoff::default(), Duration::ZERO, 0);
            while now < time {
                count += 1;
                now += backoff.failed(blame, 0.0);
            }
            count
        };
        assert!(count(Blame::Refused, HOUR) <= 4);
        assert!(count(Blame::Spent, 7 * 24 * HOUR) <= 5);
        assert!(count(Blame::Limited, 24 * HOUR) <= 5);
        // An authority that is back is noticed within an hour.
        let mut backoff = Backoff::default();
        assert!(backoff.failed(Blame::Way, 0.0) < Duration::from_secs(3));
        for _ in 0..100 {
            assert!(backoff.failed(Blame::Way, 1.0) <= HOUR * 5 / 4);
        }
        assert_eq!(backoff.failed(Blame::Refused, 0.0), HOUR / 4);
        backoff.succeeded();
        assert!(backoff.failed(Blame::Way, 1.0) < Duration::from_secs(3));
        assert_eq!(Backoff::left(Duration::from_secs(60)), Duration::from_secs(14 * 60));
        assert_eq!(Backoff::left(HOUR), Duration::ZERO);
    }
}
