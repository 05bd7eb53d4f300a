//! What makes no sense within `[listeners.NAME.tls]` and `[pools.NAME.tls]`. What is in the files is seen when the plan is made.

use super::Sense;
use crate::config::model::{
    Acme, AcmeChallenge, ClientAuth, ClientAuthMode, Pool, PoolProtocol, Protocol, Tls, TlsByName,
};
use crate::config::sources::{Fault, KeyPath};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Looks at the TLS of listener `name`, which stands at `at`.
pub(super) fn check(sense: &mut Sense<'_>, name: &str, protocol: Protocol, tls: &Tls, at: &KeyPath) {
    certificates(sense, name, tls, &at.child("certificates"));
    client_auth(sense, &tls.client_auth, &at.child("client_auth"));
    by_name(sense, protocol, tls, &at.child("by_name"));
    if let Some(acme) = &tls.acme {
        let at = at.child("acme");
        names(sense, acme, &at);
        challenge(sense, acme, &at);
        account(sense, name, acme, &at);
    }
    if protocol == Protocol::Tcp {
        if sense.sources.has_own(&at.child("hsts")) {
            sense.fault(
                Fault::new(at.child("hsts"), "`hsts` means nothing on a tcp listener")
                    .help("remove it, or set protocol = \"http\""),
            );
        }
        return;
    }
    alpn(sense, &tls.alpn, &at.child("alpn"));
}

/// What an http listener speaks.
fn alpn(sense: &mut Sense<'_>, protocols: &[String], at: &KeyPath) {
    for (index, protocol) in
        protocols.iter().enumerate().filter(|(_, protocol)| !["h2", "http/1.1"].contains(&protocol.as_str()))
    {
        sense.fault(
            Fault::new(at.child(index), format!("an http listener does not speak `{protocol}`"))
                .help("it speaks \"h2\" and \"http/1.1\""),
        );
    }
}

/// What is different for some names.
fn by_name(sense: &mut Sense<'_>, protocol: Protocol, tls: &Tls, at: &KeyPath) {
    if !sense.outcome.is_sound(at) {
        return;
    }
    let mut named = BTreeMap::new();
    for (index, entry) in tls.by_name.iter().enumerate() {
        let at = at.child(index);
        if let Some(auth) = &entry.client_auth {
            client_auth(sense, auth, &at.child("client_auth"));
        }
        if let Some(protocols) = entry.alpn.as_ref().filter(|_| protocol == Protocol::Http) {
            alpn(sense, protocols, &at.child("alpn"));
        }
        names_of_entry(sense, entry, &at, &mut named);
        difference(sense, entry, tls, at);
    }
}

/// A handshake goes by one entry: `named` are the names of those before.
fn names_of_entry<'t>(
    sense: &mut Sense<'_>,
    entry: &'t TlsByName,
    at: &KeyPath,
    named: &mut BTreeMap<&'t str, KeyPath>,
) {
    let list = at.child("names");
    if entry.names.is_empty() && (sense.sources.has(&list) || sense.is_complete(at.clone())) {
        sense.fault(Fault::new(at.clone(), "the entry is for no name").help("write names = [\"www.example.com\"]"));
    }
    for (index, name) in entry.names.iter().enumerate() {
        let here = list.child(index);
        if name.starts_with('[') || name.parse::<IpAddr>().is_ok() {
            sense.fault(
                Fault::new(here, format!("`{name}` is an address: no handshake asks for one by name"))
                    .help("write a host name"),
            );
        } else if let Some(first) = named.get(name.as_str()) {
            sense.fault(
                Fault::new(here, format!("`{name}` is named twice"))
                    .also(first.clone(), "first named here")
                    .help("say all that is different for it in one entry"),
            );
        } else {
            named.insert(name, here);
        }
    }
}

/// Whether an entry changes anything.
fn difference(sense: &mut Sense<'_>, entry: &TlsByName, tls: &Tls, at: KeyPath) {
    if entry.level.is_none() && entry.alpn.is_none() && entry.client_auth.is_none() {
        if sense.is_complete(at.clone()) {
            sense.fault(
                Fault::new(at, "the entry changes nothing").help("give it one of `level`, `alpn`, `client_auth`"),
            );
        }
    } else if says_the_same(entry, tls) && !is_below_a_star(entry, tls) {
        sense.findings.warnings.push(
            Fault::new(at, "the entry changes nothing: the listener says the same")
                .help("remove it, or change what it says"),
        );
    }
}

/// Whether an entry says nothing that its listener does not say.
fn says_the_same(entry: &TlsByName, tls: &Tls) -> bool {
    entry.level.is_none_or(|level| level == tls.level)
        && entry.alpn.as_ref().is_none_or(|alpn| *alpn == tls.alpn)
        && entry.client_auth.as_ref().is_none_or(|auth| *auth == tls.client_auth)
}

/// Whether a name of an entry would else go by the star of another.
fn is_below_a_star(entry: &TlsByName, tls: &Tls) -> bool {
    let star = |name: &String| name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
    let stars: Vec<String> = entry.names.iter().filter_map(star).collect();
    tls.by_name.iter().flat_map(|other| &other.names).any(|name| stars.contains(name) && !entry.names.contains(name))
}

/// Whether an http listener or a route uses pool `name`.
fn serves_http(sense: &Sense<'_>, name: &str) -> bool {
    let is = |pool: &Option<String>| pool.as_deref() == Some(name);
    sense.config.listeners.values().any(|listener| listener.protocol == Protocol::Http && is(&listener.pool))
        || sense.config.routes.values().any(|route| sense.config.pools_of(route).any(|pool| pool == name))
}

/// Looks at the TLS of pool `name`, which stands at `at`.
pub(super) fn check_pool(sense: &mut Sense<'_>, name: &str, pool: &Pool, at: &KeyPath) {
    let Some(tls) = &pool.tls else {
        if pool.protocol == PoolProtocol::Alpn && sense.is_complete(at.clone()) {
            sense.fault(
                Fault::new(at.child("protocol"), "\"alpn\" is agreed on within TLS, which this pool does not have")
                    .help("add tls = {}, or write \"h1\" or \"h2\""),
            );
        }
        return;
    };
    let at = at.child("tls");
    if !sense.is_complete(at.clone()) {
        return;
    }
    if tls.key.is_some() && tls.cert.is_none() {
        sense.fault(
            Fault::new(at.child("key"), "a key without a certificate").help("add cert = \"cert.pem\", or remove it"),
        );
    }
    if sense.sources.has_own(&at.child("alpn")) && serves_http(sense, name) {
        sense.fault(
            Fault::new(
                at.child("alpn"),
                "`alpn` is for tcp listeners: for http ones, `protocol` says what targets speak",
            )
            .help("remove it, or give the tcp listeners a pool of their own"),
        );
    }
    if tls.verify {
        return;
    }
    if sense.sources.has_own(&at.child("ca")) {
        sense.fault(
            Fault::new(at.child("ca"), "`ca` means nothing while nothing is verified")
                .help("remove verify = false, or remove `ca`"),
        );
    }
    let what =
        format!("targets of pool `{name}` are not verified: whoever is on the way can read and change everything");
    sense.findings.warnings.push(
        Fault::new(at.child("verify"), what).help("name the authority of their certificates instead: ca = \"ca.pem\""),
    );
}

fn certificates(sense: &mut Sense<'_>, name: &str, tls: &Tls, at: &KeyPath) {
    if !sense.outcome.is_sound(at) {
        return;
    }
    if tls.certificates.is_empty()
        && !sense.sources.has(&KeyPath::from(["listeners", name, "tls", "acme"]))
        && (sense.sources.has(at) || sense.is_complete(KeyPath::from(["listeners", name, "tls"])))
    {
        sense.fault(
            Fault::new(at.clone(), format!("listener `{name}` has TLS but no certificate"))
                .help("write certificates = [{ cert = \"cert.pem\", key = \"key.pem\" }], or acme = { names = [\"www.example.com\"] }"),
        );
    }
    for (index, source) in tls.certificates.iter().enumerate() {
        let here = at.child(index);
        if !sense.is_complete(here.clone()) {
            continue;
        }
        let what = match (&source.cert, &source.key, &source.directory) {
            (Some(_), _, None) | (None, None, Some(_)) => continue,
            (None, Some(_), None) => "a key without a certificate",
            (None, None, None) => "neither a certificate nor a directory",
            _ => "both a file and a directory",
        };
        sense.fault(
            Fault::new(here, what)
                .help("write { cert = \"cert.pem\", key = \"key.pem\" } or { directory = \"certs\" }"),
        );
    }
}

/// What an authority can certify, and by which challenge.
fn names(sense: &mut Sense<'_>, acme: &Acme, at: &KeyPath) {
    let list = at.child("names");
    if !sense.outcome.is_sound(&list) {
        return;
    }
    if acme.names.is_empty() && (sense.sources.has(&list) || sense.is_complete(at.clone())) {
        sense.fault(
            Fault::new(at.clone(), "an authority, but no name to certify").help("write names = [\"www.example.com\"]"),
        );
    }
    for (index, name) in acme.names.iter().enumerate() {
        let here = list.child(index);
        if name.starts_with('[') || name.parse::<IpAddr>().is_ok() {
            sense.fault(
                Fault::new(here, format!("`{name}` is an address: authorities are asked for names alone"))
                    .help("write a host name, or name files with `certificates`"),
            );
        } else if name.starts_with("*.") && acme.challenge != AcmeChallenge::Dns01 && sense.is_sound(at, "challenge") {
            sense.fault(
                Fault::new(here, format!("`{name}` can only be shown to be ours in DNS"))
                    .help("set challenge = \"dns-01\" and a `dns_hook`"),
            );
        }
    }
}

/// What the challenge needs, and what means nothing with it.
fn challenge(sense: &mut Sense<'_>, acme: &Acme, at: &KeyPath) {
    if !sense.is_sound(at, "challenge") || !sense.is_sound(at, "dns_hook") || !sense.is_complete(at.clone()) {
        return;
    }
    if acme.challenge == AcmeChallenge::Dns01 {
        if acme.dns_hook.is_none() {
            sense.fault(
                Fault::new(at.clone(), "challenge = \"dns-01\" without a program that writes to DNS")
                    .help("add dns_hook = \"dns-hook\", which is run as dns-hook present|cleanup RECORD VALUE"),
            );
        }
        return;
    }
    for key in ["dns_hook", "dns_timeout"].into_iter().filter(|key| sense.sources.has_own(&at.child(*key))) {
        sense.fault(
            Fault::new(at.child(key), format!("`{key}` means nothing unless the challenge is \"dns-01\""))
                .help("set challenge = \"dns-01\", or remove it"),
        );
    }
    let in_clear = sense.config.listeners.values().any(|l| l.protocol == Protocol::Http && l.tls.is_none());
    if acme.challenge == AcmeChallenge::Http01 && !in_clear && sense.is_complete([]) {
        sense.fault(
            Fault::new(at.clone(), "challenge = \"http-01\", but no http listener in clear could answer it")
                .help("add one on port 80, or set challenge = \"tls-alpn-01\""),
        );
    }
}

/// There is one account for each authority.
fn account(sense: &mut Sense<'_>, name: &str, acme: &Acme, at: &KeyPath) {
    let others = sense.config.listeners.iter().take_while(|(other, _)| *other != name);
    let same = |other: &Acme| other.directory == acme.directory && other.contact != acme.contact;
    let other = others
        .filter(|(_, listener)| listener.tls.as_ref().and_then(|tls| tls.acme.as_ref()).is_some_and(same))
        .map(|(other, _)| KeyPath::from(["listeners", other, "tls", "acme"]))
        .find(|other| sense.is_sound(other, "contact") && sense.is_sound(other, "directory"));
    if let Some(other) = other.filter(|_| sense.is_sound(at, "contact") && sense.is_sound(at, "directory")) {
        sense.fault(
            Fault::new(at.clone(), "another contact for the same authority, with which there is one account")
                .also(other, "the other one")
                .help("write the same `contact` in both, or in [defaults.listener.tls.acme]"),
        );
    }
}

fn client_auth(sense: &mut Sense<'_>, auth: &ClientAuth, at: &KeyPath) {
    if !sense.is_sound(at, "mode") || !sense.is_sound(at, "ca") {
        return;
    }
    if auth.mode != ClientAuthMode::None && auth.ca.is_none() && sense.is_complete(at.clone()) {
        sense.fault(
            Fault::new(at.clone(), "clients' certificates are asked for, but no authority is named")
                .help("add ca = \"clients.pem\", the authorities whose certificates are taken"),
        );
    }
    if auth.mode == ClientAuthMode::None {
        for key in ["ca", "crl"].into_iter().filter(|key| sense.sources.has_own(&at.child(*key))) {
            sense.fault(
                Fault::new(at.child(key), format!("`{key}` means nothing while no certificate is asked for"))
                    .help("add mode = \"required\" or \"optional\""),
            );
        }
    }
}
