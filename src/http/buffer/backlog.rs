//! What a client has still to take of an answer. Its target gives it at its own pace, and is let go of once it has.

use super::Charge;
use super::spill::{PIECE, Spill, Written};
use crate::http::answer::{Answer, Broken, cut_by, unsent_to_client};
use crate::http::body::Body;
use crate::http::connection::Connection;
use crate::http::exchange::Exchange;
use crate::http::h1::Framing;
use crate::http::transfer::{Transfer, push_content, push_end};
use crate::net::{Either, Lease, give_way, race};
use crate::tls::{Channel, Waiting};
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

/// What a client has still to take.
pub(in crate::http) struct Backlog<'a> {
    client: Channel<'a>,
    stall: Duration,
    sending: Option<Sending<'a>>,
    /// What comes after it.
    pieces: VecDeque<Piece>,
    charge: Charge,
    /// What comes after these, if the route has a disk.
    beyond: Option<Box<Beyond<'a>>>,
}

/// Bytes of an answer, and how many of them are content.
type Piece = (Lease, u64);

/// What is being sent.
struct Sending<'a> {
    future: Waiting<'a, Result<(), Unsent>>,
    length: usize,
    content: u64,
    /// Whether it comes from the disk, where its place can be used again once it is sent.
    from_disk: bool,
}

/// Why something was not sent.
enum Unsent {
    /// The client took no more.
    Client(io::Error),
    /// It could not be read.
    Disk(io::Error),
}

/// What has found no room in memory.
struct Beyond<'a> {
    /// What is being written: its bytes, and how many of them are content.
    writing: Option<(Waiting<'a, Written>, usize, u64)>,
    spill: Spill,
    /// How many of the bytes on the disk are content.
    content: u64,
    /// What comes after these.
    behind: VecDeque<Piece>,
}

/// What is read from the disk at a time for a client that lags behind, or is one of many on a connection.
const LITTLE: usize = 64 << 10;

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
        beyond: Spill::of(&exchange.connection, rule).map(Beyond::new),
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
        let mut has_waited = false;
        let received = loop {
            if backlog.is_empty() {
                break answer.next_content(body, silence).await.ok_or(Broken::Client(None))?;
            }
            if backlog.wants_disk() && !std::mem::replace(&mut has_waited, true) {
                // A client that keeps up takes what there is before any of it is written.
                if let Either::Left(sent) = race(backlog.step(exchange), give_way()).await {
                    sent?;
                }
                continue;
            }
            backlog.make_room();
            if !backlog.has_room() {
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
                Broken::Unreadable => exchange.unreadable(),
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
        self.sending.is_none() && self.pieces.is_empty() && self.beyond.as_ref().is_none_or(|beyond| beyond.is_empty())
    }

    /// Whether more may come: memory has room, or the disk has, and has been given all that goes before it.
    fn has_room(&self) -> bool {
        self.charge.has_room(0) || self.beyond.as_ref().is_some_and(|beyond| beyond.has_room())
    }

    /// Puts a piece behind the others; small ones are put together, so that what is counted is what is held.
    fn push(&mut self, piece: Lease, content: u64) {
        if piece.is_empty() {
            return;
        }
        self.charge.add(piece.len());
        let pieces = match &mut self.beyond {
            Some(beyond) if !beyond.is_empty() => &mut beyond.behind,
            _ => &mut self.pieces,
        };
        match pieces.back_mut() {
            Some((last, counted)) if last.room() >= piece.len() => {
                last.buffer().extend_from_slice(&piece);
                *counted += content;
            }
            _ if piece.room() > piece.len() => {
                let mut fitting = Lease::with_room(piece.len());
                fitting.buffer().extend_from_slice(&piece);
                pieces.push_back((fitting, content));
            }
            _ => pieces.push_back((piece, content)),
        }
    }

    /// Whether memory has no more room, and a disk is there.
    fn wants_disk(&self) -> bool {
        self.beyond.is_some() && !self.charge.has_room(0)
    }

    /// Begins to write to the disk, if memory has no more room and the disk has.
    fn make_room(&mut self) {
        if !self.wants_disk() {
            return;
        }
        let Some(beyond) = self.beyond.as_deref_mut().filter(|beyond| beyond.writing.is_none()) else { return };
        if beyond.is_empty() {
            // The first half is what the client takes next.
            beyond.behind = self.pieces.split_off(self.pieces.len() / 2);
        }
        beyond.write();
    }

    /// Sends a piece, or writes one. Given up, it goes on with the next call.
    async fn step(&mut self, exchange: &mut Exchange<'_>) -> Result<(), Broken> {
        self.send_next();
        let Self { sending, beyond, .. } = self;
        let writing = beyond.as_mut().and_then(|beyond| beyond.writing.as_mut());
        let done = match (sending, writing) {
            (Some(sending), None) => Either::Left((&mut sending.future).await),
            (Some(sending), Some((writing, ..))) => race(&mut sending.future, writing).await,
            (None, Some((writing, ..))) => Either::Right(writing.await),
            (None, None) => return Ok(()),
        };
        match done {
            Either::Left(sent) => self.sent(sent, exchange),
            Either::Right(written) => {
                if let Some(beyond) = &mut self.beyond {
                    self.charge.sub(beyond.wrote(written));
                }
                Ok(())
            }
        }
    }

    /// Begins to send what comes next, unless something is being sent, or what comes next is being written.
    fn send_next(&mut self) {
        if self.sending.is_some() {
            return;
        }
        let (client, stall) = (self.client, self.stall);
        if let (true, Some(beyond)) = (self.pieces.is_empty(), &mut self.beyond) {
            if beyond.spill.len() > 0 {
                let most = if client.is_multiplexed() || client.lags() { LITTLE } else { PIECE };
                let (read, length) = beyond.spill.read(beyond.spill.begin(), most);
                // How they lie among the bytes is not known: by the last one it is right.
                let content = beyond.content.min(length as u64);
                beyond.content -= content;
                self.charge.add(length);
                let future = Box::pin(async move {
                    let piece = read.await.map_err(Unsent::Disk)?;
                    client.send(piece, stall).await.map_err(Unsent::Client)
                });
                self.sending = Some(Sending { future, length, content, from_disk: true });
                return;
            }
            if beyond.writing.is_none() {
                beyond.spill.close();
                self.pieces = std::mem::take(&mut beyond.behind);
            }
        }
        if let Some((piece, content)) = self.pieces.pop_front() {
            let length = piece.len();
            let future = Box::pin(async move { client.send(piece, stall).await.map_err(Unsent::Client) });
            self.sending = Some(Sending { future, length, content, from_disk: false });
        }
    }

    /// Notes what became of what was sent.
    fn sent(&mut self, sent: Result<(), Unsent>, exchange: &mut Exchange<'_>) -> Result<(), Broken> {
        let Some(Sending { length, content, from_disk, .. }) = self.sending.take() else { return Ok(()) };
        self.charge.sub(length);
        match (sent, self.beyond.as_mut().filter(|_| from_disk)) {
            (Ok(()), Some(beyond)) => beyond.spill.free(length),
            (Ok(()), None) => {}
            (Err(Unsent::Client(error)), _) => return Err(unsent_to_client(&error)),
            (Err(Unsent::Disk(error)), beyond) => {
                if let Some(beyond) = beyond {
                    beyond.spill.failed("read", &error);
                }
                return Err(Broken::Unreadable);
            }
        }
        exchange.outcome.bytes_out += length as u64;
        exchange.outcome.body_out += content;
        Ok(())
    }
}

impl Beyond<'_> {
    fn new(spill: Spill) -> Box<Self> {
        Box::new(Self { writing: None, spill, content: 0, behind: VecDeque::new() })
    }

    fn is_empty(&self) -> bool {
        self.writing.is_none() && self.spill.len() == 0 && self.behind.is_empty()
    }

    fn has_room(&self) -> bool {
        self.writing.is_none() && self.behind.is_empty() && self.spill.room() > 0
    }

    /// Begins to write what comes next, as far as there is room for it.
    fn write(&mut self) {
        if self.spill.room() == 0 {
            return self.spill.is_full();
        }
        let Some((mut piece, mut content)) = self.behind.pop_front() else { return };
        while let Some((next, more)) = self.behind.pop_front_if(|(next, _)| piece.len() + next.len() <= PIECE) {
            piece.reserve(next.len());
            piece.buffer().extend_from_slice(&next);
            content += more;
        }
        let length = piece.len();
        self.writing = Some((Box::pin(self.spill.write(piece)), length, content));
    }

    /// Notes what became of a write. Returns how many bytes are on the disk now.
    fn wrote(&mut self, written: Written) -> usize {
        let Some((_, length, content)) = self.writing.take() else { return 0 };
        let rest = self.spill.wrote(written);
        let count = length - rest.len();
        let on_disk = content.min(count as u64);
        self.content += on_disk;
        if !rest.is_empty() {
            self.behind.push_front((rest, content - on_disk));
        }
        count
    }
}
