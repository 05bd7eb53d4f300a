//! What the `h2` crate takes for a socket: bytes in and bytes out, both in memory.

use crate::net::Lease;
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that may wait to be sent before `h2` is told to wait.
const ROOM: usize = 256 << 10;

/// Both ends share it; they are in one task.
#[derive(Clone, Default)]
pub(super) struct Pipe(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    input: Lease,
    /// Nothing more will come.
    ended: bool,
    output: Lease,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    /// Whether everything that came has been read.
    pub(super) fn is_dry(&self) -> bool {
        let state = self.0.borrow();
        state.input.is_empty() && !state.ended
    }

    /// Whether there is anything to be sent.
    pub(super) fn has_output(&self) -> bool {
        !self.0.borrow().output.is_empty()
    }

    /// Adds what came; nothing is the peer's end.
    pub(super) fn fill(&self, input: Lease) {
        let mut state = self.0.borrow_mut();
        debug_assert!(state.input.is_empty());
        state.ended |= input.is_empty();
        state.input = input;
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// Nothing more comes, and nothing goes out any more.
    pub(super) fn end(&self) {
        self.drain();
        let mut state = self.0.borrow_mut();
        state.ended = true;
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// Takes what is to be sent, if there is any.
    pub(super) fn drain(&self) -> Option<Lease> {
        let mut state = self.0.borrow_mut();
        let output = std::mem::take(&mut state.output);
        if let Some(writer) = state.writer.take() {
            writer.wake();
        }
        Some(output).filter(|output| !output.is_empty())
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.borrow_mut();
        if state.input.is_empty() {
            if state.ended {
                return Poll::Ready(Ok(()));
            }
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = state.input.len().min(buffer.remaining());
        buffer.put_slice(&state.input[..count]);
        state.input.advance(count);
        if state.input.is_empty() {
            state.input = Lease::empty();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.0.borrow_mut();
        if state.output.len() >= ROOM {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = pieces.iter().map(|piece| piece.len()).sum();
        state.output.reserve(count);
        let output = state.output.buffer();
        pieces.iter().for_each(|piece| output.extend_from_slice(piece));
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn poll<F: Future>(future: F) -> Poll<F::Output> {
        std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn bytes_come_through_and_too_many_wait() {
        let pipe = Pipe::default();
        let mut end = pipe.clone();
        assert!(poll(end.read_u8()).is_pending() && pipe.is_dry());
        let mut lease = Lease::new();
        lease.buffer().extend_from_slice(b"ab");
        pipe.fill(lease);
        assert!(matches!(poll(end.read_u16()), Poll::Ready(Ok(0x6162))));
        pipe.fill(Lease::empty());
        assert!(matches!(poll(end.read(&mut [0; 4])), Poll::Ready(Ok(0))));
        assert!(poll(end.write_all(&[0; ROOM])).is_ready());
        assert!(poll(end.write_all(b"x")).is_pending());
        assert_eq!(pipe.drain().unwrap().len(), ROOM);
        assert!(poll(end.write_all(b"x")).is_ready() && pipe.drain().is_some() && pipe.drain().is_none());
    }
}
