//! What there is to count of rules; nothing without any.

use super::{Page, Scrape};

impl Scrape<'_> {
    /// What conditions could not say.
    fn write_conditions(&self, page: &mut Page) {
        let (routes, rules) = (&self.shape.conditional_routes, &self.shape.conditional_rules);
        if routes.is_empty() && rules.is_empty() {
            return;
        }
        let help = "Requests of which a condition could not say whether they meet it.";
        let mut errors = page.counter("ringway_condition_errors_total", help);
        for &route in routes {
            let [count] = self.sums(|w| [w.route(route).unclear.get()]);
            errors.sample(&[("of", "route"), ("name", &self.shape.routes[route])], count);
        }
        for &rule in rules {
            let count = self.sum(|w| w.rule(rule).unclear.get());
            errors.sample(&[("of", "rule"), ("name", &self.shape.rules[rule])], count);
        }
    }

    /// How long bytes have waited; nothing without a rule that has them wait.
    fn write_slowed(&self, page: &mut Page) {
        if self.shape.slowing.is_empty() {
            return;
        }
        let help = "Time for which bytes of requests and answers waited that a rule slows down.";
        let mut slowed = page.counter("ringway_rule_throttled_seconds_total", help);
        for &rule in &self.shape.slowing {
            let micros = self.sum(|w| w.rule(rule).slowed.get());
            slowed.sample(&[("rule", &self.shape.rules[rule])], micros as f64 / 1e6);
        }
    }

    pub(super) fn write_rules(&self, page: &mut Page) {
        self.write_conditions(page);
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
        self.write_slowed(page);
        self.write_passwords(page);
        self.write_quotas(page);
        self.write_analytics(page);
        let help = "Tokens that were looked at: known to be signed well, or verified.";
        let mut tokens = page.counter("ringway_tokens_total", help);
        for (result, count) in [
            ("known", self.sum(|w| w.worker.tokens_known.get())),
            ("verified", self.sum(|w| w.worker.tokens_verified.get())),
        ] {
            tokens.sample(&[("result", result)], count);
        }
        let help = "Bytes that tokens take that are known to be signed well.";
        page.gauge("ringway_token_cache_bytes", help).sample(&[], self.sum(|w| w.worker.token_bytes.get()));
    }
}
