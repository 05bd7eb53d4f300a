//! What makes no sense of rules of type cors.

use super::Sense;
use crate::config::model::{Cors, Rule, RuleMode};
use crate::config::sources::{Fault, KeyPath};

pub(super) fn cors(sense: &mut Sense<'_>, of: &Cors, rule: &Rule, at: &KeyPath) {
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
    if rule.when.is_some() {
        sense.fault(
            Fault::new(at.child("when"), "a rule of type cors is there for all requests of its routes")
                .help("give a second route the condition, and this one the rule"),
        );
    }
    if rule.mode == RuleMode::Shadow {
        sense.fault(
            Fault::new(at.child("mode"), "a rule of type cors refuses nothing that could be let through")
                .help("write mode = \"off\", or remove it"),
        );
    }
}
