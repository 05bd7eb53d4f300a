//! What metrics tell of pools that have limits.

use crate::observe::scrape::Queue;
use crate::plan::Plan;

/// The pools of a plan that have limits.
pub(super) fn of(plan: &Plan) -> Vec<Queue> {
    let limited = plan.pools.iter().enumerate().filter_map(|(index, pool)| {
        let queue = pool.shared.queue.as_ref()?;
        let targets = pool.shared.targets.iter().map(|target| target.limit()).collect();
        Some(Queue { pool: index, waiting: queue.len(), limit: queue.limit(), targets })
    });
    limited.collect()
}
