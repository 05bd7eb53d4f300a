//! What makes no sense of requests that another pool gets as well.

use super::Sense;
use crate::config::model::{MirrorMethods, Route};
use crate::config::sources::{Fault, KeyPath};

/// Looks at the route at `at`.
pub(super) fn check(sense: &mut Sense<'_>, route: &Route, at: &KeyPath) {
    let Some(mirror) = &route.mirror else { return };
    let at = at.child("mirror");
    sense.dangling(&at.child("pool"), "pool", "pools", &mirror.pool);
    let compared = mirror.compare.as_ref().map(|compare| (at.child("compare"), compare.share));
    for (place, share) in [(at.clone(), mirror.share)].into_iter().chain(compared) {
        if share.0 <= 0.0 {
            sense.findings.warnings.push(
                Fault::new(place.child("share"), "a share of 0% is nothing").help("write \"10%\", or remove the table"),
            );
        }
    }
    if mirror.methods == MirrorMethods::List(Vec::new()) && sense.is_sound(&at, "methods") {
        sense.fault(
            Fault::new(at.child("methods"), "no method is mirrored")
                .help("write \"safe\", \"all\" or [\"GET\", \"POST\"]"),
        );
    }
    if route.pool.as_ref() == Some(&mirror.pool) {
        sense.findings.warnings.push(
            Fault::new(at.child("pool"), format!("pool `{}` gets these requests twice", mirror.pool))
                .help("name another pool, unless that is what you want to try"),
        );
    }
}
