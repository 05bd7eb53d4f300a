//! What makes no sense of caches.

use super::Sense;
use crate::config::model::RouteCache;
use crate::config::sources::{Fault, KeyPath};
use std::collections::BTreeSet;

/// Looks at how the route at `at` uses a cache.
pub(super) fn route(sense: &mut Sense<'_>, cache: &RouteCache, at: &KeyPath) {
    let at = at.child("cache");
    let store = if sense.has(&at, "store") { at.child("store") } else { at.clone() };
    sense.dangling(&store, "cache", "caches", &cache.store);
    let key = at.child("key");
    if sense.has(&key, "only_query") && sense.has(&key, "ignore_query") {
        sense.fault(
            Fault::new(key.child("ignore_query"), "`only_query` leaves nothing to ignore")
                .also(key.child("only_query"), "the other one")
                .help("remove one of them"),
        );
    }
}

/// Caches that no route uses.
pub(super) fn unused(sense: &mut Sense<'_>) {
    let config = sense.config;
    let used: BTreeSet<&String> =
        config.routes.values().filter_map(|route| Some(&route.cache.as_ref()?.store)).collect();
    for name in config.caches.keys().filter(|name| !used.contains(name)) {
        sense.findings.warnings.push(
            Fault::new(["caches", name], format!("nothing uses cache `{name}`"))
                .help("name it as the cache of a route"),
        );
    }
}
