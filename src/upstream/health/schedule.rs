//! When checks are due. Times are spans since the start of all checks.

use std::time::Duration;

/// The times of one target's checks: the first anywhere within the interval, so that a thousand targets are not asked
/// at once, the others an interval apart, give or take a tenth, so that they do not fall into step.
#[derive(Clone, Debug)]
pub struct Schedule {
    interval: Duration,
    random: fastrand::Rng,
}

impl Schedule {
    /// A schedule; the same `seed` gives the same times.
    pub fn new(interval: Duration, seed: u64) -> Self {
        Self { interval, random: fastrand::Rng::with_seed(seed) }
    }

    /// When the first check is due.
    pub fn first(&mut self) -> Duration {
        self.interval.mul_f64(self.random.f64())
    }

    /// When the check after the one that was due at `last` is due. It is `now` if that has passed: checks that were
    /// missed are not made up for.
    pub fn next(&mut self, last: Duration, now: Duration) -> Duration {
        let jittered = self.interval.mul_f64(0.9 + 0.2 * self.random.f64());
        last.saturating_add(jittered).max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    #[test]
    fn first_checks_spread_over_the_interval() {
        let mut tenths = [0; 10];
        for seed in 0..1_000 {
            let first = Schedule::new(INTERVAL, seed).first();
            tenths[(first.as_secs_f64()) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (60..150).contains(count)), "{tenths:?}");
    }

    #[test]
    fn intervals_jitter_by_a_tenth_and_repeat_by_seed() {
        let times = |seed| {
            let mut schedule = Schedule::new(INTERVAL, seed);
            let mut due = schedule.first();
            (0..100)
                .map(|_| {
                    let next = schedule.next(due, Duration::ZERO);
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
        let mut schedule = Schedule::new(INTERVAL, 1);
        let now = Duration::from_secs(100);
        assert_eq!(schedule.next(Duration::from_secs(1), now), now);
    }
}
