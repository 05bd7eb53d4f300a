//! What is kept of answers: the stores, and how each route uses one.

use super::compile::fault;
use super::{Action, Plan, Route};
use crate::cache::store::{self, shelf::Shelf};
use crate::cache::{Heuristics, Honour, KeyRules, Over, Query, Rules, SetCookie, Ttl};
use crate::config::Fault;
use crate::config::model::{self, Cache, CacheKey, CachedCookies, Config, RequestDirectives, RouteCache};
use crate::config::units::Span;
use std::sync::Arc;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// How a route uses a store.
#[derive(Debug)]
pub struct Caching {
    /// The store.
    pub store: Arc<store::Store>,
    /// Its position among the plan's.
    pub index: usize,
    /// What is stored, and for how long.
    pub rules: Rules,
    /// What tells answers apart.
    pub key: KeyRules,
    /// Whether clients wait for an answer that another one has asked for.
    pub collapse: bool,
    /// Whether answers say what the cache did.
    pub status_header: bool,
    /// Who is asked, and what is changed of the question, as a hash: what another pool answers, or is asked otherwise, is another answer.
    pub origin: u64,
    /// Whether rules find out who asks: then only what is said to be for all is stored, as with Authorization (RFC 9111 §3.5).
    pub identified: bool,
}

impl Caching {
    /// The number that its keys are made with.
    #[inline]
    pub fn seed(&self) -> u64 {
        self.store.seed() ^ self.origin
    }
}

/// Where answers are kept.
#[derive(Clone, Debug)]
pub struct Store {
    /// What is kept, over all plans that have it.
    pub shared: Arc<store::Store>,
    /// Bytes of memory that it may take under this plan.
    pub memory: u64,
    /// Its tier on the disk, if it has one.
    pub shelf: Option<Shelf>,
    /// The ways in which routes make keys for it, each once.
    pub uses: Vec<Arc<Caching>>,
    /// Whether something may be kept under more than its URI.
    pub has_longer_keys: bool,
}

impl Store {
    /// What this plan says of it is in force from now on.
    pub fn take_force(&self) {
        self.shared.resize(self.memory);
    }
}

/// The stores of a configuration: those of the plan before go on.
pub(super) fn stores(config: &Config, previous: Option<&Plan>) -> Vec<Store> {
    let known = |name: &str| previous?.caches.iter().find(|store| store.shared.name == name);
    let store = |(name, cache): (&String, &Cache)| {
        let shared = known(name).map(|store| store.shared.clone());
        let shared = shared.unwrap_or_else(|| Arc::new(store::Store::new(name.clone(), cache.memory.0)));
        let shelf = cache.disk.as_ref().map(|disk| Shelf { path: disk.path.clone(), size: disk.size.0 });
        Store { shared, memory: cache.memory.0, shelf, uses: Vec::new(), has_longer_keys: false }
    };
    config.caches.iter().map(store).collect()
}

/// Tells the stores how the routes use them. `fronted`: whether proxies are trusted to say how clients came.
pub(super) fn note_uses(stores: &mut [Store], routes: &[Route], fronted: bool) {
    for route in routes {
        let Action::Forward(rule) = &route.action else { continue };
        let members = rule.split.iter().flat_map(|split| split.members.iter()).map(|member| &*member.forward);
        for caching in std::iter::once(&**rule).chain(members).filter_map(|rule| rule.cache.as_ref()) {
            let store = &mut stores[caching.index];
            if !store.uses.iter().any(|known| known.key == caching.key && known.origin == caching.origin) {
                store.uses.push(caching.clone());
            }
            store.has_longer_keys |= fronted || !caching.key.headers.is_empty() || !caching.key.cookies.is_empty();
        }
    }
}

/// Who a route asks, and how.
fn origin(route: &model::Route, asks: &[u64]) -> u64 {
    let asked = (&route.pool, &route.strip_prefix, &route.host, &route.rewrite, &route.request, asks);
    // What a route is chosen by that is in no key may be what the target answers by.
    let by = (&route.headers, &route.accept, &route.content_type, &route.when);
    let is_chosen = !(by.0.is_empty() && by.1.is_empty() && by.2.is_empty() && by.3.is_none());
    // It is made of texts and numbers alone.
    let written = if is_chosen { serde_json::to_vec(&(asked, by)) } else { serde_json::to_vec(&asked) };
    xxh3_64(&written.unwrap_or_default())
}

/// How a route uses one of the stores.
pub(super) fn compile(
    name: &str,
    route: &model::Route,
    cache: &RouteCache,
    stores: &[Store],
    (identified, secret, asks): (bool, &[String], &[u64]),
) -> Result<Arc<Caching>, Fault> {
    let Some(index) = stores.iter().position(|store| store.shared.name == cache.store) else {
        return Err(fault(&["routes", name, "cache"], format!("no cache is named `{}`", cache.store), None));
    };
    let seconds = |span: Span| u32::try_from(span.0.as_secs()).unwrap_or(u32::MAX);
    let some = |span: Span| (span.0 > Duration::ZERO).then(|| seconds(span));
    let mut ttls = Vec::new();
    for (table, over) in [(&cache.ttl, Over::Lifetime), (&cache.default_ttl, Over::Silence)] {
        for (statuses, span) in RouteCache::spans(table) {
            let of = |&(first, last): &(u16, u16)| Ttl { first, last, seconds: seconds(span), over };
            ttls.extend(statuses.0.iter().map(of));
        }
    }
    let rules = Rules {
        honour: match cache.request_directives {
            RequestDirectives::Honour => Honour::All,
            RequestDirectives::Ignore => Honour::None,
        },
        set_cookie: match cache.set_cookie {
            CachedCookies::Explicit => SetCookie::Explicit,
            CachedCookies::Strip => SetCookie::Strip,
            CachedCookies::Never => SetCookie::Never,
            CachedCookies::Store => SetCookie::Store,
        },
        // A float to integer cast saturates.
        heuristics: cache
            .heuristic
            .map(|share| Heuristics { percent: (share.0 * 100.0) as u8, ..Heuristics::default() }),
        ttls,
        stale_while_revalidate: some(cache.stale_while_revalidate),
        stale_if_error: some(cache.stale_if_error),
        ..Rules::default()
    };
    Ok(Arc::new(Caching {
        store: stores[index].shared.clone(),
        index,
        rules,
        key: key_rules(&cache.key, secret),
        collapse: cache.collapse,
        status_header: cache.status_header,
        origin: origin(route, asks),
        identified,
    }))
}

/// What of requests is in keys; never what clients prove themselves with.
fn key_rules(key: &CacheKey, secret: &[String]) -> KeyRules {
    let bytes = |names: &[String]| names.iter().map(|name| name.as_bytes().into()).collect();
    let ignored = || [&key.ignore_query[..], secret].concat();
    KeyRules {
        query: match &key.only_query {
            Some(none) if none.is_empty() => Query::None,
            Some(only) => Query::Only(bytes(only)),
            None if ignored().is_empty() => Query::All,
            None => Query::Except(bytes(&ignored())),
        },
        sort: key.sort_query,
        headers: key.headers.iter().map(|name| name.to_ascii_lowercase().into_bytes().into()).collect(),
        cookies: bytes(&key.cookies),
    }
}
