//! How many connections the process may have.

use crate::net;
use crate::plan::Plan;

/// Descriptors that are no connections: slots, rings, logs, checks, admin.
const RESERVED: usize = 128;

/// What the file limit allows: each client connection may have one to a target beside it.
pub(super) fn max_connections(plan: &Plan) -> usize {
    let limit = net::file_limit();
    let addresses: usize = plan.listeners.iter().map(|listener| listener.addresses.len()).sum();
    let idle: usize =
        plan.pools.iter().map(|pool| pool.shared.targets.len().saturating_mul(pool.shared.keepalive.max_idle)).sum();
    // Idle connections to targets may take a quarter at most of what is reckoned with.
    let others = RESERVED + 3 * plan.runtime.workers * addresses + idle.min(limit / 4);
    let fits = limit.saturating_sub(others).max(2) / 2;
    match plan.runtime.max_connections {
        Some(wanted) if wanted > fits => {
            tracing::warn!(wanted, fits, limit, "max_connections is more than the file limit has room for");
            fits
        }
        Some(wanted) => wanted,
        None => fits,
    }
}
