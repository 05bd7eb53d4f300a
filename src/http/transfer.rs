//! One try at one target: the request goes out while the answer may come in.
//!
//! What always holds: the answer is read while the body is still being sent, so that an early one reaches the client
//! (RFC 9112 §9.6), and bytes go on as they come.

use super::answer::{Answer, Broken, Passed};
use super::body::{Body, BodyError};
use super::connection::Connection;
use super::edit;
use super::exchange::Exchange;
use super::exchange::Heads;
use super::forward::Path;
use super::grpc;
use super::h1::{self, Framing, Incoming};
use super::intake::refusal_of;
use super::onward::Leaving;
use super::reply::Reply;
use super::trace;
use super::tries::Tries;
use crate::net::{Lease, coarse_now};
use crate::plan;
use crate::tls::Channel;
use crate::upstream::{Attempt, Timeouts};
use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

/// What a try needs to know.
pub(super) struct Transfer<'a> {
    pub(super) connection: Connection<'a>,
    pub(super) target: Channel<'a>,
    pub(super) timeouts: Timeouts,
    pub(super) attempt: &'a Attempt,
    pub(super) rule: &'a plan::Forward,
    pub(super) path: Path,
    pub(super) incoming: &'a Incoming,
    /// When the try began, by the coarse clock.
    pub(super) begun: Duration,
    /// The tries that it is one of, where an answer's status may lead to another one.
    pub(super) tries: Option<&'a Tries>,
}

/// How long a target that takes no more bytes gets to say why.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Content up to this size is copied behind the head and sent with it.
pub(super) const INLINE: usize = 16 << 10;
/// How much of what is held goes out at a time.
const BULK: usize = 256 << 10;

/// Sends the request of `exchange` to the target and passes the answer on.
pub(super) async fn transfer(
    transfer: &Transfer<'_>,
    exchange: &mut Exchange<'_>,
    body: &mut Body,
) -> Result<Passed, Broken> {
    let stall = transfer.connection.listener.timeouts.write_stall;
    let framing = transfer.incoming.framing;
    // More content than that goes out while the answer is awaited already, as the rest of a long body does.
    let inline = body.first().len() <= INLINE && !body.is_aside();
    let mut out = Lease::with_room(exchange.text.len() + 512 + body.first().len().min(INLINE));
    transfer.encode_head(exchange, out.buffer());
    if inline {
        push_content(framing, body.first(), out.buffer());
        let before = out.len();
        body.gather(transfer.connection.client, &mut out);
        exchange.outcome.bytes_in += (out.len() - before) as u64;
    }
    let whole = inline && body.is_ended();
    if whole {
        push_end(framing, body.trailers(), out.buffer());
    }
    let counters = transfer.connection.era.counters.pool(transfer.rule.pool).target(transfer.attempt.index());
    counters.sent.add(out.len() as u64);
    let sent_at = exchange.outcome.sending();
    exchange.heads.trace.sent(sent_at, transfer.target.is_multiplexed());
    let taken = Cell::new(0);
    let mut answer = Answer::new(transfer, sent_at, body);
    if let Err(error) = transfer.target.send_counted(out, stall, &taken).await {
        answer.unsent = match error.kind() {
            ErrorKind::ConnectionRefused => true,
            ErrorKind::BrokenPipe => taken.get() == 0,
            _ => false,
        };
        // The target has got a part of a request: whatever it answers, its connection is of no more use.
        let passed = answer.pass(exchange, Some(LAST_WORDS)).await?;
        return Ok(Passed { reusable: false, ..passed });
    }
    if whole {
        let limit = transfer.head_limit(exchange, transfer.begun);
        return answer.pass(exchange, Some(limit)).await;
    }
    // Rarer than a request without a body, and far larger.
    Box::pin(both(&answer, exchange, body, inline)).await
}

/// Passes on the answer to a request without a body that went out at `sent_at`; `held` has come of it.
pub(super) async fn resume(
    transfer: &Transfer<'_>,
    exchange: &mut Exchange<'_>,
    body: &Body,
    sent_at: Instant,
    held: Lease,
) -> Result<Passed, Broken> {
    let answer = Answer::new(transfer, sent_at, body);
    answer.take_up(exchange, held);
    let limit = match transfer.rule.retry.per_try {
        None => transfer.head_limit(exchange, transfer.begun).saturating_sub(sent_at.elapsed()),
        Some(_) => transfer.head_limit(exchange, transfer.begun),
    };
    answer.pass(exchange, Some(limit)).await
}

/// Sends the rest of the body while the answer is awaited.
/// `inline`: the content that came along with the head has gone out with it.
async fn both(
    answer: &Answer<'_>,
    exchange: &mut Exchange<'_>,
    body: &mut Body,
    inline: bool,
) -> Result<Passed, Broken> {
    let transfer = answer.transfer;
    let (received, uploaded) = (Cell::new(0), Cell::new(false));
    transfer.target.set_deadline(None);
    let early = {
        // A client of gRPC says something when it has something to say.
        let client_body = transfer.connection.listener.timeouts.client_body;
        let silence = if exchange.grpc { transfer.timeouts.tunnel } else { client_body };
        let mut up = pin!(upload(transfer, body, &received, inline, silence));
        let mut down = pin!(answer.pass(exchange, None));
        let mut sending = true;
        poll_fn(|cx| {
            if sending && let Poll::Ready(sent) = up.as_mut().poll(cx) {
                sending = false;
                match sent {
                    Ok(held) => {
                        uploaded.set(true);
                        answer.request_is_whole(held);
                    }
                    Err(UploadError::Target) => transfer.target.set_deadline(Some(LAST_WORDS)),
                    Err(UploadError::Client(error)) => {
                        let broken = match error {
                            BodyError::Unreadable if answer.is_begun() => Broken::Unreadable,
                            _ if answer.is_begun() => Broken::Client(None),
                            error => Broken::Client(client_reply(&error)),
                        };
                        return Poll::Ready(Some(Err(broken)));
                    }
                }
            }
            match down.as_mut().poll(cx) {
                Poll::Ready(passed) => Poll::Ready(Some(passed)),
                // All is sent and nothing has come: from here on it is the wait of any other request.
                Poll::Pending if uploaded.get() && answer.is_waiting() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    };
    exchange.outcome.bytes_in += received.get();
    let result = match early {
        Some(result) => result,
        None => {
            let limit = transfer.head_limit(exchange, coarse_now());
            answer.pass(exchange, Some(limit)).await
        }
    };
    // What is half sent makes a connection of no more use, whatever came back.
    match result {
        Ok(passed) => Ok(Passed { reusable: passed.reusable && uploaded.get(), ..passed }),
        Err(Broken::GivenUp { reusable, keep_alive }) => {
            Err(Broken::GivenUp { reusable: reusable && uploaded.get(), keep_alive })
        }
        broken => broken,
    }
}

enum UploadError {
    Client(BodyError),
    Target,
}

/// Sends what is left of the body. Returns whether all of it is held.
async fn upload(
    transfer: &Transfer<'_>,
    body: &mut Body,
    received: &Cell<u64>,
    inline: bool,
    silence: Duration,
) -> Result<bool, UploadError> {
    let timeouts = &transfer.connection.listener.timeouts;
    let framing = transfer.incoming.framing;
    if !inline {
        while let Some(piece) = body.next_aside().await.map_err(UploadError::Client)? {
            send_content(transfer.target, framing, piece, timeouts.write_stall)
                .await
                .map_err(|_| UploadError::Target)?;
        }
        // Copies: the try may have to be repeated.
        for piece in body.first().chunks(BULK) {
            let mut first = Lease::with_room(piece.len() + 32);
            push_content(framing, piece, first.buffer());
            transfer.target.send(first, timeouts.write_stall).await.map_err(|_| UploadError::Target)?;
        }
    }
    loop {
        let next = body.next(transfer.connection.client, silence).await.map_err(UploadError::Client)?;
        let Some(content) = next else { break };
        received.set(received.get() + content.len() as u64);
        send_content(transfer.target, framing, content, timeouts.write_stall).await.map_err(|_| UploadError::Target)?;
        transfer.connection.client.follow(transfer.target);
    }
    let mut last = Lease::empty();
    if framing == Framing::Chunked {
        push_end(framing, body.trailers(), last.buffer());
        transfer.target.send(last, timeouts.write_stall).await.map_err(|_| UploadError::Target)?;
    }
    Ok(body.is_held())
}

/// What to say to a client whose body could not be read; nothing if it has left.
pub(super) fn client_reply(error: &BodyError) -> Option<Reply> {
    match error {
        BodyError::Io(error) if error.kind() != ErrorKind::TimedOut => None,
        error => Some(refusal_of(error)),
    }
}

impl Transfer<'_> {
    /// Whether the request goes out as a WebSocket handshake.
    pub(super) fn websocket(&self) -> bool {
        self.incoming.websocket && self.connection.http.websocket
    }

    /// How long the target has until the head of its answer, in a try that counts from `begun` on. Notes whether that is as long as
    /// the client would wait.
    fn head_limit(&self, exchange: &mut Exchange<'_>, begun: Duration) -> Duration {
        let limit = match self.rule.retry.per_try {
            None => self.timeouts.response_head,
            Some(limit) => self.timeouts.response_head.min((begun + limit).saturating_sub(coarse_now())),
        };
        let wanted = if exchange.grpc { grpc::deadline(&exchange.heads.request, &exchange.text) } else { None };
        exchange.hurried = wanted.is_some_and(|wanted| wanted <= limit);
        wanted.map_or(limit, |wanted| wanted.min(limit))
    }

    /// Writes the head that the target gets.
    pub(super) fn encode_head(&self, exchange: &Exchange<'_>, out: &mut Vec<u8>) {
        let Transfer { connection, rule, path, incoming, attempt, .. } = *self;
        let Connection { listener, http, client, peer, peer_text, port, .. } = connection;
        let identity = client.facts().and_then(|facts| facts.identity.as_ref());
        let certificate = identity.map_or(&[][..], |identity| &identity.lines);
        let target = attempt.target();
        let Heads { request, path: normal, trace, rewritten, .. } = &*exchange.heads;
        let trace = trace::onward(trace);
        let sticky = attempt.pool().sticky.as_ref();
        let rewritten = rewritten.as_deref();
        let leaving = Leaving {
            listener,
            http,
            rule,
            target,
            path,
            rewritten,
            incoming,
            peer,
            peer_text,
            port,
            certificate,
            trace,
            sticky,
        };
        leaving.encode(request, &exchange.text, normal, out);
        if let Some(translated) = &exchange.heads.translated {
            translated.rewrite(out);
        }
        if let Some(edits) = &rule.edits
            && !edits.request.is_empty()
        {
            edit::written_request(&edits.request, &exchange.facts(), out);
        }
    }
}

/// Appends content in its framing.
pub(super) fn push_content(framing: Framing, content: &[u8], out: &mut Vec<u8>) {
    if content.is_empty() {
        return;
    }
    if framing == Framing::Chunked {
        h1::push_chunk_size(out, content.len());
        out.extend_from_slice(content);
        out.extend_from_slice(h1::CHUNK_END);
    } else {
        out.extend_from_slice(content);
    }
}

/// Appends what ends a body in its framing.
pub(super) fn push_end(framing: Framing, trailers: &[u8], out: &mut Vec<u8>) {
    if framing == Framing::Chunked {
        h1::push_last_chunk(out, trailers);
    }
}

/// Sends content in its framing. Without chunks it goes on in the buffer in which it came.
pub(super) async fn send_content(to: Channel<'_>, framing: Framing, content: Lease, stall: Duration) -> io::Result<()> {
    if framing != Framing::Chunked {
        return to.send(content, stall).await;
    }
    let mut framed = Lease::with_room(content.len() + 32);
    push_content(framing, &content, framed.buffer());
    drop(content);
    to.send(framed, stall).await
}
