//! What became of reloads and upgrades.

use super::{Page, Scrape};
use crate::observe::reloads::Reloads;

impl Scrape<'_> {
    pub(super) fn write_reloads(&self, page: &mut Page) {
        let Reloads { applied, unchanged, failed, rolled_back, upgrades, upgrades_failed, .. } = self.reloads;
        let Reloads { trying, last_failed, last_success, .. } = self.reloads;
        let help = "The number of the plan in force: 1 at the start, one more with each reload that changed something.";
        page.gauge("ringway_config_plan_number", help).sample(&[], self.plan);
        let mut total = page.counter("ringway_config_reloads_total", "Reloads by what became of them.");
        for (result, count) in
            [("applied", applied), ("unchanged", unchanged), ("failed", failed), ("rolled-back", rolled_back)]
        {
            total.sample(&[("result", result)], count.get());
        }
        let help = "1 while a plan is tried out beside the one in force.";
        page.gauge("ringway_config_trying", help).sample(&[], trying.get());
        let help = "1 unless the last reload failed.";
        page.gauge("ringway_config_last_reload_successful", help).sample(&[], 1 - last_failed.get().min(1));
        let help = "When a plan was last put into force, seconds since 1970.";
        page.gauge("ringway_config_last_reload_success_timestamp_seconds", help).sample(&[], last_success.get());
        let help = "Changes of the file of consumers by what became of them.";
        let mut total = page.counter("ringway_consumers_file_changes_total", help);
        total.sample(&[("result", "applied")], self.reloads.consumers_changed.get());
        total.sample(&[("result", "failed")], self.reloads.consumers_failed.get());
        let mut total = page.counter("ringway_upgrades_total", "Upgrades of this process by what became of them.");
        total.sample(&[("result", "taken-over")], upgrades.get());
        total.sample(&[("result", "failed")], upgrades_failed.get());
    }
}
