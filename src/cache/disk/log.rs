//! The writing side: records go to the end of the active segment, which is sealed when it is full; the oldest segments make room.
//! The disk's thread alone has it.
//!
//! What always holds:
//! - What it takes on the disk is never more than the configured size: the active segment counts as full from its beginning, and
//!   a new one is begun only where there is room for all of it.
//! - An entry is published after its record was written, in the order of the log; so what a scan of the log finds last is what was
//!   there last.
//! - Segments go in the order in which they came: when one goes, nothing older than its tombstones is left.

use super::Key;
use super::evict::Lingering;
use super::index::{Entry, Place};
use super::notes::Notes;
use super::output::Output;
use super::record::{Kind, Record};
use super::segment::{Line, START, Seal, Segment};
use super::shared::{Begun, Shared, Spread};
use super::{Renew, segment};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::{Duration, Instant};

/// Bytes that are written at a time.
pub(super) const BATCH: usize = 1 << 20;
/// What files take on the disk, in units of this; each takes one more for where the others are.
const BLOCK: u64 = 4096;
/// For the lock and the folder itself.
const AROUND: u64 = 64 << 10;
/// The first pause after a write that failed; it doubles up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(30);

/// The log.
pub(super) struct Log {
    pub folder: PathBuf,
    pub shared: Arc<Shared>,
    pub notes: Notes,
    pub renew: Option<Renew>,
    /// Those that are not written any more, the oldest first.
    pub sealed: VecDeque<Sealed>,
    /// Those that are gone but for who still reads them.
    pub lingering: Vec<Lingering>,
    /// The segment that was read last, to carry objects on.
    pub source: Option<(u32, File)>,
    active: Option<Active>,
    next: u32,
    ring: bool,
    batch: Vec<u8>,
    publishes: Vec<Publish>,
    /// The keys of the batch's tombstones.
    buried: Vec<Key>,
    retry: Option<Instant>,
    pause: Duration,
    /// Writes that have failed.
    failures: u64,
    /// Whether the disk was full before the cache was.
    is_cramped: bool,
}

/// A segment that is not written any more.
pub(super) struct Sealed {
    pub segment: Arc<Segment>,
    /// What it takes on the disk.
    pub bytes: u64,
}

/// The segment that is written.
pub(super) struct Active {
    pub segment: Arc<Segment>,
    file: File,
    output: Output,
    /// Where its records end.
    end: u64,
    /// Bytes that it may take.
    room: u64,
    /// Lines that its seal will have at most.
    lines: usize,
    tombstones: Vec<Key>,
}

/// What is to be found once the batch is written.
struct Publish {
    key: Key,
    entry: Entry,
    from: From,
}

/// Where an entry comes from.
pub(super) enum From {
    /// It was put.
    New(Begun),
    /// It was put in chunks.
    Spread(Arc<Spread>),
    /// It was somewhere else.
    Moved(Place),
}

/// Bytes of a segment in a store of `size` bytes.
pub(super) fn segment_size(size: u64) -> u64 {
    let least = (4 << 20).min(size / 16);
    // Beyond a terabyte they grow with it, so that they stay few enough to be open all at once.
    (size / 64).clamp(least, 256 << 20).max(size / 4096).min(16 << 30) / BLOCK * BLOCK
}

/// Bytes that the journal of purges may have in a store of `size` bytes.
pub(super) fn notes_size(size: u64) -> u64 {
    (size / 256).clamp(64 << 10, 4 << 20)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Makes a file end there. What was taken beyond that is given back, also where only a file that becomes shorter gives any.
fn cut(file: &File, length: u64) -> io::Result<()> {
    file.set_len(length + BLOCK)?;
    file.set_len(length)
}

impl Log {
    pub fn new(folder: PathBuf, shared: Arc<Shared>, notes: Notes, ring: bool) -> Self {
        Self {
            folder,
            shared,
            notes,
            renew: None,
            sealed: VecDeque::new(),
            lingering: Vec::new(),
            source: None,
            active: None,
            next: 1,
            ring,
            batch: Vec::new(),
            publishes: Vec::new(),
            buried: Vec::new(),
            retry: None,
            pause: FIRST_PAUSE,
            failures: 0,
            is_cramped: false,
        }
    }

    /// Has the next segment be numbered after this one.
    pub fn follow(&mut self, id: u32) {
        self.next = self.next.max(id.saturating_add(1));
    }

    /// What it takes on the disk at most.
    pub fn used(&self) -> u64 {
        let sealed: u64 = self.sealed.iter().map(|sealed| sealed.bytes + BLOCK).sum();
        let lingering: u64 = self.lingering.iter().map(|lingering| lingering.bytes + BLOCK).sum();
        let active = self.active.as_ref().map_or(0, |active| active.room + BLOCK);
        sealed + lingering + active + self.notes.room() + AROUND
    }

    /// No object has an older stamp.
    pub fn oldest(&self) -> u64 {
        let active = self.active.iter().map(|active| &active.segment);
        let all = self.sealed.iter().map(|sealed| &sealed.segment).chain(active);
        all.map(|segment| segment.oldest()).min().unwrap_or(u64::MAX)
    }

    /// Whether a record of `size` bytes fits into the active segment.
    pub fn fits(&self, size: u64) -> bool {
        self.active.as_ref().is_some_and(|active| {
            active.end + self.batch.len() as u64 + size + Seal::size(active.lines + 1) <= active.room
        })
    }

    /// Makes room for a record of `size` bytes.
    pub async fn reserve(&mut self, size: u64) -> io::Result<()> {
        if self.fits(size) {
            return Ok(());
        }
        self.flush().await?;
        self.rotate().await?;
        if self.fits(size) { Ok(()) } else { Err(ErrorKind::FileTooLarge.into()) }
    }

    /// Appends a record, for which there must be room. Returns where it will be.
    pub fn append<'a>(&mut self, record: &Record, parts: impl IntoIterator<Item = &'a [u8]>) -> io::Result<Place> {
        debug_assert!(self.fits(record.size()));
        let active = self.active.as_mut().ok_or(ErrorKind::NotConnected)?;
        let offset = active.end + self.batch.len() as u64;
        record.write(active.segment.seed(offset), parts, &mut self.batch);
        match record.kind {
            Kind::Chunk => {}
            Kind::Tombstone => {
                active.lines += 1;
                active.tombstones.push(record.key);
                self.buried.push(record.key);
            }
            Kind::Whole | Kind::Spread => {
                active.lines += 1;
                active.segment.note(record.stamp);
            }
        }
        Ok(Place::new(active.segment.id, offset))
    }

    /// Appends an object, which is found once it is written.
    pub fn append_object<'a>(
        &mut self,
        record: &Record,
        parts: impl IntoIterator<Item = &'a [u8]>,
        from: From,
    ) -> io::Result<()> {
        let place = self.append(record, parts)?;
        let length = (super::record::HEADER + record.payload()) as u32;
        let entry = Entry { stamp: record.stamp, place, length, span: record.span, hit: false };
        self.publishes.push(Publish { key: record.key, entry, from });
        Ok(())
    }

    /// The numbers of all segments, the oldest first.
    pub fn ids(&self) -> impl Iterator<Item = u32> {
        let active = self.active.iter().map(|active| active.segment.id);
        self.sealed.iter().map(|sealed| sealed.segment.id).chain(active)
    }

    /// The number of the active segment.
    pub fn active_id(&self) -> u32 {
        self.active.as_ref().map_or(0, |active| active.segment.id)
    }

    /// Whether anything was ever written.
    pub fn is_empty(&self) -> bool {
        self.sealed.is_empty() && self.active.is_none()
    }

    /// Whether a batch is full.
    pub fn is_batch_full(&self) -> bool {
        self.batch.len() >= BATCH
    }

    /// Writes what was appended.
    pub async fn flush(&mut self) -> io::Result<()> {
        let Some(active) = self.active.as_mut().filter(|_| !self.batch.is_empty()) else {
            return Ok(());
        };
        let (mut bytes, result) = active.output.write(std::mem::take(&mut self.batch), active.end).await;
        let length = bytes.len() as u64;
        bytes.clear();
        bytes.shrink_to(2 * BATCH);
        self.batch = bytes;
        if let Err(error) = result {
            self.publishes.clear();
            return Err(error);
        }
        active.end += length;
        self.buried.clear();
        for Publish { key, entry, from } in self.publishes.drain(..) {
            let is_there = match from {
                From::Moved(place) => self.shared.index.replace(key, place, entry),
                From::New(begun) => self.shared.stored(&begun, entry),
                From::Spread(spread) => self.shared.stored(&spread.begun, entry),
            };
            if !is_there {
                // It was forgotten meanwhile: what was written must not be found by a start.
                self.shared.forgotten.push(key);
            }
        }
        Ok(())
    }

    /// Seals the active segment and begins the next one.
    async fn rotate(&mut self) -> io::Result<()> {
        if let Some(active) = self.active.take() {
            self.seal(active).await?;
        }
        let (size, room) = (self.shared.size(), segment_size(self.shared.size()));
        while self.used() + room > size {
            if !self.drop_oldest(&mut 0).await? {
                return Err(io::Error::new(ErrorKind::StorageFull, "all of it is being read"));
            }
        }
        let (segment, file) = match self.create(room) {
            Err(error) if is_full(&error) && self.drop_oldest(&mut 0).await? => {
                if !std::mem::replace(&mut self.is_cramped, true) {
                    let (folder, bytes) = (self.folder.display(), self.used());
                    tracing::warn!(%folder, bytes, size, "the disk is full: its cache makes do with less than it may take");
                }
                self.create(room)?
            }
            created => created?,
        };
        self.activate(segment, file, START, 0)?;
        // Already now there is to be room for the next one: what is hit is carried on into this one.
        let mut carry = room / 2;
        while self.used() + room > size {
            if !self.drop_oldest(&mut carry).await? {
                break;
            }
        }
        self.flush().await
    }

    fn create(&mut self, room: u64) -> io::Result<(Segment, File)> {
        let id = self.next;
        let created = Segment::create(&self.folder, id, room);
        // A number that was not used would look like a segment that is lost.
        if created.as_ref().map_or_else(|error| error.kind() == ErrorKind::AlreadyExists, |_| true) {
            self.next = id.checked_add(1).ok_or(ErrorKind::StorageFull)?;
        }
        created
    }

    /// Goes on writing a segment at `end`.
    pub fn activate(&mut self, segment: Segment, file: File, end: u64, lines: usize) -> io::Result<()> {
        let room = segment_size(self.shared.size()).max((end + Seal::size(lines)).next_multiple_of(BLOCK));
        let output = Output::new(file.try_clone()?, self.ring);
        let segment = Arc::new(segment);
        self.active = Some(Active { segment, file, output, end, room, lines, tombstones: Vec::new() });
        self.show();
        Ok(())
    }

    /// Tombstones that the active segment has from before.
    pub fn restore_tombstones(&mut self, keys: Vec<Key>) {
        if let Some(active) = &mut self.active {
            active.tombstones = keys;
        }
    }

    /// Seals a segment: it becomes one of the sealed ones, whatever becomes of its list.
    async fn seal(&mut self, active: Active) -> io::Result<()> {
        let Active { segment, file, output, end, tombstones, .. } = active;
        let id = segment.id;
        let lost = |key| Line { key, stamp: 0, offset: 0, length: 0, span: 0 };
        let mut lines: Vec<Line> = tombstones.into_iter().map(lost).collect();
        self.shared.index.for_each(|key, entry| {
            if entry.place.segment == id {
                let Entry { stamp, place, length, span, .. } = *entry;
                lines.push(Line { key, stamp, offset: place.offset(), length, span });
            }
        });
        let list = segment.seal(&Seal { end, oldest: segment.oldest(), lines });
        let length = end + list.len() as u64;
        let (_, written) = output.write(list, end).await;
        let result = written.and_then(|()| cut(&file, length));
        let bytes = file.metadata().map_or(length, |meta| meta.len()).next_multiple_of(BLOCK);
        self.sealed.push_back(Sealed { segment, bytes });
        self.show();
        result
    }

    /// Whether a segment whose records end at `end` is written on: most of it is free.
    pub fn is_worth_going_on(&self, end: u64) -> bool {
        end <= segment_size(self.shared.size()) / 4 * 3
    }

    /// Removes all that is stored. The index must be empty.
    pub fn wipe(&mut self) -> io::Result<()> {
        if let Some(active) = self.active.take() {
            self.sealed.push_back(Sealed { segment: active.segment, bytes: active.room });
        }
        while !self.sealed.is_empty() {
            self.remove_oldest()?;
        }
        Ok(())
    }

    /// A segment that a start found.
    pub fn adopt(&mut self, segment: Segment, length: u64) {
        self.sealed.push_back(Sealed { segment: Arc::new(segment), bytes: length.next_multiple_of(BLOCK) });
    }

    /// Lets workers see which segments there are.
    pub fn show(&self) {
        let active = self.active.iter().map(|active| active.segment.clone());
        let all = self.sealed.iter().map(|sealed| sealed.segment.clone()).chain(active).collect();
        self.shared.segments.store(Arc::new(all));
        self.shared.counts.bytes.store(self.used(), Ordering::Relaxed);
    }

    /// A write failed: what was not written is lost, and writing is tried again after a pause.
    pub fn fail(&mut self, error: &io::Error) {
        self.shared.counts.write_errors.fetch_add(1, Ordering::Relaxed);
        if !self.shared.failing.swap(true, Ordering::Relaxed) && self.pause == FIRST_PAUSE {
            let folder = self.folder.display();
            tracing::warn!(%folder, %error, "the disk cache cannot be written: objects stay out of it until it works");
        }
        self.failures += 1;
        self.batch.clear();
        self.publishes.clear();
        // What was forgotten must not be found by a start: it is written down again.
        self.buried.drain(..).for_each(|key| self.shared.forgotten.push(key));
        if let Some(active) = self.active.take() {
            // Without a seal it is scanned by the next start.
            let _ = cut(&active.file, active.end);
            let bytes = active.file.metadata().map_or(active.room, |meta| meta.len()).next_multiple_of(BLOCK);
            self.sealed.push_back(Sealed { segment: active.segment, bytes });
            self.show();
        }
        self.retry = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(LAST_PAUSE);
    }

    /// How many writes have failed. What was appended before the last one may not be there.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// Whether it may be written now: not while a failure is fresh.
    pub fn may_write(&mut self) -> bool {
        if self.retry.is_some_and(|at| at > Instant::now()) {
            return false;
        }
        if self.retry.take().is_some() {
            self.shared.failing.store(false, Ordering::Relaxed);
        }
        true
    }

    /// Writing has succeeded.
    pub fn works(&mut self) {
        if self.pause != FIRST_PAUSE {
            tracing::info!(folder = %self.folder.display(), "the disk cache can be written again");
            self.pause = FIRST_PAUSE;
        }
    }

    /// When it is to be looked at again, though nothing comes.
    pub fn due(&self) -> Option<Instant> {
        let lingering = (!self.lingering.is_empty()).then(|| Instant::now() + Duration::from_millis(100));
        [lingering, self.retry].into_iter().flatten().min()
    }

    /// Seals the active segment and lets go of everything.
    pub async fn close(mut self) -> Vec<Lingering> {
        if let Err(error) = self.finish().await {
            tracing::warn!(folder = %self.folder.display(), %error, "the disk cache cannot be sealed: the next start scans it");
        }
        self.shared.index.clear();
        self.shared.segments.store(Arc::default());
        self.lingering
    }

    async fn finish(&mut self) -> io::Result<()> {
        self.flush().await?;
        match self.active.take() {
            Some(active) => self.seal(active).await,
            None => Ok(()),
        }
    }

    /// Takes room for the active segment, which a start has found.
    pub fn take_room(&self) -> io::Result<()> {
        self.active.as_ref().map_or(Ok(()), |active| segment::take_room(&active.file, active.room))
    }
}
