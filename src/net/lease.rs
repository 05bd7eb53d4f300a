//! Buffers on loan from the worker's pool, given back when dropped.
//!
//! Invariants: a lease's unread part is `bytes[at..]`; the pool of a thread holds cleared buffers only, at most
//! [`KEPT`] of each class, and [`trim`] lets go of what a burst left behind.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// The sizes that buffers come in, from a head to bulk: the third holds 64 KiB of content and a head.
pub(super) const CLASSES: [usize; 4] = [4 << 10, 16 << 10, 72 << 10, 512 << 10];
const KEPT: [usize; 4] = [2048, 128, 32, 8];

thread_local! {
    static POOL: RefCell<[Vec<Vec<u8>>; 4]> = const { RefCell::new([const { Vec::new() }; 4]) };
}

/// Owned bytes in a buffer of the worker's pool. Reads as a slice of what has not been consumed yet.
#[derive(Default)]
pub struct Lease {
    bytes: Vec<u8>,
    at: usize,
}

impl Lease {
    /// An empty lease with room for at least a message head.
    pub fn new() -> Self {
        Self::of_class(0)
    }

    /// An empty lease that holds no buffer at all until something is written.
    pub const fn empty() -> Self {
        Self { bytes: Vec::new(), at: 0 }
    }

    /// An empty lease with room for at least `size` bytes.
    pub fn with_room(size: usize) -> Self {
        match CLASSES.iter().position(|&class| class >= size) {
            Some(class) => Self::of_class(class),
            None => Self { bytes: Vec::with_capacity(size), at: 0 },
        }
    }

    pub(super) fn of_class(class: usize) -> Self {
        let kept = POOL.try_with(|pool| pool.borrow_mut()[class].pop()).ok().flatten();
        Self { bytes: kept.unwrap_or_else(|| Vec::with_capacity(CLASSES[class])), at: 0 }
    }

    /// The buffer of a lease, given away; [`Lease::of_bytes`] makes it one again.
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        debug_assert!(self.at == 0);
        std::mem::take(&mut self.bytes)
    }

    pub(super) fn of_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes, at: 0 }
    }

    /// The buffer of a lease, and where its unread part begins; [`Lease::of_parts`] makes it one again.
    pub(super) fn into_parts(mut self) -> (Vec<u8>, usize) {
        (std::mem::take(&mut self.bytes), self.at)
    }

    pub(super) fn of_parts((bytes, at): (Vec<u8>, usize)) -> Self {
        Self { bytes, at }
    }

    /// Marks the first `count` unread bytes as consumed.
    pub fn advance(&mut self, count: usize) {
        debug_assert!(count <= self.len());
        self.at = (self.at + count).min(self.bytes.len());
    }

    /// Keeps the first `count` unread bytes.
    pub fn truncate(&mut self, count: usize) {
        self.bytes.truncate(self.at + count);
    }

    /// Bytes that fit without moving what is there.
    pub fn room(&self) -> usize {
        self.bytes.capacity() - self.bytes.len()
    }

    /// Makes room for at least `more` bytes, in a buffer of the next fitting class.
    pub fn reserve(&mut self, more: usize) {
        if self.room() < more {
            let mut larger = Self::with_room(self.len() + more);
            larger.bytes.extend_from_slice(self);
            *self = larger;
        }
    }

    /// Splits off what follows the first `count` unread bytes, copying it into a lease of its own.
    pub fn split_off(&mut self, count: usize) -> Self {
        if count >= self.len() {
            return Self::empty();
        }
        let mut rest = Self::with_room(self.len() - count);
        rest.bytes.extend_from_slice(&self[count..]);
        self.truncate(count);
        rest
    }

    /// The buffer, to write at its end. Bytes before the unread part must stay.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            *self = Self::new();
        }
        &mut self.bytes
    }
}

impl Deref for Lease {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.at..]
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.at..]
    }
}

impl AsRef<[u8]> for Lease {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Lease {
    // Most leases that are dropped have given their buffer away.
    #[inline]
    fn drop(&mut self) {
        if self.bytes.capacity() > 0 {
            give_back(std::mem::take(&mut self.bytes));
        }
    }
}

#[inline(never)]
fn give_back(mut bytes: Vec<u8>) {
    let capacity = bytes.capacity();
    let Some(class) = CLASSES.iter().rposition(|&class| class <= capacity) else { return };
    if capacity > 2 * CLASSES[CLASSES.len() - 1] {
        return;
    }
    bytes.clear();
    // The pool is gone while the thread ends; then the buffer just goes.
    let _ = POOL.try_with(|pool| {
        let kept = &mut pool.borrow_mut()[class];
        if kept.len() < KEPT[class] {
            kept.push(bytes);
        }
    });
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lease({} bytes)", self.len())
    }
}

/// Halves what the thread's pool keeps, so that a burst's memory goes back. A worker calls this now and then.
pub fn trim() {
    POOL.with_borrow_mut(|pool| {
        for kept in pool {
            let keep = kept.len() / 2;
            kept.truncate(keep);
            if kept.capacity() > 64 {
                kept.shrink_to(keep.max(16));
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_to_the_pool_cleared() {
        let mut lease = Lease::of_class(1);
        let address = lease.buffer().as_ptr();
        lease.buffer().extend_from_slice(b"secret");
        drop(lease);
        let again = Lease::of_class(1);
        assert_eq!((again.as_ptr(), again.len()), (address, 0));
    }

    #[test]
    fn reserve_keeps_only_the_unread_part() {
        let mut lease = Lease::new();
        lease.buffer().extend_from_slice(b"abcdef");
        lease.advance(2);
        lease.reserve(CLASSES[0]);
        assert_eq!((&lease[..], lease.room() >= CLASSES[0]), (&b"cdef"[..], true));
        let rest = lease.split_off(1);
        assert_eq!((&lease[..], &rest[..]), (&b"c"[..], &b"def"[..]));
    }

    #[test]
    fn trimming_lets_go_of_a_burst() {
        let burst: Vec<Lease> = (0..100).map(|_| Lease::of_class(2)).collect();
        drop(burst);
        for _ in 0..10 {
            trim();
        }
        assert_eq!(POOL.with_borrow(|pool| pool[2].len()), 0);
    }
}
