//! How the disk tier is, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// What it is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Another process has the folder.
    Waiting,
    /// It reads what is stored.
    Recovering,
    /// It serves.
    Ready,
    /// It has ended, or was told to.
    Closed,
}

impl State {
    pub(super) fn of(number: u8) -> Self {
        [Self::Waiting, Self::Recovering, Self::Ready].get(usize::from(number)).copied().unwrap_or(Self::Closed)
    }
}

/// Why an object is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is not known yet what is stored, or the disk tier has ended.
    NotReady,
    /// It is larger than an eighth of the disk cache, or its head or metadata are longer than what fits.
    TooLarge,
    /// Too much waits to be written.
    Busy,
    /// The disk is full or fails.
    Failing,
    /// It was not what it was said to be: its content has another length.
    Incomplete,
}

/// Counts; any thread adds.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub bytes: AtomicU64,
    pub stored: AtomicU64,
    pub read: AtomicU64,
    pub refused: [AtomicU64; 5],
    pub evicted: AtomicU64,
    pub carried: AtomicU64,
    pub corrupt: AtomicU64,
    pub write_errors: AtomicU64,
    pub read_errors: AtomicU64,
}

impl Counts {
    pub fn refuse(&self, why: Refused) -> Refused {
        self.refused[why as usize].fetch_add(1, Ordering::Relaxed);
        why
    }

    pub fn refused(&self, why: Refused) -> u64 {
        self.refused[why as usize].load(Ordering::Relaxed)
    }
}

/// How it is. Counts are since the start of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// What it is doing.
    pub state: State,
    /// Bytes that it takes on the disk, with all that is around the objects, at most.
    pub bytes: u64,
    /// Bytes that it may take.
    pub limit: u64,
    /// Objects that can be found.
    pub objects: u64,
    /// Segment files.
    pub segments: u64,
    /// Bytes that wait to be written.
    pub queued: u64,
    /// Objects that were written.
    pub stored: u64,
    /// Times that an object was read.
    pub read: u64,
    /// Objects that were not, as too much waited.
    pub busy: u64,
    /// Objects that were not, as the disk was full or failed.
    pub failing: u64,
    /// Objects that were not, as they are too large.
    pub too_large: u64,
    /// Objects that made room for others.
    pub evicted: u64,
    /// Objects that stayed instead, as they had been hit.
    pub carried: u64,
    /// Records and files that were found damaged and dropped.
    pub corrupt: u64,
    /// Writes that failed.
    pub write_errors: u64,
    /// Reads that failed or took too long.
    pub read_errors: u64,
}
