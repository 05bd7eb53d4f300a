//! What a page tells of routes that come to their end.

use super::{Page, Scrape};

/// A route that is deprecated.
#[derive(Clone, Copy, Debug)]
pub struct Lifecycle {
    /// Its position among the routes.
    pub route: usize,
    /// When it ends, in seconds since 1970; `None`: that is not said.
    pub sunset: Option<u64>,
}

impl Scrape<'_> {
    /// Nothing where no route is deprecated.
    pub(super) fn write_lifecycles(&self, page: &mut Page) {
        if self.lifecycles.is_empty() {
            return;
        }
        let name = |of: &Lifecycle| self.shape.routes.get(of.route).map_or("", String::as_str);
        let help = "Requests to routes that are deprecated, whatever became of them.";
        let mut requests = page.counter("ringway_deprecated_requests_total", help);
        for of in self.lifecycles {
            let classes = self.sums(|w| w.route(of.route).requests.get());
            requests.sample(&[("route", name(of))], classes.iter().fold(0, |sum: u64, count| sum.wrapping_add(*count)));
        }
        let help = "When a route that is deprecated ends, seconds since 1970.";
        let mut sunsets = page.gauge("ringway_route_sunset_timestamp_seconds", help);
        for (of, sunset) in self.lifecycles.iter().filter_map(|of| Some((of, of.sunset?))) {
            sunsets.sample(&[("route", name(of))], sunset);
        }
    }
}
