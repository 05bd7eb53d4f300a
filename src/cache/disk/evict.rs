//! Making room: the oldest segment goes, and what of it was hit since it was written is carried on to the newest one.

use super::Key;
use super::index::{Entry, Place};
use super::log::{From, Log, Sealed};
use super::record::{CHUNK_STRIDE, HEADER, Kind, Record, Run};
use super::segment::Segment;
use super::shared::Described;
use rustix::fs::FlockOperation;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A segment that is gone but for who still reads it. Its room counts as taken for so long.
pub(super) struct Lingering {
    segment: Option<Arc<Segment>>,
    file: File,
    pub bytes: u64,
}

impl Lingering {
    /// Gives the room back if nobody reads it any more, here or in a process from before. False: somebody does.
    ///
    /// The thread lets go last of all here, so that no worker ever closes the file and waits for its room to be freed.
    fn let_go(&mut self) -> bool {
        if self.segment.as_ref().is_some_and(|segment| Arc::strong_count(segment) > 1) {
            return false;
        }
        self.segment = None;
        let alone = rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockExclusive).is_ok();
        alone && self.file.set_len(0).is_ok()
    }
}

/// Lets go of what nobody reads any more. Returns how many still are.
pub(super) fn let_go(lingering: &mut Vec<Lingering>) -> usize {
    lingering.retain_mut(|lingering| !lingering.let_go());
    lingering.len()
}

impl Log {
    /// Lets go of what nobody reads any more.
    pub fn let_go(&mut self) {
        if !self.lingering.is_empty() {
            let_go(&mut self.lingering);
            self.shared.counts.bytes.store(self.used(), Ordering::Relaxed);
        }
    }

    /// Drops the oldest segment, and carries on of it what was hit, up to `carry` bytes. False: there is none.
    pub async fn drop_oldest(&mut self, carry: &mut u64) -> io::Result<bool> {
        let Some(oldest) = self.sealed.front() else { return Ok(false) };
        let id = oldest.segment.id;
        let (mut hit, mut gone) = (Vec::new(), 0);
        let floor = self.shared.floor.load(Ordering::Acquire);
        let is_in = |entry: &Entry| {
            let first = entry.place.segment.saturating_sub(u32::from(entry.span));
            (first..=entry.place.segment).contains(&id)
        };
        self.shared.index.retain(|key, entry| {
            let stays = !is_in(entry);
            if !stays && entry.hit && *carry > 0 && entry.stamp >= floor {
                hit.push((key, *entry));
                return true;
            }
            gone += u64::from(!stays);
            stays
        });
        hit.sort_unstable_by_key(|(_, entry)| (entry.place.segment, entry.place.offset()));
        let mut carried = Ok(());
        for (key, entry) in &hit {
            carried = self.carry(*key, entry, id, carry).await;
            if carried.is_err() {
                break;
            }
        }
        if carried.is_ok() {
            carried = self.flush().await;
        }
        // Those that were not carried on. The others are somewhere else.
        let left = hit.iter().filter(|(key, entry)| self.shared.index.forget_at(*key, entry.place)).count() as u64;
        let counts = &self.shared.counts;
        counts.evicted.fetch_add(gone + left, Ordering::Relaxed);
        counts.carried.fetch_add(hit.len() as u64 - left, Ordering::Relaxed);
        self.remove_oldest()?;
        carried.map(|()| true)
    }

    /// Takes the oldest segment from the disk. Its entries must be gone. Where that fails it stays the oldest: younger ones have
    /// its tombstones.
    pub fn remove_oldest(&mut self) -> io::Result<()> {
        let Some(oldest) = self.sealed.front() else { return Ok(()) };
        let path = Segment::path(&self.folder, oldest.segment.id);
        let is_gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        // Who still reads it keeps its bytes, which count for as long.
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => Some(file),
            Err(error) if is_gone(&error) => None,
            Err(error) => return Err(error),
        };
        match std::fs::remove_file(&path) {
            Err(error) if !is_gone(&error) => return Err(error),
            _ => {}
        }
        self.source = None;
        if let Some(Sealed { segment, bytes }) = self.sealed.pop_front()
            && let Some(file) = file
        {
            self.lingering.push(Lingering { segment: Some(segment), file, bytes });
        }
        self.show();
        self.let_go();
        self.shared.counts.bytes.store(self.used(), Ordering::Relaxed);
        Ok(())
    }

    /// Appends an object of the segment `victim` once more, as far as `carry` bytes allow. What is damaged is left behind.
    async fn carry(&mut self, key: Key, entry: &Entry, victim: u32, carry: &mut u64) -> io::Result<()> {
        let Some((record, bytes)) = self.read_object(key, entry) else { return Ok(()) };
        let stamp = match &self.renew {
            Some(renew) => renew(key, record.stamp, &bytes[HEADER..HEADER + record.meta as usize]),
            None => Some(record.stamp),
        };
        let Some(stamp) = stamp else { return Ok(()) };
        let runs: Vec<Run> = match record.kind {
            Kind::Spread => Run::read_all(&bytes[HEADER + (record.meta + record.head) as usize..]).collect(),
            _ => Vec::new(),
        };
        let chunks: u64 = runs.iter().filter(|run| run.segment == victim).map(|run| u64::from(run.chunks)).sum();
        let size = record.size() + chunks * CHUNK_STRIDE;
        if size > *carry || !self.fits(size) {
            return Ok(());
        }
        *carry -= size;
        if self.is_batch_full() {
            self.flush().await?;
        }
        let payload = &bytes[HEADER..];
        if record.kind == Kind::Whole {
            let record = Record { stamp, ..record };
            return self.append_object(&record, [payload], From::Moved(entry.place));
        }
        let mut moved = Vec::new();
        let mut number = 0;
        for run in runs {
            for nth in 0..u64::from(run.chunks) {
                let mut place = Place::new(run.segment, run.offset + nth * CHUNK_STRIDE);
                if run.segment == victim {
                    let Some(chunk) = self.read_chunk(key, number, record.length, place) else { return Ok(()) };
                    let record = Record::chunk(key, number, chunk.len() - HEADER);
                    place = self.append(&record, [&chunk[HEADER..]])?;
                    if self.is_batch_full() {
                        self.flush().await?;
                    }
                }
                Run::note(&mut moved, place.segment, place.offset());
                number += 1;
            }
        }
        let split = (record.meta + record.head) as usize;
        let object = Record { stamp, ..record };
        self.append_spread(object, &payload[..split], &moved, From::Moved(entry.place))
    }

    /// Appends the record of a large object, whose chunks are written.
    pub fn append_spread(&mut self, object: Record, described: &[u8], runs: &[Run], from: From) -> io::Result<()> {
        let mut list = Vec::new();
        runs.iter().for_each(|run| run.write(&mut list));
        let first = runs.iter().map(|run| run.segment).min().unwrap_or_default();
        let Ok(span) = u16::try_from(self.active_id().saturating_sub(first)) else { return Ok(()) };
        let record = Record { kind: Kind::Spread, span, body: list.len() as u32, ..object };
        if !self.fits(record.size()) {
            return Ok(());
        }
        self.append_object(&record, [described, &list], from)
    }

    /// Gives an object another head. Nothing happens if it is not there any more.
    pub async fn renew(&mut self, key: Key, place: Place, object: &Described) -> io::Result<()> {
        let at = |log: &Self| log.shared.index.find(key).filter(|entry| entry.place == place);
        self.flush().await?;
        let Some((record, bytes)) = at(self).and_then(|entry| self.read_object(key, &entry)) else { return Ok(()) };
        let (meta, head) = (object.meta.len() as u32, object.head.len() as u32);
        let renewed = Record { stamp: object.stamp, meta, head, ..record };
        self.reserve(renewed.size()).await?;
        if at(self).is_none() {
            return Ok(());
        }
        let body = &bytes[HEADER + (record.meta + record.head) as usize..];
        if record.kind == Kind::Whole {
            return self.append_object(&renewed, [&*object.meta, &*object.head, body], From::Moved(place));
        }
        let runs: Vec<Run> = Run::read_all(body).collect();
        self.append_spread(renewed, &[&*object.meta, &*object.head].concat(), &runs, From::Moved(place))
    }

    /// Reads an object's record, without its padding.
    fn read_object(&mut self, key: Key, entry: &Entry) -> Option<(Record, Vec<u8>)> {
        let (record, bytes) = self.read(entry.place, entry.length as usize)?;
        let is_it = record.key == key && matches!(record.kind, Kind::Whole | Kind::Spread);
        is_it.then_some((record, bytes))
    }

    /// Reads a chunk's record.
    fn read_chunk(&mut self, key: Key, number: u64, length: u64, place: Place) -> Option<Vec<u8>> {
        use super::record::CHUNK;
        let body = length.saturating_sub(number * CHUNK as u64).min(CHUNK as u64) as usize;
        let (record, bytes) = self.read(place, HEADER + body)?;
        (record.kind == Kind::Chunk && record.key == key && record.stamp == number).then_some(bytes)
    }

    /// Reads a record and verifies it; damage is counted.
    fn read(&mut self, place: Place, length: usize) -> Option<(Record, Vec<u8>)> {
        let segment = self.shared.segment(place.segment)?;
        if self.source.as_ref().is_none_or(|(id, _)| *id != place.segment) {
            let file = File::open(Segment::path(&self.folder, place.segment)).ok()?;
            self.source = Some((place.segment, file));
        }
        let (_, file) = self.source.as_ref()?;
        let mut bytes = vec![0; length];
        let read = file.read_exact_at(&mut bytes, place.offset());
        let record = read.ok().and_then(|()| Record::read_whole(&bytes, segment.seed(place.offset())));
        match record.filter(|record| HEADER + record.payload() == length) {
            Some(record) => Some((record, bytes)),
            None => {
                self.shared.counts.corrupt.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}
