//! Which targets are checked, as a plan has it.

use super::handover::{AgentText, TargetText};
use super::present::Present;
use crate::upstream::Mode;
use crate::upstream::agent::Said;
use crate::upstream::health::{Follower, Probe, Wanted};
use std::collections::{HashMap, HashSet};

/// The checks of what runs now. `known`: whether the states of targets are from checks of another process.
pub(super) fn wanted(present: &Present, known: bool) -> Vec<Wanted> {
    let counters = |pool: usize, target: usize| present.control.target(pool, target).clone();
    let follower = |&(pool, target): &(usize, usize)| Follower {
        pool: present.plan.pools[pool].shared.name.clone(),
        target: present.plan.pools[pool].shared.targets[target].name.clone(),
        counters: counters(pool, target),
    };
    let wanted = present.plan.checks.iter().map(|check| Wanted {
        spec: check.spec.clone(),
        patient: present.plan.pools[check.pool].shared.targets[check.target].patient(),
        counters: counters(check.pool, check.target),
        of_pool: present.control.pool(check.pool).clone(),
        beside: check.beside,
        followers: check.followers.iter().map(follower).collect(),
        known,
    });
    wanted.collect()
}

/// The checks of what runs now and of what is tried out beside it.
pub(super) fn of_both(present: &Present, candidate: &Present) -> Vec<Wanted> {
    let mut all = wanted(candidate, false);
    let own: Vec<Wanted> = {
        let key = |check: &'_ Wanted| (check.spec.pool.clone(), check.spec.target.clone(), check.beside);
        let known: HashSet<_> = all.iter().map(key).collect();
        wanted(present, false).into_iter().filter(|check| !known.contains(&key(check))).collect()
    };
    all.extend(own);
    all
}

/// How targets are by their checks and their agents, for another process.
pub(super) fn hand_over(present: &Present) -> Vec<TargetText> {
    let checked = present.plan.checks.iter().map(|check| {
        let pool = &present.plan.pools[check.pool].shared;
        let target = &pool.targets[check.target];
        let said = Some(target.said()).filter(|&said| said != Said::default());
        let up = target.patient().is_up();
        TargetText { pool: pool.name.clone(), target: target.name.clone(), up, agent: said.map(AgentText::from) }
    });
    checked.collect()
}

/// Takes on what another process knows of targets.
pub(super) fn inherit(present: &Present, targets: &[TargetText]) {
    let told: HashMap<(&str, &str), &TargetText> =
        targets.iter().map(|text| ((text.pool.as_str(), text.target.as_str()), text)).collect();
    for check in &present.plan.checks {
        let pool = &present.plan.pools[check.pool].shared;
        let target = &pool.targets[check.target];
        let known = told.get(&(pool.name.as_str(), target.name.as_str())).copied();
        if let Some(known) = known {
            target.set_up(known.up);
            // Only what is asked still can take its word back.
            let asks = matches!(check.spec.probe, Probe::Agent { .. });
            if let Some(agent) = known.agent.as_ref().filter(|_| asks) {
                target.patient().hear(agent.said());
            }
            for &(pool, target) in check.followers.iter().chain([&(check.pool, check.target)]) {
                let up = present.plan.pools[pool].shared.targets[target].passes_checks();
                present.control.target(pool, target).up.set(u64::from(up));
            }
        }
    }
}

impl From<Said> for AgentText {
    fn from(said: Said) -> Self {
        let Said { down, mode, percent, limit } = said;
        Self { down, drain: mode == Mode::Drain, maintenance: mode == Mode::Maintenance, percent, limit }
    }
}

impl AgentText {
    fn said(&self) -> Said {
        let mode = match (self.maintenance, self.drain) {
            (true, _) => Mode::Maintenance,
            (false, true) => Mode::Drain,
            _ => Mode::Ready,
        };
        Said { down: self.down, mode, percent: self.percent, limit: self.limit }
    }
}
