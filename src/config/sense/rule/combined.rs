//! What makes no sense of rules that are made of others.

use super::Sense;
use crate::config::model::{Config, RuleKind, RuleMode};
use crate::config::sources::{Fault, KeyPath};
use std::collections::BTreeSet;

pub(super) fn combined(sense: &mut Sense<'_>, name: &str, members: &[String], at: &KeyPath) {
    let (config, list) = (sense.config, at.child("rules"));
    let mut guests = 0;
    for (place, member) in members.iter().enumerate() {
        let here = list.child(place);
        sense.dangling(&here, "rule", "rules", member);
        let Some(rule) = config.rules.get(member) else { continue };
        if leads_to(config, member, name, &mut BTreeSet::new()) {
            sense.fault(
                Fault::new(here, format!("rule `{name}` is made of itself")).help("remove it from its own rules"),
            );
            continue;
        }
        if rule.mode == RuleMode::Shadow {
            sense.fault(
                Fault::new(here.clone(), format!("`{member}` lets all through, as its mode is shadow"))
                    .also(KeyPath::from(["rules", member, "mode"]), "its mode")
                    .help("write the mode at the rule that is made of it"),
            );
        }
        if rule.when.is_some() {
            sense.fault(
                Fault::new(here.clone(), format!("`{member}` is not always there: it cannot be one of several"))
                    .also(KeyPath::from(["rules", member, "when"]), "its condition")
                    .help("write the condition at the rule that is made of it"),
            );
        }
        if rule.kind.refuses_nothing()
            || matches!(
                rule.kind,
                RuleKind::Concurrency(_)
                    | RuleKind::Idempotency(_)
                    | RuleKind::OpenApi(_)
                    | RuleKind::Quota(_)
                    | RuleKind::RateLimit(_)
                    | RuleKind::Transform(_)
            )
        {
            let what = format!("`{member}` cannot be one of several: it does not say who may come in");
            sense.fault(Fault::new(here.clone(), what).help("name it among the rules of the route"));
        }
        guests += usize::from(matches!(rule.kind, RuleKind::Anonymous(_)));
        if guests > 1 {
            sense.fault(Fault::new(here, "a second rule of type anonymous is never asked").help("remove it"));
        }
    }
}

/// Whether a rule is made of `target`, be it at some removes.
fn leads_to<'c>(config: &'c Config, from: &'c str, target: &str, seen: &mut BTreeSet<&'c str>) -> bool {
    let members = || config.rules.get(from).map_or(&[][..], |rule| rule.kind.members());
    from == target || seen.insert(from) && members().iter().any(|member| leads_to(config, member, target, seen))
}
