//! What is to be found in the traffic of a pool: shares of errors, and latencies beside those of the others.

use super::{Outlier, Seen};
use crate::observe::reason::Ejected;
use std::collections::VecDeque;
use std::time::Duration;

/// One target's traffic over the last of a window.
#[derive(Debug, Default)]
pub struct Judge {
    /// What had been counted at which time, the oldest first.
    samples: VecDeque<(Duration, Seen)>,
}

/// Looks within a window.
const STEPS: u32 = 10;
/// The shortest time between two of them.
const SHORTEST: Duration = Duration::from_millis(100);
/// What a latency must be beyond the median at least: below that it is the distance between two racks.
const SLACK: Duration = Duration::from_millis(5);

impl Judge {
    /// The time between two looks.
    pub fn step(rule: &Outlier) -> Duration {
        (rule.window / STEPS).max(SHORTEST)
    }

    /// Takes what has been counted by `now`. Returns what has come within the window.
    pub fn look(&mut self, rule: &Outlier, seen: Seen, now: Duration) -> Seen {
        self.samples.push_back((now, seen.clone()));
        // The oldest is the last one from before the window.
        while self.samples.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= rule.window)
            || self.samples.len() > 2 * STEPS as usize
        {
            self.samples.pop_front();
        }
        self.samples.front().map_or_else(Seen::default, |(_, oldest)| seen.since(oldest))
    }

    /// Forgets all: what was is no measure of what comes.
    pub fn forget(&mut self) {
        self.samples.clear();
    }
}

/// Which of a pool's targets are to be ejected, and why. `None` is a target that is not judged.
pub fn verdicts(rule: &Outlier, targets: &[Option<Seen>]) -> Vec<Option<Ejected>> {
    let enough = |count: u64| count >= rule.min_requests.max(1);
    let medians: Vec<Option<Duration>> = targets
        .iter()
        .map(|seen| seen.as_ref().filter(|seen| rule.latency.is_some() && enough(seen.measured()))?.median())
        .collect();
    let verdict = |(place, seen): (usize, &Option<Seen>)| {
        let seen = seen.as_ref()?;
        if let Some(rate) = rule.rate
            && enough(seen.requests)
            && seen.errors > 0
            && seen.errors as f64 >= rate * seen.requests as f64
        {
            return Some(Ejected::Rate);
        }
        let (times, own) = (rule.latency?, medians[place]?);
        let mut others: Vec<Duration> =
            medians.iter().enumerate().filter(|(other, _)| *other != place).filter_map(|(_, median)| *median).collect();
        others.sort_unstable();
        // Of an even number the slower one of the middle: in doubt it stays.
        let median = *others.get(others.len() / 2)?;
        (own > median.mul_f64(times) && own > median + SLACK).then_some(Ejected::Latency)
    };
    targets.iter().enumerate().map(verdict).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Traffic, rule};
    use super::*;

    fn seen(requests: u32, errors: u32, latency_ms: u64) -> Option<Seen> {
        let traffic = Traffic::new(1);
        for n in 0..requests {
            traffic.ended(0, n < errors);
            traffic.took(0, Duration::from_millis(latency_ms));
        }
        Some(traffic.seen())
    }

    #[test]
    fn a_share_of_errors_counts_from_enough_requests_on() {
        let rule = Outlier { rate: Some(0.5), ..rule() };
        let all = [seen(100, 50, 1), seen(100, 49, 1), seen(9, 9, 1), None, seen(0, 0, 1), seen(10, 10, 1)];
        assert_eq!(verdicts(&rule, &all), [Some(Ejected::Rate), None, None, None, None, Some(Ejected::Rate)]);
        let any = Outlier { rate: Some(0.0), ..rule };
        assert_eq!(verdicts(&any, &[seen(100, 0, 1), seen(100, 1, 1)]), [None, Some(Ejected::Rate)]);
    }

    #[test]
    fn a_latency_counts_beside_the_median_of_the_others() {
        let rule = Outlier { latency: Some(3.0), ..rule() };
        let found = |latencies: &[u64]| -> Vec<usize> {
            let all: Vec<_> = latencies.iter().map(|&ms| seen(20, 0, ms)).collect();
            let found = verdicts(&rule, &all);
            found.iter().enumerate().filter(|(_, why)| **why == Some(Ejected::Latency)).map(|(at, _)| at).collect()
        };
        assert_eq!(found(&[10, 100]), [1]);
        assert_eq!(found(&[10, 11, 12, 100, 11]), [3]);
        assert_eq!(found(&[10, 100, 100]), [0; 0], "where most are slow nobody is an outlier");
        assert_eq!(found(&[10, 20, 25]), [0; 0]);
        assert_eq!(found(&[1, 1, 5]), [0; 0], "a few milliseconds are none");
        assert_eq!(found(&[100]), [0; 0]);
        assert_eq!(verdicts(&rule, &[seen(20, 0, 10), seen(9, 0, 500)]), [None, None], "too few to tell");
    }

    #[test]
    fn what_is_older_than_the_window_counts_no_more() {
        let (rule, mut judge, traffic) = (rule(), Judge::default(), Traffic::new(1));
        let step = Judge::step(&rule);
        assert_eq!(step, Duration::from_secs(1));
        for n in 0..60 {
            traffic.ended(0, n < 30);
            let now = step * n;
            let window = judge.look(&rule, traffic.seen(), now);
            assert!(window.requests <= 10, "{n}: {window:?}");
            if n > 40 {
                assert_eq!((window.requests, window.errors), (10, 0), "{n}");
            }
        }
        judge.forget();
        assert_eq!(judge.look(&rule, traffic.seen(), step * 61), Seen::default());
        assert!(judge.samples.len() < 30);
    }
}
