//! What makes no sense of stages, and of routes that are served as several.

use super::Sense;
use crate::config::model::{Config, Route, RuleKind};
use crate::config::sources::{Fault, KeyPath};
use std::collections::BTreeSet;

/// Looks at all stages.
pub(super) fn all(sense: &mut Sense<'_>) {
    let config = sense.config;
    let used: BTreeSet<&String> = config.routes.values().flat_map(|route| &route.stages).collect();
    for (name, stage) in &config.stages {
        let at = KeyPath::from(["stages", name]);
        for (index, listener) in stage.listeners.iter().enumerate() {
            sense.http_listener(&at.child("listeners").child(index), "stages need", listener);
        }
        for (from, to) in &stage.pools {
            let here = at.child("pools").child(from);
            sense.dangling(&here, "pool", "pools", from);
            sense.dangling(&here, "pool", "pools", to);
        }
        if !used.contains(name) && sense.is_complete([]) {
            sense.findings.warnings.push(
                Fault::new(at, format!("nothing is served as stage `{name}`"))
                    .help(format!("name it on a route: stages = [\"{name}\"]")),
            );
        }
    }
}

/// Looks at the route at `at`.
pub(super) fn route(sense: &mut Sense<'_>, route: &Route, at: &KeyPath) {
    let (config, list) = (sense.config, at.child("stages"));
    let mut seen = BTreeSet::new();
    for (index, name) in route.stages.iter().enumerate() {
        let here = list.child(index);
        sense.dangling(&here, "stage", "stages", name);
        if !seen.insert(name) {
            sense.fault(Fault::new(here.clone(), format!("stage `{name}` is there twice")).help("remove one of them"));
        }
        if config.stages.get(name).is_none_or(|stage| stage.prefix.is_none()) {
            continue;
        }
        let also = KeyPath::from(["stages", name, "prefix"]);
        if route.paths.iter().any(|path| path.starts_with('~') && !path.starts_with("~^/")) {
            sense.fault(
                Fault::new(
                    here.clone(),
                    format!("a regex of this route does not begin with `^/`, and stage `{name}` has a prefix"),
                )
                .also(also.clone(), "what would stand before its paths")
                .help("let the regex begin with `^/`, or tell the stages apart by `hosts`"),
            );
        }
        if route.aggregate.iter().flat_map(|aggregate| &aggregate.parts).any(|part| part.path.is_none()) {
            sense.fault(
                Fault::new(
                    here.clone(),
                    format!(
                        "a part of this route is asked for the client's path, which has the prefix of stage `{name}`"
                    ),
                )
                .also(also.clone(), "what stands before it")
                .help("give each part a `path`, or tell the stages apart by `hosts`"),
            );
        }
        if of_api(config, route) {
            sense.fault(
                Fault::new(
                    here,
                    format!("this route goes by the paths of an API, which have no prefix as stage `{name}` has"),
                )
                .also(also, "what would stand before its paths")
                .help("tell the stages apart by `hosts`"),
            );
        }
    }
}

/// Whether a route, or a rule of it, goes by the paths that a description has.
fn of_api(config: &Config, route: &Route) -> bool {
    let is_of_api =
        |name: &String| config.rules.get(name).is_some_and(|rule| matches!(rule.kind, RuleKind::OpenApi(_)));
    route.from_openapi.is_some() || route.rules.iter().any(is_of_api)
}

/// Whether a route of this name is one that is served as a stage.
pub(super) fn is_made(config: &Config, name: &str) -> bool {
    let Some((route, rest)) = name.split_once('@') else { return false };
    let is_stage =
        |stage: &String| rest.strip_prefix(stage.as_str()).is_some_and(|end| end.is_empty() || end.starts_with('.'));
    config.routes.get(route).is_some_and(|of| of.stages.iter().any(is_stage))
}
