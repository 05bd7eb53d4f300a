//! A channel that is slowed down: what goes out on it and comes in waits until it may.
//!
//! What always holds: what waits waits in a timer of the worker, and no deadline of the channel runs meanwhile; no more goes out or comes in
//! at once than a piece, and no byte is lost between the channel and who reads it here. What does not flow after all is given back, and who
//! waits for long is looked after again and again: a client that leaves meanwhile holds nothing.

use super::channel::{Channel, Waiting};
use crate::net::{Either, Lease, race, sleep};
use std::cell::{Cell, RefCell};
use std::future::pending;
use std::io::{self, ErrorKind};
use std::time::Duration;

/// Which way bytes flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the peer.
    Out,
    /// From it.
    In,
}

/// What says how fast bytes may go out and come in. Of each way one piece waits at a time.
pub trait Brake {
    /// As many bytes as flow at once; `None`: as many as there are, whenever they come.
    fn at_once(&self, way: Way) -> Option<usize>;
    /// Takes so many bytes. Returns how long these have to wait.
    fn take(&self, way: Way, bytes: usize) -> Duration;
    /// How long those that were taken last have still to wait.
    fn waits(&self, way: Way, bytes: usize) -> Duration;
    /// They have waited for so long, or for a part of it.
    fn waited(&self, way: Way, time: Duration);
    /// Those that were taken last do not flow.
    fn give_back(&self, way: Way, bytes: usize);
}

/// Bytes that wait: given back, unless they flow.
struct Piece<'a> {
    brake: &'a dyn Brake,
    way: Way,
    bytes: usize,
}

impl Drop for Piece<'_> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.brake.give_back(self.way, self.bytes);
        }
    }
}

/// A channel that is slowed down.
pub struct Slowed<'a> {
    pub(super) channel: Channel<'a>,
    brake: &'a dyn Brake,
    /// How long whoever reads has wanted to wait.
    deadline: Cell<Option<Duration>>,
    /// What has come in and is not let through yet.
    rest: RefCell<Lease>,
    /// How many wait for something to come in.
    readers: Cell<usize>,
}

/// What is received at a time at most.
const MOST: usize = 64 << 10;
/// Who waits for longer is looked after as often as that.
const LOOK: Duration = Duration::from_secs(1);

impl<'a> Slowed<'a> {
    /// `channel`, as slow as `brake` says.
    pub fn new(channel: Channel<'a>, brake: &'a dyn Brake) -> Self {
        Self { channel, brake, deadline: Cell::new(None), rest: RefCell::new(Lease::empty()), readers: Cell::new(0) }
    }

    /// What has come in and nobody has read.
    pub fn into_rest(self) -> Lease {
        self.rest.into_inner()
    }

    pub(super) fn set_deadline(&self, after: Option<Duration>) {
        self.deadline.set(after);
        self.channel.set_deadline(after);
    }

    /// Whether there is something to read without the channel.
    fn holds_more(&self) -> bool {
        !self.rest.borrow().is_empty()
    }

    /// Whether what comes in is slowed down at all.
    fn receives_slowly(&self) -> bool {
        self.brake.at_once(Way::In).is_some()
    }

    /// Waits until so many bytes may flow.
    ///
    /// # Errors
    /// The peer has left meanwhile, or an operator has ended the connection.
    pub async fn hold(&self, way: Way, bytes: usize) -> io::Result<()> {
        let mut wait = self.brake.take(way, bytes);
        let mut piece = Piece { brake: self.brake, way, bytes };
        while wait > LOOK {
            match race(sleep(LOOK), self.left(way)).await {
                Either::Left(()) if !self.channel.is_cut() => {}
                Either::Left(()) => return Err(ErrorKind::ConnectionAborted.into()),
                Either::Right(()) => return Err(ErrorKind::ConnectionReset.into()),
            }
            self.brake.waited(way, LOOK);
            wait = self.brake.waits(way, bytes);
        }
        if !wait.is_zero() {
            sleep(wait).await;
            self.brake.waited(way, wait);
        }
        piece.bytes = 0;
        Ok(())
    }

    /// Waits until the peer has left, where that can be told.
    async fn left(&self, way: Way) {
        // The end of what comes in is told to who reads it.
        let is_watched = match way {
            Way::Out => self.readers.get() == 0,
            Way::In => self.channel.is_multiplexed(),
        };
        if is_watched {
            self.channel.set_deadline(None);
            // What sends more is still there.
            if self.channel.closed().await {
                return;
            }
        }
        pending().await
    }

    fn reads(&self) -> Reads<'_> {
        self.readers.set(self.readers.get() + 1);
        Reads(&self.readers)
    }

    pub(super) fn wait(&self) -> Waiting<'_, io::Result<()>> {
        Box::pin(async move {
            let _reads = self.reads();
            if self.holds_more() { Ok(()) } else { self.channel.wait().await }
        })
    }

    /// What has to wait is not there yet.
    pub(super) fn recv_now(&self, lease: &mut Lease) -> io::Result<Option<usize>> {
        if self.receives_slowly() { Ok(None) } else { self.channel.recv_now(lease) }
    }

    pub(super) fn has_more(&self) -> bool {
        !self.receives_slowly() && self.channel.has_more()
    }

    pub(super) fn closed(&self) -> Waiting<'_, bool> {
        Box::pin(async move { !self.holds_more() && self.channel.closed().await })
    }

    pub(super) fn shutdown(&self) -> Waiting<'_, ()> {
        Box::pin(self.channel.shutdown())
    }

    pub(super) fn recv(&self) -> Waiting<'_, io::Result<Lease>> {
        Box::pin(async move {
            let _reads = self.reads();
            let Some(most) = self.brake.at_once(Way::In) else { return self.channel.recv().await };
            if !self.holds_more() {
                let received = if self.channel.is_multiplexed() {
                    self.channel.recv().await?
                } else {
                    let mut lease = Lease::with_room(most.min(MOST));
                    self.channel.recv_into(&mut lease).await?;
                    lease
                };
                if received.is_empty() {
                    return Ok(received);
                }
                self.rest.replace(received);
            }
            let length = self.rest.borrow().len().min(most);
            self.channel.set_deadline(None);
            self.hold(Way::In, length).await?;
            self.channel.set_deadline(self.deadline.get());
            Ok(cut(&mut self.rest.borrow_mut(), length))
        })
    }

    pub(super) fn send(&self, mut lease: Lease, stall: Duration) -> Waiting<'_, io::Result<()>> {
        Box::pin(async move {
            let Some(most) = self.brake.at_once(Way::Out) else { return self.channel.send(lease, stall).await };
            loop {
                // A head goes out as a whole.
                let head = if lease.starts_with(b"HTTP/1.") { memchr::memmem::find(&lease, b"\r\n\r\n") } else { None };
                let piece = cut(&mut lease, head.map_or(most, |end| most.max(end + 4)));
                self.hold(Way::Out, piece.len()).await?;
                self.channel.send(piece, stall).await?;
                if lease.is_empty() {
                    return Ok(());
                }
            }
        })
    }
}

/// One who waits for something to come in.
struct Reads<'a>(&'a Cell<usize>);

impl Drop for Reads<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Takes so many bytes from the beginning of a lease.
fn cut(lease: &mut Lease, count: usize) -> Lease {
    if count >= lease.len() {
        return std::mem::take(lease);
    }
    let mut piece = Lease::with_room(count);
    piece.buffer().extend_from_slice(&lease[..count]);
    lease.advance(count);
    piece
}
