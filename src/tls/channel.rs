//! A stream as HTTP and tunnels see it: in clear, or through a TLS session.
//!
//! In clear a call costs one branch beside the stream's own, and nothing is allocated.

use super::session::{Facts, Session};
use crate::net::{Lease, Stream};
use std::io;
use std::time::Duration;

/// A stream, in clear or through a session.
#[derive(Clone, Copy)]
pub struct Channel<'a> {
    stream: &'a Stream,
    session: Option<&'a Session>,
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
        Self { stream, session: None }
    }
}

impl<'a> Channel<'a> {
    /// A stream whose bytes go through `session`, if there is one.
    pub fn new(stream: &'a Stream, session: Option<&'a Session>) -> Self {
        Self { stream, session }
    }

    /// What the handshake agreed on; `None` in clear.
    pub fn facts(self) -> Option<&'a Facts> {
        self.session.map(Session::facts)
    }

    /// Whether it has ended otherwise than by the peer's word. In clear there is no such word.
    pub fn is_truncated(self) -> bool {
        self.session.is_some_and(Session::is_truncated)
    }

    /// As [`Stream::set_deadline`].
    pub fn set_deadline(self, after: Option<Duration>) {
        self.stream.set_deadline(after);
    }

    /// As [`Stream::expect_little`].
    pub fn expect_little(self) {
        self.stream.expect_little();
    }

    /// As [`Stream::expect_now`].
    pub fn expect_now(self) {
        self.stream.expect_now();
    }

    /// As [`Stream::follow`].
    pub fn follow(self, sink: Channel<'_>) {
        self.stream.follow(sink.stream);
    }

    /// As [`Stream::recv`].
    #[expect(
        clippy::manual_async_fn,
        reason = "an async function would keep its argument twice in every idle connection"
    )]
    pub fn recv(self) -> impl Future<Output = io::Result<Lease>> + 'a {
        async move {
            match self.session {
                None => self.stream.recv().await,
                // Idle connections in clear must not be as large as one with a session.
                Some(session) => Box::pin(session.recv(self.stream)).await,
            }
        }
    }

    /// As [`Stream::recv_into`].
    pub async fn recv_into(self, lease: &mut Lease) -> io::Result<usize> {
        match self.session {
            None => self.stream.recv_into(lease).await,
            Some(session) => session.recv_into(self.stream, lease).await,
        }
    }

    /// As [`Stream::wait`].
    pub async fn wait(self) -> io::Result<()> {
        match self.session {
            None => self.stream.wait().await,
            Some(session) => session.wait(self.stream).await,
        }
    }

    /// As [`Stream::recv_now`].
    pub fn recv_now(self, lease: &mut Lease) -> io::Result<Option<usize>> {
        match self.session {
            None => self.stream.recv_now(lease),
            Some(session) => session.recv_now(self.stream, lease),
        }
    }

    /// As [`Stream::has_more`].
    pub fn has_more(self) -> bool {
        match self.session {
            None => self.stream.has_more(),
            Some(session) => session.has_more(self.stream),
        }
    }

    /// As [`Stream::closed`].
    pub async fn closed(self) -> bool {
        match self.session {
            None => self.stream.closed().await,
            Some(session) => session.closed(self.stream).await,
        }
    }

    /// As [`Stream::send`].
    pub async fn send(self, lease: Lease, stall: Duration) -> io::Result<()> {
        match self.session {
            None => self.stream.send(lease, stall).await,
            Some(session) => session.send(self.stream, lease, stall).await,
        }
    }

    /// As [`Stream::send_both`].
    pub async fn send_both(self, head: Lease, bulk: Lease, stall: Duration) -> io::Result<()> {
        match self.session {
            None => self.stream.send_both(head, bulk, stall).await,
            Some(session) => session.send_both(self.stream, head, bulk, stall).await,
        }
    }

    /// As [`Stream::shutdown`]; the peer of a session is told so within it first.
    pub async fn shutdown(self) {
        if let Some(session) = self.session {
            Box::pin(session.end(self.stream)).await;
        }
        self.stream.shutdown();
    }

    /// As [`Stream::reset_on_close`]; the peer of a session is told nothing.
    pub fn reset_on_close(self) {
        if let Some(session) = self.session {
            session.cut();
        }
        self.stream.reset_on_close();
    }

    /// Ends a session in order before its stream is closed.
    pub async fn finish(self) {
        if let Some(session) = self.session {
            session.end(self.stream).await;
        }
    }
}
