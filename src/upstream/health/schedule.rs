//! When checks are due. Times are spans since the start of all checks.

use super::checker::Pace;
use std::time::Duration;

/// From check to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// While nothing changes and the target is up.
    pub steady: Duration,
    /// While a change is in doubt.
    pub doubt: Duration,
    /// While the target is down.
    pub down: Duration,
}

impl Intervals {
    /// The same at all times.
    pub fn even(interval: Duration) -> Self {
        Self { steady: interval, doubt: interval, down: interval }
    }

    fn at(&self, pace: Pace) -> Duration {
        match pace {
            Pace::Steady => self.steady,
            Pace::Doubt => self.doubt,
            Pace::Down => self.down,
        }
    }
}

/// The times of one target's checks: the first anywhere within the interval, so that a thousand targets are not asked
/// at once, the others an interval apart, give or take a tenth, so that they do not fall into step.
#[derive(Clone, Debug)]
pub struct Schedule {
    intervals: Intervals,
    random: fastrand::Rng,
}

impl Schedule {
    /// A schedule; the same `seed` gives the same times.
    pub fn new(intervals: Intervals, seed: u64) -> Self {
        Self { intervals, random: fastrand::Rng::with_seed(seed) }
    }

    /// When the first check is due.
    pub fn first(&mut self) -> Duration {
        self.intervals.steady.mul_f64(self.random.f64())
    }

    /// When the first check of a target is due that nobody uses before.
    pub fn first_soon(&mut self) -> Duration {
        self.intervals.steady.min(SOON).mul_f64(self.random.f64())
    }

    /// When the check after the one that was due at `last` is due. It is `now` if that has passed: checks that were
    /// missed are not made up for.
    pub fn next(&mut self, last: Duration, now: Duration, pace: Pace) -> Duration {
        let jittered = self.intervals.at(pace).mul_f64(0.9 + 0.2 * self.random.f64());
        last.saturating_add(jittered).max(now)
    }

    /// When a check is due whose time was slept through, if it was: anywhere within the next interval, as at the start.
    pub fn again(&mut self, due: Duration, now: Duration) -> Option<Duration> {
        let late = now.saturating_sub(due);
        (late > self.intervals.steady.max(ASLEEP)).then(|| now.saturating_add(self.first()))
    }
}

/// Within this a target is checked for the first time that waits for it.
pub const SOON: Duration = Duration::from_millis(500);
/// Who is later than this was not running.
const ASLEEP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    #[test]
    fn first_checks_spread_over_the_interval() {
        let mut tenths = [0; 10];
        for seed in 0..1_000 {
            let first = Schedule::new(Intervals::even(INTERVAL), seed).first();
            tenths[(first.as_secs_f64()) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (60..150).contains(count)), "{tenths:?}");
    }

    #[test]
    fn intervals_jitter_by_a_tenth_and_repeat_by_seed() {
        let times = |seed| {
            let mut schedule = Schedule::new(Intervals::even(INTERVAL), seed);
            let mut due = schedule.first();
            (0..100)
                .map(|_| {
                    let next = schedule.next(due, Duration::ZERO, Pace::Steady);
                    let step = next - due;
                    due = next;
                    step.as_secs_f64()
                })
                .collect::<Vec<_>>()
        };
        assert!(times(1).iter().all(|step| (8.999..=11.001).contains(step)));
        assert_eq!(times(1), times(1));
        assert_ne!(times(1), times(2));
    }

    #[test]
    fn a_check_that_took_long_is_followed_by_one_and_not_by_a_burst() {
        let mut schedule = Schedule::new(Intervals::even(INTERVAL), 1);
        let now = Duration::from_secs(100);
        assert_eq!(schedule.next(Duration::from_secs(1), now, Pace::Steady), now);
    }

    #[test]
    fn who_is_in_doubt_or_down_has_an_interval_of_its_own() {
        let seconds = Duration::from_secs;
        let mut schedule = Schedule::new(Intervals { steady: seconds(10), doubt: seconds(1), down: seconds(100) }, 1);
        let mut step = |pace| schedule.next(Duration::ZERO, Duration::ZERO, pace).as_secs_f64();
        assert!((0.9..=1.1).contains(&step(Pace::Doubt)));
        assert!((9.0..=11.0).contains(&step(Pace::Steady)));
        assert!((90.0..=110.0).contains(&step(Pace::Down)));
    }

    #[test]
    fn checks_that_were_slept_through_are_spread_again() {
        let now = Duration::from_secs(1000);
        let mut late = Schedule::new(Intervals::even(INTERVAL), 1);
        assert_eq!(late.again(now - Duration::from_secs(2), now), None, "late, but not asleep");
        let mut tenths = [0; 10];
        for seed in 0..1_000 {
            let again = Schedule::new(Intervals::even(INTERVAL), seed).again(Duration::from_secs(5), now).unwrap();
            tenths[(again - now).as_secs() as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (60..150).contains(count)), "{tenths:?}");
    }
}
