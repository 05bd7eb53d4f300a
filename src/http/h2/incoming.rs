//! The content that comes on a stream, as text of HTTP/1.1.

use super::stream::Source;
use super::{broken, head};
use crate::http::h1::{CHUNK_END, push_chunk_size, push_last_chunk};
use crate::net::Lease;
use ::h2::RecvStream;
use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll};

/// Content on its way from the peer.
pub(super) struct Incoming {
    body: RecvStream,
    /// Whether it is written in chunks: its length is not known.
    chunked: bool,
    /// Bytes for which the peer's window has not been opened again.
    unreleased: usize,
    ended: bool,
}

impl Incoming {
    pub(super) fn new(body: RecvStream, chunked: bool) -> Self {
        Self { body, chunked, unreleased: 0, ended: false }
    }

    /// The next text, empty at the end. That it is asked for says that what was handed out before has gone on.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Lease>> {
        // It fails for a stream that is gone, which the next look tells.
        let _ = self.body.flow_control().release_capacity(std::mem::take(&mut self.unreleased));
        if self.ended {
            return Poll::Ready(Ok(Lease::empty()));
        }
        loop {
            match self.body.poll_data(cx) {
                Poll::Ready(Some(Ok(content))) if content.is_empty() => {}
                Poll::Ready(Some(Ok(content))) => {
                    self.unreleased = content.len();
                    return Poll::Ready(Ok(self.write(&content)));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(broken(&error))),
                Poll::Ready(None) => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        let trailers = match self.body.poll_trailers(cx) {
            Poll::Ready(Ok(trailers)) => trailers.unwrap_or_default(),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(broken(&error))),
            Poll::Pending => return Poll::Pending,
        };
        self.ended = true;
        let mut lease = Lease::empty();
        if self.chunked {
            let mut lines = Vec::new();
            head::write_trailers(&trailers, &mut lines);
            push_last_chunk(lease.buffer(), &lines);
        }
        Poll::Ready(Ok(lease))
    }

    fn write(&self, content: &[u8]) -> Lease {
        let mut lease = Lease::with_room(content.len() + 32);
        let out = lease.buffer();
        if self.chunked {
            push_chunk_size(out, content.len());
        }
        out.extend_from_slice(content);
        if self.chunked {
            out.extend_from_slice(CHUNK_END);
        }
        lease
    }
}

impl Source for RefCell<Incoming> {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<Lease>> {
        self.borrow_mut().poll(cx)
    }
}
