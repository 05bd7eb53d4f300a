//! What makes no sense where clients are let in by their addresses.

use super::{Sense, rule};
use crate::config::defaults::STREAMS_ONLY;
use crate::config::model::{Address, Listener, Protocol};
use crate::config::sources::{Fault, KeyPath};

/// Looks at who may connect to a listener, which stands at `at`.
pub(super) fn check(sense: &mut Sense<'_>, listener: &Listener, at: &KeyPath) {
    rule::listener(sense, listener, at);
    if listener.protocol == Protocol::Udp {
        return datagrams(sense, listener, at);
    }
    limits(sense, listener, at);
    never_let_in(sense, listener, at);
    let guards = ["allow", "deny", "limits"].into_iter().filter(|key| sense.sources.has_own(&at.child(key)));
    let guards: Vec<&str> = guards.collect();
    if guards.is_empty() && listener.rules.is_empty() && sense.sources.has_own(&at.child("on_refuse")) {
        sense.findings.warnings.push(
            Fault::new(at.child("on_refuse"), "nobody is refused here")
                .help("add `allow`, `deny`, `limits` or `rules`, or remove it"),
        );
    }
    let has_addresses = listener.proxy_protocol.is_some()
        || listener.listen.iter().any(|address| matches!(address, Address::Ip(_)))
        || !sense.is_sound(at, "listen");
    for key in guards.into_iter().filter(|_| !has_addresses) {
        sense.findings.warnings.push(
            Fault::new(at.child(key), format!("`{key}` means nothing where all clients come by a Unix socket"))
                .help("they have no address: remove it, or add `proxy_protocol`"),
        );
    }
}

/// Datagrams are dropped, and not counted by client.
fn datagrams(sense: &mut Sense<'_>, listener: &Listener, at: &KeyPath) {
    for key in STREAMS_ONLY.into_iter().filter(|key| sense.sources.has_own(&at.child(key))).collect::<Vec<_>>() {
        sense.fault(
            Fault::new(at.child(key), format!("`{key}` means nothing on a udp listener"))
                .help("remove it: datagrams come without connections"),
        );
    }
    never_let_in(sense, listener, at);
}

fn limits(sense: &mut Sense<'_>, listener: &Listener, at: &KeyPath) {
    let here = at.child("limits");
    let Some(limits) = listener.limits.as_ref().filter(|_| sense.is_complete(here.clone())) else { return };
    let may_limit = |key: &str| sense.has(&here, key);
    if !may_limit("connections") && !may_limit("rate") {
        sense.fault(
            Fault::new(here, "these limits limit nothing")
                .help("set `connections`, how many a client may have open, or `rate`, how many it may make"),
        );
    } else if limits.burst.is_some() && !may_limit("rate") {
        sense.fault(
            Fault::new(here.child("burst"), "`burst` means nothing without a rate")
                .help("set rate = \"20/s\", or remove it"),
        );
    }
}

/// Ranges that are allowed in vain.
fn never_let_in(sense: &mut Sense<'_>, listener: &Listener, at: &KeyPath) {
    if !sense.is_sound(at, "allow") || !sense.is_sound(at, "deny") {
        return;
    }
    for (place, net) in listener.allow.iter().enumerate() {
        let Some(denied) = listener.deny.iter().position(|denied| denied.contains(net)) else { continue };
        sense.findings.warnings.push(
            Fault::new(at.child("allow").child(place), format!("`{net}` is never let in: `deny` goes first"))
                .also(at.child("deny").child(denied), "denied here"),
        );
    }
}
