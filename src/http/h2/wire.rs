//! A connection's bytes on their way between the peer and the [`Session`](super::session::Session).

use super::session::Role;
use super::stream::Shared;
use crate::net::{Lease, coarse_now, sleep};
use crate::tls::{Channel, Waiting};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// How often the streams' deadlines are looked at.
const SWEEP: Duration = Duration::from_millis(100);

/// Both ways of a connection.
pub(super) struct Wire<'a> {
    peer: Channel<'a>,
    session: Shared,
    receiving: Option<Waiting<'a, io::Result<Lease>>>,
    sending: Option<Waiting<'a, io::Result<()>>>,
    /// How long the peer may be silent.
    limit: Duration,
    stall: Duration,
    /// Until the streams' deadlines are looked at again.
    sweep: Option<Pin<Box<dyn Future<Output = ()>>>>,
    /// Receives so far.
    heard: u64,
    /// What was heard when the last ping went out.
    pinged: Option<u64>,
    /// A target takes nothing any more. What it had said before that is still to be read.
    mute: bool,
    /// Nothing comes or goes any more.
    pub(super) broken: bool,
}

/// How long a target that takes no more bytes gets to say why.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl<'a> Wire<'a> {
    pub(super) fn new(peer: Channel<'a>, session: Shared, stall: Duration) -> Self {
        let (receiving, sending, sweep) = (None, None, None);
        let (mute, broken) = (false, false);
        Self { peer, session, receiving, sending, limit: stall, stall, sweep, heard: 0, pinged: None, mute, broken }
    }

    /// Sets how long the peer may be silent from now on.
    pub(super) fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
        if self.receiving.is_some() {
            self.peer.set_deadline(Some(limit));
        }
    }

    /// Takes what came.
    pub(super) fn feed(&mut self, input: &[u8]) {
        self.heard += 1;
        self.session.borrow_mut().feed(input);
    }

    /// Sends what there is to send and receives what comes. Ends when the connection is broken, and for
    /// a moment, with `TimedOut`, when the peer has been silent for too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.broken {
            return Poll::Pending;
        }
        self.sweep(cx);
        loop {
            if let Some(sending) = &mut self.sending {
                match sending.as_mut().poll(cx) {
                    Poll::Ready(Ok(())) => self.sending = None,
                    Poll::Ready(Err(error)) => {
                        self.sending = None;
                        // A peer that takes nothing is as good as gone.
                        if error.kind() == ErrorKind::TimedOut {
                            return Poll::Ready(ErrorKind::ConnectionAborted.into());
                        }
                        if self.session.borrow().role == Role::Server {
                            return Poll::Ready(error);
                        }
                        // It may have answered, or said which streams it has not looked at.
                        self.session.borrow_mut().closing = true;
                        self.mute = true;
                        self.set_limit(LAST_WORDS);
                    }
                    Poll::Pending => break,
                }
            }
            let Some(output) = self.session.borrow_mut().take_output() else { break };
            if self.mute {
                break;
            }
            self.sending = Some(Box::pin(self.peer.send(output, self.stall)));
        }
        if self.receiving.is_none() && self.session.borrow().listens() {
            self.peer.set_deadline(Some(self.limit));
            self.receiving = Some(Box::pin(self.peer.recv()));
        }
        let Some(receiving) = &mut self.receiving else { return Poll::Pending };
        let Poll::Ready(received) = receiving.as_mut().poll(cx) else { return Poll::Pending };
        self.receiving = None;
        match received {
            Ok(input) if input.is_empty() => Poll::Ready(ErrorKind::UnexpectedEof.into()),
            Ok(input) => {
                self.feed(&input);
                Poll::Pending
            }
            Err(error) if self.mute && error.kind() == ErrorKind::TimedOut => {
                Poll::Ready(ErrorKind::ConnectionAborted.into())
            }
            Err(error) => Poll::Ready(error),
        }
    }

    /// The peer has been silent for too long: it is asked whether it is there, and gone if it was asked and said nothing since
    /// (RFC 9113 §6.7).
    pub(super) fn doubt(&mut self) {
        if self.pinged == Some(self.heard) {
            tracing::debug!("a peer over HTTP/2 answers no ping");
            self.break_off();
        } else {
            self.pinged = Some(self.heard);
            self.session.borrow_mut().ping();
        }
    }

    /// Looks at the streams' deadlines now and then.
    fn sweep(&mut self, cx: &mut Context<'_>) {
        if let Some(sweep) = &mut self.sweep {
            if sweep.as_mut().poll(cx).is_pending() {
                return;
            }
            self.sweep = None;
        }
        if self.session.borrow_mut().sweep(coarse_now()) {
            let mut sweep = Box::pin(sleep(SWEEP));
            if sweep.as_mut().poll(cx).is_pending() {
                self.sweep = Some(sweep);
            }
        }
    }

    /// Tells the streams that nothing more comes, and drops what they had to say.
    pub(super) fn break_off(&mut self) {
        (self.receiving, self.sending) = (None, None);
        self.broken = true;
        let mut session = self.session.borrow_mut();
        session.killed = self.peer.is_cut();
        session.cut();
    }

    /// Whether it could go on at once.
    pub(super) fn has_work(&self) -> bool {
        let session = self.session.borrow();
        let sends = self.sending.is_none() && !session.output.is_empty();
        let receives = self.receiving.is_none() && session.listens();
        !self.broken && (sends || receives)
    }

    /// Sends the last of what there is to send.
    pub(super) async fn finish(mut self) {
        self.receiving = None;
        if let Some(sending) = self.sending.take()
            && sending.await.is_err()
        {
            return;
        }
        loop {
            let output = self.session.borrow_mut().take_output();
            let Some(output) = output else { return };
            if self.peer.send(output, self.stall).await.is_err() {
                return;
            }
        }
    }
}
