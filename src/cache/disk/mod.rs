//! The tier on the disk: a log of records in segment files, with an index of it in memory.
//!
//! What always holds:
//! - A read gives the bytes that were stored under the key, or nothing: every record carries checksums that are verified before a
//!   byte of it is handed out. Whatever a kill, a loss of power or a bad disk leaves behind is dropped, counted and told.
//! - An object is found once all of it is written, and never in part. After a kill at any time what had been found is found again,
//!   but for what was being written.
//! - What was forgotten stays so after a kill some milliseconds later. A purge whose [`Receipt`] has come stays so after a loss
//!   of power, too; if the journal of purges is damaged or gone, all that is stored goes.
//! - It never takes more of the disk than it may, also not while it writes, with all that is around the objects and what slow
//!   readers still hold.
//! - Workers wait for the disk only where they read, through their own ring; what is written is handed to one thread through a
//!   bounded queue. A disk that is slow, full or broken costs objects that are not stored, and nothing else.
//! - One process has the folder at a time. Another one waits for it in the background and has no disk tier until then; what the
//!   old one is reading stays readable to it.
//!
//! Objects lie where they were written until their segment, the oldest, makes room. Those of it that were hit since are carried
//! on to the newest segment, up to half of one: a clock whose hand is the end of the log. A large object is a list of chunks that
//! were written before it, so that it streams both ways. In memory an object takes one entry of 40 bytes in a table. A segment is
//! sealed by a list of what it holds: a start reads the lists, and scans the one segment that was not sealed.
//!
//! Why it is no crate (looked at in November 2026). foyer 0.22 holds an entry whole in memory and drops what does not fit into its
//! flush buffer, reads by tokio, and its io_uring engine had an open use after free. fjall 3 bounds a tree's size only by an order
//! made for keys that are never written twice, holds values whole and blocks the thread that reads. cacache 13 has no bound, and
//! three files' work for each object. None of them reads through a ring of the worker's own.
//!
//! Knows nothing of HTTP. May depend on [`crate::net`] alone.

mod evict;
mod index;
mod lock;
mod log;
mod notes;
mod output;
mod reader;
mod record;
mod recover;
mod scan;
mod segment;
mod shared;
#[cfg(test)]
mod tests;
mod thread;
mod usage;
mod work;
mod writer;

pub use reader::{Body, Chunks, Location, Lost, Stored, Whole};
pub use usage::{Refused, State, Usage};
pub use writer::{Object, Writer};

use lock::Lock;
use notes::What;
use shared::{Described, Job, Shared};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A key: a hash, so that no two are the same.
pub type Key = u128;
/// A piece of content.
pub type Piece = Arc<[u8]>;
/// Comes once a purge is on the disk, or cannot be. To be waited for on the control thread: a worker is not woken by it.
pub type Receipt = tokio::sync::oneshot::Receiver<io::Result<()>>;
/// Is told what was found, on the disk's thread, before any of it can be found.
pub type Ready = Box<dyn FnOnce(Recovered) + Send>;
/// Is asked, on the disk's thread, whether an object is worth to be carried on: key, stamp and metadata. The stamp that it has from
/// then on, up to which no purge concerns it; `None`: it may go.
pub type Renew = Arc<dyn Fn(Key, u64, &[u8]) -> Option<u64> + Send + Sync>;

/// Bytes of each chunk of a large object but its last. Objects up to this size are read at once.
pub const CHUNK: usize = record::CHUNK;
/// The smallest disk cache, in bytes.
pub const SMALLEST: u64 = 16 << 20;
/// The longest metadata of an object, in bytes.
pub const LONGEST_META: usize = 4 << 10;
/// The longest head of an object, in bytes.
pub const LONGEST_HEAD: usize = 64 << 10;
/// Purges that nobody waits for and that may wait to be written down.
const NOTES: usize = 4096;
/// The longest note of a purge, in bytes.
pub const LONGEST_NOTE: usize = notes::LONGEST;

/// How a disk tier is opened.
pub struct Options {
    /// Where it is. It is made if it is not there, and should have nothing else in it.
    pub folder: PathBuf,
    /// Bytes that it may take.
    pub size: u64,
    /// Whether it is written through a ring, if the kernel allows it.
    pub ring: bool,
    /// Who is told what was found.
    pub ready: Option<Ready>,
    /// Who is asked what is carried on; without, all is that was hit.
    pub renew: Option<Renew>,
}

/// What a start has found.
#[derive(Debug)]
pub struct Recovered {
    /// No stamp of anything stored, or of a purge, is larger.
    pub newest: u64,
    /// The notes of purges that may still concern something stored, in their order.
    pub notes: Vec<Note>,
    /// Objects.
    pub objects: u64,
    /// Bytes on the disk.
    pub bytes: u64,
}

/// A purge as it was noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// It concerns what has a smaller stamp.
    pub stamp: u64,
    /// What the cache has written down.
    pub bytes: Box<[u8]>,
}

/// The disk tier. Closed when it is dropped.
pub struct Disk {
    shared: Arc<Shared>,
    thread: crossbeam::channel::Receiver<()>,
}

impl Disk {
    /// Opens the tier: returns at once, the rest is done on a thread of its own, [`State`] by [`State`].
    ///
    /// # Errors
    /// The folder cannot be made or written, the size is below [`SMALLEST`], or no thread can be started.
    pub fn open(options: Options) -> io::Result<Self> {
        let Options { folder, size, ring, ready, renew } = options;
        if size < SMALLEST {
            let why = format!("a disk cache of {size} bytes is too small: it takes {SMALLEST} at least");
            return Err(io::Error::new(ErrorKind::InvalidInput, why));
        }
        let failed = |error: io::Error| {
            let why = format!("the disk cache cannot use {}: {error}", folder.display());
            io::Error::new(error.kind(), why)
        };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
        let lock = Lock::open(&folder).map_err(failed)?;
        let shared = Arc::new(Shared::new(size));
        let (alive, thread) = crossbeam::channel::bounded::<()>(0);
        let start = thread::Start { folder, shared: shared.clone(), lock, ready, renew };
        std::thread::Builder::new().name("ringway-disk".to_owned()).spawn(move || {
            let _alive = alive;
            thread::run(ring, start);
        })?;
        Ok(Self { shared, thread })
    }

    /// What it is doing.
    pub fn state(&self) -> State {
        self.shared.state()
    }

    /// It may take so many bytes from now on. Below [`SMALLEST`] it takes that.
    pub fn resize(&self, size: u64) {
        self.shared.resize(size.max(SMALLEST));
    }

    /// Where an object is. What it points to stays readable until it is dropped. Never waits for the disk.
    #[inline]
    pub fn find(&self, key: Key) -> Option<Location> {
        let entry = self.shared.index.find(key)?;
        if entry.stamp < self.shared.floor.load(Ordering::Acquire) || self.state() != State::Ready {
            return None;
        }
        let segment = self.shared.segment(entry.place.segment)?;
        Some(Location { stamp: entry.stamp, length: entry.length, key, place: entry.place, segment })
    }

    /// Notes a hit: the object outlives its segment. False: it is not there.
    #[inline]
    pub fn touch(&self, key: Key) -> bool {
        self.shared.counts.read.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.shared.index.touch(key)
    }

    /// Reads what was found: all of it if it is small, else what there is to say of it. On a worker.
    ///
    /// # Errors
    /// It cannot be had; what is damaged is not found again.
    pub async fn read(&self, location: Location) -> Result<Stored, Lost> {
        reader::read(&self.shared, location).await
    }

    /// Begins to store an object. Never waits.
    ///
    /// # Errors
    /// It cannot be stored now, or at all.
    pub fn put(&self, object: Object) -> Result<Writer, Refused> {
        Writer::new(&self.shared, object)
    }

    /// Gives a stored object other metadata and another head, as after a validation; its content stays. Nothing happens if it has
    /// gone meanwhile.
    ///
    /// # Errors
    /// It stays as it was.
    pub fn renew(&self, location: &Location, stamp: u64, meta: Box<[u8]>, head: Box<[u8]>) -> Result<(), Refused> {
        let submit = || {
            self.shared.takes()?;
            if meta.len() > LONGEST_META || head.len() > LONGEST_HEAD {
                return Err(Refused::TooLarge);
            }
            let object = Described { stamp, meta, head };
            self.shared.submit(Job::Renew { key: location.key, place: location.place, object })
        };
        submit().map_err(|why| self.shared.counts.refuse(why))
    }

    /// Forgets an object, and what is being written under its key. False: it was not there.
    pub fn forget(&self, key: Key) -> bool {
        self.shared.forget(key)
    }

    /// Purges an object that has a smaller stamp.
    pub fn purge(&self, key: Key, stamp: u64) -> Receipt {
        self.shared.forget(key);
        self.shared.ask(stamp, What::Key(key))
    }

    /// Purges all objects that have a smaller stamp.
    pub fn purge_all(&self, stamp: u64) -> Receipt {
        self.shared.floor.fetch_max(stamp, Ordering::AcqRel);
        self.shared.ask(stamp, What::All)
    }

    /// Writes a purge down that the cache itself knows how to apply to objects that have a smaller stamp: it is among what a start
    /// finds for as long as one of them may be stored. Notes longer than [`LONGEST_NOTE`] are refused by their receipt.
    pub fn note(&self, stamp: u64, bytes: Box<[u8]>) -> Receipt {
        if bytes.len() > LONGEST_NOTE {
            let (done, receipt) = tokio::sync::oneshot::channel();
            let _ = done.send(Err(io::Error::new(ErrorKind::InvalidInput, "the note of a purge is too long")));
            return receipt;
        }
        self.shared.ask(stamp, What::Note(bytes))
    }

    /// As [`Disk::note`], for purges that nobody waits for and that may be many: where too many wait to be written down, `instead` is,
    /// once for all of them.
    pub fn note_or(&self, stamp: u64, bytes: Box<[u8]>, instead: Box<[u8]>) {
        if self.shared.purges.len() < NOTES && bytes.len() <= LONGEST_NOTE {
            drop(self.shared.ask(stamp, What::Note(bytes)));
        } else {
            self.shared.ask_instead(stamp, instead);
        }
    }

    /// No object that is stored or being written has an older stamp: purges up to here need not be remembered for it. Zero as long
    /// as it is not known what is stored. Takes some microseconds; not for each request.
    pub fn oldest(&self) -> u64 {
        self.shared.oldest()
    }

    /// How it is.
    pub fn usage(&self) -> Usage {
        let counts = &self.shared.counts;
        let get = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        Usage {
            state: self.state(),
            bytes: get(&counts.bytes),
            limit: self.shared.size(),
            objects: self.shared.index.len() as u64,
            segments: self.shared.segments.load().len() as u64,
            queued: self.shared.queued() as u64,
            stored: get(&counts.stored),
            read: get(&counts.read),
            busy: counts.refused(Refused::Busy),
            failing: counts.refused(Refused::Failing),
            too_large: counts.refused(Refused::TooLarge),
            evicted: get(&counts.evicted),
            carried: get(&counts.carried),
            corrupt: get(&counts.corrupt),
            write_errors: get(&counts.write_errors),
            read_errors: get(&counts.read_errors),
        }
    }

    /// Ends it: nothing is found or stored any more. What is queued is written, the folder is given to who waits for it, and reads that
    /// have begun go on. Returns at once.
    pub fn close(&self) {
        self.shared.closing.store(true, Ordering::Release);
        self.shared.advance(State::Closed);
        self.shared.wake.notify_one();
    }

    /// Waits until what [`Disk::close`] began is done, and no reader is left; for at most `limit`. False: it is not.
    pub fn wait_closed(&self, limit: Duration) -> bool {
        // The thread holds the other end and sends nothing: its end shows as a closed channel.
        let until = Instant::now() + limit;
        self.thread.recv_deadline(until) == Err(crossbeam::channel::RecvTimeoutError::Disconnected)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.usage().fmt(f)
    }
}
