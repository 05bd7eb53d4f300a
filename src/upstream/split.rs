//! How the requests of a route are divided among pools, and when one of them gets no more: the state of one split over all workers and
//! plans.
//!
//! What always holds: a pool that was taken back gets nothing until its weight is set anew; where no pool has a weight, the first gets all. A
//! choice costs a load for each pool; no lock, no I/O; time is passed in.

use crate::observe::counters::Counter;
use crossbeam::utils::CachePadded;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The pools of a split, and what comes to them.
#[derive(Debug)]
pub struct Split {
    parts: Box<[Part]>,
}

/// A pool's part.
#[derive(Debug)]
pub struct Part {
    /// The pool's name.
    pub pool: String,
    /// Its weight in the configuration.
    pub written: u32,
    /// When it is taken back; `None`: never.
    pub rollback: Option<Rollback>,
    /// Its weight now; [`HALTED`]: nothing goes to it.
    weight: AtomicU32,
    /// One more each time that it is set.
    turns: AtomicU32,
    /// How often it was taken back.
    taken_back: AtomicU64,
    counts: Box<[CachePadded<Counts>]>,
}

/// What is known of a part within its window.
#[derive(Debug, Default)]
pub struct Judge {
    /// What had come to it at which time, the oldest first.
    samples: VecDeque<(Duration, Seen)>,
    turns: u32,
}

/// When a pool gets no more requests for how it does.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollback {
    /// The share of requests that fail, 0 to 1.
    pub errors: Option<f64>,
    /// How long an answer may take, and the share that may take longer.
    pub latency: Option<(Duration, f64)>,
    /// Over how long they are judged.
    pub window: Duration,
    /// From how many requests within it on.
    pub min_requests: u64,
}

#[derive(Debug, Default)]
struct Counts {
    requests: Counter,
    errors: Counter,
    slow: Counter,
}

/// What came to a pool. Only differences mean something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Requests that came to an end.
    pub requests: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Those of them that took longer than they may.
    pub slow: u64,
}

/// Why a pool gets no more requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Too many fail.
    Errors,
    /// Too many take too long.
    Latency,
}

impl Cause {
    /// Its name in metrics and logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Latency => "latency",
        }
    }
}

/// The weight of a pool that nothing goes to, by whatever way.
const HALTED: u32 = u32::MAX;
/// Looks within a window.
const STEPS: u32 = 10;
/// What is kept of looks.
const KEPT: usize = 512;

impl Part {
    /// One to which nothing has come yet.
    pub fn new(pool: String, written: u32, rollback: Option<Rollback>, workers: usize) -> Self {
        let counts = (0..workers).map(|_| CachePadded::default()).collect();
        Self {
            pool,
            written,
            rollback,
            weight: AtomicU32::new(written),
            turns: AtomicU32::new(0),
            taken_back: AtomicU64::new(0),
            counts,
        }
    }

    /// Its weight, as it counts.
    pub fn weight(&self) -> u32 {
        match self.weight.load(Relaxed) {
            HALTED => 0,
            weight => weight,
        }
    }

    /// Whether nothing goes to it, by whatever way.
    pub fn is_halted(&self) -> bool {
        self.weight.load(Relaxed) == HALTED
    }

    /// Gives it another weight than the configuration's: 0 halts it. `None`: that of the configuration.
    pub fn set(&self, weight: Option<u32>) {
        let weight = match weight {
            Some(0) => HALTED,
            Some(weight) => weight,
            None => self.written,
        };
        if self.weight.swap(weight, Relaxed) != weight {
            self.turns.fetch_add(1, Relaxed);
        }
    }

    /// Halts it for how it does.
    pub fn take_back(&self) {
        self.set(Some(0));
        self.taken_back.fetch_add(1, Relaxed);
    }

    /// How often it was taken back.
    pub fn times_taken_back(&self) -> u64 {
        self.taken_back.load(Relaxed)
    }

    /// A request of it has come to its end. For worker `worker` alone.
    pub fn ended(&self, worker: usize, failed: bool, took: Duration) {
        let Some(counts) = self.counts.get(worker) else { return };
        counts.requests.inc();
        counts.errors.add(u64::from(failed));
        let slow = |rollback: &Rollback| rollback.latency.is_some_and(|(most, _)| took > most);
        counts.slow.add(u64::from(self.rollback.as_ref().is_some_and(slow)));
    }

    /// What came to it, over all workers.
    pub fn seen(&self) -> Seen {
        self.counts.iter().fold(Seen::default(), |all, counts| Seen {
            requests: all.requests.wrapping_add(counts.requests.get()),
            errors: all.errors.wrapping_add(counts.errors.get()),
            slow: all.slow.wrapping_add(counts.slow.get()),
        })
    }

    /// How often it is to be looked at; `None`: it is not judged.
    pub fn step(&self) -> Option<Duration> {
        self.rollback.as_ref().map(|rollback| rollback.window / STEPS)
    }
}

impl Judge {
    /// Looks at a part. Returns why it is to be taken back, and what has come to it within the window.
    pub fn look(&mut self, part: &Part, now: Duration) -> Option<(Cause, Seen)> {
        let rollback = part.rollback.as_ref()?;
        let turns = part.turns.load(Relaxed);
        if std::mem::replace(&mut self.turns, turns) != turns {
            // What was is no measure of what comes.
            self.samples.clear();
        }
        if part.is_halted() {
            return None;
        }
        let seen = part.seen();
        self.samples.push_back((now, seen));
        // The oldest is the last one from before the window.
        while self.samples.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= rollback.window)
            || self.samples.len() > KEPT
        {
            self.samples.pop_front();
        }
        let within = seen.since(self.samples.front().map(|(_, oldest)| *oldest)?);
        rollback.verdict(within).map(|cause| (cause, within))
    }
}

impl Seen {
    fn since(self, before: Self) -> Self {
        Self {
            requests: self.requests.wrapping_sub(before.requests),
            errors: self.errors.wrapping_sub(before.errors),
            slow: self.slow.wrapping_sub(before.slow),
        }
    }
}

impl Rollback {
    fn verdict(&self, seen: Seen) -> Option<Cause> {
        if seen.requests < self.min_requests.max(1) {
            return None;
        }
        let exceeds = |count: u64, share: f64| count > 0 && count as f64 >= share * seen.requests as f64;
        if self.errors.is_some_and(|share| exceeds(seen.errors, share)) {
            return Some(Cause::Errors);
        }
        self.latency.filter(|&(_, share)| exceeds(seen.slow, share)).map(|_| Cause::Latency)
    }
}

impl Split {
    /// Of these pools. What `before` has of them goes on: weights that were set, and counts, so that metrics never fall.
    pub fn new(parts: Vec<Part>, before: Option<&Self>) -> Self {
        for part in &parts {
            let Some(old) = before.and_then(|before| before.parts.iter().find(|old| old.pool == part.pool)) else {
                continue;
            };
            let (seen, weight) = (old.seen(), old.weight.load(Relaxed));
            if weight != old.written {
                part.weight.store(weight, Relaxed);
            }
            part.taken_back.store(old.times_taken_back(), Relaxed);
            if let Some(counts) = part.counts.first() {
                counts.requests.add(seen.requests);
                counts.errors.add(seen.errors);
                counts.slow.add(seen.slow);
            }
        }
        Self { parts: parts.into() }
    }

    /// Its pools.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The pool that has the point `draw` on the line of all weights: the same for the same `draw`, and as few as can be change when weights
    /// do.
    pub fn pick(&self, draw: u64) -> usize {
        let all: u64 = self.parts.iter().map(|part| u64::from(part.weight())).sum();
        // The upper half of a product of 128 bits is below `all`.
        let mut point = ((u128::from(draw) * u128::from(all)) >> 64) as u64;
        for (index, part) in self.parts.iter().enumerate() {
            let weight = u64::from(part.weight());
            if point < weight {
                return index;
            }
            point -= weight;
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(pool: &str, weight: u32, rollback: Option<Rollback>) -> Part {
        Part::new(pool.to_owned(), weight, rollback, 2)
    }

    fn rollback() -> Rollback {
        Rollback {
            errors: Some(0.05),
            latency: Some((Duration::from_millis(100), 0.1)),
            window: Duration::from_secs(10),
            min_requests: 20,
        }
    }

    const FAST: Duration = Duration::from_millis(1);
    const SLOW: Duration = Duration::from_millis(101);

    #[test]
    fn requests_are_divided_by_weight_and_a_draw_stays_where_it_is() {
        let split = Split::new(vec![part("a", 95, None), part("b", 5, None)], None);
        let mut random = fastrand::Rng::with_seed(1);
        let draws: Vec<u64> = (0..100_000).map(|_| random.u64(..)).collect();
        let of_b = |split: &Split| draws.iter().map(|&draw| split.pick(draw) == 1).collect::<Vec<_>>();
        let before = of_b(&split);
        let count = before.iter().filter(|&&b| b).count();
        assert!((4_700..5_300).contains(&count), "{count}");
        split.parts()[0].set(Some(80));
        split.parts()[1].set(Some(20));
        let after = of_b(&split);
        assert!(before.iter().zip(&after).all(|(before, after)| !before || *after), "who was there stays");
        split.parts()[1].set(Some(0));
        assert!(split.parts()[1].is_halted() && of_b(&split).iter().all(|b| !b));
        split.parts()[1].set(None);
        assert_eq!(split.parts()[1].weight(), 5);
        split.parts()[0].set(Some(0));
        assert!(of_b(&split).iter().all(|&b| b));
    }

    #[test]
    fn it_is_taken_back_for_its_share_of_errors_within_the_window_alone() {
        let (part, mut judge) = (part("b", 5, Some(rollback())), Judge::default());
        let second = Duration::from_secs(1);
        (0..19).for_each(|n| part.ended(0, n < 19, FAST));
        assert_eq!(judge.look(&part, second), None, "the first look sees nothing");
        assert_eq!(judge.look(&part, second * 2), None, "too few");
        (0..100).for_each(|n| part.ended(1, n < 4, FAST));
        assert_eq!(judge.look(&part, second * 3), None, "four of a hundred");
        part.ended(1, true, FAST);
        part.ended(1, true, FAST);
        let (cause, seen) = judge.look(&part, second * 4).unwrap();
        assert_eq!((cause, seen), (Cause::Errors, Seen { requests: 102, errors: 6, slow: 0 }));
        assert_eq!(judge.look(&part, second * 40), None, "that is long ago");
        part.set(Some(0));
        (0..100).for_each(|_| part.ended(1, true, FAST));
        assert_eq!(judge.look(&part, second * 41), None, "it is taken back already");
    }

    #[test]
    fn it_is_taken_back_when_too_many_are_slow() {
        let (part, mut judge) = (part("b", 5, Some(rollback())), Judge::default());
        judge.look(&part, Duration::ZERO);
        (0..100).for_each(|n| part.ended(0, false, if n < 9 { SLOW } else { FAST }));
        assert_eq!(judge.look(&part, Duration::from_secs(1)), None);
        (0..5).for_each(|_| part.ended(0, false, SLOW));
        assert_eq!(judge.look(&part, Duration::from_secs(2)).unwrap().0, Cause::Latency);
    }

    #[test]
    fn what_was_set_and_counted_outlives_a_reload() {
        let before = Split::new(vec![part("a", 95, None), part("b", 5, None)], None);
        before.parts()[1].set(Some(0));
        before.parts()[1].ended(0, true, FAST);
        let same = Split::new(vec![part("a", 95, None), part("b", 5, None)], Some(&before));
        assert!(same.parts()[1].is_halted());
        assert_eq!(same.parts()[1].seen().errors, 1);
        let other = Split::new(vec![part("a", 90, None), part("b", 10, None)], Some(&before));
        assert_eq!(other.parts().iter().map(Part::weight).collect::<Vec<_>>(), [90, 0]);
        assert_eq!(other.parts()[1].seen().errors, 1);
    }
}
