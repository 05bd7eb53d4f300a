//! What targets are told of a client's connection before anything else.

use crate::lane::{Lane, Ticket};
use crate::net::Peer;
use crate::net::proxy_protocol::{Announcement, Form, Header, Tls};
use crate::tls::Channel;

/// The header that tells of a client's connection. `name` is what it asks for where TLS does not end here.
pub fn announce(
    form: Form,
    lane: &Lane,
    ticket: Ticket,
    peer: Peer,
    client: Channel<'_>,
    name: Option<&str>,
) -> Header {
    let facts = client.facts();
    let agreed = match client {
        Channel::Secure(_, session) => session.agreed(),
        _ => facts.filter(|facts| facts.h2).map(|_| b"h2".to_vec()),
    };
    let tls = facts.map(|facts| Tls {
        version: facts.version,
        cipher: facts.cipher,
        certificate: facts.identity.is_some(),
        resumed: facts.resumed,
        common_name: facts.identity.as_ref().and_then(|identity| identity.common_name.as_deref()),
    });
    let told = Announcement {
        addresses: peer.address().zip(lane.destination(ticket)),
        name: facts.and_then(|facts| facts.name.as_deref()).or(name).map(str::as_bytes),
        alpn: agreed.as_deref(),
        tls,
    };
    told.header(form)
}
