//! What makes no sense within `[pools.NAME.sticky]`. What is in the file of a secret is seen when the plan is made.

use super::Sense;
use crate::config::model::{Pool, Protocol, SameSite, Sticky, StickyMode};
use crate::config::sources::{Fault, KeyPath};

/// The ways in which a client can be known; one of them is wanted.
pub const WAYS: [&str; 3] = ["cookie", "learn", "source"];
/// What only goes with a cookie.
const OF_COOKIE: [&str; 11] = [
    "mode",
    "domain",
    "same_site",
    "http_only",
    "secure",
    "attributes",
    "preserve",
    "max_age",
    "max_idle",
    "max_life",
    "secret_file",
];
/// What says how a cookie is set, which is the target's affair where it does.
const OF_INSERT: [&str; 9] =
    ["domain", "same_site", "http_only", "secure", "attributes", "preserve", "max_age", "max_idle", "max_life"];
/// What only goes with an address.
const OF_SOURCE: [&str; 2] = ["ipv4_prefix", "ipv6_prefix"];
/// What only goes with a table.
const OF_TABLE: [&str; 2] = ["size", "expire"];

/// Looks at how clients of pool `name` stay with their targets, which stands in `at`, that of the pool.
pub(super) fn check(sense: &mut Sense<'_>, name: &str, pool: &Pool, at: &KeyPath) {
    let Some(sticky) = &pool.sticky else { return };
    let at = at.child("sticky");
    if !sense.is_complete(at.clone()) {
        return;
    }
    let source = |way: &&str| *way == "source" && !sticky.source;
    let ways: Vec<&str> = WAYS.into_iter().filter(|way| sense.has(&at, way) && !source(way)).collect();
    match &ways[..] {
        [] => {
            return sense.fault(
                Fault::new(at.clone(), format!("pool `{name}` is sticky by nothing"))
                    .help("add cookie = \"RWSRV\", learn = { cookie = \"JSESSIONID\" }, or source = true"),
            );
        }
        [way] => keys(sense, sticky, way, &at),
        [first, second, ..] => {
            return sense.fault(
                Fault::new(at.child(second), format!("pool `{name}` is sticky by both `{first}` and `{second}`"))
                    .also(at.child(first), "the other one")
                    .help("a pool is sticky by exactly one of `cookie`, `learn`, `source`"),
            );
        }
    }
    if let Some(learn) = &sticky.learn
        && learn.cookie.is_none()
        && learn.header.is_none()
    {
        sense.fault(
            Fault::new(at.child("learn"), "nothing is learned from answers")
                .help("add cookie = \"JSESSIONID\" or header = \"x-session\""),
        );
    }
    if let Some(cookie) = &sticky.cookie {
        attributes(sense, sticky, cookie, &at);
    }
    if !sticky.source {
        bytes_alone(sense, name, ways[0], &at);
    }
}

/// Keys that mean nothing beside `way`.
fn keys(sense: &mut Sense<'_>, sticky: &Sticky, way: &str, at: &KeyPath) {
    let mut idle: Vec<(&str, &str)> = Vec::new();
    match way {
        "cookie" => {
            idle.extend(OF_TABLE.map(|key| (key, "where nothing is noted in a table")));
            if sticky.mode != StickyMode::Insert {
                idle.extend(OF_INSERT.map(|key| (key, "where the target sets the cookie")));
            }
        }
        _ => idle.extend(OF_COOKIE.map(|key| (key, "without `cookie`"))),
    }
    if way != "source" {
        idle.extend(OF_SOURCE.map(|key| (key, "unless `source` is true")));
    }
    for (key, why) in idle {
        if sense.sources.has_own(&at.child(key)) {
            sense.fault(Fault::new(at.child(key), format!("`{key}` means nothing {why}")).help("remove it"));
        }
    }
}

/// Attributes that have keys of their own, or would not be ours to say.
const KNOWN: [(&str, &str); 7] = [
    ("domain", "write `domain`"),
    ("expires", "write `max_age`"),
    ("httponly", "write `http_only`"),
    ("max-age", "write `max_age`"),
    ("path", "the cookie is for all paths"),
    ("samesite", "write `same_site`"),
    ("secure", "write `secure`"),
];

/// Attributes that browsers would not take together (RFC 6265bis §5.7).
fn attributes(sense: &mut Sense<'_>, sticky: &Sticky, cookie: &str, at: &KeyPath) {
    let in_clear = sticky.secure == Some(false);
    if in_clear && sticky.same_site == SameSite::None {
        sense.fault(
            Fault::new(at.child("secure"), "browsers take a cookie for all sites over TLS alone")
                .also(at.child("same_site"), "for all sites")
                .help("remove `secure`, or write same_site = \"lax\""),
        );
    }
    for (place, attribute) in sticky.attributes.iter().enumerate() {
        let name = attribute.split('=').next().unwrap_or_default().trim();
        if let Some((_, help)) = KNOWN.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)) {
            let at = at.child("attributes").child(place);
            sense.fault(Fault::new(at, format!("`{name}` is no further attribute")).help(*help));
        }
    }
    if in_clear && sticky.attributes.iter().any(|attribute| attribute.eq_ignore_ascii_case("partitioned")) {
        sense.fault(
            Fault::new(at.child("secure"), "browsers take a cookie that is partitioned over TLS alone")
                .also(at.child("attributes"), "partitioned")
                .help("remove `secure`, or the attribute"),
        );
    }
    let begins = |prefix: &str| cookie.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
    let host = begins("__Host-");
    if in_clear && (host || begins("__Secure-")) {
        sense.fault(
            Fault::new(at.child("secure"), "browsers take a cookie of this name over TLS alone")
                .also(at.child("cookie"), "its name")
                .help("remove `secure`, or give it another name"),
        );
    }
    if host && sticky.domain.is_some() {
        sense.fault(
            Fault::new(at.child("domain"), "browsers take no domain for a cookie of this name")
                .also(at.child("cookie"), "its name")
                .help("remove `domain`, or give it another name"),
        );
    }
    if let (Some(idle), Some(life)) = (sticky.max_idle, sticky.max_life)
        && idle.0 > life.0
    {
        sense.fault(
            Fault::new(at.child("max_idle"), format!("`max_idle` is longer than `max_life`, {life}"))
                .also(at.child("max_life"), "which ends it before")
                .help("remove `max_idle`, or make it shorter"),
        );
    }
}

/// A tcp listener that sees bytes alone.
fn bytes_alone(sense: &mut Sense<'_>, pool: &str, way: &str, at: &KeyPath) {
    if !sense.sources.has_own(&at.child(way)) {
        return;
    }
    let asks = |(_, listener): &(&String, &super::Listener)| {
        listener.protocol == Protocol::Tcp && listener.pool.as_deref() == Some(pool)
    };
    if let Some((listener, _)) = sense.config.listeners.iter().find(asks)
        && sense.is_sound(&KeyPath::from(["listeners", listener]), "protocol")
    {
        let fault = Fault::new(at.child(way), format!("listener `{listener}` passes on bytes and sees no `{way}`"))
            .also(["listeners", listener, "protocol"], "declared here")
            .help("write sticky = { source = true }, or give it a pool of its own");
        sense.fault(fault);
    }
}
