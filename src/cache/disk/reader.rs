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
use crate::net::Lease;
use std::ops::Range;
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
    record: Record,
    location: Location,
    shared: Arc<Shared>,
    runs: Vec<(Arc<Segment>, Run)>,
}

/// An object's content.
pub enum Body {
    /// All of it.
    Whole(Lease),
    /// Where it is.
    Chunks(Chunks),
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
    let (bytes, record) =
        record(shared, &location, &location.segment, location.place.offset(), location.length).await?;
    let is_it = record.key == location.key && record.stamp == location.stamp;
    let runs = match record.kind {
        Kind::Whole if is_it && record.length == u64::from(record.body) => Some(Vec::new()),
        Kind::Spread if is_it => runs(shared, &record, &bytes),
        _ => None,
    };
    match runs {
        Some(runs) => Ok(Stored { bytes, record, location, shared: shared.clone(), runs }),
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

/// Reads a record and verifies it.
async fn record(
    shared: &Shared,
    location: &Location,
    segment: &Segment,
    offset: u64,
    length: u32,
) -> Result<(Lease, Record), Lost> {
    let length = length as usize;
    match segment.file.read_at(offset, length, LIMIT).await {
        Ok(mut bytes) => match Record::read_whole(&bytes, segment.seed(offset)) {
            Some(record) if HEADER + record.payload() == length => {
                bytes.truncate(length);
                Ok((bytes, record))
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

    /// Its content.
    pub fn into_body(self) -> Body {
        let Self { mut bytes, record, location, shared, runs } = self;
        match record.kind {
            Kind::Spread => Body::Chunks(Chunks { length: record.length, location, shared, runs }),
            _ => {
                bytes.advance(HEADER + record.meta as usize + record.head as usize);
                Body::Whole(bytes)
            }
        }
    }

    fn part(&self, from: u32, length: u32) -> Range<usize> {
        let start = HEADER + from as usize;
        start..start + length as usize
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
        let (mut bytes, record) = record(&self.shared, &self.location, segment, offset, whole).await?;
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
