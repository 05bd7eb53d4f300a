//! What makes no sense within `[listeners.NAME.tls]` and `[pools.NAME.tls]`. What is in the files is seen when the plan is made.

use super::Sense;
use crate::config::model::{ClientAuthMode, Pool, PoolProtocol, Protocol, Tls};
use crate::config::sources::{Fault, KeyPath};

/// Looks at the TLS of listener `name`, which stands at `at`.
pub(super) fn check(sense: &mut Sense<'_>, name: &str, protocol: Protocol, tls: &Tls, at: &KeyPath) {
    certificates(sense, name, tls, &at.child("certificates"));
    client_auth(sense, tls, &at.child("client_auth"));
    if protocol == Protocol::Tcp {
        if sense.sources.has_own(&at.child("hsts")) {
            sense.fault(
                Fault::new(at.child("hsts"), "`hsts` means nothing on a tcp listener")
                    .help("remove it, or set protocol = \"http\""),
            );
        }
        return;
    }
    for (index, protocol) in
        tls.alpn.iter().enumerate().filter(|(_, protocol)| !["h2", "http/1.1"].contains(&protocol.as_str()))
    {
        sense.fault(
            Fault::new(at.child("alpn").child(index), format!("an http listener does not speak `{protocol}`"))
                .help("it speaks \"h2\" and \"http/1.1\""),
        );
    }
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
        && (sense.sources.has(at) || sense.is_complete(KeyPath::from(["listeners", name, "tls"])))
    {
        sense.fault(
            Fault::new(at.clone(), format!("listener `{name}` has TLS but no certificate"))
                .help("write certificates = [{ cert = \"cert.pem\", key = \"key.pem\" }]"),
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

fn client_auth(sense: &mut Sense<'_>, tls: &Tls, at: &KeyPath) {
    if !sense.is_sound(at, "mode") || !sense.is_sound(at, "ca") {
        return;
    }
    let auth = &tls.client_auth;
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
