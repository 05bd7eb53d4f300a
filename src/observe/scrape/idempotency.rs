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
    /// Of a rule whose keys are those of all hosts.
    pub shared: Option<SharedIdempotent>,
    /// Keys that are known.
    pub keys: usize,
    /// Bytes that answers take.
    pub bytes: usize,
}

/// What hosts share of such a rule.
#[derive(Clone, Debug, Default)]
pub struct SharedIdempotent {
    /// Requests that were the first with their keys here, by what other hosts knew of them.
    pub requests: Vec<(&'static str, u64)>,
    /// Keys that other hosts are still to be told of.
    pub untold: usize,
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
        let shared = || self.idempotency.iter().filter_map(|of| Some((of, of.shared.as_ref()?)));
        if shared().next().is_some() {
            let mut family = page.counter(
                "ringway_idempotency_shared_total",
                "Requests with an Idempotency-Key that is known over all hosts, the first of it here, by what others know of it.",
            );
            for (of, shared) in shared() {
                for (value, count) in &shared.requests {
                    family.sample(&[("rule", &of.rule), ("result", value)], count);
                }
            }
            let mut untold =
                page.gauge("ringway_idempotency_untold", "Idempotency-Keys that other hosts are still to be told of.");
            shared().for_each(|(of, shared)| untold.sample(&[("rule", &of.rule)], shared.untold));
        }
        let mut keys = page.gauge("ringway_idempotency_keys", "Idempotency-Keys that are known.");
        self.idempotency.iter().for_each(|of| keys.sample(&[("rule", &of.rule)], of.keys));
        let mut bytes = page.gauge("ringway_idempotency_bytes", "Bytes that stored answers take.");
        self.idempotency.iter().for_each(|of| bytes.sample(&[("rule", &of.rule)], of.bytes));
    }
}
