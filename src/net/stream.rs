//! A connected socket of a worker.

use super::file::File;
use super::lease::{CLASSES, Lease};
use super::ledger;
use super::watch::{Direction, Handle, Watch};
use super::{driver, executor};
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, IoSlice};
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// From this size on a send is tried at once: the buffer is still in the core's cache, and its bytes outweigh the system
/// call. Smaller ones go with what else the turn of the loop has collected.
const BULK: usize = 32 << 10;
/// Receives in a row without a wait after which others get their turn: a fast peer must not keep the worker to itself.
const STREAK: u8 = 32;
/// Index of the largest buffer size for what goes to a slow reader.
const PATIENT: u8 = 2;

/// A connected, non-blocking stream socket (TCP or Unix). Belongs to the worker that made it.
pub struct Stream {
    watch: Watch,
    /// Index of the buffer size that the next receive takes.
    class: Cell<u8>,
    /// Whether the last bulk send found the peer slower than us.
    slow: Cell<bool>,
    /// Receives that did not have to wait, since the last one that had to.
    streak: Cell<u8>,
}

impl Stream {
    pub(super) fn new(fd: OwnedFd) -> Self {
        let watch = Watch::new(fd);
        ledger::record(watch.fd());
        Self { watch, class: Cell::new(0), slow: Cell::new(false), streak: Cell::new(0) }
    }

    /// Sets when receiving gives up with `TimedOut`: `after` from now, rounded up to the next sweep. `None`: never.
    pub fn set_deadline(&self, after: Option<Duration>) {
        self.watch.set_deadline(Direction::Receive, after);
    }

    /// Expects something small next, such as a message head, whatever came before.
    pub fn expect_little(&self) {
        self.class.set(0);
    }

    /// Expects that bytes are there already, so that the next receive tries before it waits.
    pub fn expect_now(&self) {
        self.watch.expect();
    }

    /// Takes less at a time from here on if `sink`, which gets what comes, does not keep up: what a slow reader holds of
    /// our memory stays small.
    pub fn follow(&self, sink: &Self) {
        if sink.slow.get() {
            self.take_less();
        }
    }

    /// Whether the peer took the last large piece more slowly than we sent it.
    pub fn lags(&self) -> bool {
        self.slow.get()
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
                self.readable().await?;
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

    /// Waits until there may be bytes to receive, or the end of the stream.
    pub async fn wait(&self) -> io::Result<()> {
        self.readable().await
    }

    /// Adds what has been received to `lease`, which must have room. Returns how many bytes; 0 is the peer's end of
    /// stream, `None` is nothing yet.
    pub fn recv_now(&self, lease: &mut Lease) -> io::Result<Option<usize>> {
        debug_assert!(lease.room() > 0);
        self.try_recv(lease)
    }

    /// Whether there is probably more to receive.
    pub fn has_more(&self) -> bool {
        self.watch.is_readable()
    }

    /// Waits until there are more than `seen` bytes to receive, and puts a copy of what there is into `lease`, as far as it
    /// has room; they stay to be received. Returns no more than `seen` at the peer's end of stream.
    pub async fn peek_beyond(&self, seen: usize, lease: &mut Lease) -> io::Result<usize> {
        loop {
            self.readable().await?;
            lease.truncate(0);
            let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
            match rustix::net::recv(&self.watch, spare_capacity(lease.buffer()), flags) {
                Ok(_) if self.is_cut() => return Err(ErrorKind::ConnectionAborted.into()),
                Ok((count, _)) if count > seen || count == 0 => return Ok(count),
                Ok((count, _)) => {
                    self.watch.drained();
                    // That of the peer's end never wears off.
                    if self.watch.is_readable() {
                        return Ok(count);
                    }
                }
                Err(Errno::AGAIN) => self.watch.drained(),
                Err(Errno::INTR) => {}
                Err(Errno::TIMEDOUT) => return Err(ErrorKind::ConnectionReset.into()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Receives `count` bytes that [`Stream::peek_beyond`] has shown, and forgets them.
    pub fn skip(&self, mut count: usize) -> io::Result<()> {
        let mut room = [0; 1024];
        while count > 0 {
            let most = count.min(room.len());
            match rustix::net::recv(&self.watch, &mut room[..most], RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok((skipped, _)) => count -= skipped,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits until the peer has closed its side or reset the connection. Returns early, with `false`, if it has sent
    /// bytes instead.
    pub async fn closed(&self) -> bool {
        loop {
            // Only a failed wait or the end of the stream counts as closed; a deadline on this stream does too.
            if self.readable().await.is_err() {
                return true;
            }
            match self.peek() {
                Peek::Bytes => return false,
                Peek::End => return true,
                Peek::Nothing => self.watch.drained(),
            }
        }
    }

    /// Has an idle stream watched, so that [`Stream::is_quiet`] can tell. Fails if the driver cannot.
    pub fn arm(&self) -> io::Result<()> {
        self.watch.watch()
    }

    /// Whether an armed stream has neither bytes nor an end waiting, as far as the driver has heard.
    pub fn is_quiet(&self) -> bool {
        // What was heard may have been received since.
        if self.watch.is_readable() && self.peek() == Peek::Nothing {
            self.watch.drained();
        }
        !self.watch.is_readable()
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
        let bulk = lease.len() >= BULK;
        let (mut waits, mut slow) = (false, false);
        while !lease.is_empty() {
            let result = if waits || lease.len() >= BULK {
                self.send_now(&lease)
            } else {
                match driver::send(&self.watch, lease) {
                    Ok(number) => {
                        let queued = Queued { watch: &self.watch, number: Some(number), limit: stall, begins: true };
                        let (result, rest) = queued.await?;
                        lease = rest;
                        result
                    }
                    Err(back) => {
                        lease = back;
                        self.send_now(&lease)
                    }
                }
            };
            waits = false;
            match result {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    taken.set(taken.get() + count);
                    lease.advance(count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let _limit = Limit::set(&self.watch, stall);
                    poll_fn(|cx| self.watch.poll_writable(cx)).await?;
                    (waits, slow) = (true, true);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if bulk {
            self.slow.set(slow);
        }
        Ok(())
    }

    /// Sends all of `head` and then all of `bulk` as [`Stream::send`] does, in one call as far as the peer takes them.
    pub async fn send_both(&self, mut head: Lease, mut bulk: Lease, stall: Duration) -> io::Result<()> {
        let count = self.send_pieces(&[IoSlice::new(&head), IoSlice::new(&bulk)])?;
        let of_head = count.min(head.len());
        head.advance(of_head);
        bulk.advance(count - of_head);
        self.send(head, stall).await?;
        self.send(bulk, stall).await
    }

    /// Sends as much of `pieces` as the peer takes at once, from where they lie. Returns how many bytes; none is no failure.
    pub fn send_pieces(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match rustix::net::sendmsg(&self.watch, pieces, &mut SendAncillaryBuffer::default(), flags) {
            Ok(count) => Ok(count),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends as much of `head`, and behind it of what `file` has at `place`, as the peer takes at once. Returns how many bytes of both;
    /// none is no failure. The file's bytes go out as the kernel has them in its cache; where it has them not it waits for the disk.
    /// So this is for what [`File::read_and_tell`] has just found there.
    pub fn send_file(&self, head: &[u8], file: &File, place: Range<u64>) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL | SendFlags::MORE;
        let sent = match rustix::net::send(&self.watch, head, flags) {
            Ok(count) if count == head.len() => count,
            Ok(count) => return Ok(count),
            Err(Errno::AGAIN | Errno::INTR) => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        let (mut at, count) = (place.start, usize::try_from(place.end - place.start).unwrap_or(usize::MAX));
        // Where a file system cannot do it, or the peer takes no more, or has gone, the next send goes well or tells.
        Ok(sent + rustix::fs::sendfile(&self.watch, file, Some(&mut at), count).unwrap_or(0))
    }

    /// Sends as much as the peer takes at once.
    fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(&self.watch, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
    }

    /// Ends our side: the peer reads the end of the stream.
    pub fn shutdown(&self) {
        // It fails only for a peer that has gone already.
        let _ = rustix::net::shutdown(&self.watch, Shutdown::Write);
    }

    /// Makes the close a reset, so that the peer cannot take what it got for complete.
    pub fn reset_on_close(&self) {
        // It fails only for a peer that has gone already.
        let _ = set_socket_linger(&self.watch, Some(Duration::ZERO));
    }

    /// Makes the close one that the peer hears nothing of, as far as that can be had.
    pub fn vanish_on_close(&self) {
        super::quiet::hush(&self.watch);
    }

    /// Names it for whoever may end it from elsewhere on the worker.
    pub fn handle(&self) -> Handle {
        self.watch.handle()
    }

    /// Whether it was ended by [`Handle::cut`].
    pub fn is_cut(&self) -> bool {
        self.watch.is_cut()
    }

    /// The local address as the client dialled it, if it is an IP address.
    pub fn local_address(&self) -> Option<std::net::SocketAddr> {
        socket2::SockRef::from(&self.watch.as_fd()).local_addr().ok()?.as_socket()
    }

    pub(super) async fn connected(&self) -> io::Result<()> {
        poll_fn(|cx| self.watch.poll_writable(cx)).await?;
        match socket2::SockRef::from(&self.watch.as_fd()).take_error()? {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// Waits until a receive would not block, or the deadline.
    fn readable(&self) -> impl Future<Output = io::Result<()>> {
        Readable(self)
    }

    /// One receive into the lease's room; `None` if there is nothing yet.
    fn try_recv(&self, lease: &mut Lease) -> io::Result<Option<usize>> {
        let result = rustix::net::recv(&self.watch, spare_capacity(lease.buffer()), RecvFlags::DONTWAIT);
        // Less than there was room for: that was all. What comes later is told anew.
        if lease.room() > 0 {
            self.watch.drained();
        }
        match result {
            // An end that the peer has not said.
            Ok((0, _)) if self.is_cut() => Err(ErrorKind::ConnectionAborted.into()),
            Ok((count, _)) => Ok(Some(count)),
            Err(Errno::AGAIN) => Ok(None),
            Err(Errno::INTR) => {
                self.watch.expect();
                Ok(None)
            }
            // The kernel gave the peer up; `TimedOut` means that a deadline of ours has passed.
            Err(Errno::TIMEDOUT) => Err(ErrorKind::ConnectionReset.into()),
            Err(error) => Err(error.into()),
        }
    }

    fn peek(&self) -> Peek {
        match rustix::net::recv(&self.watch, &mut [0u8], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((1.., _)) => Peek::Bytes,
            Err(Errno::AGAIN) => Peek::Nothing,
            _ => Peek::End,
        }
    }

    /// Grows the next buffer while the stream fills them, and shrinks it when the burst is over.
    fn adapt(&self, count: usize, full: bool) {
        let class = self.class.get();
        let last = CLASSES.len() as u8 - 1;
        if full && class == last {
            // As much as many small ones.
            self.streak.set(STREAK);
        } else if full {
            self.class.set(class + 1);
        } else if class > 0 && count < CLASSES[usize::from(class)] / 8 {
            self.class.set(class - 1);
        }
    }
}

/// A wait for something to receive.
struct Readable<'a>(&'a Stream);

impl Future for Readable<'_> {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Stream { watch, streak, .. } = self.0;
        if streak.get() >= STREAK {
            streak.set(0);
            // Those who wait for others are behind in the queue, and the kernel has not been asked for a while.
            executor::defer(cx.waker());
            return Poll::Pending;
        }
        let state = watch.poll_readable(cx);
        streak.set(if state.is_ready() { streak.get() + 1 } else { 0 });
        state
    }
}

/// A wait for a queued send. Given up, it leaves the buffer to the driver.
struct Queued<'a> {
    watch: &'a Watch,
    /// `None` once it has ended.
    number: Option<u32>,
    limit: Duration,
    begins: bool,
}

impl Future for Queued<'_> {
    type Output = io::Result<(io::Result<usize>, Lease)>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.begins
            && let Some(sent) = self.number.and_then(driver::take_sent)
        {
            self.number = None;
            return Poll::Ready(Ok(sent));
        }
        let begins = std::mem::take(&mut self.begins);
        match self.watch.poll_done(self.limit, begins, cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Pending,
        }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            driver::give_up(number);
            self.watch.set_deadline(Direction::Send, None);
        }
    }
}

/// The deadline of a wait for room, taken away when the wait is over or given up.
struct Limit<'a>(&'a Watch);

impl<'a> Limit<'a> {
    fn set(watch: &'a Watch, limit: Duration) -> Self {
        watch.set_deadline(Direction::Send, Some(limit));
        Self(watch)
    }
}

impl Drop for Limit<'_> {
    fn drop(&mut self) {
        self.0.set_deadline(Direction::Send, None);
    }
}

#[derive(PartialEq, Eq)]
enum Peek {
    Nothing,
    Bytes,
    End,
}
