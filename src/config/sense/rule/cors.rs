//! What makes no sense of rules of type cors.

use super::Sense;
use crate::config::model::{Cors, RuleMode};
use crate::config::sources::{Fault, KeyPath};

pub(super) fn cors(sense: &mut Sense<'_>, of: &Cors, mode: RuleMode, at: &KeyPath) {
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
    if mode == RuleMode::Shadow {
        sense.fault(
            Fault::new(at.child("mode"), "a rule of type cors refuses nothing that could be let through")
                .help("write mode = \"off\", or remove it"),
        );
    }
}
