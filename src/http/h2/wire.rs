//! A connection's bytes on their way between the peer and the [`Pipe`] that `h2` takes for a socket.

use super::pipe::{Pipe, ROOM};
use crate::net::Lease;
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
}

impl<'a> Wire<'a> {
    pub(super) fn new(peer: Channel<'a>, pipe: Pipe, stall: Duration) -> Self {
        Self { peer, pipe, receiving: None, sending: None, limit: stall, stall }
    }

    /// Sends what there is to send and receives what `h2` has use for. Ends when the connection is broken, and for a
    /// moment, with `TimedOut`, when the peer has been silent for too long.
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
                Some(output) => self.sending = Some(Box::pin(self.peer.send(output, self.stall))),
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
                        self.pipe.fill(input);
                        Poll::Pending
                    }
                    Err(error) => Poll::Ready(error),
                }
            }
            Poll::Pending => Poll::Pending,
        }
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
            debug_assert!(output.len() < 2 * ROOM);
            if self.peer.send(output, self.stall).await.is_err() {
                return;
            }
        }
    }
}
