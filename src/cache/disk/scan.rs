//! Reading a segment that was not sealed, as after a kill: its headers say what is in it. What they head is not read; it is
//! verified when it is served.
//!
//! What always holds: what a kill leaves ends in a record or a list that is cut short. Anything else that is no record was one:
//! behind such a hole the next record is searched for, and nobody knows what of all that was stored before it was replaced or
//! forgotten in it.

use super::record::{ALIGN, HEADER, Kind, Record};
use super::recover::line_of;
use super::segment::{START, Seal, Segment};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes that are read at a time.
const WINDOW: usize = 1 << 20;

/// What a scan has found.
pub(super) struct Scan {
    /// What is in it, as its list would have it but in the order of the records.
    pub seal: Seal,
    /// Whether it has a hole. Then only what was stored after the hole is in the list.
    pub has_hole: bool,
}

/// What is in a segment.
pub(super) fn scan(segment: &Segment, file: &File) -> io::Result<Scan> {
    let length = file.metadata()?.len();
    let mut window = Window { file, length, start: 0, bytes: Vec::new() };
    let mut seal = Seal { end: START, oldest: u64::MAX, lines: Vec::new() };
    let (mut at, mut has_hole, mut hole) = (START, false, None);
    while at + HEADER as u64 <= length {
        let header = window.at(at)?;
        let Some(record) = Record::read(header, segment.seed(at)) else {
            if hole.is_none() && Seal::begins(header) {
                break;
            }
            hole.get_or_insert(at);
            at += ALIGN;
            continue;
        };
        if hole.take().is_some() {
            seal.lines.clear();
            has_hole = true;
        }
        if at + record.unpadded() > length {
            break;
        }
        seal.lines.extend(line_of(&record, at));
        if matches!(record.kind, Kind::Whole | Kind::Spread) {
            seal.oldest = seal.oldest.min(record.stamp);
        }
        at += record.size();
        seal.end = at;
    }
    // Blocks that the disk never got to are zeros.
    if let Some(hole) = hole
        && !window.is_zero_from(hole)?
    {
        seal.lines.clear();
        has_hole = true;
        // It stays, so that the next scan knows of it.
        seal.end = length.next_multiple_of(ALIGN);
    }
    Ok(Scan { seal, has_hole })
}

/// A part of a file.
struct Window<'a> {
    file: &'a File,
    length: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// The bytes of a header at `at`, which is before the file's end by as many.
    fn at(&mut self, at: u64) -> io::Result<&[u8]> {
        let end = self.start + self.bytes.len() as u64;
        if at < self.start || at + HEADER as u64 > end {
            let size = (self.length - at).min(WINDOW as u64) as usize;
            self.bytes.resize(size, 0);
            self.file.read_exact_at(&mut self.bytes, at)?;
            self.start = at;
        }
        let from = (at - self.start) as usize;
        Ok(&self.bytes[from..from + HEADER])
    }

    /// Whether nothing but zeros follows.
    fn is_zero_from(&mut self, mut at: u64) -> io::Result<bool> {
        while at < self.length {
            let size = (self.length - at).min(WINDOW as u64);
            self.bytes.resize(size as usize, 0);
            self.file.read_exact_at(&mut self.bytes, at)?;
            if self.bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += size;
        }
        Ok(true)
    }
}
