//! What makes no sense of rules of type csrf.

use super::Sense;
use crate::config::model::Csrf;
use crate::config::sources::{Fault, KeyPath};

pub(super) fn csrf(sense: &mut Sense<'_>, of: &Csrf, at: &KeyPath) {
    if let Some(place) = of.origins.iter().position(|origin| origin == "*") {
        sense.fault(
            Fault::new(at.child("origins").child(place), "with all of them trusted no page would be kept out")
                .help("name the origins, or leave the rule out"),
        );
    }
}
