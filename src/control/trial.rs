//! When a plan that is tried out has proven itself, or failed. No I/O; times are passed in.
//!
//! What always holds: a plan that nobody has tried is not promoted.

use crate::observe::tally::Sum;
use std::time::Duration;

/// What becomes of a plan that is tried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is too early to say.
    Open,
    /// It does as well as the present one.
    Promoted,
    /// It does worse, or was tried too little; why, in words.
    RolledBack(String),
}

/// Requests that a plan must have seen before anything is said of it.
const SAMPLE: u64 = 50;
/// How much more of them may fail than under the present plan.
const MORE_FAILURES: f64 = 0.01;
/// How often the standard deviation of chance that must be exceeded, too: three times happens by chance once in a thousand.
const CHANCE: f64 = 3.0;
/// How much longer 95 % may take, and how much longer still where both are fast.
const SLOWER: f64 = 1.5;
const SLACK_NS: f64 = 5e6;

/// Judges after `elapsed` of `span`.
pub fn judge(present: Sum, tried: Sum, elapsed: Duration, span: Duration) -> Verdict {
    let over = elapsed >= span;
    if tried.ended < SAMPLE {
        return match over {
            true => Verdict::RolledBack(format!("only {} requests went by it; it takes {SAMPLE}", tried.ended)),
            false => Verdict::Open,
        };
    }
    let rate = |sum: Sum| if sum.ended == 0 { 0.0 } else { sum.failed as f64 / sum.ended as f64 };
    let (before, after) = (rate(present), rate(tried));
    let chance = (before.max(1.0 / SAMPLE as f64) * (1.0 - before) / tried.ended as f64).sqrt();
    if after > before + MORE_FAILURES.max(CHANCE * chance) {
        let percent = |rate: f64| rate * 100.0;
        return Verdict::RolledBack(format!(
            "{:.1} % of {} requests failed, against {:.1} % before",
            percent(after),
            tried.ended,
            percent(before)
        ));
    }
    let (before, after) = (present.p95_ns as f64, tried.p95_ns as f64);
    if over && present.ended >= SAMPLE && after > before * SLOWER + SLACK_NS {
        return Verdict::RolledBack(format!(
            "95 % of its requests took up to {:.1} ms, against {:.1} ms before",
            after / 1e6,
            before / 1e6
        ));
    }
    if over { Verdict::Promoted } else { Verdict::Open }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(60);

    fn sum(ended: u64, failed: u64, p95_ms: u64) -> Sum {
        Sum { ended, failed, p95_ns: p95_ms * 1_000_000 }
    }

    fn is_back(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::RolledBack(_))
    }

    #[test]
    fn what_does_as_well_is_promoted_when_its_time_is_over() {
        let (present, tried) = (sum(10_000, 10, 20), sum(500, 1, 22));
        assert_eq!(judge(present, tried, SPAN / 2, SPAN), Verdict::Open);
        assert_eq!(judge(present, tried, SPAN, SPAN), Verdict::Promoted);
    }

    #[test]
    fn what_fails_is_rolled_back_at_once() {
        assert!(is_back(&judge(sum(10_000, 10, 20), sum(60, 30, 20), Duration::from_secs(1), SPAN)));
        assert!(is_back(&judge(sum(0, 0, 0), sum(60, 60, 20), Duration::from_secs(1), SPAN)));
        assert_eq!(judge(sum(10_000, 10, 20), sum(49, 49, 20), Duration::from_secs(1), SPAN), Verdict::Open);
    }

    #[test]
    fn a_few_failures_of_chance_do_not_count() {
        assert_eq!(judge(sum(10_000, 500, 20), sum(100, 8, 20), SPAN, SPAN), Verdict::Promoted);
        assert_eq!(judge(sum(10_000, 0, 20), sum(100, 2, 20), SPAN, SPAN), Verdict::Promoted);
        assert!(is_back(&judge(sum(10_000, 0, 20), sum(5_000, 100, 20), SPAN, SPAN)));
    }

    #[test]
    fn what_is_slow_is_rolled_back_in_the_end() {
        assert_eq!(judge(sum(10_000, 0, 20), sum(500, 0, 80), SPAN / 2, SPAN), Verdict::Open);
        assert!(is_back(&judge(sum(10_000, 0, 20), sum(500, 0, 80), SPAN, SPAN)));
        assert_eq!(judge(sum(10_000, 0, 1), sum(500, 0, 5), SPAN, SPAN), Verdict::Promoted);
    }

    #[test]
    fn what_nobody_tried_is_rolled_back() {
        assert!(is_back(&judge(sum(10_000, 0, 20), sum(3, 0, 20), SPAN, SPAN)));
        assert!(is_back(&judge(Sum::default(), Sum::default(), SPAN, SPAN)));
    }
}
