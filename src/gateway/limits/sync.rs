//! What the table is made of, in one place: the model of it in tests/loom puts what loom watches in place of these.

pub(super) use std::hint::spin_loop;
pub(super) use std::sync::Arc;
pub(super) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How many may stand in a bucket.
pub(super) const WAYS: usize = 7;

/// How often one begins anew because others were faster: some 50 µs at the most.
pub(super) const TRIES: usize = 1000;

/// What the hashes of a table's keys are made with.
pub(super) fn seed() -> u64 {
    fastrand::u64(..)
}
