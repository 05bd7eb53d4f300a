//! One stream of a client's connection, as an exchange sees its client.

use super::broken;
use super::head::{self, Content, Shape};
use super::inbox::Inbox;
use super::incoming::Incoming;
use super::outgoing::{self, Opened, Opener, Outgoing};
use crate::net::Lease;
use crate::tls::{Facts, Multiplexed, Waiting};
use ::h2::server::SendResponse;
use ::h2::{Reason, RecvStream};
use bytes::Bytes;
use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

/// A stream whose request has been read.
pub(super) struct Stream<'a> {
    facts: Option<&'a Facts>,
    inbox: Inbox,
    incoming: RefCell<Incoming>,
    outgoing: RefCell<Outgoing<Respond>>,
}

struct Respond {
    respond: SendResponse<Bytes>,
    /// Whether the request's method is HEAD.
    to_head: bool,
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
            inbox: Inbox::default(),
            incoming: RefCell::new(Incoming::new(body, shape.chunked)),
            outgoing: RefCell::new(Outgoing::new(Respond { respond, to_head })),
        }
    }

    /// The exchange is over: an answer that is not whole by now never will be (RFC 9113 §8.1).
    pub(super) fn finish(self) {
        let mut outgoing = self.outgoing.into_inner();
        if !outgoing.is_ended() {
            outgoing.reset(Reason::INTERNAL_ERROR);
        }
    }
}

impl Opener for Respond {
    fn open(&mut self, text: &[u8]) -> io::Result<Opened> {
        let Some((response, content, length)) = head::read_response(text, self.to_head) else {
            return Err(io::Error::other("an answer without a head"));
        };
        if response.status().is_informational() {
            self.respond.send_informational(response).map_err(|error| broken(&error))?;
            return Ok(Opened::Interim(length));
        }
        let end = content == Content::None;
        let stream = self.respond.send_response(response, end).map_err(|error| broken(&error))?;
        Ok(Opened::Open(length, stream, content))
    }

    fn reset(&mut self, reason: Reason) {
        self.respond.send_reset(reason);
    }

    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.respond.poll_reset(cx).map(|_| ())
    }
}

impl Multiplexed for Stream<'_> {
    fn facts(&self) -> Option<&Facts> {
        self.facts
    }

    fn set_deadline(&self, after: Option<Duration>) {
        self.inbox.set_deadline(after);
    }

    fn poll_wait(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inbox.poll_wait(cx, |cx| self.incoming.borrow_mut().poll(cx))
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
        self.inbox.close();
        self.outgoing.borrow_mut().shutdown();
    }

    fn reset(&self) {
        self.outgoing.borrow_mut().reset(Reason::INTERNAL_ERROR);
    }
}
