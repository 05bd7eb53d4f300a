//! What a page tells of routes of which another pool gets requests as well.

use super::{Page, Scrape};

/// The mirror of a route.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// The route's name.
    pub route: String,
    /// The pool's name.
    pub pool: String,
    /// Copies under way.
    pub in_flight: u32,
    /// What became of requests that were chosen.
    pub fates: [(&'static str, u64); 6],
    /// How its answers differ; `None`: they are not compared.
    pub compared: Option<Compared>,
}

/// How the answers of a mirror differ.
#[derive(Clone, Debug)]
pub struct Compared {
    /// Pairs that are the same.
    pub same: u64,
    /// Pairs that are not.
    pub different: u64,
    /// In what those are not.
    pub kinds: [(&'static str, u64); 4],
    /// Why others were not compared.
    pub missed: [(&'static str, u64); 3],
}

impl Scrape<'_> {
    /// Nothing without mirrors.
    pub(super) fn write_mirrors(&self, page: &mut Page) {
        if self.mirrors.is_empty() {
            return;
        }
        let mut in_flight = page.gauge("ringway_mirror_in_flight", "Copies of requests under way to a mirror.");
        for of in self.mirrors {
            in_flight.sample(&[("route", &of.route), ("pool", &of.pool)], of.in_flight);
        }
        let mut requests =
            page.counter("ringway_mirror_requests_total", "Requests that a mirror was to get, by what became of them.");
        for of in self.mirrors {
            for (outcome, count) in of.fates {
                requests.sample(&[("route", &of.route), ("pool", &of.pool), ("outcome", outcome)], count);
            }
        }
        let compared: Vec<_> = self.mirrors.iter().filter_map(|of| Some((&*of.route, of.compared.as_ref()?))).collect();
        if compared.is_empty() {
            return;
        }
        let mut pairs = page.counter(
            "ringway_mirror_compared_total",
            "Pairs of answers that were compared, since the report was reset.",
        );
        for (route, of) in &compared {
            pairs.sample(&[("route", route), ("result", "same")], of.same);
            pairs.sample(&[("route", route), ("result", "different")], of.different);
        }
        let mut kinds =
            page.counter("ringway_mirror_differences_total", "Pairs that differ, by what differs: one may in several.");
        for (route, of) in &compared {
            for (kind, count) in of.kinds {
                kinds.sample(&[("route", route), ("kind", kind)], count);
            }
        }
        let mut missed =
            page.counter("ringway_mirror_uncompared_total", "Pairs of answers that could not be compared.");
        for (route, of) in &compared {
            for (reason, count) in of.missed {
                missed.sample(&[("route", route), ("reason", reason)], count);
            }
        }
    }
}
