//! One stream of a connection, as an exchange sees its client: text of HTTP/1.1 comes from it and goes to it.

use super::head::{self, Content, Shape};
use crate::http::h1::{CHUNK_END, ChunkDecoder, push_chunk_size, push_last_chunk};
use crate::net::{self, Lease};
use crate::tls::{Facts, Multiplexed, Waiting};
use ::h2::server::SendResponse;
use ::h2::{Reason, RecvStream, SendStream};
use bytes::{Buf, Bytes};
use http::HeaderMap;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// A stream whose request has been read.
pub(super) struct Stream<'a> {
    facts: Option<&'a Facts>,
    shape: Shape,
    /// Whether the request's method is HEAD.
    to_head: bool,
    upload: RefCell<Upload>,
    answer: RefCell<Answer>,
    /// What came and was not asked for yet.
    held: RefCell<Option<Lease>>,
    due: Cell<Option<Duration>>,
    timer: RefCell<Option<Pin<Box<dyn Future<Output = ()>>>>>,
    /// The exchange reads no more.
    closed: Cell<bool>,
}

struct Upload {
    body: RecvStream,
    /// Bytes for which the client's window has not been opened again.
    unreleased: usize,
    ended: bool,
}

struct Answer {
    respond: SendResponse<Bytes>,
    content: Option<SendStream<Bytes>>,
    state: State,
}

enum State {
    Head,
    Length(u64),
    Chunked(Box<ChunkDecoder>),
    Tunnel,
    Ended,
}

/// What is to be sent next.
enum Step {
    Content(Bytes, bool),
    Trailers(HeaderMap),
    Done,
}

impl<'a> Stream<'a> {
    pub(super) fn new(
        facts: Option<&'a Facts>,
        shape: Shape,
        to_head: bool,
        body: RecvStream,
        respond: SendResponse<Bytes>,
    ) -> Self {
        Self {
            facts,
            shape,
            to_head,
            upload: RefCell::new(Upload { body, unreleased: 0, ended: false }),
            answer: RefCell::new(Answer { respond, content: None, state: State::Head }),
            held: RefCell::new(None),
            due: Cell::new(None),
            timer: RefCell::new(None),
            closed: Cell::new(false),
        }
    }

    /// The exchange is over: an answer that is not whole by now never will be (RFC 9113 §8.1).
    pub(super) fn finish(self) {
        let mut answer = self.answer.into_inner();
        if !matches!(answer.state, State::Ended) {
            answer.reset(Reason::INTERNAL_ERROR);
        }
    }

    fn poll_due(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(due) = self.due.get() else { return Poll::Pending };
        let now = net::coarse_now();
        if now >= due {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        let mut timer = self.timer.borrow_mut();
        let timer = timer.get_or_insert_with(|| Box::pin(net::sleep(due - now)));
        timer.as_mut().poll(cx).map(|()| Err(ErrorKind::TimedOut.into()))
    }

    async fn send_all(&self, lease: Lease, stall: Duration) -> io::Result<()> {
        let mut text = Bytes::from_owner(lease);
        loop {
            let step = self.answer.borrow_mut().step(&mut text, self.to_head)?;
            match step {
                Step::Content(content, end) => self.send_content(content, end, stall).await?,
                Step::Trailers(trailers) => self.answer.borrow_mut().end_with(trailers)?,
                Step::Done => return Ok(()),
            }
        }
    }

    async fn send_content(&self, mut content: Bytes, end: bool, stall: Duration) -> io::Result<()> {
        while !content.is_empty() {
            let room = self.answer.borrow_mut().room(content.len())?;
            let room = match room {
                0 => {
                    let waiting = poll_fn(|cx| self.answer.borrow_mut().poll_room(cx));
                    net::timeout(stall, waiting).await.unwrap_or_else(|| Err(ErrorKind::TimedOut.into()))?
                }
                room => room,
            };
            let piece = content.split_to(room.min(content.len()));
            self.answer.borrow_mut().send(piece, end && content.is_empty())?;
        }
        Ok(())
    }
}

impl Upload {
    /// The next text of the body, empty at its end.
    fn poll(&mut self, chunked: bool, cx: &mut Context<'_>) -> Poll<io::Result<Lease>> {
        // What was handed out before has been taken by the far side.
        let unreleased = std::mem::take(&mut self.unreleased);
        // It fails for a stream that is gone, which the next look tells.
        let _ = self.body.flow_control().release_capacity(unreleased);
        if self.ended {
            return Poll::Ready(Ok(Lease::empty()));
        }
        loop {
            match self.body.poll_data(cx) {
                Poll::Ready(Some(Ok(content))) if content.is_empty() => {}
                Poll::Ready(Some(Ok(content))) => {
                    self.unreleased = content.len();
                    let mut lease = Lease::with_room(content.len() + 32);
                    let out = lease.buffer();
                    if chunked {
                        push_chunk_size(out, content.len());
                    }
                    out.extend_from_slice(&content);
                    if chunked {
                        out.extend_from_slice(CHUNK_END);
                    }
                    return Poll::Ready(Ok(lease));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(broken(&error))),
                Poll::Ready(None) => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        let trailers = match self.body.poll_trailers(cx) {
            Poll::Ready(Ok(trailers)) => trailers.unwrap_or_default(),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(broken(&error))),
            Poll::Pending => return Poll::Pending,
        };
        self.ended = true;
        let mut lease = Lease::empty();
        if chunked {
            let mut lines = Vec::new();
            head::write_trailers(&trailers, &mut lines);
            push_last_chunk(lease.buffer(), &lines);
        }
        Poll::Ready(Ok(lease))
    }
}

impl Answer {
    /// Takes the next thing to send off `text`.
    fn step(&mut self, text: &mut Bytes, to_head: bool) -> io::Result<Step> {
        loop {
            if text.is_empty() {
                return Ok(Step::Done);
            }
            match &mut self.state {
                State::Head => self.take_head(text, to_head)?,
                State::Length(left) => {
                    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(text.len());
                    *left -= count as u64;
                    let end = *left == 0;
                    if end {
                        self.state = State::Ended;
                    }
                    return Ok(Step::Content(text.split_to(count), end));
                }
                State::Chunked(decoder) => {
                    let step = decoder.decode(text).map_err(|bad| io::Error::other(bad.reason))?;
                    let content = text.slice(step.data);
                    text.advance(step.consumed);
                    if step.end {
                        debug_assert!(content.is_empty(), "a decoder tells the end by itself");
                        let trailers = head::trailers(decoder.trailers());
                        self.state = State::Ended;
                        return Ok(Step::Trailers(trailers));
                    }
                    if !content.is_empty() {
                        return Ok(Step::Content(content, false));
                    }
                }
                State::Tunnel => return Ok(Step::Content(std::mem::take(text), false)),
                // An exchange sends nothing behind the end.
                State::Ended => return Ok(Step::Done),
            }
        }
    }

    fn take_head(&mut self, text: &mut Bytes, to_head: bool) -> io::Result<()> {
        let Some((response, content, length)) = head::read_response(text, to_head) else {
            return Err(io::Error::other("an answer without a head"));
        };
        text.advance(length);
        if response.status().is_informational() {
            return self.respond.send_informational(response).map_err(|error| broken(&error));
        }
        let end = content == Content::None;
        self.content = Some(self.respond.send_response(response, end).map_err(|error| broken(&error))?);
        self.state = match content {
            Content::None => State::Ended,
            Content::Length(length) => State::Length(length),
            Content::Chunked => State::Chunked(Box::default()),
            Content::Tunnel => State::Tunnel,
        };
        Ok(())
    }

    /// Asks for room for `wanted` bytes; how many may go at once.
    fn room(&mut self, wanted: usize) -> io::Result<usize> {
        let content = self.content()?;
        content.reserve_capacity(wanted);
        Ok(content.capacity())
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let content = self.content()?;
        match content.poll_capacity(cx) {
            Poll::Ready(Some(Ok(0))) | Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(room))) => Poll::Ready(Ok(room)),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Err(broken(&error))),
            Poll::Ready(None) => Poll::Ready(Err(ErrorKind::ConnectionReset.into())),
        }
    }

    fn send(&mut self, piece: Bytes, end: bool) -> io::Result<()> {
        self.content()?.send_data(piece, end).map_err(|error| broken(&error))
    }

    fn end_with(&mut self, trailers: HeaderMap) -> io::Result<()> {
        let content = self.content()?;
        let sent =
            if trailers.is_empty() { content.send_data(Bytes::new(), true) } else { content.send_trailers(trailers) };
        sent.map_err(|error| broken(&error))
    }

    fn content(&mut self) -> io::Result<&mut SendStream<Bytes>> {
        self.content.as_mut().ok_or_else(|| io::Error::other("content before a head"))
    }

    fn reset(&mut self, reason: Reason) {
        self.state = State::Ended;
        match &mut self.content {
            Some(content) => content.send_reset(reason),
            None => self.respond.send_reset(reason),
        }
    }
}

impl Multiplexed for Stream<'_> {
    fn facts(&self) -> Option<&Facts> {
        self.facts
    }

    fn set_deadline(&self, after: Option<Duration>) {
        self.due.set(after.map(|after| net::coarse_now().saturating_add(after)));
        self.timer.replace(None);
    }

    fn poll_wait(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closed.get() || self.held.borrow().is_some() {
            return Poll::Ready(Ok(()));
        }
        match self.upload.borrow_mut().poll(self.shape.chunked, cx) {
            Poll::Ready(Ok(text)) => {
                self.held.replace(Some(text));
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_due(cx),
        }
    }

    fn take(&self) -> Option<Lease> {
        if self.closed.get() { Some(Lease::empty()) } else { self.held.borrow_mut().take() }
    }

    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut answer = self.answer.borrow_mut();
        let reset = match &mut answer.content {
            Some(content) => content.poll_reset(cx),
            None => answer.respond.poll_reset(cx),
        };
        if reset.is_ready() { Poll::Ready(true) } else { self.poll_due(cx).map(|_| true) }
    }

    fn send(&self, lease: Lease, stall: Duration) -> Waiting<'_, io::Result<()>> {
        Box::pin(self.send_all(lease, stall))
    }

    fn shutdown(&self) {
        self.closed.set(true);
        let mut answer = self.answer.borrow_mut();
        if matches!(answer.state, State::Tunnel) {
            answer.state = State::Ended;
            // It fails for a stream that has ended already.
            let _ = answer.send(Bytes::new(), true);
        }
    }

    fn reset(&self) {
        self.answer.borrow_mut().reset(Reason::INTERNAL_ERROR);
    }
}

fn broken(error: &::h2::Error) -> io::Error {
    tracing::debug!(%error, "stream of HTTP/2 broken");
    ErrorKind::ConnectionReset.into()
}
