//! The body of a message as it comes in: its framing taken off, within its bounds.
//!
//! Invariants: bytes beyond the end of the body are kept apart and never sent on; a body that ends before its framing
//! says so is an error, never an end.

use super::h1::{ChunkDecoder, Framing};
use crate::net::{Lease, Stream};
use std::io;
use std::time::Duration;

/// What is left to come of a body.
pub(super) struct Body {
    state: State,
    /// Content bytes that came along with the head.
    first: Lease,
    /// Field lines of the trailer section, each with its CRLF.
    trailers: Vec<u8>,
    /// Bytes beyond the end of the body.
    beyond: Lease,
    /// Content bytes that may still come.
    allowance: u64,
    /// Whether bytes were read that came later than the head.
    touched: bool,
}

enum State {
    Length(u64),
    Chunked(Box<ChunkDecoder>),
    UntilClose,
    Ended,
}

/// Why a body could not be read to its end.
#[derive(Debug)]
pub(super) enum BodyError {
    /// Its framing is wrong; the word says how.
    Malformed(&'static str),
    /// It ended early.
    Truncated,
    /// It is larger than its bound.
    TooLarge,
    /// Its stream failed or was too slow.
    Io(io::Error),
}

impl Body {
    /// The body behind a head, with what has been received of it and at most `limit` content bytes.
    pub(super) fn new(framing: Framing, received: Lease, limit: u64) -> Result<Self, BodyError> {
        let state = match framing {
            Framing::None => State::Ended,
            Framing::Length(0) => State::Ended,
            Framing::Length(length) if length > limit => return Err(BodyError::TooLarge),
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Box::default()),
            Framing::UntilClose => State::UntilClose,
        };
        let mut body = Self {
            state,
            first: Lease::empty(),
            trailers: Vec::new(),
            beyond: Lease::empty(),
            allowance: limit,
            touched: false,
        };
        if !received.is_empty() {
            body.first = body.take(received)?;
        }
        Ok(body)
    }

    /// Whether all of it has been read.
    pub(super) fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Whether all of it came along with the head and is still held, so that it can be sent again.
    pub(super) fn is_held(&self) -> bool {
        self.is_ended() && !self.touched
    }

    /// The content that came along with the head.
    pub(super) fn first(&self) -> &[u8] {
        &self.first
    }

    /// Gives away the content that came along with the head.
    pub(super) fn take_first(&mut self) -> Lease {
        std::mem::take(&mut self.first)
    }

    /// The trailer section, once the body has ended.
    pub(super) fn trailers(&self) -> &[u8] {
        &self.trailers
    }

    /// What came behind the end of the body.
    pub(super) fn into_beyond(self) -> Lease {
        self.beyond
    }

    /// Whether anything came behind the end of the body.
    pub(super) fn has_beyond(&self) -> bool {
        !self.beyond.is_empty()
    }

    /// The next content bytes from `stream`, in which `silence` is the longest wait. `None`: the body has ended.
    pub(super) async fn next(&mut self, stream: &Stream, silence: Duration) -> Result<Option<Lease>, BodyError> {
        while !self.is_ended() {
            self.touched = true;
            stream.set_deadline(Some(silence));
            let received = stream.recv().await.map_err(BodyError::Io)?;
            if received.is_empty() {
                if matches!(self.state, State::UntilClose) {
                    self.state = State::Ended;
                    return Ok(None);
                }
                return Err(BodyError::Truncated);
            }
            let content = self.take(received)?;
            if !content.is_empty() {
                return Ok(Some(content));
            }
        }
        Ok(None)
    }

    /// Takes the framing off `received`.
    fn take(&mut self, mut received: Lease) -> Result<Lease, BodyError> {
        let content = match &mut self.state {
            State::Ended => {
                self.beyond = received;
                return Ok(Lease::empty());
            }
            State::UntilClose => received,
            State::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(received.len());
                self.beyond = received.split_off(here);
                *left -= here as u64;
                if *left == 0 {
                    self.state = State::Ended;
                }
                received
            }
            State::Chunked(decoder) => {
                let step = decoder.decode_in_place(&mut received, &mut self.trailers)?;
                if step.ended {
                    self.state = State::Ended;
                }
                self.beyond = step.beyond;
                received
            }
        };
        self.allowance = self.allowance.checked_sub(content.len() as u64).ok_or(BodyError::TooLarge)?;
        Ok(content)
    }
}
