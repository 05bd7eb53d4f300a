//! Stored content on its way to a client, which need not be copied for that.
//!
//! What always holds: what waits for a slow client is a copy, so that it keeps nothing in the store.

use crate::cache::disk::Whole;
use crate::cache::store::body::{PIECE, Segment};
use crate::net::Lease;
use crate::tls::Channel;
use smallvec::SmallVec;
use std::io::{self, IoSlice};
use std::iter;
use std::ops::Range;
use std::time::Duration;

/// Bytes of content that are sent at a time.
const FULL: usize = 64 << 10;
/// Pieces that they are of, where the content is stored whole.
const PIECES: usize = FULL.div_ceil(PIECE) + 1;

/// Pieces at most, where it came in smaller ones: a call takes no more than 1,024 (`IOV_MAX`).
const MOST: usize = 256;

/// Content that is sent at a time.
#[derive(Default)]
pub(super) struct Batch {
    pieces: Vec<(Segment, Range<usize>)>,
    length: usize,
}

impl Batch {
    /// Adds what is between two places of a segment.
    pub(super) fn add(&mut self, segment: Segment, range: Range<usize>) {
        if self.pieces.is_empty() {
            self.pieces.reserve(PIECES);
        }
        self.length += range.len();
        self.pieces.push((segment, range));
    }

    /// Its length in bytes.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Whether it is as much as goes out at a time.
    pub(super) fn is_full(&self) -> bool {
        self.length >= FULL || self.pieces.len() >= MOST
    }

    fn slices(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().map(|(segment, range)| &segment[range.clone()])
    }

    /// All of it but what is before `at`.
    pub(super) fn copy(&self, mut at: usize) -> Lease {
        let mut copy = Lease::with_room(self.length - at);
        for slice in self.slices() {
            let before = at.min(slice.len());
            copy.buffer().extend_from_slice(&slice[before..]);
            at -= before;
        }
        copy
    }

    /// Sends it behind a head: from where it is stored as far as the client takes it at once, and a copy of what is left, so that a
    /// slow client keeps nothing in the store.
    pub(super) async fn send(self, client: Channel<'_>, mut head: Lease, stall: Duration) -> io::Result<()> {
        if self.length == 0 {
            return client.send(head, stall).await;
        }
        let sent = {
            let slices: SmallVec<[IoSlice<'_>; PIECES + 1]> =
                iter::once(&head[..]).chain(self.slices()).map(IoSlice::new).collect();
            client.send_pieces(&slices)?
        };
        let of_head = sent.min(head.len());
        head.advance(of_head);
        let of_batch = sent - of_head;
        if of_batch == self.length {
            return Ok(());
        }
        let rest = self.copy(of_batch);
        drop(self);
        client.send_both(head, rest, stall).await
    }
}

/// Sends what was read from the disk behind a head: as the kernel has it, so that it is not copied once more, and what the client does
/// not take at once as it was read.
pub(super) async fn send_read(client: Channel<'_>, mut head: Lease, read: Whole, stall: Duration) -> io::Result<()> {
    let sent = if read.is_cached() { client.send_file(&head, read.file(), read.place())? } else { 0 };
    let of_head = sent.min(head.len());
    head.advance(of_head);
    let mut rest = read.into_bytes();
    rest.advance(sent - of_head);
    if rest.is_empty() {
        return Ok(());
    }
    client.send_both(head, rest, stall).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_before_a_call_would_refuse_it() {
        let mut batch = Batch::default();
        while !batch.is_full() {
            batch.add(Segment::from(&b"ab"[..]), 1..2);
        }
        assert!(batch.pieces.len() < 1024);
        assert_eq!(batch.copy(250).len(), batch.length() - 250);
    }

    #[test]
    fn what_is_left_begins_where_it_was_cut() {
        let mut batch = Batch::default();
        for (segment, range) in [("abcd", 1..4), ("ef", 0..2), ("gh", 0..1)] {
            batch.add(Segment::from(segment.as_bytes()), range);
        }
        for at in 0..=batch.length() {
            assert_eq!(&batch.copy(at)[..], &b"bcdefg"[at..]);
        }
    }
}
