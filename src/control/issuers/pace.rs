//! When an issuer is asked again. No I/O; times are passed in.

use std::time::Duration;

/// However short an issuer says that its keys are good for, it is asked no sooner, unless operators say so.
const SOONEST: Duration = Duration::from_secs(60);
/// The time after the first question without an answer.
const FIRST: Duration = Duration::from_secs(1);
/// The longest time between two questions to one that does not answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is known of how it answers.
#[derive(Debug)]
pub(super) struct Pace {
    refresh: Duration,
    /// Questions in a row without an answer.
    failures: u32,
}

impl Pace {
    /// Of one that is asked every `refresh`.
    pub(super) fn new(refresh: Duration) -> Self {
        Self { refresh, failures: 0 }
    }

    /// It has answered, and its answer is good for `age` if it says so. Returns when it is asked next; `lot` is drawn from 0 to 1.
    pub(super) fn answered(&mut self, age: Option<Duration>, lot: f64) -> Duration {
        self.failures = 0;
        let good = age.unwrap_or(self.refresh).clamp(SOONEST.min(self.refresh), self.refresh);
        // Many hosts that began together need not ask together.
        good.mul_f64(1.0 - 0.1 * lot)
    }

    /// It has not. Returns when it is asked next.
    pub(super) fn failed(&mut self, lot: f64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let wait = FIRST.saturating_mul(1 << (self.failures - 1).min(16)).min(PATIENCE);
        wait.min(self.refresh.max(FIRST)).mul_f64(0.8 + 0.4 * lot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_answer_is_good_for_as_long_as_it_says_within_bounds() {
        let mut pace = Pace::new(3600 * SECOND);
        for (age, next) in [(None, 3600), (Some(600), 600), (Some(0), 60), (Some(1_000_000), 3600)] {
            assert_eq!(pace.answered(age.map(Duration::from_secs), 0.0), next * SECOND, "{age:?}");
        }
        assert_eq!(pace.answered(None, 1.0), 3240 * SECOND);
        assert_eq!(Pace::new(SECOND).answered(Some(Duration::ZERO), 0.0), SECOND, "operators may want it sooner");
    }

    #[test]
    fn silence_is_asked_less_and_less_often() {
        let mut pace = Pace::new(3600 * SECOND);
        let waits: Vec<u64> = (0..7).map(|_| pace.failed(0.5).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        pace.answered(None, 0.0);
        assert_eq!(pace.failed(0.5), SECOND);
    }
}
