//! What there is to count of rules; nothing without any.

use super::{Page, Scrape};

impl Scrape<'_> {
    pub(super) fn write_rules(&self, page: &mut Page) {
        if self.shape.rules.is_empty() {
            return;
        }
        let help = "Requests that a rule was asked about, by what it said.";
        let mut requests = page.counter("ringway_rule_requests_total", help);
        for (rule, name) in self.shape.rules.iter().enumerate() {
            for (result, count) in [
                ("passed", self.sum(|w| w.rule(rule).passed.get())),
                ("denied", self.sum(|w| w.rule(rule).denied.get())),
                ("shadow-denied", self.sum(|w| w.rule(rule).shadowed.get())),
            ] {
                requests.sample(&[("rule", name), ("result", result)], count);
            }
        }
        self.write_passwords(page);
        self.write_quotas(page);
    }
}
