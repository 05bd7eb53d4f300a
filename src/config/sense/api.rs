//! What makes no sense of routes that are made of the description of an API, and of these.

use super::Sense;
use crate::config::model::{Config, Route, RuleKind};
use crate::config::sources::{Fault, KeyPath};
use std::collections::BTreeSet;

/// Looks at the route at `at`.
pub(super) fn route(sense: &mut Sense<'_>, route: &Route, at: &KeyPath) {
    if let Some(api) = &route.portal {
        sense.dangling(&at.child("portal"), "api", "apis", api);
        let is_prefix = matches!(&route.paths[..], [path] if path.starts_with('/') && path.ends_with('/'));
        if !is_prefix && sense.is_sound(at, "paths") {
            let what = "the page of an API is served below one path, which begins and ends with `/`";
            let key = if route.paths.is_empty() { "portal" } else { "paths" };
            sense.fault(Fault::new(at.child(key), what).help("write paths = [\"/docs/\"]"));
        }
    }
    let Some(api) = &route.from_openapi else { return };
    sense.dangling(&at.child("from_openapi"), "api", "apis", api);
    for key in ["paths", "methods", "passthrough"].into_iter().filter(|key| sense.sources.has_own(&at.child(key))) {
        sense.fault(
            Fault::new(at.child(key), format!("`{key}` is what the description of `{api}` says"))
                .also(at.child("from_openapi"), "the description")
                .help("remove one of them"),
        );
    }
}

/// Looks at APIs that nothing uses.
pub(super) fn unused(sense: &mut Sense<'_>) {
    let config = sense.config;
    let of_rules = config.rules.values().filter_map(|rule| match &rule.kind {
        RuleKind::OpenApi(of) => Some(&of.api),
        _ => None,
    });
    let of_routes = config.routes.values().flat_map(|route| [&route.from_openapi, &route.portal]).flatten();
    let used: BTreeSet<&String> = of_rules.chain(of_routes).collect();
    for name in config.apis.keys().filter(|name| !used.contains(name)) {
        sense.findings.warnings.push(
            Fault::new(["apis", name], format!("nothing uses api `{name}`"))
                .help("name it in a rule of type openapi, or as the `from_openapi` or `portal` of a route"),
        );
    }
}

/// Whether a route of this name may be made of a description.
pub(super) fn may_make(config: &Config, name: &str) -> bool {
    let is_origin = |(at, _): (usize, &str)| config.routes.get(&name[..at]).is_some_and(|of| of.from_openapi.is_some());
    name.match_indices('.').any(is_origin)
}
