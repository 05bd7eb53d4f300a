//! What makes no sense of stages, and of routes that are served as several.

use super::{Sense, starts_with};
use crate::config::model::{Config, Route, RuleKind};
use crate::config::sources::{Fault, KeyPath};
use crate::config::walk::{choice, nearest};
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
            unused(sense, name, from, here);
        }
        if !used.contains(name) && sense.is_complete([]) {
            sense.findings.warnings.push(
                Fault::new(at, format!("nothing is served as stage `{name}`"))
                    .help(format!("name it on a route: stages = [\"{name}\"]")),
            );
        }
    }
}

/// Warns of a pool that is replaced at a stage whose routes have no such pool: they would go on to the pools that they name.
fn unused(sense: &mut Sense<'_>, stage: &str, pool: &String, here: KeyPath) {
    let config = sense.config;
    if !sense.is_complete([]) || !sense.outcome.is_sound(&KeyPath::from(["routes"])) || !config.pools.contains_key(pool)
    {
        return;
    }
    let served = config.routes.values().filter(|route| route.stages.iter().any(|name| name == stage));
    let watched = |route: &'_ Route| route.respond.iter().flat_map(|of| of.fail_if_down.clone()).collect::<Vec<_>>();
    let named: BTreeSet<String> = served.flat_map(|route| route.pools().cloned().chain(watched(route))).collect();
    // That nothing is served as the stage is told by itself.
    if named.is_empty() || named.contains(pool) {
        return;
    }
    let names: Vec<&str> = named.iter().map(String::as_str).collect();
    let help = nearest(pool, &names).map(|near| format!("did you mean `{near}`?"));
    sense.findings.warnings.push(
        Fault::new(
            here,
            format!("no route that is served as stage `{stage}` has pool `{pool}`, so that this replaces nothing"),
        )
        .help(help.unwrap_or_else(|| choice("pool that they have", &names))),
    );
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
        // Both prefixes are cut at once, and only where both are there.
        if let Some(own) = &route.strip_prefix
            && sense.is_sound(at, "paths")
            && (route.paths.is_empty() || !route.paths.iter().all(|path| is_below(path, own)))
        {
            let what =
                format!("not all paths of this route begin with its `strip_prefix`, and stage `{name}` has a prefix");
            sense.fault(
                Fault::new(here.clone(), what)
                    .also(at.child("strip_prefix"), "what is cut from the others together with that")
                    .help("make a route of its own of the paths that begin otherwise, or tell the stages apart by `hosts`"),
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

/// Whether all that a path pattern takes is below a prefix. A regex is if it begins with that and has no other alternative.
fn is_below(pattern: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    let Some(regex) = pattern.strip_prefix('~') else { return starts_with(pattern, prefix) };
    let literal = regex::escape(prefix);
    let begins = |with: &str| regex.strip_prefix('^')?.strip_prefix(with)?.strip_prefix('/');
    // What may be repeated may also be left off.
    let rest = begins(&literal).or_else(|| begins(prefix)).filter(|rest| !rest.starts_with(['?', '*', '{']));
    rest.is_some_and(|rest| !has_alternatives(rest))
}

/// Whether a regex has a `|` that is in no group.
fn has_alternatives(regex: &str) -> bool {
    let (mut groups, mut classes, mut escaped) = (0_u32, 0_u32, false);
    regex.bytes().any(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'[' => classes += 1,
            b']' => classes = classes.saturating_sub(1),
            b'(' if classes == 0 => groups += 1,
            b')' if classes == 0 => groups = groups.saturating_sub(1),
            b'|' => return groups == 0 && classes == 0,
            _ => {}
        }
        false
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_below_a_prefix_only_if_all_that_it_takes_is() {
        for (pattern, is) in [
            ("/v.1/", true),
            ("=/v.1", true),
            ("=/v.1/{id}", true),
            ("/v.1x/", false),
            ("/", false),
            (r"~^/v\.1/x|y", false),
            (r"~^/v\.1/(x|y)[|)]\|$", true),
            ("~^/v.1/x", true),
            ("~^/v.1/?x", false),
            ("~^/v.1", false),
            ("~^/x", false),
            ("~/v.1/", false),
        ] {
            assert_eq!(is_below(pattern, "/v.1/"), is, "{pattern}");
        }
        assert!(is_below("~^/x", "/") && is_below("/x/", "/"));
    }
}
