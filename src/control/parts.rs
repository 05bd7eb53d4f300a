//! The parts of answers that are put together, as metrics show them.

use crate::observe::reason::Gathered;
use crate::observe::scrape::Part;
use crate::plan::{self, Plan};

/// Those of a plan.
pub(super) fn shown(plan: &Plan) -> Vec<Part> {
    let results = |part: &plan::Part| Gathered::ALL.iter().map(|what| (what.word(), part.counts.of(*what))).collect();
    let show = |route: &str, part: &plan::Part| Part {
        route: route.to_owned(),
        part: part.name.to_string(),
        results: results(part),
    };
    plan.aggregates().flat_map(|(route, whole)| whole.parts.iter().map(move |part| show(route, part))).collect()
}
