//! A request's body taken whole before a target is chosen.
//!
//! What always holds: a request whose body does not come whole reaches no target, if it is one that fits; one that was held can be
//! sent as often as its method allows. A client that waits to be told is told by us to go on.

use super::Charge;
use super::spill::{PIECE, Spill};
use crate::http::body::{Body, BodyError};
use crate::http::connection::Connection;
use crate::http::exchange::Exchange;
use crate::http::h1::{Framing, Incoming};
use crate::http::head::Version;
use crate::http::transfer::client_reply;
use crate::net::Lease;
use crate::plan;

/// A request that was held, for as long as it is needed.
pub(in crate::http) struct Held {
    /// What it asks of the exchange from here on.
    pub(in crate::http) incoming: Incoming,
    pub(super) charge: Charge,
}

/// The beginning of a body, on the disk, to be read from its first byte on as often as it is sent.
pub(in crate::http) struct Aside {
    spill: Spill,
    /// How far it has been read.
    at: u64,
}

/// Takes the body of a request, up to `most` bytes in memory and as many on the disk as its route says. `None`: it did not come, and
/// its client was told so or has left.
pub(in crate::http) async fn hold(
    exchange: &mut Exchange<'_>,
    rule: &plan::Forward,
    most: usize,
    incoming: &Incoming,
    body: &mut Body,
) -> Option<Box<Held>> {
    let mut held = Box::new(Held { incoming: *incoming, charge: Charge::new(&exchange.connection, most) });
    let mut spill = Spill::of(&exchange.connection, rule);
    let announced = match incoming.framing {
        Framing::Length(length) => length,
        _ => body.first().len() as u64,
    };
    if !held.fits(announced, spill.as_ref()) {
        held.is_full(spill.as_mut());
        return Some(held);
    }
    let Connection { client, listener, .. } = exchange.connection;
    go_on(exchange, incoming, body).await?;
    held.incoming.expects_continue = false;
    exchange.outcome.waits();
    let mut content = body.take_first();
    held.charge.add(content.len());
    loop {
        if !held.charge.has_room(0) {
            // What is in memory makes room, and what comes next is behind it.
            if let Some(spill) = &mut spill {
                let before = content.len();
                content = spill.write_all(content).await;
                held.charge.sub(before - content.len());
            }
            if spill.is_none() || !content.is_empty() {
                held.is_full(spill.as_mut());
                break;
            }
            content = Lease::empty();
        }
        match body.next(client, listener.timeouts.client_body).await {
            Ok(Some(more)) => {
                exchange.outcome.bytes_in += more.len() as u64;
                held.charge.add(more.len());
                if content.room() < more.len() {
                    content.reserve(more.len().max(content.len()));
                }
                content.buffer().extend_from_slice(&more);
            }
            Ok(None) => {
                if incoming.framing == Framing::Chunked && body.trailers().is_empty() {
                    let aside = spill.as_ref().map_or(0, Spill::len);
                    held.incoming.framing = Framing::Length(aside + content.len() as u64);
                }
                break;
            }
            Err(error) => {
                not_whole(exchange, &error).await;
                return None;
            }
        }
    }
    body.hold(content, spill.filter(|spill| spill.len() > 0).map(|spill| Aside { spill, at: 0 }));
    Some(held)
}

/// Tells a client that waits for it to go on with its body. `None`: it has left.
pub(super) async fn go_on(exchange: &mut Exchange<'_>, incoming: &Incoming, body: &Body) -> Option<()> {
    let waits = incoming.expects_continue && body.is_unread() && !exchange.continued;
    if waits && exchange.heads.request.version == Version::Http11 {
        exchange.continued = true;
        let mut out = Lease::new();
        out.buffer().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        exchange.outcome.bytes_out += out.len() as u64;
        let Connection { client, listener, .. } = exchange.connection;
        if let Err(error) = client.send(out, listener.timeouts.write_stall).await {
            exchange.gone(&error);
            return None;
        }
    }
    Some(())
}

/// A body did not come whole: its client is told so, or has left.
pub(super) async fn not_whole(exchange: &mut Exchange<'_>, error: &BodyError) {
    match client_reply(error) {
        Some(reply) => {
            exchange.answer(reply, true).await;
            exchange.linger().await;
        }
        None => {
            exchange.keep_alive = false;
            exchange.outcome.client_left();
        }
    }
}

impl Held {
    /// Whether a body of which so much is known may be held.
    fn fits(&self, announced: u64, spill: Option<&Spill>) -> bool {
        match (usize::try_from(announced), spill) {
            (Ok(announced), _) if self.charge.has_room(announced) => true,
            (_, Some(spill)) => announced.saturating_sub(self.charge.most as u64) <= spill.room(),
            _ => false,
        }
    }

    fn is_full(&self, spill: Option<&mut Spill>) {
        self.charge.is_full();
        if let Some(spill) = spill {
            spill.is_full();
        }
    }
}

impl Aside {
    /// The next bytes; `None` once all have been read.
    pub(in crate::http) async fn next(&mut self) -> Result<Option<Lease>, BodyError> {
        let (read, count) = self.spill.read(self.at, PIECE);
        if count == 0 {
            return Ok(None);
        }
        match read.await {
            Ok(piece) => {
                self.at += count as u64;
                Ok(Some(piece))
            }
            Err(error) => {
                self.spill.failed("read", &error);
                Err(BodyError::Unreadable)
            }
        }
    }

    /// It is to be sent again.
    pub(in crate::http) fn rewind(&mut self) {
        self.at = 0;
    }
}
