//! What makes no sense where clients' addresses come by the PROXY protocol.

use super::Sense;
use crate::config::model::{Address, Listener};
use crate::config::sources::{Fault, KeyPath};

/// Looks at whose headers count on a listener, which stands at `at`.
pub(super) fn check(sense: &mut Sense<'_>, listener: &Listener, at: &KeyPath) {
    let here = at.child("proxy_protocol");
    let Some(headers) = listener.proxy_protocol.as_ref().filter(|_| sense.is_sound(&here, "from")) else { return };
    let dialled = listener.listen.iter().any(|address| matches!(address, Address::Ip(_)));
    if headers.from.is_empty() && dialled && sense.is_complete(here.clone()) && sense.is_sound(at, "listen") {
        sense.fault(
            Fault::new(here, "nobody's PROXY header counts")
                .help("add from = [\"10.0.0.0/8\"], the addresses of the proxies in front"),
        );
    } else if let Some(place) = headers.from.iter().position(|net| net.prefix_len() == 0) {
        sense.findings.warnings.push(
            Fault::new(here.child("from").child(place), "anybody who connects may pass for any other address")
                .help("name the proxies in front alone"),
        );
    }
}
