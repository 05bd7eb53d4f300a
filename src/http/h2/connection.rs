//! The one task of a connection: it moves bytes between the client and `h2`, and runs an exchange for each stream.

use super::incoming::Incoming;
use super::pipe::Pipe;
use super::respond::Respond;
use super::stream::Stream;
use super::wire::Wire;
use super::{PREFACE, head};
use crate::http::connection::{Connection, keep_heads, take_heads};
use crate::http::exchange;
use crate::net::Lease;
use crate::observe::reason::Reason;
use crate::tls::Channel;
use ::h2::server::{self, SendResponse};
use ::h2::{Ping, Reason as Code, RecvStream};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::{Method, Request};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// Streams that a client may have open at a time.
const STREAMS: u32 = 128;
/// What a client may send on one stream before the far side has taken it.
const STREAM_WINDOW: u32 = 256 << 10;
/// The same on all of them together.
const CONNECTION_WINDOW: u32 = 1 << 20;
/// What an answer may have waiting in `h2`.
const STREAM_BUFFER: usize = 64 << 10;
/// How long a connection that is to end waits for its client to do so.
const LINGER: Duration = Duration::from_secs(10);

/// Serves a connection of HTTP/2, of which `first` came already.
pub(in crate::http) async fn serve(connection: Connection<'_>, first: Lease) {
    let Connection { lane, listener, http, client, .. } = connection;
    let pipe = Pipe::default();
    let mut wire = Wire::new(client, pipe.clone(), listener.timeouts.write_stall);
    if wire.watch_over(&first).is_err() {
        return lane.counters.listener(listener.index).refusals.refused(Reason::Flood);
    }
    if !first.is_empty() {
        pipe.fill(first);
    }
    wire.limit = listener.timeouts.request_head;
    let limits = &lane.plan.limits;
    let mut builder = server::Builder::new();
    builder
        .max_concurrent_streams(STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(u32::try_from(limits.request_head).unwrap_or(u32::MAX))
        .max_send_buffer_size(STREAM_BUFFER);
    if http.websocket {
        builder.enable_connect_protocol();
    }
    let mut session = {
        let mut handshake = pin!(builder.handshake::<_, Bytes>(pipe));
        let shaken = poll_fn(|cx| {
            let ended = wire.poll(cx);
            if let Poll::Ready(shaken) = handshake.as_mut().poll(cx) {
                return Poll::Ready(Some(shaken));
            }
            ended.map(|_| None)
        });
        match shaken.await {
            Some(Ok(session)) => session,
            Some(Err(_)) => {
                lane.counters.listener(listener.index).refusals.refused(Reason::BadRequest);
                return;
            }
            None => {
                lane.counters.listener(listener.index).refusals.refused(Reason::HeadTimeout);
                return;
            }
        }
    };
    wire.limit = listener.timeouts.idle;
    let mut exchanges = FuturesUnordered::new();
    let mut draining = pin!(lane.draining.raised());
    // `broken`: no byte moves any more. `over`: no stream begins any more.
    let (mut broken, mut over, mut told) = (false, false, false);
    let (mut ping, mut pinged) = (session.ping_pong(), None);
    poll_fn(|cx| {
        loop {
            let ended = if broken { Poll::Pending } else { wire.poll(cx) };
            match ended.map(|error| error.kind()) {
                Poll::Pending => {}
                // Nothing was heard for long. If nothing is under way either, that is the end.
                Poll::Ready(ErrorKind::TimedOut) => {
                    if exchanges.is_empty() && told {
                        return Poll::Ready(());
                    }
                    if exchanges.is_empty() {
                        (told, wire.limit) = (true, LINGER);
                        session.graceful_shutdown();
                    } else if pinged == Some(wire.heard) {
                        // Not even the answer to a ping came (RFC 9113 §6.7): the client is gone.
                        wire.break_off();
                        broken = true;
                    } else if let Some(ping) = &mut ping {
                        pinged = Some(wire.heard);
                        // An old answer would be in the way; without room for a ping the next silence is for the next one.
                        let _ = ping.poll_pong(cx);
                        let _ = ping.send_ping(Ping::opaque());
                    }
                    continue;
                }
                Poll::Ready(ErrorKind::QuotaExceeded) => {
                    lane.counters.listener(listener.index).refusals.refused(Reason::Flood);
                    session.abrupt_shutdown(Code::ENHANCE_YOUR_CALM);
                    // It writes its farewell.
                    let _ = session.poll_closed(cx);
                    (broken, over) = (true, true);
                }
                Poll::Ready(_) => {
                    // The streams are told by `h2`, when it has read the end.
                    wire.break_off();
                    broken = true;
                }
            }
            if !told && draining.as_mut().poll(cx).is_ready() {
                (told, wire.limit) = (true, LINGER);
                session.graceful_shutdown();
            }
            while !over {
                match session.poll_accept(cx) {
                    Poll::Ready(Some(Ok((request, respond)))) => exchanges.push(one(connection, request, respond)),
                    Poll::Ready(_) => over = true,
                    Poll::Pending => break,
                }
            }
            let mut finished = false;
            while let Poll::Ready(Some(())) = exchanges.poll_next_unpin(cx) {
                finished = true;
            }
            if over && exchanges.is_empty() {
                return Poll::Ready(());
            }
            // What an exchange has sent is in `h2` now, and in the pipe when that has been asked again; what was in the pipe has
            // been read, so that more can be received.
            if !finished && (broken || over || !wire.has_work()) {
                return Poll::Pending;
            }
        }
    })
    .await;
    wire.finish().await;
}

/// One stream: its request, its exchange, its answer.
async fn one(connection: Connection<'_>, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let (parts, body) = request.into_parts();
    let mut text = Lease::new();
    let Ok(chunked) = head::write_request(&parts, body.is_end_stream(), text.buffer()) else {
        let Connection { lane, listener, .. } = connection;
        lane.counters.listener(listener.index).refusals.refused(Reason::BadRequest);
        respond.send_reset(Code::PROTOCOL_ERROR);
        return;
    };
    let to_head = parts.method == Method::HEAD;
    drop(parts);
    let source = RefCell::new(Incoming::new(body, chunked));
    let respond = Respond { respond, to_head };
    let stream = Stream::new(connection.client.facts(), source, respond, Code::INTERNAL_ERROR);
    let mut heads = take_heads();
    exchange::run(Connection { client: Channel::Multiplexed(&stream), ..connection }, &mut heads, text).await;
    keep_heads(heads);
    stream.finish();
}

/// Reads on until the preface is whole; what there is if it turns out to be none.
pub(in crate::http) async fn preface(client: Channel<'_>, mut first: Lease) -> io::Result<Lease> {
    while first.len() < PREFACE.len() && super::begins(&first) {
        first.reserve(PREFACE.len());
        if client.recv_into(&mut first).await? == 0 {
            break;
        }
    }
    Ok(first)
}
