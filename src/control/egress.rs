//! Whether targets can be connected to as their pools have it.

use crate::plan::Plan;
use std::io::ErrorKind;

/// Looks whether this host lets targets be connected to as their pools have it. Fails if this process never may; what may come, such as an
/// address that moves between hosts, is a warning.
pub(super) fn look(plan: &Plan) -> Result<(), String> {
    for pool in &plan.pools {
        let Some(unable) = pool.shared.egress.as_ref().and_then(|egress| egress.unable()) else { continue };
        let name = &pool.shared.name;
        if unable.error.kind() == ErrorKind::PermissionDenied {
            return Err(format!("pool `{name}` cannot connect to its targets by {unable}"));
        }
        tracing::warn!(pool = name, "its targets cannot be connected to by {unable}");
    }
    Ok(())
}
