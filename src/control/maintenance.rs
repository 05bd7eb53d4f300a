//! Which routes are in maintenance, as files say that are there or not.

use super::present::Shared;
use std::time::Duration;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// Looks for as long as the process lives.
pub(super) async fn watch(present: Shared) {
    loop {
        tokio::time::sleep(EVERY).await;
        let plan = present.load().plan.clone();
        if !plan.routes.iter().any(|route| route.maintenance.as_ref().is_some_and(|of| of.flag_file.is_some())) {
            continue;
        }
        // A disk may take its time.
        let looked = tokio::task::spawn_blocking(move || {
            for route in &plan.routes {
                let Some(maintenance) = &route.maintenance else { continue };
                match maintenance.look() {
                    Some(true) => tracing::warn!(route = route.name, "maintenance begins: its file is there"),
                    Some(false) => tracing::warn!(route = route.name, "maintenance ends: its file is gone"),
                    None => {}
                }
            }
        });
        let _ = looked.await;
    }
}
