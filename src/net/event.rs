//! What wakes a worker's loop from other threads: an eventfd.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Rung by any thread, heard by the worker that watches it.
pub(super) struct Event(OwnedFd);

impl Event {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: the call takes two numbers; its result is checked before it becomes an owned descriptor.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and ours alone.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// A descriptor of it to watch.
    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.0.try_clone()
    }

    pub(super) fn ring(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: the buffer is 8 bytes as an eventfd wants. A full counter means that the worker is woken anyway.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Takes what was rung.
    pub(super) fn heard(&self) {
        let mut count = [0u8; 8];
        // SAFETY: the buffer is 8 bytes as an eventfd wants; the descriptor does not block.
        unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}
