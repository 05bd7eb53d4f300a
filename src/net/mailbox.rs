//! A bounded mailbox into a worker from other threads: a lock-free queue and an eventfd that wakes the loop.

use super::watch::Watch;
use crossbeam::queue::ArrayQueue;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;

/// The sending end; any thread may hold one.
pub struct Post<T>(Arc<Shared<T>>);

/// The receiving end. Made on any thread, read on the worker's.
pub struct Mailbox<T>(Arc<Shared<T>>);

struct Shared<T> {
    queue: ArrayQueue<T>,
    event: OwnedFd,
}

/// A mailbox with room for `capacity` messages.
pub fn mailbox<T>(capacity: usize) -> io::Result<(Post<T>, Mailbox<T>)> {
    // SAFETY: the call takes two numbers; its result is checked before it becomes an owned descriptor.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and ours alone.
    let event = unsafe { OwnedFd::from_raw_fd(fd) };
    let shared = Arc::new(Shared { queue: ArrayQueue::new(capacity), event });
    Ok((Post(shared.clone()), Mailbox(shared)))
}

impl<T> Post<T> {
    /// Sends a message, or gives it back if the mailbox is full.
    pub fn send(&self, message: T) -> Result<(), T> {
        self.0.queue.push(message)?;
        let one = 1u64.to_ne_bytes();
        // SAFETY: the buffer is 8 bytes as an eventfd wants. A full counter means that the worker is woken anyway.
        unsafe { libc::write(self.0.event.as_raw_fd(), one.as_ptr().cast(), one.len()) };
        Ok(())
    }
}

impl<T> Clone for Post<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Mailbox<T> {
    /// Calls `handle` with each message, for as long as the worker lives. Fails only if the eventfd cannot be watched.
    pub async fn receive(self, mut handle: impl FnMut(T)) -> io::Result<()> {
        let watch = Watch::new(self.0.event.try_clone()?);
        loop {
            while let Some(message) = self.0.queue.pop() {
                handle(message);
            }
            poll_fn(|cx| watch.poll_readable(cx)).await?;
            // Before the count is taken: what is added after that is told anew.
            watch.drained();
            let mut count = [0u8; 8];
            // SAFETY: the buffer is 8 bytes as an eventfd wants; the descriptor does not block.
            unsafe { libc::read(self.0.event.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
        }
    }
}
