//! When a source is asked again, and when what it says counts. No I/O; times are passed in.
//!
//! What always holds: a source that does not answer changes nothing, for however long; that there is no target must be said for
//! `hold` before the last ones are let go.

use crate::config::model::Target;
use std::sync::Arc;
use std::time::Duration;

/// What came of asking a source.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// These are the targets, for so long.
    Targets(Vec<Target>, Duration),
    /// What it said last, for so long.
    Same(Duration),
    /// There is no target: no such name, or an empty answer.
    Nothing(String),
    /// There is none, and that is meant: a service that says so (RFC 2782).
    Closed(String),
    /// It did not answer, or nothing that could be used; why.
    Failed(String),
}

/// How often a source may be asked, and how long it must say that there is nothing.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// No sooner than this.
    pub min: Duration,
    /// No later than this.
    pub max: Duration,
    /// For how long nothing must be said.
    pub hold: Duration,
}

/// What is known of a source.
#[derive(Debug)]
pub struct Pace {
    limits: Limits,
    known: Option<Arc<[Target]>>,
    /// Since when it has said that there is nothing, if that is what it said last.
    nothing_since: Option<Duration>,
    /// Questions in a row without an answer.
    failures: u32,
}

/// What follows.
#[derive(Debug, PartialEq)]
pub struct Verdict {
    /// When to ask again.
    pub next: Duration,
    /// The targets, if they have changed.
    pub change: Option<Arc<[Target]>>,
    /// Whether the last targets are kept although it said that there is none.
    pub held: bool,
}

/// The longest time between two questions to a source that does not answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time after the first.
const FIRST: Duration = Duration::from_secs(1);
/// The time between two to one that has nothing to tell.
const IDLE: Duration = Duration::from_secs(5);

impl Pace {
    /// Of a source that has told `known` before.
    pub fn new(limits: Limits, known: Option<Arc<[Target]>>) -> Self {
        Self { limits, known, nothing_since: None, failures: 0 }
    }

    /// Whether it did not answer when it was asked last.
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Learns what came of asking at `now`. `lot` is drawn from 0 to 1.
    pub fn hear(&mut self, heard: Heard, now: Duration, lot: f64) -> Verdict {
        let Limits { min, max, hold } = self.limits;
        if let Heard::Failed(_) = heard {
            self.failures = self.failures.saturating_add(1);
            let first = FIRST.min(min);
            let last = PATIENCE.min(max);
            let next = first.saturating_mul(1 << (self.failures - 1).min(16)).min(last).mul_f64(0.8 + 0.4 * lot);
            return Verdict { next, change: None, held: false };
        }
        self.failures = 0;
        let again = |ttl: Duration| ttl.clamp(min, max.max(min));
        match heard {
            Heard::Targets(targets, ttl) if !targets.is_empty() => {
                self.nothing_since = None;
                let differs = self.known.as_deref() != Some(&targets[..]);
                Verdict { next: again(ttl), change: differs.then(|| self.know(targets.into())), held: false }
            }
            Heard::Same(ttl) if self.nothing_since.is_none() => Verdict { next: again(ttl), change: None, held: false },
            Heard::Closed(_) => {
                self.nothing_since = None;
                Verdict { next: again(max), change: self.let_go(), held: false }
            }
            _ => {
                let since = *self.nothing_since.get_or_insert(now);
                let left = hold.saturating_sub(now.saturating_sub(since));
                let has_some = self.known.as_ref().is_some_and(|known| !known.is_empty());
                if has_some && !left.is_zero() {
                    // It may have been a mistake that is mended soon.
                    return Verdict { next: again(hold / 3).min(left.max(min)), change: None, held: true };
                }
                Verdict { next: again(IDLE), change: self.let_go(), held: false }
            }
        }
    }

    fn let_go(&mut self) -> Option<Arc<[Target]>> {
        let differs = self.known.as_ref().is_none_or(|known| !known.is_empty());
        differs.then(|| self.know([].into()))
    }

    fn know(&mut self, targets: Arc<[Target]>) -> Arc<[Target]> {
        self.known = Some(targets.clone());
        targets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LIMITS: Limits = Limits { min: SECOND, max: Duration::from_secs(60), hold: Duration::from_secs(30) };

    fn targets(count: u8) -> Vec<Target> {
        let target = |n| super::super::Usual::default().target(format!("10.0.0.{n}:80").parse().unwrap());
        (1..=count).map(target).collect()
    }

    fn pace() -> Pace {
        let mut pace = Pace::new(LIMITS, None);
        let verdict = pace.hear(Heard::Targets(targets(2), 5 * SECOND), Duration::ZERO, 0.5);
        assert_eq!((verdict.next, verdict.change.unwrap().len()), (5 * SECOND, 2));
        pace
    }

    #[test]
    fn the_same_answer_is_no_change_and_a_ttl_counts_within_its_limits() {
        let mut pace = pace();
        for (ttl, next) in [(0, 1), (1, 1), (7, 7), (86_400, 60)] {
            let verdict = pace.hear(Heard::Targets(targets(2), ttl * SECOND), SECOND, 0.0);
            assert_eq!(verdict, Verdict { next: next * SECOND, change: None, held: false });
        }
        assert_eq!(pace.hear(Heard::Same(3 * SECOND), SECOND, 0.0).next, 3 * SECOND);
        assert_eq!(pace.hear(Heard::Targets(targets(1), SECOND), SECOND, 0.0).change.unwrap().len(), 1);
    }

    #[test]
    fn silence_changes_nothing_and_is_asked_less_and_less_often() {
        let mut pace = pace();
        let mut waits = Vec::new();
        for n in 0..10u32 {
            let verdict = pace.hear(Heard::Failed("timeout".into()), n * 100 * SECOND, 0.5);
            assert_eq!(verdict.change, None);
            waits.push(verdict.next.as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30, 30, 30]);
        assert!(pace.is_failing());
        let early = pace.hear(Heard::Failed("timeout".into()), SECOND, 0.0).next;
        let late = pace.hear(Heard::Failed("timeout".into()), SECOND, 1.0).next;
        assert!(early < Duration::from_secs(25) && late > Duration::from_secs(35), "{early:?} {late:?}");
        assert_eq!(pace.hear(Heard::Targets(targets(2), SECOND), SECOND, 0.0).next, SECOND);
        assert!(!pace.is_failing());
    }

    #[test]
    fn that_there_is_nothing_must_be_said_for_a_while() {
        let mut pace = pace();
        let nothing = || Heard::Nothing("NXDOMAIN".into());
        let mut now = 100 * SECOND;
        let first = pace.hear(nothing(), now, 0.0);
        assert_eq!(first, Verdict { next: 10 * SECOND, change: None, held: true });
        now += 10 * SECOND;
        pace.hear(Heard::Failed("timeout".into()), now, 0.0);
        now += 19 * SECOND;
        let last = pace.hear(nothing(), now, 0.0);
        assert_eq!(last, Verdict { next: SECOND, change: None, held: true });
        now += SECOND;
        assert_eq!(pace.hear(nothing(), now, 0.0).change.unwrap().len(), 0);
        assert_eq!(pace.hear(nothing(), now, 0.0).change, None, "it is gone already");
        assert_eq!(pace.hear(Heard::Targets(targets(2), SECOND), now, 0.0).change.unwrap().len(), 2);
        pace.hear(nothing(), now, 0.0);
        pace.hear(Heard::Targets(targets(2), SECOND), now, 0.0);
        assert!(pace.hear(nothing(), now + 60 * SECOND, 0.0).held, "what was mended begins anew");
    }

    #[test]
    fn an_empty_answer_and_one_that_stays_the_same_are_nothing_too_but_a_closed_service_is_at_once() {
        let mut pace = pace();
        assert!(pace.hear(Heard::Targets(Vec::new(), SECOND), SECOND, 0.0).held);
        assert!(pace.hear(Heard::Same(SECOND), 2 * SECOND, 0.0).held);
        assert_eq!(pace.hear(Heard::Same(SECOND), 31 * SECOND, 0.0).change.unwrap().len(), 0);
        let mut pace = self::pace();
        assert_eq!(pace.hear(Heard::Closed(".".into()), SECOND, 0.0).change.unwrap().len(), 0);
    }
}
