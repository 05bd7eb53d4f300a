//! Text of HTTP/1.1 on its way out on a stream: a head, then content in whatever framing the head says.

use super::{broken, head};
use crate::http::h1::ChunkDecoder;
use crate::net::{self, Lease};
use ::h2::{Reason, SendStream};
use bytes::{Buf, Bytes};
use head::Content;
use http::HeaderMap;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::task::{Context, Poll};
use std::time::Duration;

/// Sends heads: of answers, or of requests.
pub(super) trait Opener {
    /// Sends the head at the beginning of `text`.
    fn open(&mut self, text: &[u8]) -> io::Result<Opened>;
    /// Ends a stream that has no head yet.
    fn reset(&mut self, reason: Reason);
    /// Whether the peer has ended the stream for want of interest.
    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// What sending a head of so many bytes of text came to.
pub(super) enum Opened {
    /// It was an interim answer: another head follows.
    Interim(usize),
    /// The stream is open for this content.
    Open(usize, SendStream<Bytes>, Content),
}

/// The way out.
pub(super) struct Outgoing<O> {
    opener: O,
    stream: Option<SendStream<Bytes>>,
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

impl<O: Opener> Outgoing<O> {
    pub(super) fn new(opener: O) -> Self {
        Self { opener, stream: None, state: State::Head }
    }

    /// Whether all has been sent.
    pub(super) fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    pub(super) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.stream {
            Some(stream) => stream.poll_reset(cx).map(|_| ()),
            None => self.opener.poll_reset(cx),
        }
    }

    /// Ends the way out if it is a tunnel's, and returns whether it is; the way of anything else ends by itself.
    pub(super) fn end_tunnel(&mut self) -> bool {
        let tunnels = matches!(self.state, State::Tunnel);
        if tunnels {
            self.state = State::Ended;
            // It fails for a stream that has ended already.
            let _ = self.send(Bytes::new(), true);
        }
        tunnels
    }

    /// Ends the stream so that the peer cannot take what it got for complete.
    pub(super) fn reset(&mut self, reason: Reason) {
        self.state = State::Ended;
        match &mut self.stream {
            Some(stream) => stream.send_reset(reason),
            None => self.opener.reset(reason),
        }
    }

    /// Takes the next thing to send off `text`.
    fn step(&mut self, text: &mut Bytes) -> io::Result<Step> {
        while !text.is_empty() {
            match &mut self.state {
                State::Head => match self.opener.open(text)? {
                    Opened::Interim(length) => text.advance(length),
                    Opened::Open(length, stream, content) => {
                        text.advance(length);
                        self.stream = Some(stream);
                        self.state = match content {
                            Content::None => State::Ended,
                            Content::Length(length) => State::Length(length),
                            Content::Chunked => State::Chunked(Box::default()),
                            Content::Tunnel => State::Tunnel,
                        };
                    }
                },
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
                        let trailers = head::read_trailers(decoder.trailers());
                        self.state = State::Ended;
                        return Ok(Step::Trailers(trailers));
                    }
                    if !content.is_empty() {
                        return Ok(Step::Content(content, false));
                    }
                }
                State::Tunnel => return Ok(Step::Content(std::mem::take(text), false)),
                // Nothing that counts is sent behind the end.
                State::Ended => break,
            }
        }
        Ok(Step::Done)
    }

    /// Asks for room for `wanted` bytes; how many may go at once.
    fn room(&mut self, wanted: usize) -> io::Result<usize> {
        let stream = self.stream()?;
        stream.reserve_capacity(wanted);
        Ok(stream.capacity())
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self.stream()?.poll_capacity(cx) {
            Poll::Ready(Some(Ok(0))) | Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(room))) => Poll::Ready(Ok(room)),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Err(broken(&error))),
            Poll::Ready(None) => Poll::Ready(Err(ErrorKind::ConnectionReset.into())),
        }
    }

    fn send(&mut self, piece: Bytes, end: bool) -> io::Result<()> {
        self.stream()?.send_data(piece, end).map_err(|error| broken(&error))
    }

    fn end_with(&mut self, trailers: HeaderMap) -> io::Result<()> {
        if trailers.is_empty() {
            return self.send(Bytes::new(), true);
        }
        self.stream()?.send_trailers(trailers).map_err(|error| broken(&error))
    }

    fn stream(&mut self) -> io::Result<&mut SendStream<Bytes>> {
        self.stream.as_mut().ok_or_else(|| io::Error::other("content before a head"))
    }
}

/// Sends all of `lease` on its way. Fails with `TimedOut` if the peer takes no byte for `stall`.
pub(super) async fn send<O: Opener>(outgoing: &RefCell<Outgoing<O>>, lease: Lease, stall: Duration) -> io::Result<()> {
    let mut text = Bytes::from_owner(lease);
    loop {
        let step = outgoing.borrow_mut().step(&mut text)?;
        match step {
            Step::Content(content, end) => send_content(outgoing, content, end, stall).await?,
            Step::Trailers(trailers) => outgoing.borrow_mut().end_with(trailers)?,
            Step::Done => return Ok(()),
        }
    }
}

async fn send_content<O: Opener>(
    outgoing: &RefCell<Outgoing<O>>,
    mut content: Bytes,
    end: bool,
    stall: Duration,
) -> io::Result<()> {
    while !content.is_empty() {
        let room = outgoing.borrow_mut().room(content.len())?;
        let room = match room {
            0 => {
                let waiting = poll_fn(|cx| outgoing.borrow_mut().poll_room(cx));
                net::timeout(stall, waiting).await.unwrap_or_else(|| Err(ErrorKind::TimedOut.into()))?
            }
            room => room,
        };
        let piece = content.split_to(room.min(content.len()));
        outgoing.borrow_mut().send(piece, end && content.is_empty())?;
    }
    Ok(())
}
