//! A client or a target as HTTP and tunnels see it: a stream in clear, one through a TLS session, or one of the many that
//! a single connection carries.
//!
//! In clear a call costs one branch beside the stream's own, and nothing is allocated.

use super::converted::Converted;
use super::session::{Facts, Session};
use super::slowed::Slowed;
use crate::net::{File, Handle, Lease, Stream, timeout};
use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Where bytes come from and go to.
#[derive(Clone, Copy)]
pub enum Channel<'a> {
    /// A stream.
    Clear(&'a Stream),
    /// A stream whose bytes go through a session.
    Secure(&'a Stream, &'a Session),
    /// A stream within a connection.
    Multiplexed(&'a dyn Multiplexed),
    /// Any of these, slowed down.
    Slowed(&'a Slowed<'a>),
    /// Any of these, of which what comes in becomes something else.
    Converted(&'a Converted<'a>),
}

/// A future in a box.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A stream within a connection that carries several.
pub trait Multiplexed {
    /// What the handshake of the connection agreed on; `None` in clear.
    fn facts(&self) -> Option<&Facts>;
    /// Whether an operator has ended its connection.
    fn is_cut(&self) -> bool;
    /// As [`Stream::set_deadline`].
    fn set_deadline(&self, after: Option<Duration>);
    /// Waits until [`Multiplexed::take`] has something. Fails with `TimedOut` when the deadline has passed.
    fn poll_wait(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// What has been received; nothing at its end, `None` if nothing has come.
    fn take(&self) -> Option<Lease>;
    /// As [`Stream::closed`].
    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<bool>;
    /// Sends as much of `text` as there is room for, and advances it by that. Returns whether it was all.
    fn push(&self, text: &mut Lease) -> io::Result<bool>;
    /// Waits until there is room for more.
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// As [`Stream::shutdown`].
    fn shutdown(&self);
    /// Ends it so that the peer cannot take what it got for complete.
    fn reset(&self);
}

/// In place of a session where there is none: it takes no room in an idle connection.
#[derive(Clone, Copy)]
pub struct Clear;

impl From<Clear> for Option<&Session> {
    fn from(_: Clear) -> Self {
        None
    }
}

impl<'a> From<&'a Stream> for Channel<'a> {
    fn from(stream: &'a Stream) -> Self {
        Self::Clear(stream)
    }
}

impl<'a> Channel<'a> {
    /// A stream whose bytes go through `session`, if there is one.
    pub fn new(stream: &'a Stream, session: Option<&'a Session>) -> Self {
        session.map_or(Self::Clear(stream), |session| Self::Secure(stream, session))
    }

    /// What the handshake agreed on; `None` in clear.
    pub fn facts(self) -> Option<&'a Facts> {
        match self {
            Self::Clear(_) => None,
            Self::Secure(_, session) => Some(session.facts()),
            Self::Multiplexed(stream) => stream.facts(),
            Self::Slowed(slowed) => slowed.channel.facts(),
            Self::Converted(converted) => converted.channel.facts(),
        }
    }

    /// The same as fast as it can be.
    pub fn unslowed(self) -> Self {
        match self {
            Self::Slowed(slowed) => slowed.channel,
            _ => self,
        }
    }

    /// Whether it is a stream among several.
    pub fn is_multiplexed(self) -> bool {
        match self {
            Self::Slowed(slowed) => slowed.channel.is_multiplexed(),
            Self::Converted(converted) => converted.channel.is_multiplexed(),
            _ => matches!(self, Self::Multiplexed(_)),
        }
    }

    /// Whether an operator has ended its connection.
    pub fn is_cut(self) -> bool {
        match self {
            Self::Clear(stream) | Self::Secure(stream, _) => stream.is_cut(),
            Self::Multiplexed(stream) => stream.is_cut(),
            Self::Slowed(slowed) => slowed.channel.is_cut(),
            Self::Converted(converted) => converted.channel.is_cut(),
        }
    }

    /// Names its stream for whoever does not own it, if it has one for itself.
    pub fn handle(self) -> Option<Handle> {
        match self {
            Self::Clear(stream) | Self::Secure(stream, _) => Some(stream.handle()),
            Self::Multiplexed(_) => None,
            Self::Slowed(slowed) => slowed.channel.handle(),
            Self::Converted(converted) => converted.channel.handle(),
        }
    }

    /// Whether it has ended otherwise than by the peer's word. In clear there is no such word.
    pub fn is_truncated(self) -> bool {
        match self {
            Self::Secure(_, session) => session.is_truncated(),
            Self::Slowed(slowed) => slowed.channel.is_truncated(),
            Self::Converted(converted) => converted.channel.is_truncated(),
            _ => false,
        }
    }

    /// What a session has failed with.
    pub fn failure(self) -> Option<&'a rustls::Error> {
        match self {
            Self::Secure(_, session) => session.failure(),
            Self::Slowed(slowed) => slowed.channel.failure(),
            Self::Converted(converted) => converted.channel.failure(),
            _ => None,
        }
    }

    /// As [`Stream::set_deadline`].
    pub fn set_deadline(self, after: Option<Duration>) {
        match self {
            Self::Clear(stream) | Self::Secure(stream, _) => stream.set_deadline(after),
            Self::Multiplexed(stream) => stream.set_deadline(after),
            Self::Slowed(slowed) => slowed.set_deadline(after),
            Self::Converted(converted) => converted.channel.set_deadline(after),
        }
    }

    /// As [`Stream::expect_little`].
    pub fn expect_little(self) {
        if let Self::Clear(stream) | Self::Secure(stream, _) = self {
            stream.expect_little();
        }
    }

    /// As [`Stream::expect_now`].
    pub fn expect_now(self) {
        if let Self::Clear(stream) | Self::Secure(stream, _) = self {
            stream.expect_now();
        }
    }

    /// As [`Stream::follow`]. What goes to one of many never comes in the largest pieces: the others hold some too.
    pub fn follow(self, sink: Channel<'_>) {
        match (self, sink) {
            (Self::Clear(stream) | Self::Secure(stream, _), Channel::Clear(sink) | Channel::Secure(sink, _)) => {
                stream.follow(sink);
            }
            (
                Self::Clear(stream) | Self::Secure(stream, _),
                Channel::Multiplexed(_) | Channel::Slowed(_) | Channel::Converted(_),
            ) => {
                stream.take_less();
            }
            _ => {}
        }
    }

    /// As [`Stream::lags`]; what cannot be told counts as no.
    pub fn lags(self) -> bool {
        match self {
            Self::Clear(stream) | Self::Secure(stream, _) => stream.lags(),
            Self::Multiplexed(_) => false,
            Self::Slowed(_) => true,
            Self::Converted(converted) => converted.channel.lags(),
        }
    }

    /// As [`Stream::recv`].
    #[expect(
        clippy::manual_async_fn,
        reason = "an async function would keep its argument twice in every idle connection"
    )]
    pub fn recv(self) -> impl Future<Output = io::Result<Lease>> + 'a {
        async move {
            match self {
                Self::Clear(stream) => stream.recv().await,
                // Idle connections in clear must not be as large as one with a session.
                Self::Secure(stream, session) => Box::pin(session.recv(stream)).await,
                Self::Multiplexed(stream) => {
                    poll_fn(|cx| stream.poll_wait(cx)).await?;
                    Ok(stream.take().unwrap_or_default())
                }
                Self::Slowed(slowed) => slowed.recv().await,
                // Rarer, and larger.
                Self::Converted(converted) => Box::pin(converted.recv()).await,
            }
        }
    }

    /// As [`Stream::recv_into`].
    pub async fn recv_into(self, lease: &mut Lease) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.recv_into(lease).await,
            Self::Secure(stream, session) => session.recv_into(stream, lease).await,
            Self::Multiplexed(_) | Self::Slowed(_) | Self::Converted(_) => {
                let received = self.recv().await?;
                Ok(append(lease, &received))
            }
        }
    }

    /// As [`Stream::wait`].
    pub async fn wait(self) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.wait().await,
            Self::Secure(stream, session) => session.wait(stream).await,
            Self::Multiplexed(stream) => poll_fn(|cx| stream.poll_wait(cx)).await,
            Self::Slowed(slowed) => slowed.wait().await,
            Self::Converted(converted) => Box::pin(converted.wait()).await,
        }
    }

    /// As [`Stream::recv_now`].
    pub fn recv_now(self, lease: &mut Lease) -> io::Result<Option<usize>> {
        match self {
            Self::Clear(stream) => stream.recv_now(lease),
            Self::Secure(stream, session) => session.recv_now(stream, lease),
            Self::Multiplexed(stream) => Ok(stream.take().map(|received| append(lease, &received))),
            Self::Slowed(slowed) => slowed.recv_now(lease),
            Self::Converted(converted) => converted.recv_now(lease),
        }
    }

    /// As [`Stream::has_more`].
    pub fn has_more(self) -> bool {
        match self {
            Self::Clear(stream) => stream.has_more(),
            Self::Secure(stream, session) => session.has_more(stream),
            Self::Multiplexed(_) | Self::Converted(_) => false,
            Self::Slowed(slowed) => slowed.has_more(),
        }
    }

    /// As [`Stream::closed`].
    pub async fn closed(self) -> bool {
        match self {
            Self::Clear(stream) => stream.closed().await,
            Self::Secure(stream, session) => session.closed(stream).await,
            Self::Multiplexed(stream) => poll_fn(|cx| stream.poll_closed(cx)).await,
            Self::Slowed(slowed) => slowed.closed().await,
            Self::Converted(converted) => Box::pin(converted.channel.closed()).await,
        }
    }

    /// As [`Stream::send`].
    pub async fn send(self, mut lease: Lease, stall: Duration) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.send(lease, stall).await,
            Self::Secure(stream, session) => session.send(stream, lease, stall).await,
            Self::Multiplexed(stream) => match stream.push(&mut lease) {
                Ok(false) => push_later(stream, lease, stall).await,
                sent => sent.map(drop),
            },
            Self::Slowed(slowed) => slowed.send(lease, stall).await,
            Self::Converted(converted) => Box::pin(converted.channel.send(lease, stall)).await,
        }
    }

    /// As [`Stream::send_counted`]; what did not go out in clear may have gone.
    pub async fn send_counted(self, lease: Lease, stall: Duration, taken: &Cell<usize>) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.send_counted(lease, stall, taken).await,
            _ => {
                taken.set(taken.get() + lease.len());
                self.send(lease, stall).await
            }
        }
    }

    /// As [`Stream::send_pieces`]; what is not sent in clear takes none.
    pub fn send_pieces(self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.send_pieces(pieces),
            Self::Secure(..) | Self::Multiplexed(_) | Self::Slowed(_) | Self::Converted(_) => Ok(0),
        }
    }

    /// As [`Stream::send_file`]; of what has to be changed on its way nothing is taken.
    pub fn send_file(self, head: &[u8], file: &File, place: Range<u64>) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.send_file(head, file, place),
            Self::Secure(..) | Self::Multiplexed(_) | Self::Slowed(_) | Self::Converted(_) => Ok(0),
        }
    }

    /// As [`Stream::send_both`].
    pub async fn send_both(self, mut head: Lease, mut bulk: Lease, stall: Duration) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.send_both(head, bulk, stall).await,
            Self::Secure(stream, session) => session.send_both(stream, head, bulk, stall).await,
            Self::Multiplexed(stream) => {
                if !stream.push(&mut head)? {
                    push_later(stream, head, stall).await?;
                }
                match stream.push(&mut bulk) {
                    Ok(false) => push_later(stream, bulk, stall).await,
                    sent => sent.map(drop),
                }
            }
            Self::Slowed(slowed) => {
                slowed.send(head, stall).await?;
                slowed.send(bulk, stall).await
            }
            Self::Converted(converted) => Box::pin(converted.channel.send_both(head, bulk, stall)).await,
        }
    }

    /// As [`Stream::shutdown`]; the peer of a session is told so within it first.
    pub async fn shutdown(self) {
        match self {
            Self::Clear(stream) => stream.shutdown(),
            Self::Secure(stream, session) => {
                Box::pin(session.end(stream)).await;
                stream.shutdown();
            }
            Self::Multiplexed(stream) => stream.shutdown(),
            Self::Slowed(slowed) => slowed.shutdown().await,
            Self::Converted(converted) => Box::pin(converted.channel.shutdown()).await,
        }
    }

    /// As [`Stream::reset_on_close`]; the peer of a session is told nothing.
    pub fn reset_on_close(self) {
        match self {
            Self::Clear(stream) => stream.reset_on_close(),
            Self::Secure(stream, session) => {
                session.cut();
                stream.reset_on_close();
            }
            Self::Multiplexed(stream) => stream.reset(),
            Self::Slowed(slowed) => slowed.channel.reset_on_close(),
            Self::Converted(converted) => converted.channel.reset_on_close(),
        }
    }

    /// Ends a session in order before its stream is closed.
    pub async fn finish(self) {
        if let Self::Secure(stream, session) = self {
            session.end(stream).await;
        }
    }
}

/// Sends the rest of `text`, for which there was no room: rarer than an answer that fits, and larger.
fn push_later(stream: &dyn Multiplexed, mut text: Lease, stall: Duration) -> Waiting<'_, io::Result<()>> {
    Box::pin(async move {
        loop {
            let room = timeout(stall, poll_fn(|cx| stream.poll_room(cx))).await;
            room.unwrap_or_else(|| Err(ErrorKind::TimedOut.into()))?;
            if stream.push(&mut text)? {
                return Ok(());
            }
        }
    })
}

fn append(lease: &mut Lease, received: &[u8]) -> usize {
    lease.reserve(received.len());
    lease.buffer().extend_from_slice(received);
    received.len()
}
