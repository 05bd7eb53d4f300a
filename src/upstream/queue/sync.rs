//! What the line and its slots are made of, in one place: the model of them puts what loom watches in place of these.

use crossbeam::queue::SegQueue;

pub(super) use std::sync::Arc;
pub(super) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
pub(super) use std::thread::yield_now;

/// What one thread at a time is let at, and nobody waits for.
#[expect(clippy::disallowed_types, reason = "it is only ever tried: a worker never waits for it")]
pub(super) struct TryLock<T>(std::sync::Mutex<T>);

#[expect(clippy::disallowed_types, reason = "as above")]
impl<T> TryLock<T> {
    pub(super) fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    /// Lets `work` at it, unless somebody else is.
    pub(super) fn enter(&self, work: impl FnOnce(&mut T)) {
        use std::sync::TryLockError::{Poisoned, WouldBlock};
        match self.0.try_lock() {
            Ok(mut value) => work(&mut value),
            // Whoever panicked there has left it as a step leaves it.
            Err(Poisoned(value)) => work(&mut value.into_inner()),
            Err(WouldBlock) => {}
        }
    }
}

/// What is told to whoever settles next, in the order in which it was told.
pub(super) struct Mail<T>(SegQueue<T>);

impl<T> Mail<T> {
    pub(super) fn new() -> Self {
        Self(SegQueue::new())
    }

    pub(super) fn push(&self, message: T) {
        self.0.push(message);
    }

    pub(super) fn pop(&self) -> Option<T> {
        self.0.pop()
    }
}
