//! What makes no sense of routes whose requests are divided among pools.

use super::Sense;
use crate::config::model::Route;
use crate::config::sources::{Fault, KeyPath};
use std::collections::BTreeMap;

/// Looks at the route at `at`.
pub(super) fn check(sense: &mut Sense<'_>, route: &Route, at: &KeyPath) {
    let here = at.child("split");
    if route.split.is_empty() {
        if route.split_by.is_some() && sense.is_complete(at.clone()) {
            sense.fault(
                Fault::new(at.child("split_by"), "nothing is divided: there is no `split`")
                    .help("write split = [{ pool = \"a\", weight = 95 }, { pool = \"b\", weight = 5 }]"),
            );
        }
        return;
    }
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, part) in route.split.iter().enumerate() {
        let place = here.child(index);
        sense.dangling(&place.child("pool"), "pool", "pools", &part.pool);
        if let Some(first) = known.insert(&part.pool, index) {
            sense.fault(
                Fault::new(place.child("pool"), format!("pool `{}` is there twice", part.pool))
                    .also(here.child(first).child("pool"), "the first time")
                    .help("give it one weight"),
            );
        }
        let Some(rollback) = &part.rollback else { continue };
        let place = place.child("rollback");
        let sound = sense.is_sound(&place, "errors") && sense.is_sound(&place, "latency");
        if rollback.errors.is_none() && rollback.latency.is_none() && sound && sense.is_complete(place.clone()) {
            sense.fault(
                Fault::new(place.clone(), "nothing is judged by which the pool would be taken back")
                    .help("set `errors`, as \"5%\", or `latency`, as \"500ms\", or both"),
            );
        }
        for (key, share) in [("errors", rollback.errors), ("slow", Some(rollback.slow))] {
            if share.is_some_and(|share| share.0 <= 0.0) {
                sense.fault(
                    Fault::new(place.child(key), "every pool has a share of 0%").help("write \"5%\", or remove it"),
                );
            }
        }
    }
    let sound = sense.is_sound(at, "split");
    if sound && route.split.iter().all(|part| part.weight == 0) {
        sense.fault(
            Fault::new(here.clone(), "all of them have weight 0, so that nobody gets the requests")
                .help("give one of them a weight"),
        );
    }
    if sound && route.split.iter().all(|part| part.rollback.is_some()) {
        sense.fault(
            Fault::new(here.child(0).child("rollback"), "no pool is left that requests could be taken back to")
                .help("have no `rollback` at the pool that is known to work"),
        );
    }
}
