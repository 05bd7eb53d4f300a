//! A bounded mailbox into a worker from other threads: a lock-free queue and an eventfd that wakes the loop.

use super::event::Event;
use super::watch::Watch;
use crossbeam::queue::ArrayQueue;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;

/// The sending end; any thread may hold one.
pub struct Post<T>(Arc<Shared<T>>);

/// The receiving end. Made on any thread, read on the worker's.
pub struct Mailbox<T>(Arc<Shared<T>>);

struct Shared<T> {
    queue: ArrayQueue<T>,
    event: Event,
}

/// A mailbox with room for `capacity` messages.
pub fn mailbox<T>(capacity: usize) -> io::Result<(Post<T>, Mailbox<T>)> {
    let shared = Arc::new(Shared { queue: ArrayQueue::new(capacity), event: Event::new()? });
    Ok((Post(shared.clone()), Mailbox(shared)))
}

impl<T> Post<T> {
    /// Sends a message, or gives it back if the mailbox is full.
    pub fn send(&self, message: T) -> Result<(), T> {
        self.0.queue.push(message)?;
        self.0.event.ring();
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
        let watch = Watch::new(self.0.event.descriptor()?);
        loop {
            while let Some(message) = self.0.queue.pop() {
                handle(message);
            }
            poll_fn(|cx| watch.poll_readable(cx)).await?;
            // Before the count is taken: what is added after that is told anew.
            watch.drained();
            self.0.event.heard();
        }
    }
}
