//! Which targets are checked, as a plan has it.

use super::handover::TargetText;
use super::present::Present;
use crate::upstream::health::Wanted;

/// The checks of what runs now. `known`: whether the states of targets are from checks of another process.
pub(super) fn wanted(present: &Present, known: bool) -> Vec<Wanted> {
    let wanted = present.plan.checks.iter().map(|check| Wanted {
        spec: check.spec.clone(),
        patient: present.plan.pools[check.pool].shared.targets[check.target].patient(),
        counters: present.control.target(check.pool, check.target).clone(),
        known,
    });
    wanted.collect()
}

/// The checks of what runs now and of what is tried out beside it.
pub(super) fn of_both(present: &Present, candidate: &Present) -> Vec<Wanted> {
    let mut all = wanted(candidate, false);
    let is_new = |check: &Wanted| {
        !all.iter().any(|other| other.spec.pool == check.spec.pool && other.spec.target == check.spec.target)
    };
    let own: Vec<Wanted> = wanted(present, false).into_iter().filter(is_new).collect();
    all.extend(own);
    all
}

/// How targets are by their checks, for another process.
pub(super) fn hand_over(present: &Present) -> Vec<TargetText> {
    let checked = present.plan.checks.iter().map(|check| {
        let pool = &present.plan.pools[check.pool].shared;
        let target = &pool.targets[check.target];
        TargetText { pool: pool.name.clone(), target: target.name.clone(), up: target.passes_checks() }
    });
    checked.collect()
}

/// Takes on what another process knows of targets.
pub(super) fn inherit(present: &Present, targets: &[TargetText]) {
    for check in &present.plan.checks {
        let pool = &present.plan.pools[check.pool].shared;
        let target = &pool.targets[check.target];
        let known = targets.iter().find(|text| text.pool == pool.name && text.target == target.name);
        if let Some(known) = known {
            target.set_up(known.up);
            present.control.target(check.pool, check.target).up.set(u64::from(known.up));
        }
    }
}
