//! What makes no sense of the rules of listeners.

use super::Sense;
use crate::config::model::{Listener, Protocol, RuleKind};
use crate::config::sources::{Fault, KeyPath};

/// Looks at the rules that the listener at `at` names: they know nothing but who connects.
pub(in super::super) fn listener(sense: &mut Sense<'_>, listener: &Listener, at: &KeyPath) {
    let list = at.child("rules");
    super::named(sense, &listener.rules, &list);
    for (place, name) in listener.rules.iter().enumerate() {
        let Some(rule) = sense.config.rules.get(name) else { continue };
        if rule.when.is_some() && rule.kind.is_asked() {
            sense.fault(
                Fault::new(list.child(place), format!("rule `{name}` cannot be on this listener"))
                    .also(KeyPath::from(["rules", name, "when"]), "this is known of requests alone")
                    .help("give the listener a rule without a condition"),
            );
            continue;
        }
        let help = match (&rule.kind, listener.protocol) {
            (RuleKind::Ip(_), _) | (RuleKind::Ban(_), Protocol::Http | Protocol::Tcp) => continue,
            (RuleKind::Tarpit(_), Protocol::Http) => continue,
            (RuleKind::Ban(_), Protocol::Udp) => "remove it: datagrams may come under the addresses of others",
            (RuleKind::Tarpit(_), _) => "remove it: there are no answers here that could come late",
            (_, Protocol::Http) => "name it among the rules of routes: it decides of requests, not of connections",
            (_, Protocol::Tcp | Protocol::Udp) => "remove it: it decides of requests of HTTP",
        };
        sense.fault(Fault::new(list.child(place), format!("rule `{name}` cannot be on this listener")).help(help));
    }
}
