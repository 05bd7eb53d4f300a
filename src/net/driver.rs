//! What a worker waits with: a ring, or epoll. Each thread that runs a worker has one, between [`set_up`] and
//! [`tear_down`].
//!
//! Invariant: no waker is called while the driver is borrowed, as a task's may ask it for something.

mod epoll;
mod ring;

use super::clock;
use super::file::Opened;
use super::lease::Lease;
use super::runtime::Backend;
use super::watch::{self, Event, Watch};
use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

pub(super) use ring::build as build_ring;

#[expect(clippy::large_enum_variant, reason = "there is one for each worker")]
enum Driver {
    Ring(ring::Ring),
    Epoll(epoll::Epoll),
}

/// What happened.
enum Happening {
    /// Something to the descriptor in a slot, and whether that was an operation's last word.
    Descriptor(u32, Event, bool),
    /// A read from a file has ended, by its number.
    Read(u32),
}

thread_local! {
    static DRIVER: RefCell<Option<Driver>> = const { RefCell::new(None) };
}

/// Makes the calling thread's driver.
pub(super) fn set_up(backend: Backend) -> io::Result<()> {
    let driver = match backend {
        Backend::Epoll => Driver::Epoll(epoll::Epoll::new()?),
        _ => Driver::Ring(ring::Ring::new(backend)?),
    };
    DRIVER.set(Some(driver));
    clock::refresh();
    Ok(())
}

/// Ends it, and closes the descriptors that it still held.
pub(super) fn tear_down() {
    if let Some(Driver::Ring(ring)) = DRIVER.take() {
        ring.close();
    }
    watch::close_all();
    clock::let_run();
}

/// Hands what has been queued to the kernel, waits at most `limit` for something to happen, and wakes whom it concerns.
/// Fails if the kernel does not let it wait.
pub(super) fn turn(limit: Option<Duration>) -> io::Result<()> {
    let mut happened = Vec::new();
    with(|driver| {
        happened = match driver {
            Driver::Ring(ring) => ring.wait(limit)?,
            Driver::Epoll(epoll) => epoll.wait(limit)?,
        };
        Ok(())
    })?;
    clock::refresh();
    for happening in happened.drain(..) {
        let waker = match happening {
            Happening::Descriptor(slot, event, last) => watch::happened(slot, event, last),
            Happening::Read(read) => with(|driver| Ok(driver.ring().and_then(|ring| ring.reader(read))))?,
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
    with(|driver| {
        match driver {
            Driver::Ring(ring) => ring.take_back(happened),
            Driver::Epoll(epoll) => epoll.take_back(happened),
        }
        Ok(())
    })
}

/// From now on says when there is something to receive.
pub(super) fn watch(watch: &Watch) -> io::Result<()> {
    with(|driver| match driver {
        Driver::Ring(ring) => {
            watch::begun(watch.slot());
            ring.watch(watch.fd(), watch.slot());
            Ok(())
        }
        Driver::Epoll(epoll) => epoll.watch(watch),
    })
}

/// Says once when there is room to send. Returns whether that took an operation; if not, what watches the descriptor
/// says it.
pub(super) fn watch_writable(watch: &Watch) -> io::Result<bool> {
    with(|driver| match driver {
        Driver::Ring(ring) => {
            watch::begun(watch.slot());
            ring.watch_writable(watch.fd(), watch.slot());
            Ok(true)
        }
        Driver::Epoll(_) => Ok(false),
    })
}

/// Says no more of a descriptor of which it was `watched` what, by direction. What it has said may still come.
pub(super) fn forget(watch: &Watch, watched: [bool; 2]) {
    // Without a driver there is nothing to be told.
    let _ = with(|driver| {
        match driver {
            Driver::Ring(ring) => ring.forget(watch.slot(), watched),
            Driver::Epoll(epoll) => epoll.forget(watch, watched),
        }
        Ok(())
    });
}

/// Queues a send of what the lease holds, and returns its number for [`take_sent`]. Gives the lease back where sends are
/// not queued.
pub(super) fn send(watch: &Watch, lease: Lease) -> Result<u32, Lease> {
    DRIVER.with_borrow_mut(|driver| match driver {
        Some(Driver::Ring(ring)) => {
            watch::begun(watch.slot());
            Ok(ring.send(watch.fd(), watch.slot(), lease))
        }
        _ => Err(lease),
    })
}

/// How a send ended, and its buffer; `None` while it has not.
pub(super) fn take_sent(send: u32) -> Option<(io::Result<usize>, Lease)> {
    DRIVER.with_borrow_mut(|driver| match driver {
        Some(Driver::Ring(ring)) => ring.take_sent(send),
        _ => Some((Err(io::ErrorKind::NotConnected.into()), Lease::empty())),
    })
}

/// Gives a send up. Its buffer stays until the kernel has let go of it.
pub(super) fn give_up(send: u32) {
    let lease = DRIVER.try_with(|driver| match &mut *driver.borrow_mut() {
        Some(Driver::Ring(ring)) => ring.give_up(send),
        _ => None,
    });
    drop(lease);
}

/// Queues a read of at most `count` bytes from `offset` of a file on, to the end of what the lease holds, and returns its
/// number for [`poll_read`]. Gives the lease back where reads are not queued, and where too many are.
pub(super) fn read(file: &Arc<Opened>, offset: u64, count: usize, lease: Lease) -> Result<u32, Lease> {
    DRIVER.with_borrow_mut(|driver| match driver {
        Some(Driver::Ring(ring)) => ring.read(file.clone(), offset, count, lease),
        _ => Err(lease),
    })
}

/// Waits for a read to end: how many bytes it has added to the buffer. It is asked for no more after that.
pub(super) fn poll_read(read: u32, cx: &mut Context<'_>) -> Poll<(io::Result<usize>, Lease)> {
    DRIVER.with_borrow_mut(|driver| match driver {
        Some(Driver::Ring(ring)) => ring.poll_read(read, cx),
        _ => Poll::Ready((Err(io::ErrorKind::NotConnected.into()), Lease::empty())),
    })
}

/// Gives a read up. Its file and its buffer stay until the kernel has let go of them.
pub(super) fn give_up_read(read: u32) {
    let lease = DRIVER.try_with(|driver| match &mut *driver.borrow_mut() {
        Some(Driver::Ring(ring)) => ring.give_up_read(read),
        _ => None,
    });
    drop(lease);
}

impl Driver {
    fn ring(&mut self) -> Option<&mut ring::Ring> {
        match self {
            Self::Ring(ring) => Some(ring),
            Self::Epoll(_) => None,
        }
    }
}

fn with<R>(act: impl FnOnce(&mut Driver) -> io::Result<R>) -> io::Result<R> {
    let none = || io::Error::other("the calling thread runs no worker");
    DRIVER
        .try_with(|driver| driver.borrow_mut().as_mut().map_or_else(|| Err(none()), act))
        .unwrap_or_else(|_| Err(none()))
}
