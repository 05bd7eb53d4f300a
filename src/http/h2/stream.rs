//! One stream of a connection, as an exchange sees its client or its target: text of HTTP/1.1 comes from it and goes to it.

use super::inbox::Inbox;
use super::outgoing::{self, Opener, Outgoing};
use crate::net::Lease;
use crate::tls::{Facts, Multiplexed, Waiting};
use ::h2::Reason;
use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

/// Where a stream's text comes from.
pub(super) trait Source {
    /// The next text, empty at the end.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<Lease>>;
}

/// A stream whose text comes from `S`, and goes out behind the heads that `O` sends.
pub(super) struct Stream<'a, S, O> {
    facts: Option<&'a Facts>,
    inbox: Inbox,
    source: S,
    outgoing: RefCell<Outgoing<O>>,
    /// Why it is reset, if it has to be.
    reason: Reason,
}

impl<'a, S: Source, O: Opener> Stream<'a, S, O> {
    /// `facts` are those of the connection's handshake; `reason` is given to the peer where the stream is cut.
    pub(super) fn new(facts: Option<&'a Facts>, source: S, opener: O, reason: Reason) -> Self {
        Self { facts, inbox: Inbox::default(), source, outgoing: RefCell::new(Outgoing::new(opener)), reason }
    }

    /// The exchange is over: what is not whole by now never will be (RFC 9113 §8.1).
    pub(super) fn finish(self) {
        let mut outgoing = self.outgoing.into_inner();
        if !outgoing.is_ended() {
            outgoing.reset(self.reason);
        }
    }
}

impl<S: Source, O: Opener> Multiplexed for Stream<'_, S, O> {
    fn facts(&self) -> Option<&Facts> {
        self.facts
    }

    fn set_deadline(&self, after: Option<Duration>) {
        self.inbox.set_deadline(after);
    }

    fn poll_wait(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inbox.poll_wait(cx, |cx| self.source.poll(cx))
    }

    fn take(&self) -> Option<Lease> {
        self.inbox.take()
    }

    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<bool> {
        match self.outgoing.borrow_mut().poll_reset(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending => self.inbox.poll_due(cx).map(|_| true),
        }
    }

    fn send(&self, lease: Lease, stall: Duration) -> Waiting<'_, io::Result<()>> {
        Box::pin(outgoing::send(&self.outgoing, lease, stall))
    }

    fn shutdown(&self) {
        // The other way of a tunnel goes on; of anything else nobody reads any more.
        if !self.outgoing.borrow_mut().end_tunnel() {
            self.inbox.close();
        }
    }

    fn reset(&self) {
        self.outgoing.borrow_mut().reset(self.reason);
    }
}
