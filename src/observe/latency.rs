//! Latency histograms: owned by a worker's thread, copied when control asks.
//!
//! A histogram has two significant digits (an error of at most 1 %) over 1 µs to 1 h and is made when its series sees
//! its first value. A worker makes at most `limit` of them; what comes after goes to one overflow series per kind, so
//! that memory stays bounded whatever the configuration.

use hdrhistogram::Histogram;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

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
    /// Waiting in a queue; by pool.
    Queue,
}

const KINDS: usize = 4;

impl Kind {
    const ALL: [Self; KINDS] = [Self::Request, Self::Connect, Self::FirstByte, Self::Queue];
}

/// A worker's histograms under one plan. Those of plans that follow each other share what has the same name in both.
#[derive(Debug)]
pub struct Latencies {
    groups: [Vec<Place>; KINDS],
    bound: Rc<Bound>,
}

/// Where a histogram is once there is one.
type Place = Rc<RefCell<Option<Box<Series>>>>;

/// What bounds the histograms of a worker, over all of its plans.
#[derive(Debug)]
struct Bound {
    left: Cell<usize>,
    overflow: [Place; KINDS],
}

/// Histograms that a worker copies at a time: about 100 KB, which nobody feels.
const PAGE: usize = 4;

impl Latencies {
    /// No histogram yet; at most `limit` will be made, the overflow series not counted.
    pub fn new(routes: usize, pools: usize, limit: usize) -> Self {
        let places = |count| std::iter::repeat_with(Place::default).take(count).collect();
        let bound = Bound { left: Cell::new(limit), overflow: Default::default() };
        Self { groups: [places(routes), places(pools), places(pools), places(pools)], bound: Rc::new(bound) }
    }

    /// For the plan that comes next: `routes` and `pools` say which place each of its places had.
    pub fn succeed(&self, routes: &[Option<usize>], pools: &[Option<usize>]) -> Self {
        let group = |kind: Kind, origins: &[Option<usize>]| {
            let place = |origin: &Option<usize>| origin.and_then(|old| self.groups[kind as usize].get(old));
            origins.iter().map(|origin| place(origin).cloned().unwrap_or_default()).collect()
        };
        let of_pools = [Kind::Connect, Kind::FirstByte, Kind::Queue].map(|kind| group(kind, pools));
        let [connect, first_byte, queue] = of_pools;
        let groups = [group(Kind::Request, routes), connect, first_byte, queue];
        // Those that nobody takes over give their room back.
        let made =
            |groups: &[Vec<Place>; KINDS]| groups.iter().flatten().filter(|place| place.borrow().is_some()).count();
        let given_back = made(&self.groups) - made(&groups);
        self.bound.left.set(self.bound.left.get() + given_back);
        Self { groups, bound: self.bound.clone() }
    }

    /// Notes that `route` took `ns` nanoseconds for a request.
    #[inline]
    pub fn request(&self, route: usize, ns: u64) {
        self.record(Kind::Request, route, ns);
    }

    /// Notes that connecting to a target of `pool` took `ns` nanoseconds.
    #[inline]
    pub fn connect(&self, pool: usize, ns: u64) {
        self.record(Kind::Connect, pool, ns);
    }

    /// Notes that a target of `pool` took `ns` nanoseconds to the first byte of its response.
    #[inline]
    pub fn first_byte(&self, pool: usize, ns: u64) {
        self.record(Kind::FirstByte, pool, ns);
    }

    /// Notes that somebody waited `ns` nanoseconds in the queue of `pool`, in vain or not.
    #[inline]
    pub fn queue(&self, pool: usize, ns: u64) {
        self.record(Kind::Queue, pool, ns);
    }

    /// A copy of some, for another thread, and where to go on: a few microseconds for each histogram made. `None`: that was all.
    pub fn page(&self, from: usize) -> (LatenciesSnapshot, Option<usize>) {
        let mut snapshot = LatenciesSnapshot::default();
        let mut copied = 0;
        let own = Kind::ALL.iter().flat_map(|&kind| {
            let places = &self.groups[kind as usize];
            places.iter().enumerate().map(move |(index, place)| (kind, Some(index), place))
        });
        let overflow = Kind::ALL.iter().map(|&kind| (kind, None, &self.bound.overflow[kind as usize]));
        for (position, (kind, index, place)) in own.chain(overflow).enumerate().skip(from) {
            let Some(series) = &*place.borrow() else { continue };
            if copied == PAGE {
                return (snapshot, Some(position));
            }
            copied += 1;
            snapshot.groups[kind as usize].add(index, series);
        }
        (snapshot, None)
    }

    /// All of them.
    pub fn snapshot(&self) -> LatenciesSnapshot {
        let mut all = LatenciesSnapshot::default();
        let mut next = Some(0);
        while let Some(from) = next {
            let (page, more) = self.page(from);
            all.merge(&page);
            next = more;
        }
        all
    }

    #[inline]
    fn record(&self, kind: Kind, index: usize, ns: u64) {
        let Some(place) = self.groups[kind as usize].get(index) else { return };
        let mut place = place.borrow_mut();
        match &mut *place {
            Some(series) => series.record(ns),
            None if self.bound.left.get() > 0 => {
                self.bound.left.set(self.bound.left.get() - 1);
                place.insert(Series::new()).record(ns);
            }
            None => self.bound.overflow[kind as usize].borrow_mut().get_or_insert_with(Series::new).record(ns),
        }
    }
}

/// What [`Latencies::page`] copied; those of several workers merge into one.
#[derive(Clone, Debug, Default)]
pub struct LatenciesSnapshot {
    groups: [Group; KINDS],
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

    /// All series of a kind as one; `None`: there is no value yet.
    pub fn total(&self, kind: Kind) -> Option<Box<Series>> {
        let mut total = None;
        self.series(kind).for_each(|(_, series)| merge(&mut total, Some(series)));
        total
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
    fn add(&mut self, index: Option<usize>, series: &Series) {
        let Some(index) = index else { return merge(&mut self.overflow, Some(series)) };
        if self.series.len() <= index {
            self.series.resize_with(index + 1, || None);
        }
        merge(&mut self.series[index], Some(series));
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

    /// What was recorded since this was `before`; `None`: it did not follow from that.
    pub fn since(&self, before: &Self) -> Option<Self> {
        let mut histogram = self.histogram.clone();
        histogram.subtract(&before.histogram).ok()?;
        Some(Self { histogram, sum_ns: self.sum_ns.checked_sub(before.sum_ns)? })
    }

    /// The value that a share of all, 0 to 1, were at most, in µs.
    pub fn quantile(&self, share: f64) -> u64 {
        self.histogram.value_at_quantile(share)
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
        let latencies = Latencies::new(1, 0, 10);
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
        let latencies = Latencies::new(5, 0, 2);
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
        let (a, b) = (Latencies::new(2, 1, 10), Latencies::new(2, 1, 10));
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
        let latencies = Latencies::new(1, 0, 1);
        latencies.request(0, u64::MAX);
        latencies.request(0, 0);
        let snapshot = latencies.snapshot();
        let (_, series) = snapshot.series(Kind::Request).next().unwrap();
        assert_eq!(series.count(), 2);
        assert_eq!(series.cumulative(&[1, HIGHEST_US]), [1, 2]);
    }

    #[test]
    fn a_plan_that_follows_goes_on_with_what_it_knows() {
        let old = Latencies::new(2, 1, 3);
        old.request(0, MS);
        old.request(1, MS);
        old.connect(0, MS);
        let new = old.succeed(&[None, Some(1)], &[Some(0)]);
        old.request(1, MS);
        new.request(1, MS);
        new.connect(0, MS);
        let counts = |latencies: &Latencies, kind| -> Vec<_> {
            latencies.snapshot().series(kind).map(|(index, series)| (index, series.count())).collect()
        };
        assert_eq!(counts(&new, Kind::Request), [(Some(1), 3)]);
        assert_eq!(counts(&new, Kind::Connect), [(Some(0), 2)]);
        new.request(0, MS);
        assert_eq!(counts(&new, Kind::Request), [(Some(0), 1), (Some(1), 3)], "the room of the one that went");
        new.first_byte(0, MS);
        assert_eq!(counts(&new, Kind::FirstByte), [(None, 1)]);
    }

    #[test]
    fn what_was_recorded_between_two_looks_is_told_apart() {
        let latencies = Latencies::new(2, 0, 10);
        let total = || latencies.snapshot().total(Kind::Request);
        assert!(total().is_none());
        latencies.request(0, MS);
        let before = total().unwrap();
        for ms in 1..=100 {
            latencies.request(1, ms * 10 * MS);
        }
        let between = total().unwrap().since(&before).unwrap();
        assert_eq!(between.count(), 100);
        for (share, ms) in [(0.5, 500), (0.99, 990), (1.0, 1000)] {
            assert!(between.quantile(share).abs_diff(ms * 1000) <= ms * 10, "{share}: {}", between.quantile(share));
        }
        assert!(before.since(&total().unwrap()).is_none(), "it was begun anew");
    }

    #[test]
    fn many_histograms_are_copied_page_by_page() {
        let latencies = Latencies::new(3 * PAGE, 1, 1_000);
        (0..3 * PAGE).step_by(2).for_each(|route| latencies.request(route, MS));
        latencies.connect(0, MS);
        let (mut next, mut pages, mut series) = (Some(0), 0, 0);
        while let Some(from) = next {
            let (page, more) = latencies.page(from);
            let copied: usize = Kind::ALL.iter().map(|&kind| page.series(kind).count()).sum();
            assert!(copied <= PAGE);
            (next, pages, series) = (more, pages + 1, series + copied);
        }
        assert_eq!((pages, series), ((3 * PAGE / 2 + 1).div_ceil(PAGE), 3 * PAGE / 2 + 1));
        assert_eq!(latencies.snapshot().series(Kind::Request).count(), 3 * PAGE / 2);
    }

    #[test]
    fn a_snapshot_goes_to_another_thread() {
        fn send<T: Send>(_: T) {}
        send(Latencies::new(1, 1, 1).snapshot());
    }
}
