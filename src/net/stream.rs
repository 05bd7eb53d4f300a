//! A connected socket of a worker.

use super::deadline::Deadline;
use super::lease::{CLASSES, Lease};
use super::ledger;
use monoio::io::AsyncWriteRent;
use monoio::net::UnixStream;
use std::cell::{Cell, UnsafeCell};
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
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
    deadline: Deadline,
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
            deadline: Deadline::new(),
            armed: Cell::new(None),
            class: Cell::new(0),
            more: Cell::new(false),
            slow: Cell::new(false),
        })
    }

    /// Sets when receiving gives up with `TimedOut`: `after` from now, rounded up to the next sweep. `None`: never.
    pub fn set_deadline(&self, after: Option<Duration>) {
        self.deadline.set(after);
    }

    /// Expects something small next, such as a message head, whatever came before.
    pub fn expect_little(&self) {
        self.class.set(0);
    }

    /// Takes less at a time from here on if `sink`, which gets what comes, does not keep up: what a slow reader holds of
    /// our memory stays small.
    pub fn follow(&self, sink: &Self) {
        if sink.slow.get() {
            self.class.set(self.class.get().min(PATIENT));
        }
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
        let deadline = Deadline::new();
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
        while !lease.is_empty() {
            deadline.set(Some(stall));
            let (result, rest) = within(&deadline, self.inner.send(lease)).await?;
            lease = rest;
            match result {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    taken.set(taken.get() + count);
                    lease.advance(count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    within(&deadline, self.inner.writable()).await??;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends as much as the peer takes at once.
    fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the kernel reads at most `bytes.len()` bytes from a slice that lives until the call returns.
        let count = unsafe { libc::send(self.inner.fd(), bytes.as_ptr().cast(), bytes.len(), flags) };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// Ends our side: the peer reads the end of the stream.
    pub fn shutdown(&self) {
        // SAFETY: the descriptor is open for as long as `inner` lives.
        unsafe { libc::shutdown(self.inner.fd(), libc::SHUT_WR) };
    }

    /// Makes the close a reset, so that the peer cannot take what it got for complete.
    pub fn reset_on_close(&self) {
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        let size = size_of::<libc::linger>() as libc::socklen_t;
        // SAFETY: the option's value is a local of the size given; the descriptor is open for as long as `inner` lives.
        unsafe {
            libc::setsockopt(self.inner.fd(), libc::SOL_SOCKET, libc::SO_LINGER, (&raw const linger).cast(), size)
        };
    }

    /// The local address as the client dialled it, if it is an IP address.
    pub fn local_address(&self) -> Option<std::net::SocketAddr> {
        // SAFETY: the descriptor is open for as long as `inner` lives and is only borrowed.
        let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(self.inner.fd()) };
        socket2::SockRef::from(&fd).local_addr().ok()?.as_socket()
    }

    pub(super) async fn connected(&self) -> io::Result<()> {
        self.inner.writable().await?;
        // SAFETY: as in `local_address`.
        let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(self.inner.fd()) };
        match socket2::SockRef::from(&fd).take_error()? {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// Waits until a receive would not block, or the deadline.
    fn readable(&self) -> impl Future<Output = io::Result<()>> {
        Bounded { deadline: &self.deadline, armed: self.armed.take(), fresh: self.inner.readable() }
    }

    /// One receive into the lease's room; `None` if there is nothing yet.
    fn try_recv(&self, lease: &mut Lease) -> io::Result<Option<usize>> {
        let buffer = lease.buffer();
        let spare = buffer.spare_capacity_mut();
        // SAFETY: the kernel writes at most `spare.len()` bytes into memory that we own.
        let count = unsafe { libc::recv(self.inner.fd(), spare.as_mut_ptr().cast(), spare.len(), libc::MSG_DONTWAIT) };
        match usize::try_from(count) {
            Ok(count) => {
                // SAFETY: the kernel has initialised `count` bytes behind the old end, within the capacity.
                unsafe { buffer.set_len(buffer.len() + count) };
                Ok(Some(count))
            }
            Err(_) => {
                self.more.set(false);
                let error = io::Error::last_os_error();
                match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(None),
                    // The kernel gave the peer up; `TimedOut` means that a deadline of ours has passed.
                    ErrorKind::TimedOut => Err(ErrorKind::ConnectionReset.into()),
                    _ => Err(error),
                }
            }
        }
    }

    fn peek(&self) -> Peek {
        let mut byte = 0u8;
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        // SAFETY: the kernel writes at most one byte into a local.
        let count = unsafe { libc::recv(self.inner.fd(), (&raw mut byte).cast(), 1, flags) };
        match count {
            1.. => Peek::Bytes,
            0 => Peek::End,
            _ if io::Error::last_os_error().kind() == ErrorKind::WouldBlock => Peek::Nothing,
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
    deadline: &'a Deadline,
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
        if ready.is_pending() && this.deadline.poll_passed(cx) {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        ready
    }
}

/// Waits for `future`, but fails with `TimedOut` once the deadline has passed.
async fn within<F: Future>(deadline: &Deadline, future: F) -> io::Result<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending if deadline.poll_passed(cx) => Poll::Ready(Err(ErrorKind::TimedOut.into())),
        Poll::Pending => Poll::Pending,
    })
    .await
}

impl Drop for Stream {
    fn drop(&mut self) {
        ledger::clear(self.inner.fd());
    }
}

#[derive(PartialEq, Eq)]
enum Peek {
    Nothing,
    Bytes,
    End,
}
