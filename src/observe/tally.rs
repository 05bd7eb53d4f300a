//! How a plan does while it is tried out beside another: how much failed, and how long it took. One for each plan, which all
//! workers write.

use crossbeam::utils::CachePadded;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How a plan does.
#[derive(Debug)]
pub struct Tally {
    failed: CachePadded<AtomicU64>,
    /// By the quarter of a power of two that their time in nanoseconds falls into.
    took: Box<[AtomicU64]>,
}

/// What a tally has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    /// Exchanges and connections that have ended.
    pub ended: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// The time that 95 % of them took at most, in nanoseconds, to a fifth.
    pub p95_ns: u64,
}

const SLOTS: usize = 64 * 4;

impl Default for Tally {
    fn default() -> Self {
        Self { failed: CachePadded::default(), took: (0..SLOTS).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Tally {
    /// One more has ended.
    pub fn add(&self, failed: bool, ns: u64) {
        self.took[slot(ns)].fetch_add(1, Relaxed);
        if failed {
            self.failed.fetch_add(1, Relaxed);
        }
    }

    /// What it has come to.
    pub fn sum(&self) -> Sum {
        let counts: Vec<u64> = self.took.iter().map(|count| count.load(Relaxed)).collect();
        let ended = counts.iter().sum();
        let rank = (ended as f64 * 0.95).ceil() as u64;
        let mut seen = 0;
        let place = counts.iter().position(|count| {
            seen += count;
            seen >= rank && seen > 0
        });
        Sum { ended, failed: self.failed.load(Relaxed), p95_ns: place.map_or(0, upper) }
    }
}

fn slot(ns: u64) -> usize {
    let power = ns.max(4).ilog2() as usize;
    let quarter = (ns.max(4) >> (power - 2) & 3) as usize;
    power * 4 + quarter
}

/// The end of a slot.
fn upper(slot: usize) -> u64 {
    let (power, quarter) = (slot / 4, (slot % 4) as u64);
    (5 + quarter).checked_shl(power.saturating_sub(2) as u32).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_known_to_a_fifth() {
        for ns in [4, 5, 7, 8, 1_000, 123_456, 999_999, 60_000_000_000, u64::MAX] {
            let upper = upper(slot(ns));
            assert!(upper >= ns || ns == u64::MAX, "{ns}: {upper}");
            assert!(upper / 5 * 4 <= ns, "{ns}: {upper}");
        }
    }

    #[test]
    fn the_slow_twentieth_does_not_count() {
        let tally = Tally::default();
        assert_eq!(tally.sum(), Sum::default());
        (0..95).for_each(|_| tally.add(false, 1_000_000));
        (0..5).for_each(|_| tally.add(true, 1_000_000_000));
        let sum = tally.sum();
        assert_eq!((sum.ended, sum.failed), (100, 5));
        assert!((1_000_000..1_250_000).contains(&sum.p95_ns), "{}", sum.p95_ns);
    }
}
