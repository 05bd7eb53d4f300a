//! Bans that rules want: carried out, told and counted.

use super::life::Control;
use crate::lane::bans::{Ban, Bans};
use crate::lane::feed::Wanted;
use crate::net;
use crate::observe::scrape::{Bans as Figures, Tarpit};
use crate::plan::Plan;
use std::time::Duration;

/// How many bans the log tells of one by one.
#[derive(Debug, Default)]
pub(super) struct Herald {
    since: Duration,
    told: u32,
    /// Those that it did not tell of.
    left: u64,
    /// Bans that had been lost when it was told last.
    lost: u64,
}

/// Bans that are told one by one within [`WHILE`].
const MOST: u32 = 20;
const WHILE: Duration = Duration::from_secs(1);

impl Control {
    /// Bans whom rules want to be banned.
    pub(super) fn ban_for_rules(&mut self) {
        let (bans, now) = (self.crew.bans(), net::coarse_now());
        let wanted = bans.feed().take();
        if !wanted.is_empty() {
            let (shadows, wanted): (Vec<Wanted>, Vec<Wanted>) = wanted.into_iter().partition(|wanted| wanted.shadow);
            let ban = |Wanted { client, span, rule, reason, .. }: &Wanted| {
                let until = Some(now.saturating_add(*span));
                (*client, Ban { until, rule: Some(rule.clone()), reason: reason.clone() })
            };
            let added = bans.add_all(&wanted.iter().map(ban).collect::<Vec<_>>());
            let added = wanted.iter().zip(added).filter(|(_, added)| *added).map(|(wanted, _)| wanted);
            for Wanted { client, span, rule, reason, shadow } in added.chain(&shadows) {
                match (self.herald.tells(now), shadow) {
                    (false, _) => {}
                    (true, false) => tracing::info!(%rule, %client, left = ?span, %reason, "banned"),
                    (true, true) => {
                        tracing::info!(%rule, %client, %reason, "would be banned, were it not in shadow mode")
                    }
                }
            }
        }
        self.herald.sums_up(bans.feed().lost(), now);
    }
}

impl Herald {
    fn tells(&mut self, now: Duration) -> bool {
        if now.saturating_sub(self.since) >= WHILE && self.left == 0 {
            (self.since, self.told) = (now, 0);
        }
        let tells = self.told < MOST;
        self.told += u32::from(tells);
        self.left += u64::from(!tells);
        tells
    }

    /// Tells of those that were not told of, and of those that were lost.
    fn sums_up(&mut self, lost: u64, now: Duration) {
        if now.saturating_sub(self.since) < WHILE {
            return;
        }
        if self.left > 0 {
            // What a log does not want, it does not ask for.
            let clients = std::mem::take(&mut self.left);
            tracing::info!(clients, "more were banned");
        }
        if lost > self.lost {
            let bans = lost - std::mem::replace(&mut self.lost, lost);
            tracing::warn!(bans, "rules ban more clients than there is room for: ban ranges instead");
            (self.since, self.told) = (now, 0);
        }
    }
}

/// What metrics tell of bans.
pub(super) fn figures(bans: &Bans) -> Figures {
    let by_rules = bans.by_rules();
    Figures { by_rules, by_operators: bans.len().saturating_sub(by_rules), lost: bans.feed().lost() }
}

/// The rules of a plan that keep clients waiting.
pub(super) fn tarpits(plan: &Plan) -> Vec<Tarpit> {
    plan.tarpits.iter().map(|tarpit| Tarpit { rule: tarpit.index, held: tarpit.held() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bans_are_told_and_the_others_counted() {
        let (mut herald, at) = (Herald::default(), Duration::from_millis);
        assert_eq!((0..5000).filter(|n| herald.tells(at(5000 + n / 10))).count(), MOST as usize);
        herald.sums_up(0, at(5999));
        assert_eq!(herald.left, 4980, "the second is not over");
        herald.sums_up(0, at(6000));
        assert_eq!(herald.left, 0);
        assert!(herald.tells(at(6001)), "what comes later is told again");
    }
}
