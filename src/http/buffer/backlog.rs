//! What a client has still to take of an answer. Its target gives it at its own pace, and is let go of once it has.

use super::Charge;
use crate::http::answer::{Answer, Broken, cut_by, unsent_to_client};
use crate::http::body::Body;
use crate::http::connection::Connection;
use crate::http::exchange::Exchange;
use crate::http::h1::Framing;
use crate::http::transfer::{Transfer, push_content, push_end};
use crate::net::{Either, Lease, race};
use crate::tls::{Channel, Waiting};
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

/// What a client has still to take.
pub(in crate::http) struct Backlog<'a> {
    client: Channel<'a>,
    stall: Duration,
    /// What is being sent, and how much of it is content.
    sending: Option<(Waiting<'a, io::Result<()>>, usize, u64)>,
    /// What comes after it.
    pieces: VecDeque<(Lease, u64)>,
    charge: Charge,
}

/// An answer whose head is written.
pub(in crate::http) struct Begun {
    /// The head, with what content has come along and fits behind it.
    pub(in crate::http) out: Lease,
    /// Content that goes out behind it as it is.
    pub(in crate::http) along: Lease,
    /// Content that is still to be framed.
    pub(in crate::http) first: Lease,
    pub(in crate::http) framing: Framing,
}

/// Takes the rest of an answer from its target while the client takes it from us, and leaves to [`drain`] what it has not taken then.
pub(in crate::http) async fn pass<'a>(
    answer: &Answer<'_>,
    exchange: &mut Exchange<'a>,
    begun: Begun,
    body: &mut Body,
    silence: Duration,
    most: usize,
) -> Result<(), Broken> {
    let Connection { client, listener, .. } = exchange.connection;
    let Transfer { connection, rule, attempt, .. } = *answer.transfer;
    let counters = connection.era.counters.pool(rule.pool).target(attempt.index());
    let mut backlog = Backlog {
        client,
        stall: listener.timeouts.write_stall,
        sending: None,
        pieces: VecDeque::new(),
        charge: Charge::new(&exchange.connection, most),
    };
    let Begun { out, along, first, framing } = begun;
    // The content in these is counted already.
    backlog.push(out, 0);
    backlog.push(along, 0);
    let mut next = Some(first).filter(|first| !(first.is_empty() && body.is_ended()));
    let behind = next.is_some();
    while let Some(content) = next {
        if !content.is_empty() {
            let length = content.len() as u64;
            backlog.push(framed(framing, content), length);
        }
        if body.is_ended() {
            break;
        }
        let received = loop {
            if backlog.is_empty() {
                break answer.next_content(body, silence).await.ok_or(Broken::Client(None))?;
            }
            if !backlog.charge.has_room(0) {
                backlog.step(exchange).await?;
                continue;
            }
            match race(backlog.step(exchange), body.next(answer.transfer.target, silence)).await {
                Either::Left(sent) => sent?,
                Either::Right(received) => break received,
            }
        };
        next = received.map_err(|error| {
            if framing == Framing::UntilClose {
                client.reset_on_close();
            }
            Broken::Cut(cut_by(&error))
        })?;
        counters.received.add(next.as_ref().map_or(0, |content| content.len() as u64));
    }
    if behind && framing == Framing::Chunked {
        let mut last = Lease::new();
        push_end(framing, body.trailers(), last.buffer());
        backlog.push(last, 0);
    }
    exchange.backlog = Some(Box::new(backlog));
    Ok(())
}

/// Sends what the client has not taken yet. Returns whether it went out to its end.
pub(in crate::http) async fn drain<'a>(exchange: &mut Exchange<'a>, mut backlog: Box<Backlog<'a>>) -> bool {
    while !backlog.is_empty() {
        if let Err(error) = backlog.step(exchange).await {
            exchange.keep_alive = false;
            match error {
                Broken::Stalled => exchange.outcome.client_stalled(),
                _ => exchange.outcome.client_left(),
            }
            return false;
        }
    }
    true
}

fn framed(framing: Framing, content: Lease) -> Lease {
    if framing != Framing::Chunked {
        return content;
    }
    let mut framed = Lease::with_room(content.len() + 32);
    push_content(framing, &content, framed.buffer());
    framed
}

impl<'a> Backlog<'a> {
    fn is_empty(&self) -> bool {
        self.sending.is_none() && self.pieces.is_empty()
    }

    /// Puts a piece behind the others; small ones are put together, so that what is counted is what is held.
    fn push(&mut self, piece: Lease, content: u64) {
        if piece.is_empty() {
            return;
        }
        self.charge.add(piece.len());
        match self.pieces.back_mut() {
            Some((last, counted)) if last.room() >= piece.len() => {
                last.buffer().extend_from_slice(&piece);
                *counted += content;
            }
            _ if piece.room() > piece.len() => {
                let mut fitting = Lease::with_room(piece.len());
                fitting.buffer().extend_from_slice(&piece);
                self.pieces.push_back((fitting, content));
            }
            _ => self.pieces.push_back((piece, content)),
        }
    }

    /// Sends a piece. Given up, it goes on with the next call.
    async fn step(&mut self, exchange: &mut Exchange<'_>) -> Result<(), Broken> {
        if self.sending.is_none() {
            let Some((piece, content)) = self.pieces.pop_front() else { return Ok(()) };
            let (client, stall, length) = (self.client, self.stall, piece.len());
            self.sending = Some((Box::pin(client.send(piece, stall)), length, content));
        }
        let Some((sending, length, content)) = &mut self.sending else { return Ok(()) };
        let sent = sending.await;
        let (length, content) = (*length, *content);
        self.sending = None;
        self.charge.sub(length);
        sent.map_err(|error| unsent_to_client(&error))?;
        exchange.outcome.bytes_out += length as u64;
        exchange.outcome.body_out += content;
        Ok(())
    }
}
