//! What control does by live traffic: it judges shares of errors and latencies, has ejected targets come back that nobody tries,
//! tells when health is no longer believed and when a pool has no target left, and hands all of it to the process that follows.
//!
//! What always holds: a look takes no lock and waits for nothing; what workers find at once does not wait for a look.

use super::handover::LiveTarget;
use super::present::Present;
use crate::net::Address;
use crate::observe::scrape::{LivePool, LiveTarget as Shown};
use crate::plan::Plan;
use crate::upstream::Pool;
use crate::upstream::outlier::{Judge, Outlier, verdicts};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// What control knows of pools beyond what the targets know themselves.
#[derive(Default)]
pub(super) struct Overseer {
    /// In the order of the plan.
    pools: Vec<Watched>,
}

struct Watched {
    pool: Arc<Pool>,
    /// Of each target.
    judges: Vec<Judge>,
    /// When they look again.
    due: Duration,
    doubted: bool,
    /// Whether it has no target that can be used.
    lost: bool,
    /// Until when nothing is said of targets that have yet to pass their first check.
    proven: Duration,
}

impl Overseer {
    /// Looks at all pools of a plan. To be called several times a second.
    pub(super) fn look(&mut self, plan: &Plan, now: Duration) {
        let same = self.pools.len() == plan.pools.len()
            && self.pools.iter().zip(&plan.pools).all(|(watched, pool)| Arc::ptr_eq(&watched.pool, &pool.shared));
        if !same {
            self.follow(plan, now);
        }
        self.pools.iter_mut().for_each(|pool| pool.look(now));
    }

    /// Goes on with the pools that are the same.
    fn follow(&mut self, plan: &Plan, now: Duration) {
        let mut before = std::mem::take(&mut self.pools);
        let watched = |planned: &crate::plan::Pool| {
            let pool = &planned.shared;
            if let Some(place) = before.iter().position(|watched| Arc::ptr_eq(&watched.pool, pool)) {
                return before.swap_remove(place);
            }
            let Some(last) = before.iter_mut().find(|watched| watched.pool.name == pool.name) else {
                let judges = pool.targets.iter().map(|_| Judge::default()).collect();
                let proven = planned.unproven_for.map_or(Duration::ZERO, |span| now.saturating_add(span));
                return Watched {
                    pool: pool.clone(),
                    judges,
                    due: Duration::ZERO,
                    doubted: false,
                    lost: false,
                    proven,
                };
            };
            let judges = last.judges_for(pool);
            Watched { pool: pool.clone(), judges, ..*last }
        };
        self.pools = plan.pools.iter().map(watched).collect();
    }
}

impl Watched {
    /// What is known of the targets that `next` has as well, if it judges by the same rule: where targets come and go all the time,
    /// the others are judged nevertheless.
    fn judges_for(&mut self, next: &Pool) -> Vec<Judge> {
        let mut known: HashMap<&Address, Judge> = HashMap::new();
        if self.pool.outlier == next.outlier {
            known.extend(self.pool.targets.iter().map(|target| &target.address).zip(self.judges.drain(..)));
        }
        next.targets.iter().map(|target| known.remove(&target.address).unwrap_or_default()).collect()
    }

    fn look(&mut self, now: Duration) {
        let pool = &self.pool;
        for target in pool.targets.iter().filter(|target| target.ejection().is_ejected()) {
            if pool.is_left_alone(target, now) {
                pool.give_back(target, "its time is over, and nothing came to try it with", now);
            }
        }
        if pool.panic.is_some() {
            let doubted = pool.is_doubted();
            match (self.doubted, doubted) {
                (false, true) => {
                    tracing::warn!(
                        pool = pool.name,
                        "too few targets are usable: health is not believed, work goes to all"
                    );
                }
                (true, false) => {
                    tracing::info!(pool = pool.name, "enough targets are usable: health is believed again")
                }
                _ => {}
            }
            self.doubted = doubted;
        }
        let (name, lost) = (&pool.name, !pool.any_up() && self.proven <= now);
        match (self.lost, lost) {
            (false, true) if pool.open_when_down => {
                tracing::error!(
                    pool = name,
                    "no target of the pool can be used: work goes to all of them all the same"
                );
            }
            (false, true) => tracing::error!(pool = name, "no target of the pool can be used"),
            (true, false) => tracing::info!(pool = name, "a target of the pool can be used again"),
            _ => {}
        }
        self.lost = lost;
        if self.due <= now
            && let Some(rule) = self.pool.outlier.clone().filter(Outlier::judges)
        {
            self.due = now + Judge::step(&rule);
            self.judge(&rule, now);
        }
    }

    fn judge(&mut self, rule: &Outlier, now: Duration) {
        let seen = |(target, judge): (&crate::upstream::Target, &mut Judge)| {
            if target.ejection().is_ejected() || target.is_down() {
                // What it did before says nothing of it when it is back.
                judge.forget();
                return None;
            }
            Some(judge.look(rule, target.traffic()?.seen(), now))
        };
        let all: Vec<_> = self.pool.targets.iter().zip(&mut self.judges).map(seen).collect();
        for (place, verdict) in verdicts(rule, &all).into_iter().enumerate() {
            if let Some(why) = verdict {
                self.pool.eject(rule, place, why, now);
                self.judges[place].forget();
            }
        }
    }
}

/// Has targets begin slowly that a pool has not had before.
pub(super) fn welcome(before: &Plan, plan: &Plan, now: Duration) {
    for pool in &plan.pools {
        let Some(known) = before.pool(&pool.shared.name) else { continue };
        let known: HashSet<&Address> = known.shared.targets.iter().map(|target| &target.address).collect();
        for target in pool.shared.targets.iter().filter(|target| !known.contains(&target.address)) {
            target.comes_up(now);
        }
    }
}

/// The pools that go by live traffic, as metrics show them.
pub(super) fn shown(plan: &Plan, now: Duration) -> Vec<LivePool> {
    let shown = |(place, pool): (usize, &crate::plan::Pool)| {
        let pool = &pool.shared;
        let outliers = pool.targets.iter().filter(|_| pool.outlier.is_some()).map(|target| Shown {
            ejected: target.ejection().is_ejected(),
            ejections: target.ejection().ejections(),
            withheld: target.ejection().withheld(),
        });
        let share = |target| pool.warming(target, now).map_or(1.0, |percent| f64::from(percent) / 100.0);
        let shares = (0..pool.targets.len()).filter(|_| pool.slow_start.is_some()).map(share);
        let doubted = pool.panic.is_some().then(|| pool.is_doubted());
        LivePool { pool: place, doubted, outliers: outliers.collect(), shares: shares.collect() }
    };
    plan.pools.iter().enumerate().map(shown).collect()
}

/// What is known of targets, for another process.
pub(super) fn hand_over(present: &Present) -> Vec<LiveTarget> {
    let pools = present.plan.pools.iter().map(|pool| &pool.shared);
    let told = |pool: &str, target: &crate::upstream::Target| {
        let live = target.live().keep()?;
        Some(LiveTarget { pool: pool.to_owned(), target: target.name.clone(), live })
    };
    pools.flat_map(|pool| pool.targets.iter().filter_map(|target| told(&pool.name, target))).collect()
}

/// Takes on what another process knows of targets.
pub(super) fn inherit(present: &Present, targets: &[LiveTarget]) {
    for LiveTarget { pool, target, live } in targets {
        let pool = present.plan.pool(pool).map(|pool| &pool.shared);
        if let Some(target) = pool.and_then(|pool| pool.targets.iter().find(|known| known.name == *target)) {
            target.live().take_on(*live);
        }
    }
}
