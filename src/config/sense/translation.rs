//! What makes no sense of `[translations]`, and of routes that name them.

use super::Sense;
use crate::config::model::{PoolProtocol, Route};
use crate::config::sources::{Fault, KeyPath};
use std::collections::BTreeSet;

/// Of all of them: those that no route names.
pub(super) fn unused(sense: &mut Sense<'_>) {
    let config = sense.config;
    let used: BTreeSet<&String> = config.routes.values().flat_map(|route| &route.translate).collect();
    for name in config.translations.keys().filter(|name| !used.contains(name)) {
        let warning = Fault::new(["translations", name], format!("nothing uses translation `{name}`"))
            .help("name it in `translate` of a route");
        sense.findings.warnings.push(warning);
    }
}

/// Of those that a route names.
pub(super) fn route(sense: &mut Sense<'_>, route: &Route, at: &KeyPath) {
    let config = sense.config;
    if !route.translate.is_empty() && route.mirror.is_some() {
        let what = "what is translated cannot be mirrored: its answers are others than those of the pool";
        sense.fault(
            Fault::new(at.child("mirror"), what)
                .also(at.child("translate"), "translated here")
                .help("remove one of the two"),
        );
    }
    for (place, name) in route.translate.iter().enumerate() {
        let at = at.child("translate").child(place);
        sense.dangling(&at, "translation", "translations", name);
        let Some(translation) = config.translations.get(name) else { continue };
        if let Some(first) = route.translate[..place].iter().position(|other| other == name) {
            let also = KeyPath::from(["routes", &at.keys()[1], "translate"]).child(first);
            sense.fault(Fault::new(at, format!("`{name}` is named twice")).also(also, "the other one"));
            continue;
        }
        for pool in route.pools().filter(|_| translation.calls_grpc()) {
            let speaks_h1 = config.pools.get(pool).is_some_and(|pool| pool.protocol == PoolProtocol::H1);
            if speaks_h1 && sense.is_sound(&KeyPath::from(["pools", pool]), "protocol") {
                let what = format!("gRPC needs HTTP/2, and pool `{pool}` speaks HTTP/1.1");
                let help = format!("set protocol = \"h2\" in [pools.{pool}], or \"alpn\" where it has TLS");
                sense.fault(Fault::new(at.clone(), what).also(["pools", pool], "the pool").help(help));
            }
        }
    }
}
