//! A channel that is slowed down: what goes out on it and comes in waits until it may.
//!
//! What always holds: what waits waits in a timer of the worker, and no deadline of the channel runs meanwhile; no more goes out or comes in
//! at once than a piece, and no byte is lost between the channel and who reads it here.

use super::channel::{Channel, Waiting};
use crate::net::{Lease, sleep};
use std::cell::{Cell, RefCell};
use std::io;
use std::time::Duration;

/// What says how fast bytes may go out and come in.
pub trait Brake {
    /// As many bytes as go out at once; `None`: as many as there are, whenever they come.
    fn sends_at_once(&self) -> Option<usize>;
    /// As many as come in at once.
    fn receives_at_once(&self) -> Option<usize>;
    /// How long so many bytes have to wait that are to go out. They count as gone.
    fn before_sending(&self, bytes: usize) -> Duration;
    /// How long so many have to wait that have come in.
    fn after_receiving(&self, bytes: usize) -> Duration;
}

/// A channel that is slowed down.
pub struct Slowed<'a> {
    pub(super) channel: Channel<'a>,
    brake: &'a dyn Brake,
    /// How long whoever reads has wanted to wait.
    deadline: Cell<Option<Duration>>,
    /// What has come in and is not let through yet.
    rest: RefCell<Lease>,
}

/// What is received at a time at most.
const MOST: usize = 64 << 10;

impl<'a> Slowed<'a> {
    /// `channel`, as slow as `brake` says.
    pub fn new(channel: Channel<'a>, brake: &'a dyn Brake) -> Self {
        Self { channel, brake, deadline: Cell::new(None), rest: RefCell::new(Lease::empty()) }
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
        self.brake.receives_at_once().is_some()
    }

    pub(super) fn wait(&self) -> Waiting<'_, io::Result<()>> {
        Box::pin(async move { if self.holds_more() { Ok(()) } else { self.channel.wait().await } })
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
            let Some(most) = self.brake.receives_at_once() else { return self.channel.recv().await };
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
            let wait = self.brake.after_receiving(length);
            if !wait.is_zero() {
                self.channel.set_deadline(None);
                sleep(wait).await;
                self.channel.set_deadline(self.deadline.get());
            }
            Ok(cut(&mut self.rest.borrow_mut(), length))
        })
    }

    pub(super) fn send(&self, mut lease: Lease, stall: Duration) -> Waiting<'_, io::Result<()>> {
        Box::pin(async move {
            let Some(most) = self.brake.sends_at_once() else { return self.channel.send(lease, stall).await };
            loop {
                // A head goes out as a whole.
                let head = if lease.starts_with(b"HTTP/1.") { memchr::memmem::find(&lease, b"\r\n\r\n") } else { None };
                let piece = cut(&mut lease, head.map_or(most, |end| most.max(end + 4)));
                let wait = self.brake.before_sending(piece.len());
                if !wait.is_zero() {
                    sleep(wait).await;
                }
                self.channel.send(piece, stall).await?;
                if lease.is_empty() {
                    return Ok(());
                }
            }
        })
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
