//! What makes no sense within `[pools.NAME.discover]`, and pools that have no targets at all.

use super::Sense;
use super::tracing::is_near;
use crate::config::defaults::SOURCES;
use crate::config::model::{Config, Discover, Listener, Pool, Protocol};
use crate::config::sources::{Fault, KeyPath};

/// The keys that go with some sources only.
const PARTICULAR: [(&str, &[&str]); 10] = [
    ("port", &["dns"]),
    ("family", &["dns", "srv"]),
    ("servers", &["dns", "srv"]),
    ("min_ttl", &["dns", "srv"]),
    ("max_ttl", &["dns", "srv"]),
    ("interval", &["http"]),
    ("timeout", &["http"]),
    ("token_file", &["http"]),
    ("ca", &["http"]),
    ("weight", &["dns", "file", "http"]),
];

/// Looks at where the targets of pool `name` come from, which stands at `at`.
pub(super) fn check(sense: &mut Sense<'_>, name: &str, pool: &Pool, at: &KeyPath) {
    let here = at.child("discover");
    if !sense.sources.has(&here) {
        if !sense.has(at, "targets") && sense.is_complete(at.clone()) && sense.is_complete(["pools"]) {
            sense.fault(
                Fault::new(at.clone(), format!("pool `{name}` has no targets"))
                    .help("write targets = [\"127.0.0.1:9000\"], or discover = { dns = \"api.local\", port = 8080 }"),
            );
        }
        return;
    }
    let Some(discover) = pool.discover.as_ref().filter(|_| sense.outcome.is_sound(&here)) else { return };
    let named: Vec<&str> = SOURCES.into_iter().filter(|key| sense.has(&here, key)).collect();
    match &named[..] {
        [] if sense.is_complete(here.clone()) => sense.fault(
            Fault::new(here, "it is not said where targets are found")
                .help("give it one of `dns`, `srv`, `file`, `http`"),
        ),
        [] => {}
        [source] => of_one(sense, source, (name, discover), &here),
        [first, second, ..] => sense.fault(
            Fault::new(here.child(second), format!("targets are found by `{first}` and by `{second}`"))
                .also(here.child(first), "the other one")
                .help("a pool has one of `dns`, `srv`, `file`, `http`: make two pools, or one list of both"),
        ),
    }
}

fn of_one(sense: &mut Sense<'_>, source: &str, (pool, discover): (&str, &Discover), at: &KeyPath) {
    if source == "dns" && !sense.has(at, "port") && sense.is_complete(at.clone()) && is_of_bytes(sense.config, pool) {
        sense.fault(
            Fault::new(at.child("dns"), "a name has addresses and no port, and the pool does not serve HTTP alone")
                .help("add port = 5432, or write `srv`, whose records have ports"),
        );
    }
    for (key, sources) in PARTICULAR {
        let here = at.child(key);
        if sense.sources.has_own(&here) && !sources.contains(&source) {
            let with = sources.iter().map(|source| format!("`{source}`")).collect::<Vec<_>>().join(" and ");
            let help = match (key, source) {
                ("port", "srv") => "remove it: SRV records have ports".to_owned(),
                ("weight", "srv") => "remove it: SRV records have weights".to_owned(),
                _ => format!("remove it: it goes with {with}"),
            };
            sense.fault(Fault::new(here, format!("`{key}` means nothing beside `{source}`")).help(help));
        }
    }
    if discover.min_ttl > discover.max_ttl {
        sense.fault(
            Fault::new(at.child("min_ttl"), format!("`min_ttl` is above `max_ttl`, which is {}", discover.max_ttl))
                .help("a name is asked for again after `min_ttl` to `max_ttl`"),
        );
    }
    let Some(url) = &discover.http else { return };
    let in_clear = url.strip_prefix("http://");
    if sense.sources.has_own(&at.child("ca")) && in_clear.is_some() {
        sense.fault(
            Fault::new(at.child("ca"), "`ca` means nothing where the source is asked in clear")
                .also(at.child("http"), "not https://")
                .help("remove it, or write an https URL"),
        );
    }
    if sense.has(at, "token_file") && in_clear.is_some_and(|rest| !is_near(rest)) {
        sense
            .findings
            .warnings
            .push(Fault::new(at.child("http"), "the token goes to another host in clear").help("write an https URL"));
    }
}

/// Whether a pool takes connections of tcp or udp listeners, so that nobody could guess its port.
fn is_of_bytes(config: &Config, pool: &str) -> bool {
    let is_it = |named: &Option<String>| named.as_deref() == Some(pool);
    let by_listener = |listener: &Listener| listener.protocol != Protocol::Http && is_it(&listener.pool);
    config.listeners.values().any(by_listener)
        || config.routes.values().any(|route| route.passthrough && is_it(&route.pool))
}
