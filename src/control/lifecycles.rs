//! The routes that come to their end, for whoever looks at them.

use crate::observe::scrape::Lifecycle;
use crate::plan::Plan;

/// Those of a plan.
pub(super) fn of(plan: &Plan) -> Vec<Lifecycle> {
    let ending = |(route, of): (usize, &crate::plan::Route)| {
        let sunset = of.lifecycle.as_ref()?.sunset;
        Some(Lifecycle { route, sunset })
    };
    plan.routes.iter().enumerate().filter_map(ending).collect()
}
