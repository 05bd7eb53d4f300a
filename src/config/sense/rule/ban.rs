//! What makes no sense of rules of type ban and tarpit.

use super::Sense;
use crate::config::sources::{Fault, KeyPath};

/// Looks at the rules whose refusals rule `name` is for.
pub(super) fn refusals(sense: &mut Sense<'_>, name: &str, rules: &[String], at: &KeyPath) {
    let list = at.child("rules");
    for (place, named) in rules.iter().enumerate() {
        sense.dangling(&list.child(place), "rule", "rules", named);
        if sense.config.rules.get(named).is_some_and(|rule| rule.kind.refuses_nothing()) {
            sense.fault(
                Fault::new(list.child(place), format!("`{named}` refuses nothing: nothing of it counts for `{name}`"))
                    .help("remove it"),
            );
        }
    }
}
