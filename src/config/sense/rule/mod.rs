//! What makes no sense of rules and consumers.

mod ban;
mod bandwidth;
mod combined;
mod cors;
mod csrf;
mod groups;
mod idempotency;
mod introspection;
mod ip;
mod jwt;
mod listener;
mod mtls;
mod oidc;
mod plans;
mod rate_limit;
mod realm;
mod scope;
mod signature;
mod transform;
mod user_agent;

use super::Sense;
pub(super) use listener::listener;

use crate::config::model::{Config, Route, Rule, RuleKind, RuleMode};
use crate::config::sources::{Fault, KeyPath};
use std::collections::BTreeSet;

/// Looks at the rules that the route at `at` names.
pub(super) fn route(sense: &mut Sense<'_>, route: &Route, at: &KeyPath) {
    let list = at.child("rules");
    named(sense, &route.rules, &list);
    mtls::route(sense, route, &list);
    idempotency::route(sense, route, &list);
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
    let identifies = route.rules.iter().any(|name| {
        let is_on = sense.config.rules.get(name).is_some_and(|rule| rule.mode != RuleMode::Off);
        is_on && identifies(sense.config, name, &mut BTreeSet::new())
    });
    let by_group = rules.iter().position(|rule| matches!(rule.kind, RuleKind::Groups(_)) && rule.mode != RuleMode::Off);
    if let Some(place) = by_group.filter(|_| !identifies && rules.len() == route.rules.len() && sense.is_complete([])) {
        let name = &route.rules[place];
        sense.fault(
            Fault::new(
                list.child(place),
                format!("rule `{name}` lets nobody in: no rule of this route finds out who asks"),
            )
            .help("name a rule beside it that finds out who asks, such as one of type api-key"),
        );
    }
}

/// Looks at a list of names of rules.
fn named(sense: &mut Sense<'_>, names: &[String], list: &KeyPath) {
    for (place, name) in names.iter().enumerate() {
        sense.dangling(&list.child(place), "rule", "rules", name);
        if let Some(first) = names[..place].iter().position(|other| other == name) {
            sense.fault(
                Fault::new(list.child(place), format!("rule `{name}` is named twice"))
                    .also(list.child(first), "first named here")
                    .help("name it once"),
            );
        }
    }
}

/// Looks at rules by themselves, and at who uses them.
pub(super) fn all(sense: &mut Sense<'_>) {
    let config = sense.config;
    for (name, rule) in &config.rules {
        let at = KeyPath::from(["rules", name]);
        if rule.when.is_some() && !rule.kind.is_asked() {
            sense.fault(
                Fault::new(
                    at.child("when"),
                    format!("rule `{name}` is of a type that is there for all requests of its routes"),
                )
                .help("give a second route the condition, and that one the rule"),
            );
        }
        match &rule.kind {
            RuleKind::AllOf(_) | RuleKind::AnyOf(_) => combined::combined(sense, name, rule.kind.members(), &at),
            // They may stand in a file of their own.
            RuleKind::Anonymous(of) if config.consumers.contains_key(&of.consumer) => {}
            RuleKind::Anonymous(of) => sense.dangling(&at.child("consumer"), "consumer", "consumers", &of.consumer),
            RuleKind::ApiKey(of) => realm::realm(sense, &of.realm, &at),
            RuleKind::Basic(of) => realm::realm(sense, &of.realm, &at),
            RuleKind::Ban(of) => ban::refusals(sense, name, &of.rules, &at),
            RuleKind::Bandwidth(of) => bandwidth::bandwidth(sense, name, of, at),
            RuleKind::Cel(_) | RuleKind::Concurrency(_) => {}
            RuleKind::Cors(of) => cors::cors(sense, of, rule.mode, &at),
            RuleKind::Csrf(of) => csrf::csrf(sense, of, &at),
            RuleKind::Groups(of) => groups::groups(sense, of, &at),
            RuleKind::ForwardAuth(_) | RuleKind::Opa(_) => {}
            RuleKind::Idempotency(of) => idempotency::idempotency(sense, of, &at),
            RuleKind::OpenApi(of) => sense.dangling(&at.child("api"), "api", "apis", &of.api),
            RuleKind::Introspection(of) => introspection::introspection(sense, of, &at),
            RuleKind::Ip(_) => ip::ip(sense, name, at),
            RuleKind::Jwt(of) => jwt::jwt(sense, name, of, &at),
            RuleKind::Quota(of) => scope::scope(sense, of.scope, &at),
            RuleKind::Mtls(of) => realm::realm(sense, &of.realm, &at),
            RuleKind::Oidc(of) => oidc::oidc(sense, of, &at),
            RuleKind::RateLimit(of) => rate_limit::rate_limit(sense, of, &at),
            RuleKind::Signature(of) => signature::signature(sense, of, &at),
            RuleKind::RequestSize(_) => {}
            RuleKind::Tarpit(of) => ban::refusals(sense, name, &of.rules, &at),
            RuleKind::UserAgent(of) => user_agent::user_agent(sense, name, of, at),
            RuleKind::Transform(of) => transform::transform(sense, name, of, rule.mode, &at),
        }
    }
    plans::plans(sense);
    let of_plans = config.plans.values().flat_map(|plan| &plan.rules);
    let of_rules = config.rules.values().flat_map(|rule| rule.kind.members());
    let of_listeners = config.listeners.values().flat_map(|listener| &listener.rules);
    let of_routes = config.routes.values().flat_map(|route| &route.rules);
    let used: BTreeSet<&String> = of_routes.chain(of_listeners).chain(of_rules).chain(of_plans).collect();
    for name in config.rules.keys().filter(|name| !used.contains(name)) {
        sense.findings.warnings.push(
            Fault::new(["rules", name], format!("nothing uses rule `{name}`"))
                .help("name it among the rules of a route, of a listener or of a plan"),
        );
    }
}

/// Whether a rule, or one that it is made of, finds out who asks.
fn identifies<'c>(config: &'c Config, name: &'c str, seen: &mut BTreeSet<&'c str>) -> bool {
    let Some(rule) = config.rules.get(name).filter(|_| seen.insert(name)) else { return false };
    rule.kind.identifies() || rule.kind.members().iter().any(|member| identifies(config, member, seen))
}
