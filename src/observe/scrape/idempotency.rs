//! What a page tells of rules that have requests with an Idempotency-Key carried out once.

use super::{Page, Scrape};

/// A rule of type idempotency.
#[derive(Clone, Debug, Default)]
pub struct IdempotentRule {
    /// The rule.
    pub rule: String,
    /// Requests with a key, by what became of them.
    pub requests: Vec<(&'static str, u64)>,
    /// What carried out requests came to, of what is known of their keys.
    pub answers: Vec<(&'static str, u64)>,
    /// What gave way before its time.
    pub evicted: Vec<(&'static str, u64)>,
    /// Keys that are known.
    pub keys: usize,
    /// Bytes that answers take.
    pub bytes: usize,
}

impl Scrape<'_> {
    /// Nothing without such rules.
    pub(super) fn write_idempotency(&self, page: &mut Page) {
        if self.idempotency.is_empty() {
            return;
        }
        type Counts = fn(&IdempotentRule) -> &[(&'static str, u64)];
        let families: [(&str, &str, &str, Counts); 3] = [
            (
                "ringway_idempotency_requests_total",
                "Requests with an Idempotency-Key, by what became of them.",
                "result",
                |of| &of.requests,
            ),
            (
                "ringway_idempotency_answers_total",
                "Requests that were carried out, by what became of their answers.",
                "result",
                |of| &of.answers,
            ),
            (
                "ringway_idempotency_evicted_total",
                "Answers, and whole keys, that gave way to others before their time.",
                "what",
                |of| &of.evicted,
            ),
        ];
        for (name, help, label, counts) in families {
            let mut family = page.counter(name, help);
            for of in self.idempotency {
                for (value, count) in counts(of) {
                    family.sample(&[("rule", &of.rule), (label, value)], count);
                }
            }
        }
        let mut keys = page.gauge("ringway_idempotency_keys", "Idempotency-Keys that are known.");
        self.idempotency.iter().for_each(|of| keys.sample(&[("rule", &of.rule)], of.keys));
        let mut bytes = page.gauge("ringway_idempotency_bytes", "Bytes that stored answers take.");
        self.idempotency.iter().for_each(|of| bytes.sample(&[("rule", &of.rule)], of.bytes));
    }
}
