//! A connection's bytes on their way between the peer and the [`Pipe`] that `h2` takes for a socket.

use super::PREFACE;
use super::meter::{Flood, Meter};
use super::pipe::Pipe;
use crate::net::{Lease, coarse_now};
use crate::tls::{Channel, Waiting};
use std::io::{self, ErrorKind};
use std::task::{Context, Poll};
use std::time::Duration;

/// Both ways of a connection.
pub(super) struct Wire<'a> {
    peer: Channel<'a>,
    pipe: Pipe,
    receiving: Option<Waiting<'a, io::Result<Lease>>>,
    sending: Option<Waiting<'a, io::Result<()>>>,
    /// How long the peer may be silent.
    pub(super) limit: Duration,
    stall: Duration,
    meter: Option<Meter>,
    /// Receives so far.
    pub(super) heard: u64,
}

impl<'a> Wire<'a> {
    pub(super) fn new(peer: Channel<'a>, pipe: Pipe, stall: Duration) -> Self {
        Self { peer, pipe, receiving: None, sending: None, limit: stall, stall, meter: None, heard: 0 }
    }

    /// Has the peer's frames counted, of which `first` came already.
    pub(super) fn watch_over(&mut self, first: &[u8]) -> Result<(), Flood> {
        let mut meter = Meter::new(PREFACE.len(), coarse_now());
        let fed = meter.feed(first, coarse_now());
        self.meter = Some(meter);
        fed
    }

    /// Sends what there is to send and receives what `h2` has use for. Ends when the connection is broken, with
    /// `QuotaExceeded` if the peer floods it, and for a moment, with `TimedOut`, when the peer has been silent for too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            if let Some(sending) = &mut self.sending {
                match sending.as_mut().poll(cx) {
                    Poll::Ready(Ok(())) => self.sending = None,
                    Poll::Ready(Err(error)) => {
                        self.sending = None;
                        // A peer that takes nothing is as good as gone.
                        let gone = error.kind() == ErrorKind::TimedOut;
                        return Poll::Ready(if gone { ErrorKind::ConnectionAborted.into() } else { error });
                    }
                    Poll::Pending => break,
                }
            }
            match self.pipe.drain() {
                Some(output) => {
                    if let Some(meter) = &mut self.meter {
                        meter.sent(output.len());
                    }
                    self.sending = Some(Box::pin(self.peer.send(output, self.stall)));
                }
                None => break,
            }
        }
        if self.receiving.is_none() && self.pipe.is_dry() {
            self.peer.set_deadline(Some(self.limit));
            self.receiving = Some(Box::pin(self.peer.recv()));
        }
        let Some(receiving) = &mut self.receiving else { return Poll::Pending };
        match receiving.as_mut().poll(cx) {
            Poll::Ready(received) => {
                self.receiving = None;
                match received {
                    Ok(input) => {
                        if let Some(meter) = &mut self.meter
                            && let Err(Flood { kind }) = meter.feed(&input, coarse_now())
                        {
                            tracing::debug!(kind, "flood of frames");
                            return Poll::Ready(ErrorKind::QuotaExceeded.into());
                        }
                        self.heard += 1;
                        self.pipe.fill(input);
                        Poll::Pending
                    }
                    Err(error) => Poll::Ready(error),
                }
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Tells `h2` that nothing more comes, and drops what it had to say.
    pub(super) fn break_off(&mut self) {
        (self.receiving, self.sending) = (None, None);
        self.pipe.end();
    }

    /// Whether it could go on at once.
    pub(super) fn has_work(&self) -> bool {
        self.sending.is_none() && self.pipe.has_output() || self.receiving.is_none() && self.pipe.is_dry()
    }

    /// Sends the last of what there is to send.
    pub(super) async fn finish(mut self) {
        self.receiving = None;
        if let Some(sending) = self.sending.take()
            && sending.await.is_err()
        {
            return;
        }
        while let Some(output) = self.pipe.drain() {
            if self.peer.send(output, self.stall).await.is_err() {
                return;
            }
        }
    }
}
