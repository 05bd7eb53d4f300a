//! A worker's side of reading: one read for a small object, one for each chunk of a large one, each verified before a byte of it
//! is handed out.
//!
//! What always holds: what is read is what was written under the key that was asked for, or it is [`Lost`]. What a reader holds
//! stays readable until it is dropped, whatever is evicted meanwhile.

use super::Key;
use super::index::Place;
use super::record::{CHUNK, CHUNK_STRIDE, HEADER, Kind, Record, Run};
use super::segment::Segment;
use super::shared::Shared;
use crate::net::{File, Lease};
use std::ops::{Deref, Range};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long the disk may take for one read.
const LIMIT: Duration = Duration::from_secs(10);

/// Where an object is.
#[derive(Clone)]
pub struct Location {
    /// When it was asked for, in purges.
    pub stamp: u64,
    /// Bytes that [`super::Disk::read`] reads.
    pub length: u32,
    pub(super) key: Key,
    pub(super) place: Place,
    pub(super) segment: Arc<Segment>,
}

/// It is damaged, gone or cannot be read. What is damaged is not found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

/// An object as it was stored.
pub struct Stored {
    bytes: Lease,
    is_cached: bool,
    record: Record,
    location: Location,
    shared: Arc<Shared>,
    runs: Vec<(Arc<Segment>, Run)>,
}

/// An object's content.
pub enum Body {
    /// All of it.
    Whole(Whole),
    /// Where it is.
    Chunks(Chunks),
}

/// The content of a small object, as it was read.
pub struct Whole {
    bytes: Lease,
    is_cached: bool,
    segment: Arc<Segment>,
    at: u64,
}

/// The content of a large object.
pub struct Chunks {
    length: u64,
    location: Location,
    shared: Arc<Shared>,
    runs: Vec<(Arc<Segment>, Run)>,
}

/// Reads an object, all of it if it is small.
pub(super) async fn read(shared: &Arc<Shared>, location: Location) -> Result<Stored, Lost> {
    let (bytes, is_cached, record) =
        record(shared, &location, &location.segment, location.place.offset(), location.length).await?;
    let is_it = record.key == location.key && record.stamp == location.stamp;
    let runs = match record.kind {
        Kind::Whole if is_it && record.length == u64::from(record.body) => Some(Vec::new()),
        Kind::Spread if is_it => runs(shared, &record, &bytes),
        _ => None,
    };
    match runs {
        Some(runs) => Ok(Stored { bytes, is_cached, record, location, shared: shared.clone(), runs }),
        None => Err(damaged(shared, &location)),
    }
}

/// Where the chunks are, if all of them are there.
fn runs(shared: &Shared, record: &Record, bytes: &[u8]) -> Option<Vec<(Arc<Segment>, Run)>> {
    let listed = Run::read_all(&bytes[HEADER + record.meta as usize + record.head as usize..]);
    let runs: Option<Vec<_>> = listed.map(|run| Some((shared.segment(run.segment)?, run))).collect();
    let chunks = |runs: &Vec<(_, Run)>| runs.iter().map(|(_, run)| u64::from(run.chunks)).sum::<u64>();
    runs.filter(|runs| chunks(runs) == record.length.div_ceil(CHUNK as u64))
}

/// Reads a record and verifies it. Says whether the kernel had it in its cache, too.
async fn record(
    shared: &Shared,
    location: &Location,
    segment: &Segment,
    offset: u64,
    length: u32,
) -> Result<(Lease, bool, Record), Lost> {
    let length = length as usize;
    match segment.file.read_and_tell(offset, length, LIMIT).await {
        Ok((mut bytes, is_cached)) => match Record::read_whole(&bytes, segment.seed(offset)) {
            Some(record) if HEADER + record.payload() == length => {
                bytes.truncate(length);
                Ok((bytes, is_cached, record))
            }
            _ => Err(damaged(shared, location)),
        },
        Err(error) => {
            shared.counts.read_errors.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%error, segment = segment.id, offset, "disk cache: a read failed");
            Err(Lost)
        }
    }
}

fn damaged(shared: &Shared, location: &Location) -> Lost {
    shared.drop_damaged(location.key, location.place);
    Lost
}

impl Stored {
    /// What the cache had to say of it.
    pub fn meta(&self) -> &[u8] {
        &self.bytes[self.part(0, self.record.meta)]
    }

    /// Its head.
    pub fn head(&self) -> &[u8] {
        &self.bytes[self.part(self.record.meta, self.record.head)]
    }

    /// Bytes of its content.
    pub fn length(&self) -> u64 {
        self.record.length
    }

    /// When it was asked for, in purges.
    pub fn stamp(&self) -> u64 {
        self.record.stamp
    }

    /// Where it is, to give it another head.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Whether all of its content was read.
    pub fn is_whole(&self) -> bool {
        self.record.kind == Kind::Whole
    }

    /// Its content.
    pub fn into_body(self) -> Body {
        let Self { mut bytes, is_cached, record, location, shared, runs } = self;
        match record.kind {
            Kind::Spread => Body::Chunks(Chunks { length: record.length, location, shared, runs }),
            _ => {
                let before = HEADER + record.meta as usize + record.head as usize;
                bytes.advance(before);
                let at = location.place.offset() + before as u64;
                Body::Whole(Whole { bytes, is_cached, segment: location.segment, at })
            }
        }
    }

    fn part(&self, from: u32, length: u32) -> Range<usize> {
        let start = HEADER + from as usize;
        start..start + length as usize
    }
}

impl Whole {
    /// The file that it was read from. What is in it does not change.
    pub fn file(&self) -> &File {
        &self.segment.file
    }

    /// Where it is in the file.
    pub fn place(&self) -> Range<u64> {
        self.at..self.at + self.bytes.len() as u64
    }

    /// Whether the kernel had it in its cache.
    pub fn is_cached(&self) -> bool {
        self.is_cached
    }

    /// Its bytes.
    pub fn into_bytes(self) -> Lease {
        self.bytes
    }
}

impl Deref for Whole {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Chunks {
    /// Bytes of the content.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// How many chunks that is. All have [`super::CHUNK`] bytes but the last.
    pub fn count(&self) -> u64 {
        self.length.div_ceil(CHUNK as u64)
    }

    /// Reads a chunk: the content from `number` times [`super::CHUNK`] on.
    ///
    /// # Errors
    /// It cannot be had. An answer that has begun can only be broken off.
    pub async fn read(&self, number: u64) -> Result<Lease, Lost> {
        let (segment, offset) = self.find(number).ok_or(Lost)?;
        let length = (self.length - number * CHUNK as u64).min(CHUNK as u64) as usize;
        let whole = (HEADER + length) as u32;
        let (mut bytes, _, record) = record(&self.shared, &self.location, segment, offset, whole).await?;
        if record.kind != Kind::Chunk || record.key != self.location.key || record.stamp != number {
            return Err(damaged(&self.shared, &self.location));
        }
        bytes.advance(HEADER);
        Ok(bytes)
    }

    fn find(&self, number: u64) -> Option<(&Segment, u64)> {
        let mut before = 0;
        for (segment, run) in &self.runs {
            let within = number - before;
            if within < u64::from(run.chunks) {
                return Some((segment, run.offset + within * CHUNK_STRIDE));
            }
            before += u64::from(run.chunks);
        }
        None
    }
}

impl std::fmt::Debug for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Location({}:{})", self.place.segment, self.place.offset())
    }
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stored({} bytes at {:?})", self.length(), self.location)
    }
}

impl std::fmt::Debug for Chunks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chunks({} bytes of {:?})", self.length, self.location)
    }
}
