//! A connected socket of a worker.

use super::deadline::{Deadlines, Direction};
use super::lease::{CLASSES, Lease};
use super::ledger;
use monoio::io::AsyncWriteRent;
use monoio::net::UnixStream;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use std::cell::{Cell, UnsafeCell};
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// From this size on a send is tried at once: the buffer is still in the core's cache, and its bytes outweigh the system
/// call. Smaller ones go with what else the turn of the loop has collected.
const BULK: usize = 32 << 10;
/// Index of the largest buffer size for what goes to a slow reader.
const PATIENT: u8 = 2;

/// A descriptor that the worker's driver watches.
pub(super) struct Readiness(UnsafeCell<UnixStream>);

impl Readiness {
    /// Takes over a non-blocking descriptor of any kind: only readiness and plain sends are asked of it. monoio's Unix
    /// stream is its smallest wrapper of a descriptor, and does both alike for every kind of socket.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        UnixStream::from_std(std::os::unix::net::UnixStream::from(fd)).map(|stream| Self(UnsafeCell::new(stream)))
    }

    fn stream(&self) -> &UnixStream {
        // SAFETY: the only exclusive reference is the one in `send`, which ends before control leaves this module.
        unsafe { &*self.0.get() }
    }

    pub(super) fn fd(&self) -> RawFd {
        self.stream().as_raw_fd()
    }

    fn borrowed(&self) -> BorrowedFd<'_> {
        // SAFETY: the stream owns the descriptor and outlives the borrow.
        unsafe { BorrowedFd::borrow_raw(self.fd()) }
    }

    pub(super) fn readable(&self) -> impl Future<Output = io::Result<()>> {
        self.stream().readable(false)
    }

    fn writable(&self) -> impl Future<Output = io::Result<()>> {
        self.stream().writable(false)
    }

    /// One send of what the lease holds, submitted with the next enter.
    async fn send(&self, lease: Lease) -> (io::Result<usize>, Lease) {
        // SAFETY: monoio's write takes the reference only to clone the descriptor into the operation (its own split
        // halves do the same over an UnsafeCell); no other reference is in use while it does, as a worker is one thread.
        unsafe { &mut *self.0.get() }.write(lease).await
    }
}

type Armed = Pin<Box<dyn Future<Output = io::Result<()>>>>;

/// A connected, non-blocking stream socket (TCP or Unix). Belongs to the worker that made it.
pub struct Stream {
    inner: Rc<Readiness>,
    deadlines: Deadlines,
    armed: Cell<Option<Armed>>,
    /// Index of the buffer size that the next receive takes.
    class: Cell<u8>,
    /// Whether the last receive filled its buffer, so that more is likely there.
    more: Cell<bool>,
    /// Whether the last bulk send found the peer slower than us.
    slow: Cell<bool>,
}

impl Stream {
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        let inner = Rc::new(Readiness::new(fd)?);
        ledger::record(inner.fd());
        Ok(Self {
            inner,
            deadlines: Deadlines::new(),
            armed: Cell::new(None),
            class: Cell::new(0),
            more: Cell::new(false),
            slow: Cell::new(false),
        })
    }

    /// Sets when receiving gives up with `TimedOut`: `after` from now, rounded up to the next sweep. `None`: never.
    pub fn set_deadline(&self, after: Option<Duration>) {
        self.deadlines.set(Direction::Receive, after);
    }

    /// Expects something small next, such as a message head, whatever came before.
    pub fn expect_little(&self) {
        self.class.set(0);
    }

    /// Expects that bytes are there already, so that the next receive tries before it waits.
    pub fn expect_now(&self) {
        self.more.set(true);
    }

    /// Takes less at a time from here on if `sink`, which gets what comes, does not keep up: what a slow reader holds of
    /// our memory stays small.
    pub fn follow(&self, sink: &Self) {
        if sink.slow.get() {
            self.take_less();
        }
    }

    /// Takes no more at a time than what goes to a slow reader.
    pub fn take_less(&self) {
        self.class.set(self.class.get().min(PATIENT));
    }

    /// Waits for bytes and returns them in a lease; an empty lease is the peer's end of stream.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async function would keep its argument twice in every idle connection"
    )]
    pub fn recv(&self) -> impl Future<Output = io::Result<Lease>> {
        async move {
            loop {
                if !self.more.get() {
                    self.readable().await?;
                }
                let mut lease = Lease::of_class(self.class.get().into());
                if let Some(count) = self.try_recv(&mut lease)? {
                    self.adapt(count, lease.room() == 0);
                    return Ok(lease);
                }
            }
        }
    }

    /// Waits for bytes and adds them to `lease`, which must have room. Returns how many; 0 is the peer's end of stream.
    pub async fn recv_into(&self, lease: &mut Lease) -> io::Result<usize> {
        loop {
            self.wait().await?;
            if let Some(count) = self.recv_now(lease)? {
                return Ok(count);
            }
        }
    }

    /// Waits until there are bytes to receive, or the end of the stream.
    pub async fn wait(&self) -> io::Result<()> {
        if self.more.get() { Ok(()) } else { self.readable().await }
    }

    /// Adds what has been received to `lease`, which must have room. Returns how many bytes; 0 is the peer's end of
    /// stream, `None` is nothing yet.
    pub fn recv_now(&self, lease: &mut Lease) -> io::Result<Option<usize>> {
        debug_assert!(lease.room() > 0);
        let count = self.try_recv(lease)?;
        self.more.set(count.is_some() && lease.room() == 0);
        Ok(count)
    }

    /// Whether the last receive filled its buffer, so that there is probably more.
    pub fn has_more(&self) -> bool {
        self.more.get()
    }

    /// Waits until the peer has closed its side or reset the connection. Returns early, with `false`, if it has sent
    /// bytes instead.
    pub async fn closed(&self) -> bool {
        // Only a failed wait or the end of the stream counts as closed; a deadline on this stream does too.
        self.readable().await.is_err() || self.peek() != Peek::Bytes
    }

    /// Starts watching an idle stream, so that [`Stream::is_quiet`] can tell and the next receive need not ask again.
    pub fn arm(&self) {
        let inner = self.inner.clone();
        let mut armed: Armed = Box::pin(async move { inner.readable().await });
        // The first poll submits the watch; without a waker, as nobody waits yet.
        if armed.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            self.armed.set(Some(armed));
        } else {
            self.more.set(true);
        }
    }

    /// Whether an armed stream has neither bytes nor an end waiting, as far as the driver has heard.
    pub fn is_quiet(&self) -> bool {
        let Some(mut armed) = self.armed.take() else { return false };
        let quiet = armed.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
        if quiet {
            self.armed.set(Some(armed));
        }
        quiet
    }

    /// Asks the kernel whether the peer has closed or sent something. Costs a system call.
    pub fn is_quiet_now(&self) -> bool {
        self.peek() == Peek::Nothing
    }

    /// Sends all of `lease`. Fails with `TimedOut` if the peer takes no byte for `stall`.
    pub async fn send(&self, lease: Lease, stall: Duration) -> io::Result<()> {
        self.send_counted(lease, stall, &Cell::new(0)).await
    }

    /// Sends all of `lease` as [`Stream::send`] does, adding to `taken` the bytes that left our hands: also when it fails.
    pub async fn send_counted(&self, mut lease: Lease, stall: Duration, taken: &Cell<usize>) -> io::Result<()> {
        while lease.len() >= BULK {
            match self.send_now(&lease) {
                Ok(count) => {
                    taken.set(taken.get() + count);
                    lease.advance(count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let _sending = Sending(&self.deadlines);
        while !lease.is_empty() {
            self.deadlines.set(Direction::Send, Some(stall));
            let (result, rest) = self.within(self.inner.send(lease)).await?;
            lease = rest;
            match result {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    taken.set(taken.get() + count);
                    lease.advance(count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.within(self.inner.writable()).await??;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends as much as the peer takes at once.
    fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(self.inner.borrowed(), bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
    }

    /// Ends our side: the peer reads the end of the stream.
    pub fn shutdown(&self) {
        // It fails only for a peer that has gone already.
        let _ = rustix::net::shutdown(self.inner.borrowed(), Shutdown::Write);
    }

    /// Makes the close a reset, so that the peer cannot take what it got for complete.
    pub fn reset_on_close(&self) {
        // It fails only for a peer that has gone already.
        let _ = set_socket_linger(self.inner.borrowed(), Some(Duration::ZERO));
    }

    /// The local address as the client dialled it, if it is an IP address.
    pub fn local_address(&self) -> Option<std::net::SocketAddr> {
        socket2::SockRef::from(&self.inner.borrowed()).local_addr().ok()?.as_socket()
    }

    pub(super) async fn connected(&self) -> io::Result<()> {
        self.inner.writable().await?;
        match socket2::SockRef::from(&self.inner.borrowed()).take_error()? {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// Waits for `future`, but fails with `TimedOut` once the deadline of sending has passed.
    async fn within<F: Future>(&self, future: F) -> io::Result<F::Output> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending if self.deadlines.poll_passed(Direction::Send, cx) => {
                Poll::Ready(Err(ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Waits until a receive would not block, or the deadline.
    fn readable(&self) -> impl Future<Output = io::Result<()>> {
        Bounded { deadlines: &self.deadlines, armed: self.armed.take(), fresh: self.inner.readable() }
    }

    /// One receive into the lease's room; `None` if there is nothing yet.
    fn try_recv(&self, lease: &mut Lease) -> io::Result<Option<usize>> {
        match rustix::net::recv(self.inner.borrowed(), spare_capacity(lease.buffer()), RecvFlags::DONTWAIT) {
            Ok((count, _)) => Ok(Some(count)),
            Err(error) => {
                self.more.set(false);
                match error {
                    Errno::AGAIN | Errno::INTR => Ok(None),
                    // The kernel gave the peer up; `TimedOut` means that a deadline of ours has passed.
                    Errno::TIMEDOUT => Err(ErrorKind::ConnectionReset.into()),
                    error => Err(error.into()),
                }
            }
        }
    }

    fn peek(&self) -> Peek {
        match rustix::net::recv(self.inner.borrowed(), &mut [0u8], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((1.., _)) => Peek::Bytes,
            Err(Errno::AGAIN) => Peek::Nothing,
            _ => Peek::End,
        }
    }

    /// Grows the next buffer while the stream fills them, and shrinks it when the burst is over.
    fn adapt(&self, count: usize, full: bool) {
        let class = self.class.get();
        let last = CLASSES.len() as u8 - 1;
        // With the largest buffer every receive goes through the driver, so that a pair of fast peers does not keep the
        // worker to itself.
        self.more.set(full && class < last);
        if full {
            self.class.set((class + 1).min(last));
        } else if class > 0 && count < CLASSES[usize::from(class)] / 8 {
            self.class.set(class - 1);
        }
    }
}

/// A wait for readiness that ends with the stream's deadline. Written by hand, as every idle connection holds one: an
/// async function would keep its arguments twice.
struct Bounded<'a, F> {
    deadlines: &'a Deadlines,
    /// The watch that was begun before, if any; `fresh` is not begun then.
    armed: Option<Armed>,
    fresh: F,
}

impl<F: Future<Output = io::Result<()>>> Future for Bounded<'_, F> {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // SAFETY: structural pinning of `fresh`, which is never moved out; the other fields are not pinned, and `Bounded`
        // has no Drop of its own.
        let this = unsafe { self.get_unchecked_mut() };
        let ready = match &mut this.armed {
            Some(armed) => armed.as_mut().poll(cx),
            // SAFETY: as above: `fresh` stays where it is for as long as `self` does.
            None => unsafe { Pin::new_unchecked(&mut this.fresh) }.poll(cx),
        };
        if ready.is_pending() && this.deadlines.poll_passed(Direction::Receive, cx) {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        ready
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        ledger::clear(self.inner.fd());
    }
}

/// Takes the deadline of a send away when it is over, or given up.
struct Sending<'a>(&'a Deadlines);

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.0.set(Direction::Send, None);
    }
}

#[derive(PartialEq, Eq)]
enum Peek {
    Nothing,
    Bytes,
    End,
}
