//! One connection of HTTP/2 without its socket: bytes are fed in and taken out, and between them are the streams.
//!
//! What always holds:
//! - A peer's window is opened again when what it sent has gone on, so that nothing is held beyond the windows.
//! - What waits to go out is bounded: content by [`ROOM`], all else by what came, as nothing is read while there is more.
//! - Streams that wait for room get it in turn.

use super::fields::{Content, push_request, push_response, push_trailers};
use super::frame::{self, Code, HEAD, MOST, PAYLOAD, flag, kind, setting};
use super::head::Asked;
use super::hpack::{Decoder, NO_TABLE};
use super::receive::Reading;
use super::streams::{Broken, Key, Stream, Streams};
use super::{PREFACE, receive};
use crate::net::{Lease, coarse_now};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Bytes that may wait to be sent before streams have to wait.
pub(super) const ROOM: usize = 256 << 10;
/// What one stream may add while others wait.
const TURN: usize = PAYLOAD;
/// The window that every connection and stream begins with (RFC 9113 §6.9.2).
const FIRST_WINDOW: u32 = 65_535;
/// The size of the table that the peer's fields may refer to (RFC 7541 §4.2).
const TABLE: usize = 4096;
/// Streams that a server allows before it has said how many.
const FIRST_STREAMS: u32 = 100;
/// Content of the ping whose answer says that the first GOAWAY has arrived.
pub(super) const LAST_PING: [u8; 8] = *b"farewell";

/// What we allow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Streams that the peer may have open at a time.
    pub(super) streams: u32,
    /// What it may send on one stream before that has gone on.
    pub(super) stream_window: u32,
    /// The same on all of them together.
    pub(super) connection_window: u32,
    /// Bytes of a head, as text.
    pub(super) head: usize,
    /// Whether it may ask for WebSockets (RFC 8441).
    pub(super) websockets: bool,
}

/// Which side we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Server,
    Client,
}

/// A request that has come.
pub(super) struct Arrival {
    pub(super) key: Key,
    /// Its head as text.
    pub(super) text: Lease,
    pub(super) to_head: bool,
}

/// How far we have come with ending the connection in order (RFC 9113 §6.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Farewell {
    None,
    /// The peer was told to begin no more streams, some of which may be on their way.
    Announced,
    /// It was told which was the last one.
    Said,
}

/// One connection.
pub(super) struct Session {
    pub(super) role: Role,
    pub(super) limits: Limits,
    pub(super) reading: Reading,
    pub(super) decoder: Decoder,
    pub(super) streams: Streams,
    pub(super) arrivals: VecDeque<Arrival>,
    /// Requests that did not say one thing, since this was last asked for.
    pub(super) malformed: u32,
    /// Streams that were reset for what the peer did on them, since this was last asked for.
    pub(super) provoked: u32,
    pub(super) output: Lease,
    /// What we may send on all streams together, and on a new one.
    pub(super) send_window: i64,
    pub(super) first_window: u32,
    /// What the peer may send on all streams together, and what that is to be raised by when it is worth a frame.
    pub(super) receive_window: i64,
    pub(super) owed: u32,
    /// Streams that the peer allows, and whether WebSockets among them (RFC 8441).
    pub(super) peer_streams: u32,
    pub(super) peer_connects: bool,
    /// The highest stream that has been begun, by whoever begins them.
    pub(super) last: u32,
    pub(super) farewell: Farewell,
    /// Whether the peer wants no more streams.
    pub(super) closing: bool,
    /// Whether the connection is of no more use.
    pub(super) failed: bool,
    /// Whether that is because the peer asks for too much.
    calmed: bool,
    /// Streams that wait for room.
    pub(super) line: VecDeque<Key>,
    /// Whether the peer was told that our fields refer to no table.
    tableless: bool,
    /// Who moves the bytes.
    driver: Option<Waker>,
    /// Room for reading heads.
    pub(super) spare: Vec<u8>,
}

impl Session {
    pub(super) fn new(role: Role, limits: Limits) -> Self {
        let mut session = Self {
            role,
            limits,
            reading: Reading::new(role),
            decoder: Decoder::new(TABLE),
            streams: Streams::default(),
            arrivals: VecDeque::new(),
            malformed: 0,
            provoked: 0,
            calmed: false,
            output: Lease::empty(),
            send_window: FIRST_WINDOW.into(),
            first_window: FIRST_WINDOW,
            receive_window: limits.connection_window.into(),
            owed: 0,
            peer_streams: FIRST_STREAMS,
            peer_connects: false,
            last: 0,
            farewell: Farewell::None,
            closing: false,
            failed: false,
            line: VecDeque::new(),
            tableless: false,
            driver: None,
            spare: Vec::new(),
        };
        let out = session.output.buffer();
        let window = (setting::INITIAL_WINDOW_SIZE, limits.stream_window);
        let head = (setting::MAX_HEADER_LIST_SIZE, u32::try_from(limits.head).unwrap_or(u32::MAX));
        let streams = (setting::MAX_CONCURRENT_STREAMS, limits.streams);
        match role {
            Role::Server if limits.websockets => {
                frame::push_settings(out, &[streams, window, head, (setting::ENABLE_CONNECT_PROTOCOL, 1)]);
            }
            Role::Server => frame::push_settings(out, &[streams, window, head]),
            Role::Client => {
                out.extend_from_slice(PREFACE);
                frame::push_settings(out, &[(setting::ENABLE_PUSH, 0), window, head]);
            }
        }
        frame::push_word(out, kind::WINDOW_UPDATE, 0, limits.connection_window.saturating_sub(FIRST_WINDOW));
        session
    }

    /// Takes what came from the peer. What is wrong with it ends streams, or the connection.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if !self.failed
            && let Err(code) = receive::feed(self, bytes)
        {
            self.fail(code);
        }
    }

    /// Takes what is to be sent, if there is any.
    pub(super) fn take_output(&mut self) -> Option<Lease> {
        if self.output.is_empty() {
            return None;
        }
        let output = std::mem::take(&mut self.output);
        self.serve_line();
        Some(output)
    }

    /// Whether what comes is listened to: not from a peer that asks and does not take the answers.
    pub(super) fn listens(&self) -> bool {
        !self.failed && self.output.len() < ROOM
    }

    /// Whether the peer has said what it allows.
    pub(super) fn is_settled(&self) -> bool {
        self.reading.is_settled()
    }

    /// Whether nothing is under way, nor can be any more.
    pub(super) fn is_over(&self) -> bool {
        let ending = self.closing || self.farewell == Farewell::Said;
        self.streams.len() == 0 && self.arrivals.is_empty() && (self.failed || ending)
    }

    /// Has the driver come back when something is to be sent.
    pub(super) fn driven_by(&mut self, cx: &Context<'_>) {
        match &mut self.driver {
            Some(driver) => driver.clone_from(cx.waker()),
            None => self.driver = Some(cx.waker().clone()),
        }
    }

    fn wake_driver(&mut self) {
        self.driver.take().into_iter().for_each(Waker::wake);
    }

    /// Ends the connection for what the peer did.
    pub(super) fn fail(&mut self, code: Code) {
        if !self.failed {
            tracing::debug!(code = code.0, "connection of HTTP/2 failed");
            self.calmed = code == Code::ENHANCE_YOUR_CALM;
            // Of a server's streams the client has begun none.
            let last = if self.role == Role::Server { self.last } else { 0 };
            frame::push_goaway(self.output.buffer(), last, code);
        }
        self.end();
    }

    /// Whether the connection was ended because the peer asks for too much.
    pub(super) fn is_calmed(&self) -> bool {
        self.calmed
    }

    /// The connection is broken: nothing more comes, and nothing goes.
    pub(super) fn cut(&mut self) {
        self.output = Lease::empty();
        self.end();
    }

    fn end(&mut self) {
        let role = self.role;
        self.failed = true;
        // Nobody holds them yet, and nobody will.
        self.arrivals.drain(..).for_each(|arrival| self.streams.remove(arrival.key, false));
        self.streams.each().for_each(|stream| {
            // What has come whole can still be read.
            if role == Role::Client && stream.received {
                stream.send_no_more();
            } else if !stream.is_over() {
                stream.break_off(Broken::Reset);
            }
        });
        self.wake_driver();
    }

    /// We begin no more streams, and have told the server.
    pub(super) fn close(&mut self) {
        if !self.failed && !std::mem::replace(&mut self.closing, true) {
            frame::push_goaway(self.output.buffer(), 0, Code::NO_ERROR);
        }
        self.wake_driver();
    }

    /// Begins to end the connection in order.
    pub(super) fn announce_end(&mut self) {
        if self.farewell == Farewell::None && !self.failed {
            self.farewell = Farewell::Announced;
            frame::push_goaway(self.output.buffer(), MOST, Code::NO_ERROR);
            frame::push_ping(self.output.buffer(), 0, LAST_PING);
        }
    }

    /// The peer knows that no more streams are wanted.
    pub(super) fn say_farewell(&mut self) {
        if self.farewell < Farewell::Said && !self.failed {
            self.farewell = Farewell::Said;
            frame::push_goaway(self.output.buffer(), self.last, Code::NO_ERROR);
        }
    }

    /// Asks whether the peer is there.
    pub(super) fn ping(&mut self) {
        frame::push_ping(self.output.buffer(), 0, *b"are here");
    }

    /// Ends the stream at `key` for what the peer did on it.
    pub(super) fn reset(&mut self, key: Key, code: Code, why: Broken) {
        if let Some(stream) = self.streams.get(key)
            && !stream.is_over()
        {
            let id = stream.id;
            stream.break_off(why);
            if id > 0 {
                frame::push_word(self.output.buffer(), kind::RST_STREAM, id, code.0);
            }
            self.wake_driver();
        }
    }

    /// Lets go of the stream at `key`. What is not whole by now never will be: the peer is told `code`.
    pub(super) fn release(&mut self, key: Key, code: Code) {
        let Some(stream) = self.streams.get(key) else { return };
        let (id, unreleased) = (stream.id, stream.held + stream.taken);
        let (open, in_line) = (!stream.is_over(), stream.in_line);
        let reset = open || stream.broken.is_some() && !stream.by_peer;
        // All that is missing is the word that it was all: a server that does not say it at once would only wonder.
        let whole = self.role == Role::Client && stream.sent && stream.expected == Some(0);
        if open && id > 0 && !whole && !self.failed {
            // RFC 9113 §8.1: an answer that is complete needs no more of its request.
            let code = if stream.sent && self.role == Role::Server { Code::NO_ERROR } else { code };
            frame::push_word(self.output.buffer(), kind::RST_STREAM, id, code.0);
            self.wake_driver();
        }
        self.streams.remove(key, reset);
        if in_line {
            self.line.retain(|&other| other != key);
        }
        self.repay(unreleased);
        self.serve_line();
        if self.is_over() {
            self.wake_driver();
        }
    }

    /// Raises the window of the connection, in steps of half of what there is: streams of which nobody takes anything may hold
    /// most of it, and the others live on the rest.
    pub(super) fn repay(&mut self, bytes: u32) {
        self.owed += bytes;
        if self.owed > 0 && i64::from(self.owed) >= self.receive_window && !self.failed {
            self.receive_window += i64::from(self.owed);
            let owed = std::mem::take(&mut self.owed);
            frame::push_word(self.output.buffer(), kind::WINDOW_UPDATE, 0, owed);
            self.wake_driver();
        }
    }

    /// Raises the windows by what came on the stream at `key` and is held no more.
    pub(super) fn gone_on(&mut self, key: Key, bytes: u32) {
        if let Some(stream) = self.streams.get(key) {
            stream.owed += bytes;
            if stream.owed >= self.limits.stream_window / 2 && !stream.received && stream.broken.is_none() {
                let owed = std::mem::take(&mut stream.owed);
                stream.receive_window += i64::from(owed);
                frame::push_word(self.output.buffer(), kind::WINDOW_UPDATE, stream.id, owed);
                self.wake_driver();
            }
        }
        self.repay(bytes);
    }

    /// Waits until there is something to take on the stream at `key`: that it is asked for says that what was taken before
    /// has gone on.
    pub(super) fn poll_read(&mut self, key: Key, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = self.streams.get(key) else { return Poll::Ready(Err(ErrorKind::ConnectionReset.into())) };
        let gone_on = std::mem::take(&mut stream.taken);
        if gone_on > 0 {
            self.gone_on(key, gone_on);
        }
        let Some(stream) = self.streams.get(key) else { return Poll::Pending };
        if let Some(why) = stream.broken {
            return Poll::Ready(Err(why.error()));
        }
        if !stream.inbox.is_empty() || stream.received {
            return Poll::Ready(Ok(()));
        }
        if stream.is_overdue(coarse_now()) {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        stream.wait_to_read(cx);
        Poll::Pending
    }

    /// Takes what has come on the stream at `key`; nothing at its end, `None` if nothing has come.
    pub(super) fn take(&mut self, key: Key) -> Option<Lease> {
        let stream = self.streams.get(key)?;
        if stream.broken.is_some() || stream.inbox.is_empty() && !stream.received {
            return None;
        }
        stream.chunk = 0;
        stream.taken += std::mem::take(&mut stream.held);
        Some(std::mem::take(&mut stream.inbox))
    }

    /// Sets when waiting for what comes on the stream at `key` ends.
    pub(super) fn set_deadline(&mut self, key: Key, due: Option<Duration>) {
        if let Some(stream) = self.streams.get(key) {
            stream.due = due;
        }
    }

    /// Wakes those who have waited for too long at `now`. Returns whether anybody may wait.
    pub(super) fn sweep(&mut self, now: Duration) -> bool {
        self.streams.each().filter(|stream| stream.is_overdue(now)).for_each(Stream::wake_reader);
        self.streams.len() > 0
    }

    /// Waits until the stream at `key` has ended early, or for its deadline.
    pub(super) fn poll_broken(&mut self, key: Key, cx: &Context<'_>) -> Poll<()> {
        match self.streams.get(key) {
            Some(stream) if stream.broken.is_none() && !stream.is_overdue(coarse_now()) => {
                stream.wait_to_read(cx);
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// The stream at `key`, if more may be sent on it.
    fn open(&mut self, key: Key) -> io::Result<&mut Stream> {
        let Some(stream) = self.streams.get(key) else { return Err(ErrorKind::ConnectionReset.into()) };
        match stream.broken {
            Some(why) => Err(why.error()),
            None if stream.sent => Err(ErrorKind::BrokenPipe.into()),
            None => Ok(stream),
        }
    }

    /// Sends the head of an answer, which stands at the beginning of `text`. Returns its length, and what follows it;
    /// `None`: another head does.
    pub(super) fn respond(&mut self, key: Key, text: &[u8], to_head: bool) -> io::Result<(usize, Option<Content>)> {
        let id = self.open(key)?.id;
        let at = self.begin_block();
        let Some((status, content, length)) = push_response(text, to_head, self.output.buffer()) else {
            self.drop_block(at);
            return Err(io::Error::other("an answer without a head"));
        };
        let interim = status < 200 && content != Content::Tunnel;
        let ends = !interim && content == Content::None;
        self.close_block(at, key, ends, id);
        Ok((length, Some(content).filter(|_| !interim)))
    }

    /// Sends the head of a request, which stands at the beginning of `text`, as [`Session::respond`] does. Fails with
    /// `ConnectionRefused` if the server takes no more, with `WouldBlock` if it is not known yet whether it takes this one.
    pub(super) fn request(&mut self, key: Key, text: &[u8], scheme: &[u8]) -> io::Result<(usize, Option<Content>)> {
        let closing = self.closing;
        let stream = self.open(key)?;
        if closing {
            stream.break_off(Broken::Unseen);
            return Err(Broken::Unseen.error());
        }
        let id = if self.last == 0 { 1 } else { self.last + 2 };
        let at = self.begin_block();
        let Some((content, length, asked)) = push_request(text, scheme, self.output.buffer()) else {
            self.drop_block(at);
            return Err(io::Error::other("a request without a head"));
        };
        // RFC 8441 §3.
        if content == Content::Tunnel && !self.peer_connects {
            self.drop_block(at);
            if !self.is_settled() {
                return Err(ErrorKind::WouldBlock.into());
            }
            // Nobody is to wait for the answer: nothing was asked.
            if let Some(stream) = self.streams.get(key) {
                stream.break_off(Broken::Reset);
            }
            return Err(io::Error::other("no tunnels"));
        }
        self.last = id;
        self.streams.number(key, id);
        if let Some(stream) = self.streams.get(key) {
            stream.asked = asked;
        }
        self.close_block(at, key, content == Content::None, id);
        if id >= MOST - 1 {
            // RFC 9113 §5.1.1: there are no more numbers.
            self.close();
        }
        Ok((length, Some(content)))
    }

    /// Sends trailers, and the end.
    pub(super) fn trailers(&mut self, key: Key, lines: &[u8]) -> io::Result<()> {
        let id = self.open(key)?.id;
        let at = self.begin_block();
        let begun = self.output.len();
        push_trailers(lines, self.output.buffer());
        if self.output.len() == begun {
            self.drop_block(at);
            return self.content(key, b"", true).map(drop);
        }
        self.close_block(at, key, true, id);
        Ok(())
    }

    /// Leaves the place of a frame's head. Returns where.
    fn begin_block(&mut self) -> usize {
        let at = self.output.len();
        self.output.reserve(1024);
        let out = self.output.buffer();
        out.extend_from_slice(&[0; HEAD]);
        if !self.tableless {
            out.push(NO_TABLE);
        }
        at
    }

    fn drop_block(&mut self, at: usize) {
        self.output.truncate(at);
    }

    fn close_block(&mut self, at: usize, key: Key, ends: bool, id: u32) {
        self.tableless = true;
        // Where the unread part begins the frames do too.
        let begin = self.output.buffer().len() - self.output.len();
        frame::close_block(self.output.buffer(), begin + at, if ends { flag::END_STREAM } else { 0 }, id);
        self.sent(key, ends);
    }

    fn sent(&mut self, key: Key, ends: bool) {
        if ends && let Some(stream) = self.streams.get(key) {
            stream.sent = true;
        }
        self.wake_driver();
    }

    /// How many bytes of content the stream at `key` may send now.
    fn room(&mut self, key: Key) -> io::Result<usize> {
        let windows = self.open(key)?.send_window.min(self.send_window);
        let room = usize::try_from(windows).unwrap_or(0).min(ROOM.saturating_sub(self.output.len()));
        Ok(if self.line.is_empty() { room } else { room.min(TURN) })
    }

    /// Sends as much of `content` as there is room for, and the end behind all of it if it `ends`. Returns how much.
    pub(super) fn content(&mut self, key: Key, content: &[u8], ends: bool) -> io::Result<usize> {
        let room = if content.is_empty() { 0 } else { self.room(key)? };
        let (now, later) = content.split_at(room.min(content.len()));
        let ends = ends && later.is_empty();
        if now.is_empty() && !ends {
            return Ok(0);
        }
        let stream = self.open(key)?;
        stream.send_window -= now.len() as i64;
        let id = stream.id;
        self.send_window -= now.len() as i64;
        self.output.reserve(now.len() + now.len().div_ceil(PAYLOAD).max(1) * HEAD);
        let out = self.output.buffer();
        let mut rest = now;
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.len().min(PAYLOAD));
            let flags = if ends && more.is_empty() { flag::END_STREAM } else { 0 };
            frame::push_head(out, piece.len(), kind::DATA, flags, id);
            out.extend_from_slice(piece);
            rest = more;
        }
        if now.is_empty() {
            frame::push_head(out, 0, kind::DATA, flag::END_STREAM, id);
        }
        self.sent(key, ends);
        Ok(now.len())
    }

    /// Waits until the stream at `key` may send content.
    pub(super) fn poll_room(&mut self, key: Key, cx: &Context<'_>) -> Poll<io::Result<()>> {
        match self.room(key) {
            Ok(room) if room > 0 && self.line.is_empty() && self.is_settled() => return Poll::Ready(Ok(())),
            Err(error) => return Poll::Ready(Err(error)),
            Ok(_) => {}
        }
        let Some(stream) = self.streams.get(key) else { return Poll::Pending };
        stream.wait_to_write(cx);
        if !std::mem::replace(&mut stream.in_line, true) {
            self.line.push_back(key);
        }
        self.serve_line();
        match self.streams.get(key) {
            Some(stream) if !stream.in_line => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    }

    /// Wakes those who are first in line, for as much room as there is.
    pub(super) fn serve_line(&mut self) {
        if self.line.is_empty() || !self.is_settled() {
            return;
        }
        let mut room = usize::try_from(self.send_window).unwrap_or(0).min(ROOM.saturating_sub(self.output.len()));
        for _ in 0..self.line.len() {
            if room == 0 {
                return;
            }
            let Some(key) = self.line.pop_front() else { return };
            let Some(stream) = self.streams.get(key).filter(|stream| stream.in_line) else { continue };
            // One without a number waits for something else than its window.
            if stream.send_window > 0 || stream.id == 0 || stream.broken.is_some() {
                stream.in_line = false;
                stream.wake_writer();
                room = room.saturating_sub(TURN);
            } else {
                self.line.push_back(key);
            }
        }
    }

    /// Makes a place for a stream of our own. `None`: the server allows no more.
    pub(super) fn begin(&mut self) -> Option<Key> {
        if self.failed || self.closing {
            return None;
        }
        Some(self.streams.add(Stream {
            receive_window: self.limits.stream_window.into(),
            send_window: self.first_window.into(),
            asked: Asked::default(),
            ..Stream::default()
        }))
    }
}
