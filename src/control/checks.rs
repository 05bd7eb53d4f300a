//! Which targets are checked, as a plan has it.

use super::present::Present;
use crate::upstream::health::Wanted;

/// The checks of what runs now.
pub(super) fn wanted(present: &Present) -> Vec<Wanted> {
    let wanted = present.plan.checks.iter().map(|check| Wanted {
        spec: check.spec.clone(),
        patient: present.plan.pools[check.pool].shared.targets[check.target].patient(),
        counters: present.control.target(check.pool, check.target).clone(),
    });
    wanted.collect()
}
