//! What a page tells of what quotas have counted.

use super::{Page, Scrape};

impl Scrape<'_> {
    /// Nothing where there was never a quota.
    pub(super) fn write_quotas(&self, page: &mut Page) {
        let quotas = &self.control.quotas;
        let (kept, failed) = (quotas.kept.get(), quotas.failed.get());
        if kept == 0 && failed == 0 {
            return;
        }
        let help = "Times that what quotas have counted was to be written to the disk.";
        let mut writes = page.counter("ringway_quota_writes_total", help);
        writes.sample(&[("result", "kept")], kept);
        writes.sample(&[("result", "failed")], failed);
        let help = "Whether what quotas count is in memory alone, as it could not be written the last time.";
        page.gauge("ringway_quota_in_memory_alone", help).sample(&[], quotas.failing.get());
    }
}
