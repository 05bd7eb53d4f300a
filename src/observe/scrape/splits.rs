//! What a page tells of routes whose requests are divided among pools.

use super::{Page, Scrape};

/// A pool of a split.
#[derive(Clone, Debug, Default)]
pub struct SplitPool {
    /// The route's name.
    pub route: String,
    /// The pool's name.
    pub pool: String,
    /// Its weight now.
    pub weight: u32,
    /// Requests that came to an end.
    pub requests: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Those of them that took longer than they may; `None`: that is not judged.
    pub slow: Option<u64>,
    /// How often it was taken back; `None`: it never is.
    pub rollbacks: Option<u64>,
}

impl Scrape<'_> {
    /// Nothing without splits.
    pub(super) fn write_splits(&self, page: &mut Page) {
        if self.splits.is_empty() {
            return;
        }
        let mut weights = page.gauge("ringway_split_weight", "The weight of a pool in its route's split.");
        for of in self.splits {
            weights.sample(&[("route", &of.route), ("pool", &of.pool)], of.weight);
        }
        type Figure = fn(&SplitPool) -> Option<u64>;
        let families: [(&str, &str, Figure); 4] = [
            ("ringway_split_requests_total", "Requests of a split that went to the pool.", |of| Some(of.requests)),
            ("ringway_split_errors_total", "Those that failed.", |of| Some(of.errors)),
            ("ringway_split_slow_total", "Those that took longer than `rollback.latency`.", |of| of.slow),
            ("ringway_split_rollbacks_total", "How often the pool was taken back.", |of| of.rollbacks),
        ];
        for (name, help, figure) in families {
            let mut family = page.counter(name, help);
            for (of, value) in self.splits.iter().filter_map(|of| Some((of, figure(of)?))) {
                family.sample(&[("route", &of.route), ("pool", &of.pool)], value);
            }
        }
    }
}
