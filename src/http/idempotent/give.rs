//! An answer that is given again.

use super::follow::write_head;
use crate::gateway::idempotency::Kept;
use crate::http::connection::Connection;
use crate::http::exchange::Exchange;
use crate::http::h1::Framing;
use crate::http::transfer::{INLINE, push_content};
use crate::net::Lease;
use std::sync::Arc;

/// Bytes that are copied of its content at a time: a slow client takes no more beside what all share.
const PIECE: usize = 64 << 10;

/// Sends it. The log says `how` it came to that.
pub(super) async fn give(exchange: &mut Exchange<'_>, kept: &Arc<Kept>, how: &'static str) {
    let length = kept.body.len();
    let mut out = Lease::with_room(kept.head.len() + 256 + length.min(INLINE));
    let framing = if kept.has_content { Framing::Length(length as u64) } else { Framing::None };
    if write_head(exchange, &kept.head, framing, &mut out).is_none() {
        return;
    }
    exchange.outcome.given_again(how);
    // What is short goes along with the head.
    let (inline, rest) = kept.body.split_at(if length <= INLINE { length } else { 0 });
    push_content(framing, inline, out.buffer());
    let Connection { client, listener, .. } = exchange.connection;
    let mut pieces = rest.chunks(PIECE);
    let (mut content, mut piece) = (inline.len(), pieces.next());
    loop {
        let mut bulk = Lease::empty();
        if let Some(piece) = piece {
            bulk = Lease::with_room(piece.len());
            bulk.buffer().extend_from_slice(piece);
            content = piece.len();
        }
        let sent = (out.len() + bulk.len()) as u64;
        if let Err(error) = client.send_both(out, bulk, listener.timeouts.write_stall).await {
            return exchange.gone(&error);
        }
        exchange.outcome.bytes_out += sent;
        exchange.outcome.body_out += content as u64;
        (out, piece) = (Lease::empty(), pieces.next());
        if piece.is_none() {
            return;
        }
    }
}
