//! What metrics tell of listeners that count clients.

use crate::observe::scrape::Guard;
use crate::plan::Plan;
use std::time::Duration;

/// The listeners of a plan that count clients, as of `now`.
pub(super) fn of(plan: &Plan, now: Duration) -> Vec<Guard> {
    let counting = plan.guards().filter_map(|(listener, guard)| {
        let table = guard.table()?;
        Some(Guard {
            listener,
            clients: table.len(now),
            size: table.size(),
            evictions: table.evictions(),
            uncounted: table.uncounted(),
        })
    });
    counting.collect()
}
