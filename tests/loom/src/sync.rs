//! In place of src/upstream/queue/sync.rs and src/gateway/limits/sync.rs: what loom watches.

use std::collections::VecDeque;

pub use loom::hint::spin_loop;
use loom::sync::Mutex;
pub use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
pub use loom::thread::yield_now;
pub use std::sync::Arc;

/// How many may stand in a bucket: as few as make a difference.
pub const WAYS: usize = 2;

/// How often one begins anew: more often than others can be faster.
pub const TRIES: usize = 20;

/// What the hashes of a table's keys are made with.
pub fn seed() -> u64 {
    7
}

/// What one thread at a time is let at, and nobody waits for.
pub struct TryLock<T>(Mutex<T>);

impl<T> TryLock<T> {
    pub fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub fn enter(&self, work: impl FnOnce(&mut T)) {
        work(&mut self.0.try_lock().expect("nobody else is at it"));
    }
}

/// A queue that any thread may use: crossbeam's is taken for one that does what it says.
pub struct Mail<T>(Mutex<VecDeque<T>>);

impl<T> Mail<T> {
    pub fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    pub fn push(&self, message: T) {
        self.0.lock().unwrap().push_back(message);
    }

    pub fn pop(&self) -> Option<T> {
        self.0.lock().unwrap().pop_front()
    }
}
