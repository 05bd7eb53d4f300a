//! What makes no sense of rules and consumers.

use super::Sense;
use crate::config::model::{ApiKey, Route, Rule, RuleKind, RuleMode};
use crate::config::sources::{Fault, KeyPath};
use std::collections::BTreeSet;

/// Looks at the rules that the route at `at` names.
pub(super) fn route(sense: &mut Sense<'_>, route: &Route, at: &KeyPath) {
    let list = at.child("rules");
    for (place, name) in route.rules.iter().enumerate() {
        sense.dangling(&list.child(place), "rule", "rules", name);
        if let Some(first) = route.rules[..place].iter().position(|other| other == name) {
            sense.fault(
                Fault::new(list.child(place), format!("rule `{name}` is named twice"))
                    .also(list.child(first), "first named here")
                    .help("name it once"),
            );
        }
    }
    let rules: Vec<&Rule> = route.rules.iter().filter_map(|name| sense.config.rules.get(name)).collect();
    let mut shared = route.rules.iter().enumerate().filter(|(_, name)| {
        sense
            .config
            .rules
            .get(*name)
            .is_some_and(|rule| matches!(rule.kind, RuleKind::Cors(_)) && rule.mode != RuleMode::Off)
    });
    if let (Some((first, _)), Some((second, name))) = (shared.next(), shared.next()) {
        sense.fault(
            Fault::new(list.child(second), format!("`{name}` is a second rule of type cors"))
                .also(list.child(first), "the other one")
                .help("name one of them"),
        );
    }
    let identifies = rules.iter().any(|rule| matches!(rule.kind, RuleKind::ApiKey(_)) && rule.mode != RuleMode::Off);
    let by_group = rules.iter().position(|rule| matches!(rule.kind, RuleKind::Groups(_)) && rule.mode != RuleMode::Off);
    if let Some(place) = by_group.filter(|_| !identifies && rules.len() == route.rules.len() && sense.is_complete([])) {
        let name = &route.rules[place];
        sense.fault(
            Fault::new(
                list.child(place),
                format!("rule `{name}` lets nobody in: no rule of this route finds out who asks"),
            )
            .help("name a rule of type api-key beside it"),
        );
    }
}

/// Looks at rules by themselves, and at who uses them.
pub(super) fn all(sense: &mut Sense<'_>) {
    let config = sense.config;
    let groups: BTreeSet<&String> = config.consumers.values().flat_map(|consumer| &consumer.groups).collect();
    let is_complete = sense.is_complete([]);
    for (name, rule) in &config.rules {
        let at = KeyPath::from(["rules", name]);
        match &rule.kind {
            RuleKind::ApiKey(of) => api_key(sense, of, &at),
            RuleKind::Cors(of) => {
                let place = of.origins.iter().position(|origin| origin == "*");
                if let Some(place) = place.filter(|_| of.credentials) {
                    sense.fault(
                        Fault::new(
                            at.child("origins").child(place),
                            "with credentials every site could read what is for its visitor alone",
                        )
                        .also(at.child("credentials"), "they come along")
                        .help("name the origins, or remove `credentials`"),
                    );
                }
                if rule.mode == RuleMode::Shadow {
                    sense.fault(
                        Fault::new(at.child("mode"), "a rule of type cors refuses nothing that could be let through")
                            .help("write mode = \"off\", or remove it"),
                    );
                }
            }
            RuleKind::Ip(_) => {
                let lists = ["allow", "allow_files", "deny", "deny_files"];
                if !lists.iter().any(|key| sense.has(&at, key)) && sense.is_complete(at.clone()) {
                    sense.fault(
                        Fault::new(at, format!("rule `{name}` keeps nobody out"))
                            .help("write deny = [\"192.0.2.0/24\"], or allow"),
                    );
                }
            }
            RuleKind::Groups(of) => {
                for (place, group) in
                    of.allow.iter().enumerate().filter(|(_, group)| is_complete && !groups.contains(group))
                {
                    sense.findings.warnings.push(
                        Fault::new(at.child("allow").child(place), format!("no consumer is in group `{group}`"))
                            .help("name it among the groups of a consumer"),
                    );
                }
            }
        }
    }
    let used: BTreeSet<&String> = config.routes.values().flat_map(|route| &route.rules).collect();
    for name in config.rules.keys().filter(|name| !used.contains(name)) {
        sense.findings.warnings.push(
            Fault::new(["rules", name], format!("nothing uses rule `{name}`"))
                .help("name it among the rules of a route"),
        );
    }
}

fn api_key(sense: &mut Sense<'_>, of: &ApiKey, at: &KeyPath) {
    if of.realm.contains(['"', '\\']) || of.realm.chars().any(char::is_control) {
        sense.fault(
            Fault::new(at.child("realm"), "a realm has no `\"`, no `\\` and no control characters")
                .help("write realm = \"api\""),
        );
    }
}
