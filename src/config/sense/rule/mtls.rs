//! What makes no sense of rules of type mtls.

use super::Sense;
use crate::config::model::{ClientAuthMode, Config, Listener, Route, RuleKind, RuleMode};
use crate::config::sources::{Fault, KeyPath};
use std::collections::BTreeSet;

/// Looks at those that a route names, be it at some removes: its listeners have to ask for certificates.
pub(super) fn route(sense: &mut Sense<'_>, route: &Route, list: &KeyPath) {
    let config = sense.config;
    let mut listeners = config.listeners.iter().filter(|(name, _)| config.is_on(route, name));
    if listeners.any(|(_, listener)| asks(listener)) || !sense.is_complete([]) {
        return;
    }
    for (place, name) in route.rules.iter().enumerate() {
        if wants(config, name, &mut BTreeSet::new()) {
            let what = format!("rule `{name}` finds no certificate: no listener of this route asks clients for one");
            let help = "write client_auth = { mode = \"optional\", ca = \"clients.pem\" } in the tls of one";
            sense.fault(Fault::new(list.child(place), what).help(help));
        }
    }
}

fn asks(listener: &Listener) -> bool {
    let asks = |mode| mode != ClientAuthMode::None;
    listener.tls.as_ref().is_some_and(|tls| {
        let mut names = tls.by_name.iter().filter_map(|entry| entry.client_auth.as_ref());
        asks(tls.client_auth.mode) || names.any(|auth| asks(auth.mode))
    })
}

/// Whether a rule, or one that it is made of, looks for a certificate.
fn wants<'c>(config: &'c Config, name: &'c str, seen: &mut BTreeSet<&'c str>) -> bool {
    let is_on = |rule: &&crate::config::model::Rule| rule.mode != RuleMode::Off;
    let Some(rule) = config.rules.get(name).filter(is_on).filter(|_| seen.insert(name)) else { return false };
    let mut members = rule.kind.members().iter();
    matches!(rule.kind, RuleKind::Mtls(_)) || members.any(|member| wants(config, member, seen))
}
