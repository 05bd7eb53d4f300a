//! What makes no sense of routes that pass TLS on.

use super::Sense;
use crate::config::model::{Protocol, Route};
use crate::config::sources::{Fault, KeyPath};

/// The keys of a route that passes TLS on.
const OWN: [&str; 5] = ["listeners", "sni", "alpn", "passthrough", "pool"];
/// The keys that mean something only for such a route.
const FOR_IT: [&str; 2] = ["sni", "alpn"];

/// Looks at route `name`, which stands at `at`. Returns whether it passes TLS on.
pub(super) fn check(sense: &mut Sense<'_>, name: &str, route: &Route, at: &KeyPath) -> bool {
    if !sense.is_sound(at, "passthrough") {
        return true;
    }
    if !route.passthrough {
        for key in FOR_IT.into_iter().filter(|key| sense.sources.has_own(&at.child(*key))) {
            sense.fault(
                Fault::new(at.child(key), format!("`{key}` means nothing on a route that passes no TLS on"))
                    .help("set passthrough = true, or choose by `hosts` where TLS ends here"),
            );
        }
        return false;
    }
    // One that nobody knows is told elsewhere.
    let known = sense.is_complete(at.clone());
    let others = sense.sources.own_keys(at).into_iter().filter(|key| known && !OWN.contains(&key.as_str()));
    for key in others {
        sense.fault(
            Fault::new(at.child(&key), format!("`{key}` means nothing on a route that passes TLS on unopened"))
                .also(at.child("passthrough"), "which this one does")
                .help("remove it: nobody here sees a request"),
        );
    }
    if sense.is_complete(at.clone()) {
        incomplete(sense, name, at);
    }
    if sense.is_sound(at, "listeners") {
        for (index, listener) in route.listeners.iter().enumerate() {
            listener_of(sense, &at.child("listeners").child(index), listener);
        }
    }
    pool_of(sense, route, at);
    true
}

fn incomplete(sense: &mut Sense<'_>, name: &str, at: &KeyPath) {
    if !sense.has(at, "pool") {
        sense
            .fault(Fault::new(at.clone(), format!("route `{name}` passes TLS on to no pool")).help("add pool = \"…\""));
    }
    if !sense.has(at, "listeners") {
        sense.fault(
            Fault::new(at.clone(), format!("route `{name}` does not say whose TLS it passes on"))
                .help("add listeners = [\"…\"]"),
        );
    }
    if !sense.has(at, "sni") && !sense.has(at, "alpn") {
        sense.fault(
            Fault::new(at.clone(), format!("route `{name}` does not say which TLS it passes on"))
                .help("add sni = [\"db.example.com\"]; for all of it, a tcp listener's `pool` is enough"),
        );
    }
}

fn listener_of(sense: &mut Sense<'_>, at: &KeyPath, name: &str) {
    sense.dangling(at, "listener", "listeners", name);
    let here = KeyPath::from(["listeners", name]);
    let Some(listener) = sense.config.listeners.get(name) else { return };
    let clear = listener.protocol != Protocol::Tcp && listener.tls.is_none();
    if clear && sense.is_complete(here.clone()) && sense.is_sound(&here, "protocol") && !sense.has(&here, "tls") {
        sense.fault(
            Fault::new(at.clone(), format!("nobody speaks TLS to listener `{name}`"))
                .also(here, "declared here")
                .help("name a tcp listener, or one with TLS"),
        );
    }
}

fn pool_of(sense: &mut Sense<'_>, route: &Route, at: &KeyPath) {
    let Some(name) = &route.pool else { return };
    let secure = sense.config.pools.get(name).is_some_and(|pool| pool.tls.is_some());
    if secure && sense.is_sound(&KeyPath::from(["pools", name]), "tls") {
        sense.fault(
            Fault::new(
                at.child("pool"),
                format!("pool `{name}` speaks TLS with its targets: what is passed on is TLS already"),
            )
            .also(["pools", name, "tls"], "declared here")
            .help("give the route a pool without `tls`"),
        );
    }
}
