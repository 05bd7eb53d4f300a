//! What a page tells of analytics.

use super::{Page, Scrape};

impl Scrape<'_> {
    /// Nothing where there never were any.
    pub(super) fn write_analytics(&self, page: &mut Page) {
        let of = &self.control.analytics;
        self.write_hooks(page);
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

    fn write_hooks(&self, page: &mut Page) {
        let hooks = self.control.analytics.hooks.load();
        if hooks.is_empty() {
            return;
        }
        let help = "Records for hooks by what became of them.";
        let mut records = page.counter("ringway_analytics_hook_records_total", help);
        for (name, of) in hooks.iter() {
            for (result, count) in [("sent", &of.sent), ("rejected", &of.rejected), ("dropped", &of.dropped)] {
                records.sample(&[("hook", name), ("result", result)], count.get());
            }
        }
        let mut waiting = page.gauge("ringway_analytics_hook_waiting_bytes", "Bytes of records that wait for a hook.");
        for (name, of) in hooks.iter() {
            waiting.sample(&[("hook", name)], of.waiting.get());
        }
        let help = "Records that reached no hook, as control did not keep up.";
        let lost = self.sum(|worker| worker.worker.hook_records_dropped.get());
        page.counter("ringway_analytics_hook_records_lost_total", help).sample(&[], lost);
    }
}
