//! One look at a running Ringway.

use super::latency::{self, Buckets, Histograms};
use crate::cli::ask::{Line, Trouble};
use crate::cli::status::all;
use crate::control::admin::view::{Listener, Pool, Route, Status};
use std::time::Instant;

/// What was seen.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When.
    pub at: Instant,
    /// The process.
    pub status: Status,
    /// In the order of their names, as all of these.
    pub listeners: Vec<Listener>,
    /// Routes.
    pub routes: Vec<Route>,
    /// Pools with their targets.
    pub pools: Vec<Pool>,
    /// Answers with a status of 500 or more, since the start.
    pub failed: u64,
    /// How long requests took, by route.
    pub durations: Histograms,
    /// How long targets took to the first byte, by pool.
    pub first_bytes: Histograms,
}

/// Counts answers with a status of 500 or more on a page of metrics.
fn failed(page: &str) -> u64 {
    let of = |line: &str| {
        line.strip_prefix("ringway_http_requests_total{")?.split_once("code_class=\"5xx\"} ")?.1.parse().ok()
    };
    page.lines().filter_map(of).fold(0, |sum: u64, count: u64| sum.saturating_add(count))
}

impl Sample {
    /// Looks.
    ///
    /// # Errors
    /// Why nothing is to be seen.
    pub fn take(line: &Line) -> Result<Self, Trouble> {
        let page = line.text("/metrics")?;
        Ok(Self {
            at: Instant::now(),
            status: line.get("/v1/status")?,
            listeners: all(line, "/v1/listeners")?,
            routes: all(line, "/v1/routes")?,
            pools: all(line, "/v1/pools")?,
            failed: failed(&page),
            durations: latency::read(&page, "ringway_http_request_duration_seconds", "route"),
            first_bytes: latency::read(&page, "ringway_pool_first_byte_duration_seconds", "pool"),
        })
    }

    /// How long all requests took since `before`.
    pub fn duration_since(&self, before: &Self) -> Buckets {
        let mut all = Buckets::default();
        for (route, buckets) in &self.durations {
            all.add(&buckets.since(before.durations.get(route)));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_answers_of_all_listeners_count() {
        let page = "ringway_http_requests_total{listener=\"a\",code_class=\"2xx\"} 9\n\
            ringway_http_requests_total{listener=\"a\",code_class=\"5xx\"} 3\n\
            ringway_http_requests_total{listener=\"b\",code_class=\"5xx\"} 4\n\
            ringway_route_requests_total{route=\"r\",code_class=\"5xx\"} 7\n";
        assert_eq!(failed(page), 7);
    }
}
