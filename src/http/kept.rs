//! Content of a request's body that has gone out, kept so that it can be sent once more.
//!
//! What always holds: one body keeps no more than its route allows and all bodies of a worker no more than its share of
//! `limits.retry_bodies`; each byte is counted while it is kept, and no longer.

use crate::observe::counters::{Shared, WorkerSet};

/// Content that has gone out.
pub(super) struct Kept {
    content: Vec<u8>,
    /// Bytes that it may still grow by.
    left: usize,
    counted: Counted,
}

/// Bytes that count as kept until this is dropped.
struct Counted {
    bytes: usize,
    /// What the worker may keep of all bodies.
    most: usize,
    worker: Shared<WorkerSet>,
}

impl Kept {
    /// Nothing yet, of a body that may keep `most` and whose worker may keep `of_all`.
    pub(super) fn new(most: usize, of_all: usize, worker: &Shared<WorkerSet>) -> Self {
        let counted = Counted { bytes: 0, most: of_all, worker: worker.clone() };
        Self { content: Vec::new(), left: most, counted }
    }

    /// Keeps `content` too. False: there is no room, and all of it is to be let go.
    pub(super) fn push(&mut self, content: &[u8]) -> bool {
        let fits = content.len() <= self.left && self.counted.add(content.len());
        if fits {
            self.left -= content.len();
            self.content.extend_from_slice(content);
        } else {
            self.counted.worker.retry_bodies_dropped.inc();
        }
        fits
    }

    /// Gives what was kept so far. It counts on: whoever takes it holds it for as long.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.content)
    }
}

impl Counted {
    fn add(&mut self, bytes: usize) -> bool {
        let all = usize::try_from(self.worker.retry_bytes.get()).unwrap_or(usize::MAX);
        let fits = all.saturating_add(bytes) <= self.most;
        if fits {
            self.bytes += bytes;
            self.worker.retry_bytes.add(bytes as u64);
        }
        fits
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.worker.retry_bytes.sub(self.bytes as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_has_two_bounds_and_is_given_back() {
        let worker = Shared::<WorkerSet>::default();
        let mut one = Kept::new(10, 14, &worker);
        assert!(one.push(b"12345") && one.push(b"67890") && !one.push(b"x"));
        let mut other = Kept::new(10, 14, &worker);
        assert!(other.push(b"1234") && !other.push(b"5"), "the worker has no more");
        assert_eq!(one.take(), b"1234567890");
        assert_eq!((worker.retry_bytes.get(), worker.retry_bodies_dropped.get()), (14, 2));
        drop(one);
        assert_eq!(worker.retry_bytes.get(), 4);
        drop(other);
        assert_eq!(worker.retry_bytes.get(), 0);
    }
}
