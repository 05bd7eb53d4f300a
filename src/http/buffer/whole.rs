//! A request's body taken whole to be made into something else, and what it was made into.

use super::Charge;
use super::hold::{Held, go_on, not_whole};
use crate::http::body::Body;
use crate::http::exchange::Exchange;
use crate::http::h1::{Framing, Incoming};
use crate::http::reply::Reply;
use crate::net::Lease;
use crate::observe::reason::Reason;

/// Takes all of a body, at most so many bytes.
///
/// # Errors
/// What to say to its client; nothing if it has been told, or has left.
pub(in crate::http) async fn whole(
    exchange: &mut Exchange<'_>,
    incoming: &Incoming,
    body: &mut Body,
    most: usize,
) -> Result<(Box<Held>, Lease), Option<Reply>> {
    let too_large = || Some(Reply::refusal(413, Reason::BodyTooLarge));
    if matches!(incoming.framing, Framing::Length(length) if length > most as u64) {
        return Err(too_large());
    }
    let mut held = unheld(exchange, incoming);
    go_on(exchange, incoming, body).await.ok_or(None)?;
    held.incoming.expects_continue = false;
    if !body.is_ended() {
        exchange.outcome.waits();
    }
    let (client, silence) = (exchange.connection.client, exchange.connection.listener.timeouts.client_body);
    let mut content = Lease::new();
    loop {
        let next = match body.next_aside().await {
            Ok(None) => match body.take_first() {
                first if !first.is_empty() => Ok(Some(first)),
                _ => body.next(client, silence).await.inspect(|next| {
                    exchange.outcome.bytes_in += next.as_ref().map_or(0, |next| next.len()) as u64;
                }),
            },
            aside => aside,
        };
        let piece = match next {
            Ok(Some(piece)) => piece,
            Ok(None) => return Ok((held, content)),
            Err(error) => {
                not_whole(exchange, &error).await;
                return Err(None);
            }
        };
        if content.len() + piece.len() > most {
            return Err(too_large());
        }
        if !held.charge.has_room(piece.len()) {
            held.charge.is_full();
            return Err(Some(Reply::refusal(503, Reason::Buffer)));
        }
        held.charge.add(piece.len());
        if content.room() < piece.len() {
            content.reserve(piece.len().max(content.len()));
        }
        content.buffer().extend_from_slice(&piece);
    }
}

/// A request of which nothing is held.
pub(in crate::http) fn unheld(exchange: &Exchange<'_>, incoming: &Incoming) -> Box<Held> {
    Box::new(Held { incoming: *incoming, charge: Charge::new(&exchange.connection, usize::MAX) })
}

impl Held {
    /// It has another content now, and its target is told whether trailers are read.
    pub(in crate::http) fn becomes(&mut self, content: Lease, accepts_trailers: bool, body: &mut Body) {
        self.charge.sub(self.charge.bytes);
        self.charge.add(content.len());
        self.incoming.framing = Framing::Length(content.len() as u64);
        self.incoming.accepts_trailers = accepts_trailers;
        body.hold(content, None);
    }
}
