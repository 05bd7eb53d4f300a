//! What segments are made of: records, each with a header that names what follows it.
//!
//! What always holds: a record that reads back is one that was written, at this place of this segment. Both checksums are
//! seeded with the place and with the segment's salt, which no client knows: what a client had stored as content is never
//! taken for a record, and a block of another file that turns up in this one is not either.

use super::Key;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Bytes of a header.
pub(super) const HEADER: usize = 72;
/// Records begin at multiples of this.
pub(super) const ALIGN: u64 = 8;
/// Bytes of content in each record of a large object but its last.
pub(super) const CHUNK: usize = 64 << 10;
/// Bytes from one full chunk record to the next.
pub(super) const CHUNK_STRIDE: u64 = (HEADER + CHUNK) as u64;

const MAGIC: u32 = u32::from_le_bytes(*b"rwR1");

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An object with its content.
    Whole = 1,
    /// An object whose content is in chunks that were written before it; in place of the content it says where.
    Spread = 2,
    /// Content of an object that follows, or never comes.
    Chunk = 3,
    /// Whatever was stored under this key before is gone.
    Tombstone = 4,
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub kind: Kind,
    /// How many segments before its own the first chunk may be in.
    pub span: u16,
    pub key: Key,
    /// When the object was asked for, in purges. A chunk's: its number.
    pub stamp: u64,
    /// Bytes of the object's content.
    pub length: u64,
    /// Bytes of what follows the header, in this order.
    pub meta: u32,
    pub head: u32,
    pub body: u32,
}

impl Record {
    pub fn chunk(key: Key, number: u64, length: usize) -> Self {
        let body = length as u32;
        Self { kind: Kind::Chunk, span: 0, key, stamp: number, length: u64::from(body), meta: 0, head: 0, body }
    }

    pub fn tombstone(key: Key) -> Self {
        Self { kind: Kind::Tombstone, span: 0, key, stamp: 0, length: 0, meta: 0, head: 0, body: 0 }
    }

    /// Bytes that follow the header.
    pub fn payload(&self) -> usize {
        self.meta as usize + self.head as usize + self.body as usize
    }

    /// Bytes of all of it but its padding.
    pub fn unpadded(&self) -> u64 {
        (HEADER + self.payload()) as u64
    }

    /// Bytes that it takes in a segment.
    pub fn size(&self) -> u64 {
        self.unpadded().next_multiple_of(ALIGN)
    }

    /// Appends the record to `out`; `parts` together are its payload.
    pub fn write<'a>(&self, seed: u64, parts: impl IntoIterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + HEADER, 0);
        parts.into_iter().for_each(|part| out.extend_from_slice(part));
        let payload = start + HEADER;
        debug_assert_eq!(out.len() - payload, self.payload());
        let sum = xxh3_64_with_seed(&out[payload..], seed);
        let header = self.header(sum, seed);
        out[start..payload].copy_from_slice(&header);
        out.resize(start + self.size() as usize, 0);
    }

    fn header(&self, sum: u64, seed: u64) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            header[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&MAGIC.to_le_bytes());
        put(&[self.kind as u8, 0]);
        put(&self.span.to_le_bytes());
        put(&self.key.to_le_bytes());
        put(&self.stamp.to_le_bytes());
        put(&self.length.to_le_bytes());
        put(&self.meta.to_le_bytes());
        put(&self.head.to_le_bytes());
        put(&self.body.to_le_bytes());
        put(&[0; 4]);
        put(&sum.to_le_bytes());
        let own = xxh3_64_with_seed(&header[..HEADER - 8], seed);
        header[HEADER - 8..].copy_from_slice(&own.to_le_bytes());
        header
    }

    /// Reads the header that `bytes` begin with, if it is one.
    pub fn read(bytes: &[u8], seed: u64) -> Option<Self> {
        Self::read_with_sum(bytes, seed).map(|(record, _)| record)
    }

    /// Reads the record that `bytes` begin with, if they hold all of it as it was written.
    pub fn read_whole(bytes: &[u8], seed: u64) -> Option<Self> {
        let (record, sum) = Self::read_with_sum(bytes, seed)?;
        let payload = bytes.get(HEADER..HEADER + record.payload())?;
        (xxh3_64_with_seed(payload, seed) == sum).then_some(record)
    }

    fn read_with_sum(bytes: &[u8], seed: u64) -> Option<(Self, u64)> {
        let header: &[u8; HEADER] = bytes.first_chunk()?;
        if u32_at(header, 0) != MAGIC || u64_at(header, 64) != xxh3_64_with_seed(&header[..HEADER - 8], seed) {
            return None;
        }
        let kind = match header[4] {
            1 => Kind::Whole,
            2 => Kind::Spread,
            3 => Kind::Chunk,
            4 => Kind::Tombstone,
            _ => return None,
        };
        let record = Self {
            kind,
            span: u16::from_le_bytes([header[6], header[7]]),
            key: u128::from(u64_at(header, 8)) | u128::from(u64_at(header, 16)) << 64,
            stamp: u64_at(header, 24),
            length: u64_at(header, 32),
            meta: u32_at(header, 40),
            head: u32_at(header, 44),
            body: u32_at(header, 48),
        };
        Some((record, u64_at(header, 56)))
    }
}

/// Chunks of one object that lie behind each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub segment: u32,
    /// Where the first begins.
    pub offset: u64,
    /// How many they are; all are full but the object's last.
    pub chunks: u32,
}

impl Run {
    const BYTES: usize = 12;

    /// Bytes of a list of so many.
    pub fn size(runs: usize) -> u64 {
        (runs * Self::BYTES) as u64
    }

    pub fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.segment.to_le_bytes());
        out.extend_from_slice(&((self.offset / ALIGN) as u32).to_le_bytes());
        out.extend_from_slice(&self.chunks.to_le_bytes());
    }

    /// The runs in the body of an object that is spread.
    pub fn read_all(bytes: &[u8]) -> impl Iterator<Item = Self> {
        bytes.chunks_exact(Self::BYTES).map(|run| Self {
            segment: u32_at(run, 0),
            offset: u64::from(u32_at(run, 4)) * ALIGN,
            chunks: u32_at(run, 8),
        })
    }

    /// Notes that the next chunk of an object lies at this place.
    pub fn note(runs: &mut Vec<Self>, segment: u32, offset: u64) {
        match runs.last_mut() {
            Some(last) if last.segment == segment && last.offset + u64::from(last.chunks) * CHUNK_STRIDE == offset => {
                last.chunks += 1;
            }
            _ => runs.push(Self { segment, offset, chunks: 1 }),
        }
    }
}

/// A number at a place that is there.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// As [`u32_at`].
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> (Record, Vec<u8>) {
        let (kind, key) = (Kind::Whole, 0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        let record = Record { kind, span: 3, key, stamp: 9, length: 5, meta: 2, head: 4, body: 5 };
        let mut bytes = Vec::new();
        record.write(77, [b"me".as_slice(), b"head", b"body!"], &mut bytes);
        (record, bytes)
    }

    #[test]
    fn a_record_reads_back_at_its_place_and_at_no_other() {
        let (record, bytes) = object();
        assert_eq!(bytes.len() as u64, record.size());
        assert_eq!(Record::read(&bytes, 77), Some(record));
        assert_eq!(Record::read_whole(&bytes, 77), Some(record));
        assert_eq!(&bytes[HEADER..HEADER + 11], b"meheadbody!");
        assert_eq!(Record::read(&bytes, 78), None);
    }

    #[test]
    fn no_bit_of_a_record_can_change_unnoticed() {
        let (record, bytes) = object();
        for bit in 0..(HEADER + record.payload()) * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Record::read_whole(&changed, 77), None, "bit {bit}");
        }
        for length in 0..HEADER + record.payload() {
            assert_eq!(Record::read_whole(&bytes[..length], 77), None, "cut at {length}");
        }
    }

    #[test]
    fn chunks_behind_each_other_are_one_run() {
        let mut runs = Vec::new();
        for (segment, offset) in [(1, 64), (1, 64 + CHUNK_STRIDE), (1, 1 << 20), (2, 64)] {
            Run::note(&mut runs, segment, offset);
        }
        let mut bytes = Vec::new();
        runs.iter().for_each(|run| run.write(&mut bytes));
        assert_eq!(Run::read_all(&bytes).collect::<Vec<_>>(), runs);
        let expected = [(1, 64, 2), (1, 1 << 20, 1), (2, 64, 1)];
        assert_eq!(runs.iter().map(|run| (run.segment, run.offset, run.chunks)).collect::<Vec<_>>(), expected);
    }
}
