//! What a page tells of analytics.

use super::{Page, Scrape};

impl Scrape<'_> {
    /// Nothing where there never were any.
    pub(super) fn write_analytics(&self, page: &mut Page) {
        let of = &self.control.analytics;
        let (kept, failed) = (of.kept.get(), of.failed.get());
        if kept == 0 && failed == 0 {
            return;
        }
        let help = "Times that sums of analytics were to be written to the disk.";
        let mut writes = page.counter("ringway_analytics_writes_total", help);
        writes.sample(&[("result", "kept")], kept);
        writes.sample(&[("result", "failed")], failed);
        let help = "Requests that analytics hold in memory alone, until they are written.";
        page.gauge("ringway_analytics_waiting_requests", help).sample(&[], of.waiting.get());
        let help = "Requests that analytics count under \"(other)\", as there were more than max_series.";
        page.counter("ringway_analytics_folded_requests_total", help).sample(&[], of.folded.get());
        let help = "Requests that are in no sum, as they could not be written for too long.";
        page.counter("ringway_analytics_lost_requests_total", help).sample(&[], of.lost.get());
    }
}
