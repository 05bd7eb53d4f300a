//! Contexts that wait on their thread to be used again, and the count of what all of them hold.
//!
//! What always holds: what waits is at most [`KEPT`] of each kind and [`MOST_IDLE`] bytes; each context is counted while it lives.

use super::gzip::Deflate;
use super::zstd::Press;
use libdeflater::Compressor;
use std::cell::{Cell, RefCell};

/// Contexts of a kind that wait.
const KEPT: usize = 8;
/// Bytes of all contexts that wait.
const MOST_IDLE: usize = 16 << 20;

thread_local! {
    static SHELF: RefCell<Shelf> = const { RefCell::new(Shelf { gzip: Vec::new(), zstd: Vec::new(), whole: Vec::new() }) };
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static IDLE: Cell<usize> = const { Cell::new(0) };
}

/// Where contexts wait, by kind.
pub(super) struct Shelf {
    pub(super) gzip: Vec<Deflate>,
    pub(super) zstd: Vec<Press>,
    /// By level.
    whole: Vec<(u8, Compressor)>,
}

/// What the calling thread's contexts hold, in bytes: those in use, and those that wait to be.
pub fn held() -> (usize, usize) {
    (LIVE.get(), IDLE.get())
}

/// Lets go of half of what waits. A worker calls this now and then.
pub fn trim() {
    SHELF.with_borrow_mut(|shelf| {
        shelf.gzip.truncate(shelf.gzip.len() / 2);
        shelf.zstd.truncate(shelf.zstd.len() / 2);
        shelf.whole.truncate(shelf.whole.len() / 2);
        IDLE.set(shelf.weight());
    });
}

impl Shelf {
    fn weight(&self) -> usize {
        let gzip: usize = self.gzip.iter().map(Deflate::memory).sum();
        let zstd: usize = self.zstd.iter().map(Press::memory).sum();
        gzip + zstd + self.whole.len() * WHOLE
    }
}

/// About what a compressor of whole bodies holds.
const WHOLE: usize = 700 << 10;

/// Bytes that count as in use until this is dropped.
#[derive(Debug)]
pub(super) struct Held(usize);

impl Held {
    /// Counts `bytes`, unless the thread would then have more than `most` in use.
    pub(super) fn take(bytes: usize, most: usize) -> Option<Self> {
        let live = LIVE.get().saturating_add(bytes);
        if live > most {
            return None;
        }
        LIVE.set(live);
        Some(Self(bytes))
    }

    /// It has turned out to be so many. Returns whether the thread has no more than `most` in use even so.
    pub(super) fn is(&mut self, bytes: usize, most: usize) -> bool {
        let live = LIVE.get() - self.0 + bytes;
        let grows = bytes > self.0;
        LIVE.set(live);
        self.0 = bytes;
        !grows || live <= most
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // The count is gone while the thread ends.
        let _ = LIVE.try_with(|live| live.set(live.get() - self.0));
    }
}

/// A kind of context that is kept.
pub(super) trait Keepable: Sized {
    /// What it holds, in bytes.
    fn memory(&self) -> usize;
    /// Where those wait that nobody uses.
    fn place(shelf: &mut Shelf) -> &mut Vec<Self>;
}

/// One that has waited.
pub(super) fn take<T: Keepable>() -> Option<T> {
    SHELF.with_borrow_mut(|shelf| {
        let found = T::place(shelf).pop()?;
        IDLE.set(IDLE.get() - found.memory());
        Some(found)
    })
}

/// Keeps one for the next who asks, if there is room.
pub(super) fn keep<T: Keepable>(context: T) {
    // The shelf is gone while the thread ends; then the context just goes.
    let _ = SHELF.try_with(|shelf| {
        let mut shelf = shelf.borrow_mut();
        let place = T::place(&mut shelf);
        let idle = IDLE.get() + context.memory();
        if place.len() < KEPT && idle <= MOST_IDLE {
            IDLE.set(idle);
            place.push(context);
        }
    });
}

/// Uses the compressor of whole bodies at `level`.
pub(super) fn with_whole<T>(
    level: u8,
    make: impl FnOnce() -> Compressor,
    work: impl FnOnce(&mut Compressor) -> T,
) -> T {
    SHELF.with_borrow_mut(|shelf| {
        let place = shelf.whole.iter().position(|(kept, _)| *kept == level).unwrap_or_else(|| {
            // The configured level and the fastest one, and a few of other routes.
            if shelf.whole.len() >= KEPT {
                shelf.whole.remove(0);
            }
            shelf.whole.push((level, make()));
            shelf.whole.len() - 1
        });
        IDLE.set(shelf.weight());
        work(&mut shelf.whole[place].1)
    })
}
