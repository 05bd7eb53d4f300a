//! One connection of HTTP/2 without its socket: bytes are fed in and taken out, and between them are the streams.
//!
//! What always holds:
//! - A peer's window is opened again when what it sent has gone on, so that nothing is held beyond the windows.
//! - What waits to go out is bounded: content by [`ROOM`], all else by what came, as nothing is read while there is more.

use super::frame::{self, Code, Head, MOST, kind, setting};
use super::head::Asked;
use super::hpack::Decoder;
use super::meter::Meter;
use super::receive::Reading;
use super::streams::{Broken, Key, Stream, Streams};
use super::{PREFACE, receive};
use crate::net::{Lease, coarse_now};
use crate::observe::reason::Flood;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Bytes that may wait to be sent before streams have to wait.
pub(super) const ROOM: usize = 256 << 10;
/// The window that every connection and stream begins with (RFC 9113 §6.9.2).
const FIRST_WINDOW: u32 = 65_535;
/// The size of the table that the peer's fields may refer to (RFC 7541 §4.2).
const TABLE: usize = 4096;
/// Streams that a server allows before it has said how many.
const FIRST_STREAMS: u32 = 100;
/// How long a peer that has heard of the end may take to send what it had begun before.
pub(super) const FLUSH: Duration = Duration::from_millis(50);
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
    /// What counts the frames of a client, and what it floods us with, if it does.
    meter: Option<Meter>,
    pub(super) flood: Option<Flood>,
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
    /// When it may be told which was the last stream, once it has heard that no more are wanted.
    pub(super) last_word: Option<Duration>,
    /// Whether the peer wants no more streams.
    pub(super) closing: bool,
    /// Whether the connection is of no more use.
    pub(super) failed: bool,
    /// Whether an operator has ended it.
    pub(super) killed: bool,
    /// Streams that wait for room.
    pub(super) line: VecDeque<Key>,
    /// Whether the peer was told that our fields refer to no table.
    pub(super) tableless: bool,
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
            meter: (role == Role::Server).then(|| Meter::new(coarse_now())),
            flood: None,
            output: Lease::empty(),
            send_window: FIRST_WINDOW.into(),
            first_window: FIRST_WINDOW,
            receive_window: limits.connection_window.into(),
            owed: 0,
            peer_streams: FIRST_STREAMS,
            peer_connects: false,
            last: 0,
            farewell: Farewell::None,
            last_word: None,
            closing: false,
            failed: false,
            killed: false,
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
        if let Some(meter) = &mut self.meter {
            meter.sent(output.len());
        }
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

    pub(super) fn wake_driver(&mut self) {
        self.driver.take().into_iter().for_each(Waker::wake);
    }

    /// Ends the connection for what the peer did.
    pub(super) fn fail(&mut self, code: Code) {
        if !self.failed {
            tracing::debug!(code = code.0, "connection of HTTP/2 failed");
            // Of a server's streams the client has begun none.
            let last = if self.role == Role::Server { self.last } else { 0 };
            frame::push_goaway(self.output.buffer(), last, code);
        }
        self.end();
    }

    /// Counts a frame, which may be one too many.
    pub(super) fn count(&mut self, head: Head) -> Result<(), Code> {
        let counted = self.meter.as_mut().map_or(Ok(()), |meter| meter.count(head, coarse_now()));
        counted.map_err(|flood| self.calm(flood))
    }

    /// Counts a stream that has to be reset for what the peer did on it, which may be one too many.
    pub(super) fn provoked(&mut self) {
        let counted = self.meter.as_mut().map_or(Ok(()), Meter::provoked);
        if let Err(flood) = counted {
            let code = self.calm(flood);
            self.fail(code);
        }
    }

    /// Notes that the peer floods us. Returns what the connection ends with.
    pub(super) fn calm(&mut self, flood: Flood) -> Code {
        self.flood = Some(flood);
        Code::ENHANCE_YOUR_CALM
    }

    /// The connection is broken: nothing more comes, and nothing goes.
    pub(super) fn cut(&mut self) {
        self.output = Lease::empty();
        self.end();
    }

    fn end(&mut self) {
        let role = self.role;
        self.last_word = None;
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

    /// The peer has heard that no more streams are wanted. What it had begun by then may come behind its answer: many clients
    /// answer a ping before they send what they hold.
    pub(super) fn heard_farewell(&mut self) {
        if self.farewell == Farewell::Announced {
            self.last_word.get_or_insert(coarse_now() + FLUSH);
        }
    }

    /// Tells the peer which was the last stream.
    fn say_farewell(&mut self) {
        self.last_word = None;
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

    /// Wakes those who have waited for too long at `now`, and says the last word when it is time. Returns whether there may be
    /// more of it.
    pub(super) fn sweep(&mut self, now: Duration) -> bool {
        self.streams.each().filter(|stream| stream.is_overdue(now)).for_each(Stream::wake_reader);
        if self.last_word.is_some_and(|due| now >= due) {
            self.say_farewell();
        }
        self.streams.len() > 0 || self.last_word.is_some()
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
    pub(super) fn open(&mut self, key: Key) -> io::Result<&mut Stream> {
        let Some(stream) = self.streams.get(key) else { return Err(ErrorKind::ConnectionReset.into()) };
        match stream.broken {
            Some(why) => Err(why.error()),
            None if stream.sent => Err(ErrorKind::BrokenPipe.into()),
            None => Ok(stream),
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
