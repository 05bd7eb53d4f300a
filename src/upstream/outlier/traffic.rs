//! What the workers count of a target for control to judge: one writer each, and anyone reads.

use crate::observe::counters::Counter;
use crossbeam::utils::CachePadded;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// What the workers count of a target.
#[derive(Debug)]
pub struct Traffic(Box<[CachePadded<Counted>]>);

#[derive(Debug)]
struct Counted {
    requests: Counter,
    errors: Counter,
    /// By the half of a power of two that latencies fall into.
    took: [AtomicU32; SLOTS],
}

/// What has been counted, over all workers. Only differences mean something: counts wrap around.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Requests that came to an end.
    pub requests: u64,
    /// Those of them that were errors.
    pub errors: u64,
    took: [u32; SLOTS],
}

/// From 8 µs to about two minutes.
const SLOTS: usize = 48;
/// The power of two of nanoseconds that the first slot begins with.
const FIRST: u32 = 13;

impl Traffic {
    /// Nothing yet, of as many workers.
    pub fn new(workers: usize) -> Self {
        let none = || Counted {
            requests: Counter::default(),
            errors: Counter::default(),
            took: std::array::from_fn(|_| AtomicU32::new(0)),
        };
        Self((0..workers).map(|_| CachePadded::new(none())).collect())
    }

    /// A request has come to its end. For worker `worker` alone.
    #[inline]
    pub fn ended(&self, worker: usize, error: bool) {
        if let Some(counted) = self.0.get(worker) {
            counted.requests.inc();
            counted.errors.add(u64::from(error));
        }
    }

    /// The target took so long. For worker `worker` alone.
    #[inline]
    pub fn took(&self, worker: usize, latency: Duration) {
        if let Some(slot) = self.0.get(worker).and_then(|counted| counted.took.get(slot(latency))) {
            slot.store(slot.load(Relaxed).wrapping_add(1), Relaxed);
        }
    }

    /// What has been counted.
    pub fn seen(&self) -> Seen {
        let mut seen = Seen::default();
        for counted in &self.0 {
            seen.requests = seen.requests.wrapping_add(counted.requests.get());
            seen.errors = seen.errors.wrapping_add(counted.errors.get());
            for (sum, slot) in seen.took.iter_mut().zip(&counted.took) {
                *sum = sum.wrapping_add(slot.load(Relaxed));
            }
        }
        seen
    }
}

impl Default for Seen {
    fn default() -> Self {
        Self { requests: 0, errors: 0, took: [0; SLOTS] }
    }
}

impl Seen {
    /// What has come since `before`.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            requests: self.requests.wrapping_sub(before.requests),
            errors: self.errors.wrapping_sub(before.errors),
            took: std::array::from_fn(|slot| self.took[slot].wrapping_sub(before.took[slot])),
        }
    }

    /// How many latencies were measured.
    pub fn measured(&self) -> u64 {
        self.took.iter().map(|&count| u64::from(count)).sum()
    }

    /// The median latency, to about a tenth; `None` if none was measured.
    pub fn median(&self) -> Option<Duration> {
        let measured = self.measured();
        let rank = measured.div_ceil(2);
        let mut before = 0;
        for (slot, &count) in self.took.iter().enumerate() {
            let upto = before + u64::from(count);
            if count > 0 && upto >= rank {
                // As if those within a slot lay at even distances.
                let within = (rank - before) as f64 / f64::from(count);
                let nanos = 2_f64.powf(f64::from(FIRST) + (slot as f64 + within) / 2.0);
                return Some(Duration::from_nanos(nanos as u64));
            }
            before = upto;
        }
        None
    }
}

fn slot(latency: Duration) -> usize {
    let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX).max(1 << FIRST);
    let power = nanos.ilog2();
    // √2 is 1.414…: the upper half of an octave by the logarithm.
    let upper = (nanos >> (power - 10)) >= 1448;
    (((power - FIRST) * 2) as usize + usize::from(upper)).min(SLOTS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_known_to_a_fifth_whoever_counted() {
        for micros in [10, 37, 500, 1000, 1400, 1500, 99_000, 60_000_000] {
            let traffic = Traffic::new(3);
            for n in 0..99 {
                traffic.took(n % 3, Duration::from_micros(micros));
            }
            let median = traffic.seen().median().unwrap().as_micros() as f64;
            assert!((median / micros as f64 - 1.0).abs() < 0.2, "{micros}: {median}");
        }
        let traffic = Traffic::new(1);
        assert_eq!(traffic.seen().median(), None);
        traffic.took(0, Duration::ZERO);
        traffic.took(0, Duration::MAX);
        traffic.took(7, Duration::ZERO);
        assert_eq!(traffic.seen().measured(), 2);
    }

    #[test]
    fn the_slow_half_does_not_move_the_median_and_differences_survive_a_wrap() {
        let traffic = Traffic::new(1);
        let before = Seen { took: [u32::MAX; SLOTS], requests: u64::MAX, errors: u64::MAX };
        (0..60).for_each(|_| traffic.took(0, Duration::from_millis(1)));
        (0..40).for_each(|_| traffic.took(0, Duration::from_secs(1)));
        traffic.ended(0, true);
        let seen = traffic.seen();
        let median = seen.median().unwrap();
        assert!(median > Duration::from_micros(800) && median < Duration::from_micros(1200), "{median:?}");
        let since = seen.since(&before);
        assert_eq!((since.requests, since.errors), (2, 2));
    }
}
