//! Reading a segment that was not sealed, as after a kill: its headers say what is in it. What they head is not read; it is
//! verified when it is served.
//!
//! Behind a place that is damaged the next record is searched for, so that what was stored there last is known.

use super::record::{ALIGN, HEADER, Kind, Record};
use super::recover::line_of;
use super::segment::{START, Seal, Segment};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes that are read at a time.
const WINDOW: usize = 1 << 20;

/// What is in a segment, as its list would have it but in the order of the records.
pub(super) fn scan(segment: &Segment, file: &File) -> io::Result<Seal> {
    let length = file.metadata()?.len();
    let mut window = Window { file, length, start: 0, bytes: Vec::new() };
    let mut seal = Seal { end: START, oldest: u64::MAX, lines: Vec::new() };
    let mut at = START;
    while at + HEADER as u64 <= length {
        let header = window.at(at)?;
        match Record::read(header, segment.seed(at)).filter(|record| at + record.unpadded() <= length) {
            Some(record) => {
                seal.lines.extend(line_of(&record, at));
                if matches!(record.kind, Kind::Whole | Kind::Spread) {
                    seal.oldest = seal.oldest.min(record.stamp);
                }
                at += record.size();
                seal.end = at;
            }
            None => at += ALIGN,
        }
    }
    Ok(seal)
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
}
