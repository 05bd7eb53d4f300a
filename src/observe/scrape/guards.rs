//! What a page tells of listeners that count clients, and of rules that count requests.

use super::{Page, Scrape};

/// A listener that counts clients.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// The listener's position in the shape.
    pub listener: usize,
    /// Clients that are counted.
    pub clients: usize,
    /// How many there is room for.
    pub size: usize,
    /// Clients that gave way to others before their time.
    pub evictions: u64,
    /// Connections let in uncounted.
    pub uncounted: u64,
}

/// A rule that counts requests.
#[derive(Clone, Debug, Default)]
pub struct RuleKeys {
    /// The rule.
    pub rule: String,
    /// Keys whose requests are counted.
    pub keys: usize,
    /// How many there is room for.
    pub size: usize,
    /// Keys that gave way to others before their time.
    pub evictions: u64,
    /// Requests that are under way, if it counts those.
    pub open: Option<u64>,
    /// What it shares with other hosts, if it does.
    pub shared: Option<SharedKeys>,
}

/// The parts that this host has of a limit that hosts share.
#[derive(Clone, Debug)]
pub struct SharedKeys {
    /// Of each key that is not divided in another way, at most 1.
    pub share: f64,
    /// Keys that are.
    pub divided: usize,
    /// How often there was no room for one.
    pub passed_over: u64,
}

impl Scrape<'_> {
    /// Nothing where no rule counts.
    pub(super) fn write_rule_keys(&self, page: &mut Page) {
        if self.rule_keys.is_empty() {
            return;
        }
        let mut keys = page.gauge("ringway_rule_keys", "Keys whose requests are counted.");
        self.rule_keys.iter().for_each(|of| keys.sample(&[("rule", &of.rule)], of.keys));
        let mut size = page.gauge("ringway_rule_keys_size", "Keys that there is room to count.");
        self.rule_keys.iter().for_each(|of| size.sample(&[("rule", &of.rule)], of.size));
        let help = "Keys that gave way to others although their requests were still counted.";
        let mut evictions = page.counter("ringway_rule_keys_evictions_total", help);
        self.rule_keys.iter().for_each(|of| evictions.sample(&[("rule", &of.rule)], of.evictions));
        if self.rule_keys.iter().any(|of| of.open.is_some()) {
            let mut open = page.gauge("ringway_rule_in_flight", "Requests under way that are counted.");
            let counting = self.rule_keys.iter().filter_map(|of| Some((&of.rule, of.open?)));
            counting.for_each(|(rule, count)| open.sample(&[("rule", rule)], count));
        }
        self.write_shares(page);
    }

    /// Nothing where no limit is shared.
    fn write_shares(&self, page: &mut Page) {
        let shared: Vec<_> = self.rule_keys.iter().filter_map(|of| Some((&of.rule, of.shared.as_ref()?))).collect();
        if shared.is_empty() {
            return;
        }
        let help =
            "The part that this host has of a limit that hosts share, of each key that is not divided in another way.";
        let mut share = page.gauge("ringway_rule_share", help);
        shared.iter().for_each(|(rule, of)| share.sample(&[("rule", rule)], of.share));
        let mut divided = page.gauge("ringway_rule_divided_keys", "Keys that hosts divide by where requests come.");
        shared.iter().for_each(|(rule, of)| divided.sample(&[("rule", rule)], of.divided));
        let help = "Times that a key was to be divided and there was no room: each host keeps its even part of it.";
        let mut passed = page.counter("ringway_rule_undivided_total", help);
        shared.iter().for_each(|(rule, of)| passed.sample(&[("rule", rule)], of.passed_over));
    }

    /// Nothing where clients are not counted.
    pub(super) fn write_guards(&self, page: &mut Page) {
        if self.guards.is_empty() {
            return;
        }
        let name = |of: &Guard| self.shape.listeners[of.listener].as_str();
        let mut clients = page.gauge("ringway_listener_clients", "Clients whose connections are counted.");
        self.guards.iter().for_each(|of| clients.sample(&[("listener", name(of))], of.clients));
        let mut size = page.gauge("ringway_listener_clients_size", "Clients that there is room to count.");
        self.guards.iter().for_each(|of| size.sample(&[("listener", name(of))], of.size));
        let help = "Clients that gave way to others although their rate was still known.";
        let mut evictions = page.counter("ringway_listener_clients_evictions_total", help);
        self.guards.iter().for_each(|of| evictions.sample(&[("listener", name(of))], of.evictions));
        let help = "Connections that were let in uncounted for want of room.";
        let mut uncounted = page.counter("ringway_listener_uncounted_total", help);
        self.guards.iter().for_each(|of| uncounted.sample(&[("listener", name(of))], of.uncounted));
    }
}
