//! A request's body taken whole before a target is chosen.
//!
//! What always holds: a request whose body does not come whole reaches no target, if it is one that fits; one that was held can be
//! sent as often as its method allows. A client that waits to be told is told by us to go on.

use super::Charge;
use crate::http::body::Body;
use crate::http::connection::Connection;
use crate::http::exchange::Exchange;
use crate::http::h1::{Framing, Incoming};
use crate::http::head::Version;
use crate::http::transfer::client_reply;
use crate::net::Lease;

/// A request that was held, for as long as it is needed.
pub(in crate::http) struct Held {
    /// What it asks of the exchange from here on.
    pub(in crate::http) incoming: Incoming,
    _charge: Charge,
}

/// Takes the body of a request, up to `most` bytes. `None`: it did not come, and its client was told so or has left.
pub(in crate::http) async fn hold(
    exchange: &mut Exchange<'_>,
    most: usize,
    incoming: &Incoming,
    body: &mut Body,
) -> Option<Held> {
    let mut held = Held { incoming: *incoming, _charge: Charge::new(&exchange.connection, most) };
    let announced = match incoming.framing {
        Framing::Length(length) => usize::try_from(length).unwrap_or(usize::MAX),
        _ => body.first().len(),
    };
    if !held._charge.has_room(announced) {
        held._charge.is_full();
        return Some(held);
    }
    let Connection { client, listener, .. } = exchange.connection;
    if incoming.expects_continue
        && body.is_unread()
        && !exchange.continued
        && exchange.heads.request.version == Version::Http11
    {
        exchange.continued = true;
        let mut out = Lease::new();
        out.buffer().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        exchange.outcome.bytes_out += out.len() as u64;
        if let Err(error) = client.send(out, listener.timeouts.write_stall).await {
            exchange.gone(&error);
            return None;
        }
    }
    held.incoming.expects_continue = false;
    exchange.outcome.waits();
    let mut content = body.take_first();
    held._charge.add(content.len());
    loop {
        match body.next(client, listener.timeouts.client_body).await {
            Ok(Some(more)) => {
                exchange.outcome.bytes_in += more.len() as u64;
                let fits = held._charge.has_room(more.len());
                held._charge.add(more.len());
                if content.room() < more.len() {
                    content.reserve(more.len().max(content.len()));
                }
                content.buffer().extend_from_slice(&more);
                if !fits {
                    held._charge.is_full();
                    body.hold(content);
                    return Some(held);
                }
            }
            Ok(None) => {
                if incoming.framing == Framing::Chunked && body.trailers().is_empty() {
                    held.incoming.framing = Framing::Length(content.len() as u64);
                }
                body.hold(content);
                return Some(held);
            }
            Err(error) => {
                match client_reply(&error) {
                    Some(reply) => {
                        exchange.answer(reply, true).await;
                        exchange.linger().await;
                    }
                    None => {
                        exchange.keep_alive = false;
                        exchange.outcome.client_left();
                    }
                }
                return None;
            }
        }
    }
}
