//! What makes no sense of plans.

use super::{Sense, identifies, named};
use crate::config::sources::{Fault, KeyPath};
use std::collections::BTreeSet;

pub(super) fn plans(sense: &mut Sense<'_>) {
    let config = sense.config;
    for (name, plan) in &config.plans {
        let at = KeyPath::from(["plans", name]);
        let list = at.child("rules");
        named(sense, &plan.rules, &list);
        for (place, name) in plan.rules.iter().enumerate() {
            if config.rules.get(name).is_none_or(|rule| rule.kind.is_limit()) {
                continue;
            }
            sense.fault(
                Fault::new(list.child(place), format!("rule `{name}` is no limit"))
                    .also(KeyPath::from(["rules", name, "type"]), "its type")
                    .help("name rules of type rate-limit, quota, concurrency and bandwidth here, and this one among the rules of routes"),
            );
        }
        super::groups::unknown(sense, &plan.groups, &at.child("groups"));
    }
    let mut seen = BTreeSet::new();
    let identified = config.routes.values().flat_map(|route| &route.rules).any(|rule| {
        seen.clear();
        identifies(config, rule, &mut seen)
    });
    if let Some(name) = config.plans.keys().next().filter(|_| !identified && sense.is_complete([])) {
        sense.findings.warnings.push(
            Fault::new(["plans", name], "no route finds out who asks, so that nobody has a plan")
                .help("name a rule among those of a route that does, such as one of type api-key"),
        );
    }
}
