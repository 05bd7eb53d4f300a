//! Latency histograms: owned by a worker's thread, copied when control asks.
//!
//! A histogram has two significant digits (an error of at most 1 %) over 1 µs to 1 h and is made when its series sees
//! its first value. A worker makes at most `limit` of them; what comes after goes to one overflow series per kind, so
//! that memory stays bounded whatever the configuration.

use hdrhistogram::Histogram;

/// Histograms that one worker makes at most, unless told otherwise. Each takes up to 24 KB, depending on its longest
/// value.
pub const DEFAULT_LIMIT: usize = 500;

const HIGHEST_US: u64 = 3_600_000_000;
const DIGITS: u8 = 2;

/// What a series measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// From the first byte of a request to the last byte of its response; by route.
    Request,
    /// Establishing a connection to a target; by pool.
    Connect,
    /// From a request sent to the first byte of the response; by pool.
    FirstByte,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Request, Self::Connect, Self::FirstByte];
}

/// A worker's histograms.
#[derive(Debug)]
pub struct Latencies {
    groups: [Group; 3],
    made: usize,
    limit: usize,
}

impl Latencies {
    /// No histogram yet; at most `limit` will be made, the overflow series not counted.
    pub fn new(routes: usize, pools: usize, limit: usize) -> Self {
        Self { groups: [Group::new(routes), Group::new(pools), Group::new(pools)], made: 0, limit }
    }

    /// Notes that `route` took `ns` nanoseconds for a request.
    #[inline]
    pub fn request(&mut self, route: usize, ns: u64) {
        self.record(Kind::Request, route, ns);
    }

    /// Notes that connecting to a target of `pool` took `ns` nanoseconds.
    #[inline]
    pub fn connect(&mut self, pool: usize, ns: u64) {
        self.record(Kind::Connect, pool, ns);
    }

    /// Notes that a target of `pool` took `ns` nanoseconds to the first byte of its response.
    #[inline]
    pub fn first_byte(&mut self, pool: usize, ns: u64) {
        self.record(Kind::FirstByte, pool, ns);
    }

    /// A copy for another thread: a few microseconds for each histogram made.
    pub fn snapshot(&self) -> LatenciesSnapshot {
        LatenciesSnapshot { groups: self.groups.clone() }
    }

    #[inline]
    fn record(&mut self, kind: Kind, index: usize, ns: u64) {
        let group = &mut self.groups[kind as usize];
        match group.series.get_mut(index) {
            Some(Some(series)) => series.record(ns),
            slot => {
                let series = if let Some(slot) = slot
                    && self.made < self.limit
                {
                    self.made += 1;
                    slot.insert(Series::new())
                } else {
                    group.overflow.get_or_insert_with(Series::new)
                };
                series.record(ns);
            }
        }
    }
}

/// What [`Latencies::snapshot`] copied; snapshots of several workers merge into one.
#[derive(Clone, Debug, Default)]
pub struct LatenciesSnapshot {
    groups: [Group; 3],
}

impl LatenciesSnapshot {
    /// Adds what another worker measured.
    pub fn merge(&mut self, other: &Self) {
        for kind in Kind::ALL {
            let (mine, theirs) = (&mut self.groups[kind as usize], &other.groups[kind as usize]);
            if mine.series.len() < theirs.series.len() {
                mine.series.resize_with(theirs.series.len(), || None);
            }
            for (mine, theirs) in mine.series.iter_mut().zip(&theirs.series) {
                merge(mine, theirs.as_deref());
            }
            merge(&mut mine.overflow, theirs.overflow.as_deref());
        }
    }

    /// The series that saw a value; `None` is the overflow series.
    pub fn series(&self, kind: Kind) -> impl Iterator<Item = (Option<usize>, &Series)> {
        let group = &self.groups[kind as usize];
        let own = group.series.iter().enumerate().filter_map(|(i, s)| Some((Some(i), s.as_deref()?)));
        own.chain(group.overflow.as_deref().map(|s| (None, s)))
    }
}

fn merge(mine: &mut Option<Box<Series>>, theirs: Option<&Series>) {
    match (mine, theirs) {
        (Some(mine), Some(theirs)) => mine.add(theirs),
        (mine @ None, Some(theirs)) => *mine = Some(Box::new(theirs.clone())),
        (_, None) => {}
    }
}

#[derive(Clone, Debug, Default)]
struct Group {
    series: Vec<Option<Box<Series>>>,
    overflow: Option<Box<Series>>,
}

impl Group {
    fn new(count: usize) -> Self {
        Self { series: std::iter::repeat_with(|| None).take(count).collect(), overflow: None }
    }
}

/// One histogram with the exact sum of its values.
#[derive(Clone, Debug)]
pub struct Series {
    histogram: Histogram<u64>,
    sum_ns: u64,
}

impl Series {
    #[expect(clippy::expect_used, reason = "the arguments are constants within the histogram's bounds")]
    fn new() -> Box<Self> {
        let mut histogram = Histogram::new_with_bounds(1, 2, DIGITS).expect("valid bounds");
        // It starts small and grows to the longest value seen, which `record` bounds.
        histogram.auto(true);
        Box::new(Self { histogram, sum_ns: 0 })
    }

    #[inline]
    fn record(&mut self, ns: u64) {
        let us = ns.div_ceil(1_000).min(HIGHEST_US);
        // Cannot fail: it resizes itself, and the value is bounded.
        let _ = self.histogram.record(us);
        self.sum_ns = self.sum_ns.saturating_add(ns);
    }

    fn add(&mut self, other: &Self) {
        // Cannot fail: this histogram resizes itself.
        let _ = self.histogram.add(&other.histogram);
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
    }

    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The sum of all values, seconds.
    pub fn sum_seconds(&self) -> f64 {
        self.sum_ns as f64 / 1e9
    }

    /// How many values were at most each of `bounds_us` (rising, µs), within 1 % of the bound.
    pub fn cumulative<const N: usize>(&self, bounds_us: &[u64; N]) -> [u64; N] {
        let mut counts = [0; N];
        for value in self.histogram.iter_recorded() {
            // The lowest value of the slot, so that one recorded at a bound is at most the bound.
            let us = self.histogram.lowest_equivalent(value.value_iterated_to());
            let first = bounds_us.partition_point(|bound| *bound < us);
            if let Some(count) = counts.get_mut(first) {
                *count += value.count_at_value();
            }
        }
        let mut sum = 0;
        counts.map(|count| {
            sum += count;
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_value_at_a_bound_is_within_it() {
        let mut latencies = Latencies::new(1, 0, 10);
        for ms in [1, 10, 10, 11, 5_000] {
            latencies.request(0, ms * MS);
        }
        let snapshot = latencies.snapshot();
        let (index, series) = snapshot.series(Kind::Request).next().unwrap();
        assert_eq!(index, Some(0));
        assert_eq!(series.count(), 5);
        assert_eq!(series.cumulative(&[500, 1_000, 10_000, 100_000]), [0, 1, 3, 4]);
        assert!((series.sum_seconds() - 5.032).abs() < 1e-9);
    }

    #[test]
    fn histograms_beyond_the_limit_share_one() {
        let mut latencies = Latencies::new(5, 0, 2);
        for route in 0..5 {
            latencies.request(route, MS);
        }
        latencies.request(0, MS);
        let snapshot = latencies.snapshot();
        let seen: Vec<_> = snapshot.series(Kind::Request).map(|(index, series)| (index, series.count())).collect();
        assert_eq!(seen, [(Some(0), 2), (Some(1), 1), (None, 3)]);
    }

    #[test]
    fn merging_loses_nothing() {
        let (mut a, mut b) = (Latencies::new(2, 1, 10), Latencies::new(2, 1, 10));
        a.request(0, MS);
        a.first_byte(0, 3 * MS);
        b.request(0, 900_000 * MS);
        b.request(1, MS);
        let mut sum = LatenciesSnapshot::default();
        sum.merge(&a.snapshot());
        sum.merge(&b.snapshot());
        let counts: Vec<_> = sum.series(Kind::Request).map(|(_, series)| series.count()).collect();
        assert_eq!(counts, [2, 1]);
        assert_eq!(sum.series(Kind::FirstByte).count(), 1);
        assert_eq!(sum.series(Kind::Connect).count(), 0);
    }

    #[test]
    fn absurd_values_are_kept_within_bounds() {
        let mut latencies = Latencies::new(1, 0, 1);
        latencies.request(0, u64::MAX);
        latencies.request(0, 0);
        let snapshot = latencies.snapshot();
        let (_, series) = snapshot.series(Kind::Request).next().unwrap();
        assert_eq!(series.count(), 2);
        assert_eq!(series.cumulative(&[1, HIGHEST_US]), [1, 2]);
    }

    #[test]
    fn a_snapshot_goes_to_another_thread() {
        fn send<T: Send>(_: T) {}
        send(Latencies::new(1, 1, 1).snapshot());
    }
}
