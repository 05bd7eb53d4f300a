//! What makes no sense on a udp listener, and of `[listeners.NAME.udp]` on others.

use super::Sense;
use crate::config::defaults::HTTP_ONLY;
use crate::config::model::{Address, Listener, Protocol, SourceAddress};
use crate::config::sources::{Fault, KeyPath};

/// Looks at listener `name`, which stands at `at` and is no udp listener.
pub(super) fn elsewhere(sense: &mut Sense<'_>, protocol: Protocol, at: &KeyPath) {
    if sense.sources.has_own(&at.child("udp")) {
        let speaks = if protocol == Protocol::Tcp { "a tcp" } else { "an http" };
        sense.fault(
            Fault::new(at.child("udp"), format!("`udp` means nothing on {speaks} listener"))
                .help("remove it, or set protocol = \"udp\""),
        );
    }
}

/// Looks at udp listener `name`, which stands at `at`.
pub(super) fn check(sense: &mut Sense<'_>, name: &str, listener: &Listener, at: &KeyPath) {
    if !sense.has(at, "pool") {
        sense.fault(Fault::new(at.clone(), format!("udp listener `{name}` has no pool")).help("add pool = \"…\""));
    }
    for key in HTTP_ONLY {
        if sense.sources.has_own(&at.child(key)) {
            sense.fault(
                Fault::new(at.child(key), format!("`{key}` means nothing on a udp listener"))
                    .help("remove it, or set protocol = \"http\""),
            );
        }
    }
    if sense.sources.has_own(&at.child("tls")) {
        sense.fault(
            Fault::new(at.child("tls"), "`tls` means nothing on a udp listener")
                .help("remove it: QUIC and DTLS pass through to the targets as they are; TLS is for http and tcp"),
        );
    }
    if sense.sources.has_own(&at.child("proxy_protocol")) {
        sense.fault(
            Fault::new(at.child("proxy_protocol"), "`proxy_protocol` means nothing on a udp listener")
                .help("remove it: a datagram has the address that it comes from"),
        );
    }
    if sense.sources.has_own(&at.child("timeouts")) {
        sense.fault(
            Fault::new(at.child("timeouts"), "`timeouts` mean nothing on a udp listener")
                .help("remove them: how long a session lasts is said by udp = { idle = \"2m\" }"),
        );
    }
    addresses(sense, listener, at);
    let udp = at.child("udp");
    if listener.udp.responses == Some(0) && sense.is_sound(&udp, "responses") {
        for key in ["idle", "requests", "max_sessions"] {
            if sense.sources.has_own(&udp.child(key)) {
                sense.fault(
                    Fault::new(udp.child(key), format!("`{key}` means nothing where `responses` is 0"))
                        .also(udp.child("responses"), "no answers, so there are no sessions")
                        .help("remove one of them"),
                );
            }
        }
    }
    if let Some(pool) = &listener.pool {
        targets(sense, name, pool);
    }
}

fn addresses(sense: &mut Sense<'_>, listener: &Listener, at: &KeyPath) {
    if !sense.is_sound(at, "listen") {
        return;
    }
    for (index, address) in listener.listen.iter().enumerate() {
        if let Address::Unix(_) = address {
            sense.fault(
                Fault::new(at.child("listen").child(index), format!("a udp listener cannot listen on `{address}`"))
                    .help("write an IP address and a port, as in \"0.0.0.0:53\""),
            );
        }
    }
}

/// What a pool cannot have that datagrams go to.
fn targets(sense: &mut Sense<'_>, listener: &str, name: &str) {
    let at = KeyPath::from(["pools", name]);
    let here = KeyPath::from(["listeners", listener, "pool"]);
    let Some(pool) = sense.config.pools.get(name) else { return };
    if sense.sources.has_own(&at.child("tls")) {
        sense.fault(
            Fault::new(at.child("tls"), format!("pool `{name}` has TLS, and datagrams go to it"))
                .also(here.clone(), "named by a udp listener")
                .help("give the udp listener a pool of its own, without `tls`"),
        );
    }
    if pool.source == Some(SourceAddress::Client) && sense.is_sound(&at, "source") {
        sense.fault(
            Fault::new(at.child("source"), "datagrams cannot be sent from the client's own address")
                .also(here.clone(), "named by a udp listener")
                .help("a socket serves one client after the other: name addresses of this host, or remove it"),
        );
    }
    without_streams(sense, name, &at, &here);
    if !sense.is_sound(&at, "targets") {
        return;
    }
    for (index, target) in pool.targets.iter().enumerate() {
        if let Address::Unix(_) = target.address {
            sense.fault(
                Fault::new(
                    at.child("targets").child(index),
                    format!("datagrams of UDP cannot be sent to `{}`", target.address),
                )
                .also(here.clone(), "named by a udp listener")
                .help("write an IP address and a port"),
            );
        }
    }
}

/// The keys of a pool that mean something only where there are connections.
const FOR_STREAMS: [&str; 8] =
    ["adaptive", "keepalive", "on_down", "protocol", "queue", "send_proxy", "sticky", "timeouts"];

/// What means nothing for a pool that nothing but datagrams goes to, which stands at `at`.
fn without_streams(sense: &mut Sense<'_>, name: &str, at: &KeyPath, here: &KeyPath) {
    let config = sense.config;
    let of_streams = |listener: &Listener| listener.protocol != Protocol::Udp && listener.pool.as_deref() == Some(name);
    if config.listeners.values().any(of_streams)
        || config.routes.values().any(|route| config.pools_of(route).any(|pool| pool == name))
        || !sense.is_complete([])
    {
        return;
    }
    // Checks go by TCP.
    let tcp = (!sense.has(at, "health") && !sense.has(at, "agent")).then_some("tcp");
    let mut keys: Vec<KeyPath> = FOR_STREAMS.into_iter().chain(tcp).map(|key| at.child(key)).collect();
    keys.push(at.child("outlier").child("statuses"));
    for key in keys.into_iter().filter(|key| sense.sources.has_own(key)).collect::<Vec<_>>() {
        let word = key.keys().last().cloned().unwrap_or_default();
        sense.fault(
            Fault::new(key, format!("`{word}` means nothing for datagrams, and nothing else goes to pool `{name}`"))
                .also(here.clone(), "named by a udp listener")
                .help("remove it"),
        );
    }
}
