//! A bound on tries beyond the first, over all workers.
//!
//! What always holds: tries that were granted are never more than the share of the requests that were counted, from the start of
//! the process on; and in any stretch of time never more than that share of its own requests and [`SAVED`].

use crossbeam::utils::CachePadded;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a route's requests earn it in tries beyond the first.
#[derive(Debug)]
pub struct Budget {
    /// In millionths.
    share: u64,
    /// Requests, one count per worker, which alone writes it.
    requests: Box<[CachePadded<AtomicU64>]>,
    /// Tries that were granted, and those that were given up because they were saved for too long.
    spent: AtomicU64,
}

/// Tries that can be saved up.
const SAVED: u64 = 100;

impl Budget {
    /// For `share` of the requests that `workers` count.
    pub fn new(share: f64, workers: usize) -> Self {
        let requests = (0..workers).map(|_| CachePadded::default()).collect();
        Self { share: millionths(share), requests, spent: AtomicU64::new(0) }
    }

    /// Whether it is for this share.
    pub fn is_of(&self, share: f64) -> bool {
        self.share == millionths(share)
    }

    /// Counts a request of worker `worker`.
    pub fn earn(&self, worker: usize) {
        if let Some(count) = self.requests.get(worker) {
            count.store(count.load(Relaxed) + 1, Relaxed);
        }
    }

    /// Takes a try beyond the first. False: it is not to be.
    pub fn spend(&self) -> bool {
        let requests: u64 = self.requests.iter().map(|count| count.load(Relaxed)).sum();
        let earned = u64::try_from(u128::from(requests) * u128::from(self.share) / 1_000_000).unwrap_or(u64::MAX);
        let take = |spent: u64| {
            let spent = spent.max(earned.saturating_sub(SAVED));
            (spent < earned).then_some(spent + 1)
        };
        self.spent.fetch_update(Relaxed, Relaxed, take).is_ok()
    }

    /// The share, for people.
    pub fn percent(&self) -> String {
        let text = format!("{:.4}", self.share as f64 / 10_000.0);
        format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

fn millionths(share: f64) -> u64 {
    (share * 1_000_000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn tries_are_never_more_than_the_share_of_the_requests() {
        let budget = Budget::new(0.2, 2);
        let mut granted = 0;
        for request in 1..=1000u64 {
            budget.earn(request as usize % 2);
            (0..3).filter(|_| budget.spend()).for_each(|_| granted += 1);
            assert!(granted * 5 <= request, "{granted} of {request}");
        }
        assert_eq!(granted, 200);
        assert!(budget.is_of(0.2) && !budget.is_of(0.21));
        assert_eq!((budget.percent(), Budget::new(0.125, 1).percent()), ("20%".into(), "12.5%".into()));
    }

    #[test]
    fn what_is_saved_in_good_times_has_a_bound() {
        let budget = Budget::new(0.5, 1);
        (0..10_000).for_each(|_| budget.earn(0));
        assert_eq!((0..1000).filter(|_| budget.spend()).count() as u64, SAVED);
        (0..10).for_each(|_| budget.earn(0));
        assert_eq!((0..1000).filter(|_| budget.spend()).count(), 5);
    }

    #[test]
    fn workers_at_the_same_time_get_no_more() {
        let budget = Budget::new(0.1, 4);
        let granted: u64 = thread::scope(|scope| {
            let work = |worker: usize| {
                let budget = &budget;
                move || {
                    let take = |_| {
                        budget.earn(worker);
                        u64::from(budget.spend())
                    };
                    (0..20_000).map(take).sum::<u64>()
                }
            };
            let all: Vec<_> = (0..4).map(|worker| scope.spawn(work(worker))).collect();
            all.into_iter().map(|one| one.join().unwrap_or(u64::MAX)).sum()
        });
        assert!((7_900..=8_000).contains(&granted), "{granted}");
    }

    #[test]
    fn nothing_is_granted_of_nothing() {
        let (none, all) = (Budget::new(0.0, 1), Budget::new(1.0, 1));
        [&none, &all].iter().for_each(|budget| budget.earn(0));
        assert!(!none.spend() && all.spend() && !all.spend());
    }
}
