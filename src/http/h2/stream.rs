//! One stream of a connection, as an exchange sees its client or its target: text of HTTP/1.1 comes from it and goes to it.

use super::fields::Content;
use super::frame::Code;
use super::session::Session;
use super::streams::{Broken, Key};
use crate::http::h1::ChunkDecoder;
use crate::net::{Lease, coarse_now};
use crate::tls::{Facts, Multiplexed};
use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// A connection, as all of its streams have it.
pub(super) type Shared = Rc<RefCell<Session>>;

/// A stream that is held.
pub(super) struct Held<'a> {
    session: Shared,
    key: Key,
    facts: Option<&'a Facts>,
    /// What goes out behind which head.
    kind: Kind,
    state: RefCell<State>,
    /// Nobody reads any more.
    deaf: Cell<bool>,
}

/// What is sent on a stream.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// An answer; whether the request's method was HEAD.
    Answer { to_head: bool },
    /// A request to a target that is reached by this scheme.
    Request { scheme: &'static str },
}

/// Where the text that is sent has got to.
enum State {
    Head,
    Length(u64),
    Chunked(Box<Chunks>),
    Tunnel,
    Ended,
}

/// Content in chunks.
#[derive(Default)]
struct Chunks {
    decoder: ChunkDecoder,
    /// Bytes of content at the beginning of the text, and of framing behind them.
    content: usize,
    framing: usize,
}

impl<'a> Held<'a> {
    /// The stream at `key`. `facts` are those of the connection's handshake.
    pub(super) fn new(session: Shared, key: Key, kind: Kind, facts: Option<&'a Facts>) -> Self {
        Self { session, key, facts, kind, state: RefCell::new(State::Head), deaf: Cell::new(false) }
    }
}

impl Multiplexed for Held<'_> {
    fn facts(&self) -> Option<&Facts> {
        self.facts
    }

    fn is_cut(&self) -> bool {
        self.session.borrow().killed
    }

    fn set_deadline(&self, after: Option<Duration>) {
        self.session.borrow_mut().set_deadline(self.key, after.map(|after| coarse_now().saturating_add(after)));
    }

    fn poll_wait(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf.get() {
            return Poll::Ready(Ok(()));
        }
        self.session.borrow_mut().poll_read(self.key, cx)
    }

    fn take(&self) -> Option<Lease> {
        if self.deaf.get() { Some(Lease::empty()) } else { self.session.borrow_mut().take(self.key) }
    }

    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<bool> {
        self.session.borrow_mut().poll_broken(self.key, cx).map(|()| true)
    }

    fn push(&self, text: &mut Lease) -> io::Result<bool> {
        let mut session = self.session.borrow_mut();
        let mut state = self.state.borrow_mut();
        while !text.is_empty() {
            match &mut *state {
                State::Head => {
                    let sent = match self.kind {
                        Kind::Answer { to_head } => session.respond(self.key, text, to_head),
                        Kind::Request { scheme } => session.request(self.key, text, scheme.as_bytes()),
                    };
                    let (length, content) = match sent {
                        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                        sent => sent?,
                    };
                    text.advance(length);
                    match content {
                        None => {}
                        Some(Content::None) => *state = State::Ended,
                        Some(Content::Length(length)) => *state = State::Length(length),
                        Some(Content::Chunked) => *state = State::Chunked(Box::default()),
                        Some(Content::Tunnel) => *state = State::Tunnel,
                    }
                }
                State::Length(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(text.len());
                    let sent = session.content(self.key, &text[..here], here as u64 == *left)?;
                    if sent == 0 {
                        return Ok(false);
                    }
                    *left -= sent as u64;
                    text.advance(sent);
                    if *left == 0 {
                        *state = State::Ended;
                    }
                }
                State::Chunked(chunks) if chunks.content > 0 => {
                    let sent = session.content(self.key, &text[..chunks.content], false)?;
                    if sent == 0 {
                        return Ok(false);
                    }
                    text.advance(sent);
                    chunks.content -= sent;
                    if chunks.content == 0 {
                        text.advance(chunks.framing);
                    }
                }
                State::Chunked(chunks) => {
                    let step = chunks.decoder.decode(text).map_err(|bad| io::Error::other(bad.reason))?;
                    if step.end {
                        session.trailers(self.key, chunks.decoder.trailers())?;
                        text.advance(step.consumed);
                        *state = State::Ended;
                    } else if step.data.is_empty() {
                        text.advance(step.consumed);
                    } else {
                        text.advance(step.data.start);
                        (chunks.content, chunks.framing) = (step.data.len(), step.consumed - step.data.end);
                    }
                }
                State::Tunnel => {
                    let sent = session.content(self.key, text, false)?;
                    if sent == 0 {
                        return Ok(false);
                    }
                    text.advance(sent);
                }
                // Nothing that counts is sent behind the end.
                State::Ended => return Ok(true),
            }
        }
        Ok(true)
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.session.borrow_mut().poll_room(self.key, cx)
    }

    fn shutdown(&self) {
        let mut state = self.state.borrow_mut();
        if matches!(*state, State::Tunnel) {
            // The other way goes on.
            *state = State::Ended;
            // It fails for a stream that has ended already.
            let _ = self.session.borrow_mut().content(self.key, b"", true);
        } else {
            // Of anything else nobody reads any more.
            self.deaf.set(true);
        }
    }

    fn reset(&self) {
        *self.state.borrow_mut() = State::Ended;
        self.session.borrow_mut().reset(self.key, self.kind.code(), Broken::Reset);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.session.borrow_mut().release(self.key, self.kind.code());
    }
}

impl Kind {
    /// Why a stream is ended that is not whole.
    fn code(self) -> Code {
        match self {
            Self::Answer { .. } => Code::INTERNAL_ERROR,
            Self::Request { .. } => Code::CANCEL,
        }
    }
}
