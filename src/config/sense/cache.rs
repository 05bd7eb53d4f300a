//! What makes no sense of caches.

use super::Sense;
use crate::config::model::RouteCache;
use crate::config::sources::{Fault, KeyPath};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

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

/// Caches that would write over each other.
pub(super) fn folders(sense: &mut Sense<'_>) {
    let mut had: BTreeMap<&Path, &str> = BTreeMap::new();
    let config = sense.config;
    for (name, cache) in &config.caches {
        let Some(disk) = &cache.disk else { continue };
        if let Some(other) = had.insert(&disk.path, name) {
            let at = |name: &str| KeyPath::from(["caches", name, "disk", "path"]);
            sense.fault(
                Fault::new(at(name), format!("the caches `{other}` and `{name}` have one folder"))
                    .also(at(other), "the other one")
                    .help("give each a folder of its own, or use one cache on both routes"),
            );
        }
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
