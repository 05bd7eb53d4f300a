//! What a page tells of answers that are put together of what several pools say.

use super::{Page, Scrape};

/// A part of the answers of a route.
#[derive(Clone, Debug)]
pub struct Part {
    /// The route's name.
    pub route: String,
    /// The part's name.
    pub part: String,
    /// What became of it, and how often.
    pub results: Vec<(&'static str, u64)>,
}

impl Scrape<'_> {
    /// Nothing where no answer is put together.
    pub(super) fn write_parts(&self, page: &mut Page) {
        if self.parts.is_empty() {
            return;
        }
        let mut parts = page.counter(
            "ringway_aggregate_parts_total",
            "Parts of answers that are put together, by what became of them.",
        );
        for of in self.parts {
            for (result, count) in &of.results {
                parts.sample(&[("route", &of.route), ("part", &of.part), ("result", result)], *count);
            }
        }
    }
}
