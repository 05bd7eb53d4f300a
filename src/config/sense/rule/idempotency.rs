//! What makes no sense of rules of type idempotency.

use super::Sense;
use super::scope::scope;
use crate::config::model::{Idempotency, Route, RuleKind, RuleMode};
use crate::config::sources::{Fault, KeyPath};

/// Methods that change nothing.
const SAFE: [&str; 4] = ["GET", "HEAD", "OPTIONS", "TRACE"];

pub(super) fn idempotency(sense: &mut Sense<'_>, of: &Idempotency, at: &KeyPath) {
    scope(sense, of.scope, at);
    for (place, method) in of.methods.iter().enumerate().filter(|(_, method)| SAFE.contains(&method.as_str())) {
        sense.fault(
            Fault::new(at.child("methods").child(place), format!("{method} changes nothing, however often it is sent"))
                .help("name POST, PATCH, PUT or DELETE"),
        );
    }
    if of.memory.0 < of.max_body.0 {
        sense.fault(
            Fault::new(
                at.child("memory"),
                format!("an answer of max_body = {} does not fit into {}", of.max_body, of.memory),
            )
            .help("give it at least a hundred times max_body"),
        );
    }
}

/// Looks at the rules that a route names in `list`: one of this type tells all that is to be told of a key.
pub(super) fn route(sense: &mut Sense<'_>, route: &Route, list: &KeyPath) {
    let rules = &sense.config.rules;
    let is_one = |name: &String| {
        let rule = rules.get(name);
        rule.is_some_and(|rule| matches!(rule.kind, RuleKind::Idempotency(_)) && rule.mode != RuleMode::Off)
    };
    let mut places = route.rules.iter().enumerate().filter(|(_, name)| is_one(name));
    if let (Some((first, _)), Some((second, name))) = (places.next(), places.next()) {
        sense.fault(
            Fault::new(list.child(second), format!("`{name}` is a second rule of type idempotency"))
                .also(list.child(first), "the other one")
                .help("name one of them"),
        );
    }
}
