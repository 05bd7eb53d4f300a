//! What has happened of late: totals of each second and of each ten, how long requests took in them, and exchanges worth a look.
//!
//! What always holds: workers are not held up for it. Counters are read as they are; histograms are asked for each second while
//! somebody looks, and each ten seconds otherwise, a few at a time; all that is kept here has a bound.

use super::present::Present;
use super::report::Report;
use crate::observe::counters::WorkerCounters;
use crate::observe::latency::{Kind, Series};
use crate::observe::reason::Class;
use crate::observe::remark::{self, Remark};
use crate::observe::wall::now;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// Looks to a wider moment.
const WIDE: u64 = 10;
/// Moments of a second that are kept: six minutes.
const NARROW_KEPT: usize = 360;
/// Moments of ten seconds that are kept: an hour and a bit.
const WIDE_KEPT: usize = 370;
/// Exchanges of each kind that are kept.
const REMARKS_KEPT: usize = 200;
/// Seconds after which nobody looks any more.
const GONE: u64 = 15;
/// Steps in which how long requests took is counted, four to each power of ten from 100 µs on.
pub const STEPS: usize = 25;
/// The upper bounds of all steps but the last, in µs.
pub const BOUNDS_US: [u64; STEPS - 1] = [
    100, 178, 316, 562, 1_000, 1_778, 3_162, 5_623, 10_000, 17_783, 31_623, 56_234, 100_000, 177_828, 316_228, 562_341,
    1_000_000, 1_778_279, 3_162_278, 5_623_413, 10_000_000, 17_782_794, 31_622_777, 56_234_133,
];

/// What is counted, since the start or over a moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// HTTP requests answered, by class of their status.
    pub requests: [u64; Class::COUNT],
    /// Requests and connections refused.
    pub refused: u64,
    /// Tries at targets that failed.
    pub failed: u64,
    /// Client connections accepted.
    pub accepted: u64,
    /// Bytes received from clients.
    pub received: u64,
    /// Bytes sent to clients.
    pub sent: u64,
}

/// A moment.
#[derive(Clone, Debug)]
pub struct Moment {
    /// When it was over, seconds since 1970.
    pub at: u64,
    /// How long it was.
    pub span: Duration,
    /// What happened in it.
    pub totals: Totals,
    /// Client connections open at its end.
    pub connections: u64,
    /// Exchanges and connections in flight at its end.
    pub in_flight: u64,
    /// How long requests took that ended in it; `None`: it was not asked, or there were none.
    pub latency: Option<Latency>,
}

/// How long requests took.
#[derive(Clone, Debug)]
pub struct Latency {
    /// Half of them took no longer, in µs; then 90, 99 and 100 %.
    pub p50: u64,
    /// 90 %.
    pub p90: u64,
    /// 99 %.
    pub p99: u64,
    /// The longest.
    pub longest: u64,
    /// How many there were in each step of [`BOUNDS_US`], and beyond the last.
    pub steps: [u64; STEPS],
}

/// What has happened of late.
#[derive(Default)]
pub struct Chronicle {
    told: Mutex<Story>,
    /// When somebody has looked last, seconds since 1970.
    looked: AtomicU64,
}

/// All that is kept.
#[derive(Default)]
pub struct Story {
    narrow: Scale,
    wide: Scale,
    remarks: [VecDeque<Arc<Remark>>; remark::Kind::ALL.len()],
}

/// Moments of one width, and what the next one is measured from.
#[derive(Default)]
struct Scale {
    moments: VecDeque<Moment>,
    from: Option<(Instant, Totals)>,
    latency: Option<Box<Series>>,
}

impl Chronicle {
    /// What is told, for somebody who looks.
    pub async fn look(&self) -> MutexGuard<'_, Story> {
        self.looked.store(now(), Ordering::Relaxed);
        self.told.lock().await
    }

    /// Looks at what `report` tells about for as long as the process lives.
    pub async fn keep(report: Arc<Report>) {
        let mut every = interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for turn in 0u64.. {
            every.tick().await;
            let chronicle = report.chronicle();
            let (wide, watched) = (turn.is_multiple_of(WIDE), chronicle.is_watched());
            // What is counted is that of the plan that the histograms are of.
            let latency = match wide || watched {
                true => Some(report.measured().await.1.total(Kind::Request)),
                false => None,
            };
            let present = report.present();
            chronicle.told.lock().await.note(&present, latency, wide);
        }
    }

    fn is_watched(&self) -> bool {
        now().saturating_sub(self.looked.load(Ordering::Relaxed)) < GONE
    }
}

impl Story {
    /// Moments of a second, or of ten, the newest last.
    pub fn moments(&self, wide: bool) -> impl DoubleEndedIterator<Item = &Moment> {
        if wide { self.wide.moments.iter() } else { self.narrow.moments.iter() }
    }

    /// Exchanges of a kind that are worth a look, the newest last.
    pub fn remarks(&self, kind: remark::Kind) -> impl DoubleEndedIterator<Item = &Arc<Remark>> {
        self.remarks[kind as usize].iter()
    }

    /// `latency`: how long all requests took so far; `None`: it was not asked.
    fn note(&mut self, present: &Present, latency: Option<Option<Box<Series>>>, wide: bool) {
        let moment = (Instant::now(), totals(present));
        let open = present.workers.iter().map(|worker| worker.worker.connections.get()).sum();
        let pools = present.plan.pools.len();
        let busy = |worker: &Arc<WorkerCounters>| (0..pools).map(|pool| worker.pool(pool).in_flight.get()).sum::<u64>();
        let gauges = (open, present.workers.iter().map(busy).sum());
        self.narrow.note(moment, gauges, latency.clone(), NARROW_KEPT);
        if wide {
            self.wide.note(moment, gauges, latency, WIDE_KEPT);
        }
        for remark in present.workers.iter().flat_map(|worker| worker.worker.remarks.collect()) {
            let kept = &mut self.remarks[remark.kind as usize];
            if kept.len() == REMARKS_KEPT {
                kept.pop_front();
            }
            kept.push_back(Arc::from(remark));
        }
    }
}

impl Scale {
    fn note(
        &mut self,
        (at, totals): (Instant, Totals),
        (connections, in_flight): (u64, u64),
        latency: Option<Option<Box<Series>>>,
        most: usize,
    ) {
        // The first look has nothing to be measured from.
        if let Some((before, from)) = self.from.replace((at, totals)) {
            if self.moments.len() == most {
                self.moments.pop_front();
            }
            let took =
                latency.as_ref().and_then(|latency| Latency::between(self.latency.as_deref(), latency.as_deref()?));
            let (span, totals) = (at - before, totals.since(&from));
            self.moments.push_back(Moment { at: now(), span, totals, connections, in_flight, latency: took });
        }
        if let Some(latency) = latency {
            self.latency = latency;
        }
    }
}

impl Latency {
    fn between(before: Option<&Series>, after: &Series) -> Option<Self> {
        let between = match before {
            Some(before) => after.since(before)?,
            None => after.clone(),
        };
        if between.count() == 0 {
            return None;
        }
        let (mut steps, mut below) = ([0; STEPS], 0);
        let cumulative = between.cumulative(&BOUNDS_US);
        for (step, upto) in steps.iter_mut().zip(cumulative.into_iter().chain([between.count()])) {
            *step = upto.saturating_sub(below);
            below = upto;
        }
        let [p50, p90, p99, longest] = [0.5, 0.9, 0.99, 1.0].map(|share| between.quantile(share));
        Some(Self { p50, p90, p99, longest, steps })
    }
}

impl Totals {
    /// What came since. What was begun anew, as its name is another's, has begun at nothing.
    fn since(&self, before: &Self) -> Self {
        let less = |now: u64, before: u64| now.saturating_sub(before);
        Self {
            requests: std::array::from_fn(|class| less(self.requests[class], before.requests[class])),
            refused: less(self.refused, before.refused),
            failed: less(self.failed, before.failed),
            accepted: less(self.accepted, before.accepted),
            received: less(self.received, before.received),
            sent: less(self.sent, before.sent),
        }
    }
}

fn totals(present: &Present) -> Totals {
    let mut totals = Totals::default();
    for worker in &present.workers {
        for listener in (0..present.plan.listeners.len()).map(|listener| worker.listener(listener)) {
            totals.requests.iter_mut().zip(listener.requests.get()).for_each(|(sum, count)| *sum += count);
            totals.refused += listener.refusals.get().iter().sum::<u64>();
            totals.accepted += listener.accepted.get();
            totals.received += listener.received.get();
            totals.sent += listener.sent.get();
        }
        let pools = (0..present.plan.pools.len()).map(|pool| worker.pool(pool));
        totals.failed += pools.map(|pool| pool.failures.get().iter().sum::<u64>()).sum::<u64>();
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::latency::Latencies;

    fn at(second: u64, requests: u64, from: Instant) -> (Instant, Totals) {
        let mut totals = Totals::default();
        totals.requests[Class::Success.index()] = requests;
        (from + Duration::from_secs(second), totals)
    }

    #[tokio::test]
    async fn moments_say_what_came_in_them_and_the_oldest_go() {
        let (mut scale, start) = (Scale::default(), Instant::now());
        for second in 0..8 {
            scale.note(at(second, second * second, start), (second, 0), None, 5);
        }
        let counts: Vec<u64> =
            scale.moments.iter().map(|moment| moment.totals.requests[Class::Success.index()]).collect();
        assert_eq!(counts, [5, 7, 9, 11, 13]);
        scale.note(at(8, 3, start), (0, 0), None, 5);
        assert_eq!(scale.moments.back().unwrap().totals.requests, [0; Class::COUNT], "a listener went, and its counts");
    }

    #[tokio::test]
    async fn how_long_requests_took_is_told_of_the_moment_alone() {
        let (latencies, start) = (Latencies::new(1, 0, 1), Instant::now());
        let mut scale = Scale::default();
        let mut note = |second, asked: bool| {
            let latency = asked.then(|| latencies.snapshot().total(Kind::Request));
            scale.note(at(second, 0, start), (0, 0), latency, 5);
            scale.moments.back().and_then(|moment| moment.latency.clone())
        };
        assert!(note(0, true).is_none());
        latencies.request(0, 50_000_000);
        assert_eq!(note(1, true).unwrap().p50.abs_diff(50_000) / 1_000, 0);
        assert!(note(2, true).is_none(), "none has ended");
        latencies.request(0, 2_000_000);
        assert!(note(3, false).is_none(), "nobody has asked");
        latencies.request(0, 2_000_000);
        let both = note(4, true).unwrap();
        assert_eq!((both.steps.iter().sum::<u64>(), both.steps[6]), (2, 2), "{both:?}");
        assert!(BOUNDS_US.is_sorted());
    }
}
