//! A segment: one file of records, written once from its beginning to its end, then sealed by a list of what it holds.
//!
//! What always holds: a sealed segment ends with that list and its checksum, so that a start reads the list and not the
//! records; one that is not sealed is scanned. Whoever reads holds the [`Segment`], and with it a shared lock on the file that
//! other processes see: its room counts as taken until the last of them has let go of it.

use super::Key;
use super::record::{u32_at, u64_at};
use crate::net;
use rustix::fs::FlockOperation;
use std::collections::hash_map::RandomState;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Where the first record begins.
pub(super) const START: u64 = 64;

const MAGIC: u64 = u64::from_le_bytes(*b"rwSEG 02");
/// What the list that seals a segment begins with, and what its trailer begins with.
const LIST: u64 = u64::from_le_bytes(*b"rwLIST01");
const SEAL: u64 = u64::from_le_bytes(*b"rwSEAL01");

/// A file of records.
#[derive(Debug)]
pub(super) struct Segment {
    /// Grows from segment to segment: what is in a later one is newer.
    pub id: u32,
    salt: u64,
    /// How workers read it.
    pub file: net::File,
    /// No object in it has an older stamp.
    oldest: AtomicU64,
}

/// One line of the list that seals a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub key: Key,
    pub stamp: u64,
    pub offset: u64,
    /// Bytes of the record without its padding; none: a tombstone.
    pub length: u32,
    pub span: u16,
}

/// What seals a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seal {
    /// Where the records end.
    pub end: u64,
    pub oldest: u64,
    /// Tombstones first.
    pub lines: Vec<Line>,
}

impl Segment {
    pub fn path(folder: &Path, id: u32) -> PathBuf {
        folder.join(format!("{id:08x}.segment"))
    }

    /// The number in a file's name, if that is a segment's.
    pub fn id_of(name: &str) -> Option<u32> {
        let digits = name.strip_suffix(".segment")?;
        let is_number = digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_number.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
    }

    /// Makes a new one. Returns the file to write it by, too. `room` bytes are taken from the disk at once, where it can do
    /// that: then a disk that is full says so here.
    pub fn create(folder: &Path, id: u32, room: u64) -> io::Result<(Self, File)> {
        let path = Self::path(folder, id);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        let salt = RandomState::new().build_hasher().finish();
        let made = write_header(&file, id, salt).and_then(|()| take_room(&file, room)).and_then(|()| {
            let reading = file.try_clone()?;
            Self::new(id, salt, reading)
        });
        match made {
            Ok(segment) => Ok((segment, file)),
            Err(error) => {
                let _ = std::fs::remove_file(&path);
                Err(error)
            }
        }
    }

    /// Opens one that is there. Fails with `UnexpectedEof` if its header was never written whole, with `InvalidData` if that is none.
    pub fn open(folder: &Path, id: u32) -> io::Result<(Self, File)> {
        let file = OpenOptions::new().read(true).write(true).open(Self::path(folder, id))?;
        let mut header = [0; START as usize];
        file.read_exact_at(&mut header, 0)?;
        let valid = u64_at(&header, 0) == MAGIC
            && u32_at(&header, 8) == id
            && u64_at(&header, 56) == xxh3_64_with_seed(&header[..56], MAGIC);
        if !valid {
            let is_blank = header.iter().all(|byte| *byte == 0);
            return Err(if is_blank { ErrorKind::UnexpectedEof } else { ErrorKind::InvalidData }.into());
        }
        let segment = Self::new(id, u64_at(&header, 16), file.try_clone()?)?;
        Ok((segment, file))
    }

    fn new(id: u32, salt: u64, file: File) -> io::Result<Self> {
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared)?;
        Ok(Self { id, salt, file: file.into(), oldest: AtomicU64::new(u64::MAX) })
    }

    /// What the checksums of the record at `offset` are seeded with.
    pub fn seed(&self, offset: u64) -> u64 {
        self.salt.wrapping_add(offset)
    }

    /// An object of this stamp is in it.
    pub fn note(&self, stamp: u64) {
        self.oldest.fetch_min(stamp, Ordering::Relaxed);
    }

    /// No object in it has an older stamp.
    pub fn oldest(&self) -> u64 {
        self.oldest.load(Ordering::Relaxed)
    }

    /// The list that seals it, as bytes to be written at its end.
    pub fn seal(&self, seal: &Seal) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Seal::size(seal.lines.len()) as usize);
        bytes.extend_from_slice(&LIST.to_le_bytes());
        for line in &seal.lines {
            bytes.extend_from_slice(&line.key.to_le_bytes());
            bytes.extend_from_slice(&line.stamp.to_le_bytes());
            bytes.extend_from_slice(&line.offset.to_le_bytes());
            bytes.extend_from_slice(&line.length.to_le_bytes());
            bytes.extend_from_slice(&line.span.to_le_bytes());
            bytes.extend_from_slice(&[0; 2]);
        }
        bytes.extend_from_slice(&SEAL.to_le_bytes());
        bytes.extend_from_slice(&(seal.lines.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&seal.end.to_le_bytes());
        bytes.extend_from_slice(&seal.oldest.to_le_bytes());
        let sum = xxh3_64_with_seed(&bytes, self.seed(seal.end));
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads the list that seals it. `None`: it is not sealed, or the list is damaged.
    pub fn read_seal(&self, file: &File) -> io::Result<Option<Seal>> {
        let length = file.metadata()?.len();
        let Some(at) = length.checked_sub(Seal::TRAILER).filter(|at| *at >= START) else { return Ok(None) };
        let mut trailer = [0; Seal::TRAILER as usize];
        file.read_exact_at(&mut trailer, at)?;
        let (count, end) = (u64_at(&trailer, 8), u64_at(&trailer, 16));
        let lines =
            count.checked_mul(Seal::LINE).filter(|lines| at.checked_sub(*lines) == end.checked_add(Seal::START));
        let Some(lines) = lines.filter(|_| u64_at(&trailer, 0) == SEAL && end >= START) else { return Ok(None) };
        let mut bytes = vec![0; (Seal::START + lines + Seal::TRAILER) as usize];
        file.read_exact_at(&mut bytes, end)?;
        let (listed, sum) = bytes.split_at(bytes.len() - 8);
        if xxh3_64_with_seed(listed, self.seed(end)) != u64_at(sum, 0) {
            return Ok(None);
        }
        let lines = listed[Seal::START as usize..][..lines as usize]
            .chunks_exact(Seal::LINE as usize)
            .map(Line::read)
            .collect();
        Ok(Some(Seal { end, oldest: u64_at(&trailer, 24), lines }))
    }
}

impl Seal {
    const START: u64 = 8;
    const LINE: u64 = 40;
    const TRAILER: u64 = 40;

    /// Bytes that the list of so many lines takes.
    pub fn size(lines: usize) -> u64 {
        Self::START + lines as u64 * Self::LINE + Self::TRAILER
    }

    /// Whether `bytes` are the beginning of a list.
    pub fn begins(bytes: &[u8]) -> bool {
        bytes.starts_with(&LIST.to_le_bytes())
    }
}

impl Line {
    fn read(bytes: &[u8]) -> Self {
        Self {
            key: u128::from(u64_at(bytes, 0)) | u128::from(u64_at(bytes, 8)) << 64,
            stamp: u64_at(bytes, 16),
            offset: u64_at(bytes, 24),
            length: u32_at(bytes, 32),
            span: u32_at(bytes, 36) as u16,
        }
    }
}

fn write_header(file: &File, id: u32, salt: u64) -> io::Result<()> {
    let mut header = [0; START as usize];
    header[..8].copy_from_slice(&MAGIC.to_le_bytes());
    header[8..12].copy_from_slice(&id.to_le_bytes());
    header[16..24].copy_from_slice(&salt.to_le_bytes());
    let sum = xxh3_64_with_seed(&header[..56], MAGIC);
    header[56..].copy_from_slice(&sum.to_le_bytes());
    file.write_all_at(&header, 0)
}

/// Takes room from the disk without making the file longer.
pub(super) fn take_room(file: &File, room: u64) -> io::Result<()> {
    use rustix::io::Errno;
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, room) {
        // A file system that cannot do it gives room as it is written.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Scratch;
    use super::*;

    fn line(key: Key, length: u32) -> Line {
        Line { key, stamp: 5, offset: 64, length, span: 2 }
    }

    #[test]
    fn a_segment_opens_as_what_it_was_made_and_its_seal_reads_back() {
        let scratch = Scratch::new("segment");
        let (segment, file) = Segment::create(scratch.path(), 7, 1 << 20).unwrap();
        assert_eq!(segment.read_seal(&file).unwrap(), None);
        let seal = Seal { end: 128, oldest: 3, lines: vec![line(1, 0), line(u128::MAX, 90)] };
        file.write_all_at(&segment.seal(&seal), seal.end).unwrap();
        drop((segment, file));
        let (again, file) = Segment::open(scratch.path(), 7).unwrap();
        assert_eq!(again.read_seal(&file).unwrap(), Some(seal));
        let length = file.metadata().unwrap().len();
        for at in 128..length {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 1], at).unwrap();
            assert_eq!(again.read_seal(&file).unwrap(), None, "byte {at} changed");
            file.write_all_at(&byte, at).unwrap();
        }
        for cut in 0..length {
            file.set_len(cut).unwrap();
            assert_eq!(again.read_seal(&file).unwrap(), None, "cut at {cut}");
            file.set_len(length).unwrap();
        }
    }

    #[test]
    fn what_is_no_segment_is_not_opened_as_one() {
        let scratch = Scratch::new("no-segment");
        use ErrorKind::{InvalidData, UnexpectedEof};
        for (length, kind) in [(0, UnexpectedEof), (63, UnexpectedEof), (64, InvalidData), (100, InvalidData)] {
            std::fs::write(Segment::path(scratch.path(), 1), vec![1; length]).unwrap();
            assert_eq!(Segment::open(scratch.path(), 1).unwrap_err().kind(), kind);
        }
        std::fs::write(Segment::path(scratch.path(), 1), vec![0; 100]).unwrap();
        assert_eq!(Segment::open(scratch.path(), 1).unwrap_err().kind(), UnexpectedEof, "the disk never got it");
        drop(Segment::create(scratch.path(), 2, 0).unwrap());
        std::fs::rename(Segment::path(scratch.path(), 2), Segment::path(scratch.path(), 3)).unwrap();
        assert_eq!(Segment::open(scratch.path(), 3).unwrap_err().kind(), ErrorKind::InvalidData, "another's");
        assert_eq!(Segment::id_of("0000000a.segment"), Some(10));
        for name in ["a.segment", "0000000g.segment", "0000000a.segmen", "notes", "+000000a.segment"] {
            assert_eq!(Segment::id_of(name), None, "{name}");
        }
    }
}
