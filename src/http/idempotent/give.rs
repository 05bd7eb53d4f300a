//! An answer that is given again.

use super::follow::write_head;
use crate::gateway::idempotency::Kept;
use crate::http::connection::Connection;
use crate::http::exchange::Exchange;
use crate::http::h1::Framing;
use crate::http::transfer::{INLINE, push_content};
use crate::net::Lease;

/// Sends it. The log says `why`.
pub(super) async fn give(exchange: &mut Exchange<'_>, kept: &Kept, why: &'static str) {
    let length = kept.body.len();
    let mut out = Lease::with_room(kept.head.len() + 256 + length.min(INLINE));
    let framing = if kept.has_content { Framing::Length(length as u64) } else { Framing::None };
    if write_head(exchange, &kept.head, framing, &mut out).is_none() {
        return;
    }
    exchange.outcome.given_again(why);
    let mut bulk = Lease::empty();
    match length {
        ..=INLINE => push_content(framing, &kept.body, out.buffer()),
        // A copy, so that a slow client keeps nothing in the store.
        _ => {
            bulk = Lease::with_room(length);
            bulk.buffer().extend_from_slice(&kept.body);
        }
    }
    let Connection { client, listener, .. } = exchange.connection;
    let sent = (out.len() + bulk.len()) as u64;
    match client.send_both(out, bulk, listener.timeouts.write_stall).await {
        Ok(()) => {
            exchange.outcome.bytes_out += sent;
            exchange.outcome.body_out += length as u64;
        }
        Err(error) => exchange.gone(&error),
    }
}
