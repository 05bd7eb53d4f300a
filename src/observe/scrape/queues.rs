//! What a page tells of pools that have limits.

use super::{Kind, Page, Scrape};

/// A pool that has limits.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    /// The pool's position in the shape.
    pub pool: usize,
    /// How many wait.
    pub waiting: usize,
    /// How many may be in flight in the pool; `None`: any.
    pub limit: Option<u32>,
    /// The same of each target.
    pub targets: Vec<Option<u32>>,
}

impl Scrape<'_> {
    /// Nothing without limits.
    pub(super) fn write_queues(&self, page: &mut Page) {
        if self.queues.is_empty() {
            return;
        }
        let name = |of: &Queue| self.shape.pools[of.pool].0.as_str();
        let help = "Requests and TCP connections that wait for a target with room.";
        let mut length = page.gauge("ringway_pool_queue_length", help);
        self.queues.iter().for_each(|of| length.sample(&[("pool", name(of))], of.waiting));
        let help = "Requests and TCP connections that had to wait for a target with room.";
        let mut queued = page.counter("ringway_pool_queued_total", help);
        for of in self.queues {
            queued.sample(&[("pool", name(of))], self.sum(|w| w.pool(of.pool).queued.get()));
        }
        let help = "Time spent waiting for a target with room, in vain or not.";
        let family = page.histogram("ringway_pool_queue_duration_seconds", help);
        self.histograms(family, Kind::Queue, "pool", |i| self.shape.pools.get(i).map(|(pool, _)| pool.as_str()));
        let mut limit = page.gauge("ringway_pool_max_in_flight", "What may be in flight in the pool.");
        for (of, most) in self.queues.iter().filter_map(|of| Some((of, of.limit?))) {
            limit.sample(&[("pool", name(of))], most);
        }
        let mut limit = page.gauge("ringway_target_max_in_flight", "What the target may have in flight.");
        for of in self.queues {
            let (pool, targets) = &self.shape.pools[of.pool];
            for (target, most) in targets.iter().zip(&of.targets).filter_map(|(target, most)| Some((target, (*most)?)))
            {
                limit.sample(&[("pool", pool), ("target", target)], most);
            }
        }
    }
}
