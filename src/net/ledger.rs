//! Which worker owns which descriptor, so that a worker that died without unwinding leaves no connection hanging.
//!
//! Invariant: an entry is set by the worker that owns the descriptor, between its opening and its closing.

use std::os::fd::RawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

static OWNERS: OnceLock<Box<[AtomicU16]>> = OnceLock::new();

thread_local! {
    static SELF: std::cell::Cell<u16> = const { std::cell::Cell::new(0) };
}

/// Names the calling thread as worker `index` and sizes the ledger on first use.
pub(super) fn enlist(index: usize) {
    OWNERS.get_or_init(|| (0..super::socket::file_limit().min(1 << 22)).map(|_| AtomicU16::new(0)).collect());
    SELF.set(u16::try_from(index + 1).unwrap_or(0));
}

pub(super) fn record(fd: RawFd) {
    store(fd, SELF.get());
}

pub(super) fn clear(fd: RawFd) {
    store(fd, 0);
}

fn store(fd: RawFd, owner: u16) {
    if let (Some(owners), Ok(fd)) = (OWNERS.get(), usize::try_from(fd))
        && let Some(entry) = owners.get(fd)
    {
        entry.store(owner, Ordering::Release);
    }
}

/// Closes every connection of worker `index`, whose thread no longer exists. Returns how many there were.
///
/// Only control calls this, and only once the kernel says that the thread is gone: a live owner would go on using them.
pub fn abandon(index: usize) -> usize {
    let (Some(owners), Ok(owner)) = (OWNERS.get(), u16::try_from(index + 1)) else { return 0 };
    let mut closed = 0;
    for (fd, entry) in owners.iter().enumerate() {
        if entry.compare_exchange(owner, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            && let Ok(fd) = RawFd::try_from(fd)
        {
            // SAFETY: the descriptor's owner is a thread that is gone, so nobody else closes or uses it.
            unsafe {
                libc::shutdown(fd, libc::SHUT_RDWR);
                libc::close(fd);
            }
            closed += 1;
        }
    }
    closed
}
