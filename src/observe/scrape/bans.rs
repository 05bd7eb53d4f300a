//! What a page tells of clients that are refused.

use super::{Page, Scrape};

/// Clients that are refused.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bans {
    /// By operators.
    pub by_operators: usize,
    /// By rules.
    pub by_rules: usize,
    /// Bans that rules wanted and for which there was no room.
    pub lost: u64,
}

/// A rule that keeps clients waiting.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tarpit {
    /// Its position in the shape.
    pub rule: usize,
    /// How many wait.
    pub held: u32,
}

impl Scrape<'_> {
    pub(super) fn write_bans(&self, page: &mut Page) {
        let mut bans = page.gauge("ringway_bans", "Clients that are banned.");
        bans.sample(&[("by", "operator")], self.bans.by_operators);
        bans.sample(&[("by", "rule")], self.bans.by_rules);
        let mut lost =
            page.counter("ringway_bans_lost_total", "Bans that rules wanted and for which there was no room.");
        lost.sample(&[], self.bans.lost);
        if !self.shape.banning.is_empty() {
            let mut bans = page.counter("ringway_rule_bans_total", "Clients that a rule has banned, or would have.");
            for &rule in &self.shape.banning {
                let name = &self.shape.rules[rule];
                for (result, count) in [
                    ("banned", self.sum(|w| w.rule(rule).bans.get())),
                    ("shadow-banned", self.sum(|w| w.rule(rule).shadow_bans.get())),
                ] {
                    bans.sample(&[("rule", name), ("result", result)], count);
                }
            }
        }
        self.write_tarpits(page);
    }

    fn write_tarpits(&self, page: &mut Page) {
        if self.tarpits.is_empty() {
            return;
        }
        let name = |of: &Tarpit| self.shape.rules[of.rule].as_str();
        let mut held = page.gauge("ringway_tarpit_held", "Requests that wait for the answer that refuses them.");
        self.tarpits.iter().for_each(|of| held.sample(&[("rule", name(of))], of.held));
        let help = "Requests that were refused, by whether they were kept waiting.";
        let mut all = page.counter("ringway_rule_tarpit_total", help);
        for of in self.tarpits {
            let counts = [
                ("held", self.sum(|w| w.rule(of.rule).held.get())),
                ("let-go", self.sum(|w| w.rule(of.rule).unheld.get())),
            ];
            counts.into_iter().for_each(|(result, n)| all.sample(&[("rule", name(of)), ("result", result)], n));
        }
    }
}
