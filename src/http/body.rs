//! The body of a message as it comes in: its framing taken off, within its bounds.
//!
//! Invariants: bytes beyond the end of the body are kept apart and never sent on; a body that ends before its framing
//! says so is an error, never an end.

use super::buffer::Aside;
use super::h1::{BadChunk, ChunkDecoder, Framing};
use super::kept::Kept;
use crate::net::Lease;
use crate::tls::Channel;
use std::io;
use std::time::Duration;

/// What is left to come of a body.
pub(super) struct Body {
    state: State,
    /// Content bytes that came along with the head.
    first: Lease,
    /// Bytes beyond the end of the body.
    beyond: Lease,
    /// Content bytes that may still come.
    allowance: u64,
    /// Whether content was read that came later than the head.
    touched: bool,
    /// What else is held of it, to be sent again.
    kept: Option<Box<Again>>,
    /// Who is shown its content as well.
    tap: Option<Box<dyn Tap>>,
}

/// Whoever is shown the content of a body on its way. Dropped without an end, it has not seen all.
pub(super) trait Tap {
    /// Content has come.
    fn more(&mut self, content: &[u8]);
    /// That was all.
    fn end(self: Box<Self>);
}

/// What is held of a body beside the content that came along with its head.
enum Again {
    /// What came later than that, and has gone out.
    Kept(Kept),
    /// What goes before that.
    Aside(Aside),
}

/// How much of a body is received at most to go along with its head.
const GATHERED: usize = 500 << 10;

enum State {
    Length(u64),
    Chunked(Box<ChunkDecoder>),
    UntilClose,
    Ended(Option<Box<ChunkDecoder>>),
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
    /// What was put aside of it cannot be read again.
    Unreadable,
}

impl Body {
    /// The body behind a head, with what has been received of it and at most `limit` content bytes.
    pub(super) fn new(framing: Framing, received: Lease, limit: u64) -> Result<Self, BodyError> {
        let state = match framing {
            Framing::None => State::Ended(None),
            Framing::Length(0) => State::Ended(None),
            Framing::Length(length) if length > limit => return Err(BodyError::TooLarge),
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Box::default()),
            Framing::UntilClose => State::UntilClose,
        };
        let (first, beyond) = (Lease::empty(), Lease::empty());
        let mut body = Self { state, first, beyond, allowance: limit, touched: false, kept: None, tap: None };
        if !received.is_empty() {
            body.first = body.take(received)?;
        }
        Ok(body)
    }

    /// Whether all of it has been read.
    pub(super) fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }

    /// Has its content shown to `tap` as well, that which has come and that which comes.
    pub(super) fn show(&mut self, mut tap: Box<dyn Tap>) {
        debug_assert!(!self.touched && !self.is_aside());
        tap.more(&self.first);
        self.tap = Some(tap);
        self.may_have_ended();
    }

    /// Nothing more is to be shown if all has come.
    fn may_have_ended(&mut self) {
        if self.is_ended()
            && let Some(tap) = self.tap.take()
        {
            tap.end();
        }
    }

    /// Keeps what comes from now on, as far as there is room, to be sent again.
    pub(super) fn keep(&mut self, kept: Kept) {
        debug_assert!(!self.is_aside());
        self.kept = Some(Box::new(Again::Kept(kept)));
    }

    /// Gives it back what has been read of it, with what came along with the head: all of that counts as having come so. What
    /// was put `aside` goes before `content`.
    pub(super) fn hold(&mut self, content: Lease, aside: Option<Aside>) {
        (self.first, self.touched) = (content, false);
        self.kept = aside.map(|aside| Box::new(Again::Aside(aside)));
    }

    /// Lets go of what is held of it, which is not sent again.
    pub(super) fn let_go(&mut self) {
        (self.first, self.kept) = (Lease::empty(), None);
    }

    /// Whether its beginning was put aside.
    pub(super) fn is_aside(&self) -> bool {
        matches!(self.kept.as_deref(), Some(Again::Aside(_)))
    }

    /// The next bytes of what was put aside, which go before all others; `None` once all have been read.
    pub(super) async fn next_aside(&mut self) -> Result<Option<Lease>, BodyError> {
        match self.kept.as_deref_mut() {
            Some(Again::Aside(aside)) => aside.next().await,
            _ => Ok(None),
        }
    }

    /// Whether nothing of it has been read.
    pub(super) fn is_unread(&self) -> bool {
        !self.touched && self.first.is_empty() && !self.is_aside()
    }

    /// Whether all that has been read of it is held, so that it can be sent again.
    pub(super) fn is_held(&self) -> bool {
        !self.touched || self.kept.is_some()
    }

    /// What has been read of it is to be sent again: all of it counts as having come along with the head.
    pub(super) fn rewind(&mut self) {
        debug_assert!(self.is_held());
        let again = match self.kept.as_deref_mut() {
            Some(Again::Kept(kept)) => kept.take(),
            Some(Again::Aside(aside)) => {
                aside.rewind();
                Vec::new()
            }
            None => Vec::new(),
        };
        if !again.is_empty() {
            let mut first = Lease::with_room(self.first.len() + again.len());
            first.buffer().extend_from_slice(&self.first);
            first.buffer().extend_from_slice(&again);
            self.first = first;
        }
        self.touched = false;
    }

    /// Content has been read, and goes on.
    fn went_on(&mut self, content: &[u8]) {
        self.touched |= !content.is_empty();
        if let Some(tap) = &mut self.tap {
            tap.more(content);
            self.may_have_ended();
        }
        let holds = match self.kept.as_deref_mut() {
            Some(Again::Kept(kept)) => kept.push(content),
            Some(Again::Aside(_)) => false,
            None => true,
        };
        if !holds {
            self.kept = None;
        }
    }

    /// The content that came along with the head.
    pub(super) fn first(&self) -> &[u8] {
        &self.first
    }

    /// Gives away the content that came along with the head.
    pub(super) fn take_first(&mut self) -> Lease {
        std::mem::take(&mut self.first)
    }

    /// Receives what more of the body is there already, and writes its content behind that in `out`: if the body has a
    /// length, so that it goes on as it comes. A failure shows with the next receive.
    pub(super) fn gather(&mut self, stream: Channel<'_>, out: &mut Lease) {
        let State::Length(left) = &mut self.state else { return };
        // A head that came alone is often followed at once by what it announces.
        if !stream.has_more() && !self.first.is_empty() {
            return;
        }
        let want = usize::try_from(*left).unwrap_or(usize::MAX).min(GATHERED);
        let before = out.len();
        out.reserve(want);
        let Ok(Some(count)) = stream.recv_now(out) else { return };
        let here = usize::try_from(*left).unwrap_or(usize::MAX).min(count);
        self.beyond = out.split_off(before + here);
        *left -= here as u64;
        self.allowance -= here as u64;
        if *left == 0 {
            self.state = State::Ended(None);
        }
        self.went_on(&out[before..]);
    }

    /// The field lines of the trailer section, once the body has ended.
    pub(super) fn trailers(&self) -> &[u8] {
        match &self.state {
            State::Ended(Some(decoder)) => decoder.trailers(),
            _ => &[],
        }
    }

    /// What came behind the end of the body, to be taken or added to.
    pub(super) fn beyond(&mut self) -> &mut Lease {
        &mut self.beyond
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
    pub(super) async fn next(&mut self, stream: Channel<'_>, silence: Duration) -> Result<Option<Lease>, BodyError> {
        while !self.is_ended() {
            stream.set_deadline(Some(silence));
            let received = stream.recv().await.map_err(BodyError::Io)?;
            if received.is_empty() {
                // RFC 9112 §9.8: over TLS, an end that the peer did not tell of may be somebody else's.
                if matches!(self.state, State::UntilClose) && !stream.is_truncated() {
                    self.state = State::Ended(None);
                    self.may_have_ended();
                    return Ok(None);
                }
                return Err(BodyError::Truncated);
            }
            let content = self.take(received)?;
            if !content.is_empty() {
                self.went_on(&content);
                return Ok(Some(content));
            }
        }
        self.may_have_ended();
        Ok(None)
    }

    /// Takes the framing off what has come of it in another way.
    pub(super) fn unframe(&mut self, received: Lease) -> Result<Lease, BodyError> {
        self.take(received)
    }

    /// Takes the framing off `received`.
    fn take(&mut self, mut received: Lease) -> Result<Lease, BodyError> {
        match &mut self.state {
            State::Ended(_) => {
                self.beyond = received;
                return Ok(Lease::empty());
            }
            State::UntilClose => {}
            State::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(received.len());
                self.beyond = received.split_off(here);
                *left -= here as u64;
                if *left == 0 {
                    self.state = State::Ended(None);
                }
            }
            State::Chunked(decoder) => {
                if let Some(beyond) = unchunk(decoder, &mut received)? {
                    self.beyond = beyond;
                    self.state = State::Ended(Some(std::mem::take(decoder)));
                }
            }
        }
        self.allowance = self.allowance.checked_sub(received.len() as u64).ok_or(BodyError::TooLarge)?;
        Ok(received)
    }
}

/// Leaves only the content of the chunks in `received`. Returns what came behind the last chunk, once it has come.
fn unchunk(decoder: &mut ChunkDecoder, received: &mut Lease) -> Result<Option<Lease>, BodyError> {
    let (mut read, mut written) = (0, 0);
    while read < received.len() {
        let step = decoder.decode(&received[read..]).map_err(|BadChunk { reason }| BodyError::Malformed(reason))?;
        let data = read + step.data.start..read + step.data.end;
        let length = data.len();
        if data.start > written {
            received.copy_within(data, written);
        }
        written += length;
        read += step.consumed;
        if step.end {
            let beyond = received.split_off(read);
            received.truncate(written);
            return Ok(Some(beyond));
        }
        debug_assert!(step.consumed > 0, "a decoder that wants more has consumed all");
    }
    received.truncate(written);
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(bytes: &[u8]) -> Lease {
        let mut lease = Lease::new();
        lease.buffer().extend_from_slice(bytes);
        lease
    }

    #[test]
    fn a_length_keeps_what_is_beyond_apart() {
        let body = Body::new(Framing::Length(3), lease(b"abcGET /"), 3).unwrap_or_else(|_| panic!("a body"));
        assert!(body.is_ended() && body.is_held());
        assert_eq!(body.first(), b"abc");
        assert_eq!(&body.into_beyond()[..], b"GET /");
    }

    #[test]
    fn what_was_kept_is_sent_again_in_its_order() {
        let worker = crate::observe::counters::Shared::default();
        let mut body = Body::new(Framing::Length(9), lease(b"abc"), 9).unwrap_or_else(|_| panic!("a body"));
        body.keep(Kept::new(6, 100, &worker));
        for more in [&b"de"[..], b"f"] {
            let content = body.take(lease(more)).unwrap_or_else(|_| panic!("content"));
            body.went_on(&content);
        }
        body.rewind();
        assert_eq!((body.first(), worker.retry_bytes.get()), (&b"abcdef"[..], 3));
        let content = body.take(lease(b"ghi")).unwrap_or_else(|_| panic!("content"));
        body.went_on(&content);
        assert!(body.is_ended() && body.is_held());
        body.rewind();
        assert_eq!((body.first(), worker.retry_bytes.get()), (&b"abcdefghi"[..], 6));
        body.went_on(b"one more");
        assert!(!body.is_held() && worker.retry_bytes.get() == 0, "it is more than may be kept");
    }

    #[test]
    fn chunks_are_joined_and_trailers_kept() {
        let body = Body::new(Framing::Chunked, lease(b"3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\nrest"), 5);
        let body = body.unwrap_or_else(|_| panic!("a body"));
        assert_eq!((body.first(), body.trailers()), (&b"abcde"[..], &b"X-T: 1\r\n"[..]));
        assert_eq!(&body.into_beyond()[..], b"rest");
    }

    #[test]
    fn bodies_beyond_their_bound_are_refused() {
        assert!(matches!(Body::new(Framing::Length(4), Lease::empty(), 3), Err(BodyError::TooLarge)));
        assert!(matches!(Body::new(Framing::Chunked, lease(b"4\r\nabcd\r\n"), 3), Err(BodyError::TooLarge)));
    }
}
