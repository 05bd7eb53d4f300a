//! What makes no sense in how sockets are set up.

use super::Sense;
use crate::config::model::{Address, Listener, Pool, Protocol, SourceAddress};
use crate::config::sources::{Fault, KeyPath};

/// The keys of a listener that are about its sockets.
const OF_LISTENERS: [&str; 4] = ["interface", "tcp", "transparent", "v6only"];

/// Looks at the sockets of a listener, which stands at `at`.
pub(super) fn check(sense: &mut Sense<'_>, listener: &Listener, at: &KeyPath) {
    // What means nothing there is told beside what else does.
    if listener.protocol == Protocol::Udp || !sense.is_sound(at, "listen") {
        return;
    }
    let dialled = |ip: &dyn Fn(bool) -> bool| {
        listener.listen.iter().any(|address| matches!(address, Address::Ip(at) if ip(at.is_ipv6())))
    };
    let of_unix = OF_LISTENERS.into_iter().filter(|_| !dialled(&|_| true));
    for key in of_unix.filter(|key| sense.sources.has_own(&at.child(key))).collect::<Vec<_>>() {
        sense
            .findings
            .warnings
            .push(Fault::new(at.child(key), format!("`{key}` means nothing on a Unix socket")).help("remove it"));
    }
    if dialled(&|_| true) && !dialled(&|six| six) && sense.sources.has_own(&at.child("v6only")) {
        sense.findings.warnings.push(
            Fault::new(at.child("v6only"), "`v6only` means nothing where no address is of IPv6")
                .help("listen on \"[::]:80\", or remove it"),
        );
    }
}

/// Looks at how the targets of pool `name` are connected to, which stands at `at`.
pub(super) fn check_pool(sense: &mut Sense<'_>, pool: &Pool, at: &KeyPath) {
    let Some(SourceAddress::List(sources)) = pool.source.as_ref().filter(|_| sense.is_sound(at, "source")) else {
        return;
    };
    let here = at.child("source");
    if sources.is_empty() {
        return sense.fault(Fault::new(here, "there is no source address").help("write source = [\"10.0.0.5\"]"));
    }
    if !sense.is_sound(at, "targets") {
        return;
    }
    let lonely = pool.targets.iter().position(|target| match target.address {
        Address::Ip(target) => !sources.iter().any(|ip| ip.is_ipv4() == target.is_ipv4()),
        Address::Unix(_) => false,
    });
    if let Some(place) = lonely {
        let family = |is_ipv4: bool| if is_ipv4 { "IPv4" } else { "IPv6" };
        let of = matches!(pool.targets[place].address, Address::Ip(target) if target.is_ipv4());
        let what = format!("no source address is of {}, and this target is", family(of));
        sense.fault(Fault::new(at.child("targets").child(place), what).also(here, "the source addresses"));
    }
}
