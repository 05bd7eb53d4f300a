//! What makes no sense within `[analytics]`.

use super::Sense;
use crate::config::model::Analytics;
use crate::config::sources::{Fault, KeyPath};

/// Looks at how long sums are kept.
pub(super) fn check(sense: &mut Sense<'_>, analytics: &Analytics) {
    let at = KeyPath::from(["analytics", "retention"]);
    let of = &analytics.retention;
    for (key, span, finer, shorter) in
        [("hours", of.hours, "minutes", of.minutes), ("days", of.days, "hours", of.hours)]
    {
        if span < shorter && sense.is_sound(&at, key) && sense.is_sound(&at, finer) {
            sense.fault(
                Fault::new(at.child(key), format!("`{key}` ends before `{finer}` does, so that there would be none"))
                    .help(format!("write {key} = \"{shorter}\" or longer")),
            );
        }
    }
}
