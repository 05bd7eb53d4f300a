//! What workers and the disk's thread share: the index, the segments, and the ways from the one to the other.
//!
//! What always holds: what comes from workers in number is bounded, by jobs and by bytes; what must arrive, a key that was
//! forgotten or a purge that somebody waits for, depends on no bound. (Keys that were forgotten are no more than were stored.)

use super::index::{Entry, Filling, Index, Place};
use super::notes::What;
use super::segment::Segment;
use super::usage::{Counts, Refused, State};
use super::{Key, Piece, Receipt};
use crate::cache::short::Short;
use arc_swap::ArcSwap;
use crossbeam::queue::{ArrayQueue, SegQueue};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot};

#[expect(clippy::disallowed_types, reason = "the disk's thread alone takes it")]
type Mutex<T> = std::sync::Mutex<T>;

/// Jobs that may wait for the disk.
const JOBS: usize = 4096;
/// Bytes that may.
const BYTES: usize = 32 << 20;
/// Keys that may be forgotten before it is known what is stored. Beyond, all of it is.
const UNKNOWN: usize = 65_536;
/// What one object may take of the disk at most, as a divisor.
const LARGEST: u64 = 8;

/// What both sides know.
pub(super) struct Shared {
    pub index: Index,
    /// Those that can be read, the oldest first.
    pub segments: ArcSwap<Vec<Arc<Segment>>>,
    /// What is older is gone.
    pub floor: AtomicU64,
    pub counts: Counts,
    pub wake: Notify,
    pub closing: AtomicBool,
    has_ended: AtomicBool,
    /// Whether writing has failed and is not tried again yet.
    pub failing: AtomicBool,
    /// More was forgotten than can be remembered while it is not known what is stored.
    pub wipe: AtomicBool,
    size: AtomicU64,
    state: AtomicU8,
    jobs: ArrayQueue<Job>,
    queued: AtomicUsize,
    /// Keys whose records are to be followed by tombstones.
    pub forgotten: SegQueue<Key>,
    pub purges: SegQueue<Asked>,
    /// Notes in place of many, each with the stamp of the last of those. There are as few as there are kinds of them.
    instead: Short<Vec<(Box<[u8]>, u64)>>,
}

/// What is to be written.
pub(super) enum Job {
    /// A small object.
    Whole { begun: Begun, object: Described, body: Vec<Piece>, length: usize },
    /// Some of a large object's content.
    Chunks { spread: Arc<Spread>, body: Vec<Piece>, length: usize },
    /// The end of a large object.
    Finish { spread: Arc<Spread>, object: Described },
    /// An object gets another head.
    Renew { key: Key, place: Place, object: Described },
}

/// An object but for its content.
#[derive(Debug)]
pub(super) struct Described {
    pub stamp: u64,
    pub meta: Box<[u8]>,
    pub head: Box<[u8]>,
}

/// A purge that somebody may wait for.
pub(super) struct Asked {
    pub stamp: u64,
    pub what: What,
    pub done: oneshot::Sender<io::Result<()>>,
}

/// An object that is being written, for as long as it is.
pub(super) struct Begun {
    pub shared: Arc<Shared>,
    pub filling: Arc<Filling>,
}

/// A large object that is being written.
pub(super) struct Spread {
    pub begun: Begun,
    /// Nothing comes of it any more.
    pub failed: AtomicBool,
    written: Mutex<Written>,
}

/// What of a large object has been written.
#[derive(Default)]
pub(super) struct Written {
    pub runs: Vec<super::record::Run>,
    /// How many chunks they are.
    pub count: u64,
    /// What is not a full chunk yet.
    pub tail: Vec<u8>,
    /// Bytes of the chunks.
    pub length: u64,
    /// How many writes had failed when the first of them was appended.
    pub failures: Option<u64>,
}

impl Shared {
    pub fn new(size: u64) -> Self {
        Self {
            index: Index::default(),
            segments: ArcSwap::default(),
            floor: AtomicU64::new(0),
            counts: Counts::default(),
            wake: Notify::new(),
            closing: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            wipe: AtomicBool::new(false),
            size: AtomicU64::new(size),
            state: AtomicU8::new(State::Waiting as u8),
            jobs: ArrayQueue::new(JOBS),
            queued: AtomicUsize::new(0),
            forgotten: SegQueue::new(),
            purges: SegQueue::new(),
            instead: Short::default(),
        }
    }

    pub fn state(&self) -> State {
        State::of(self.state.load(Ordering::SeqCst))
    }

    /// Goes on to a state, from which there is no way back.
    pub fn advance(&self, to: State) {
        self.state.fetch_max(to as u8, Ordering::SeqCst);
    }

    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    pub fn resize(&self, size: u64) {
        self.size.store(size, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// The largest object, in bytes of content.
    pub fn largest(&self) -> u64 {
        self.size() / LARGEST
    }

    /// The segment of a number, if it can be read.
    pub fn segment(&self, id: u32) -> Option<Arc<Segment>> {
        let segments = self.segments.load();
        let at = segments.binary_search_by_key(&id, |segment| segment.id).ok()?;
        Some(segments[at].clone())
    }

    /// Nothing that is stored or being written is older.
    pub fn oldest(&self) -> u64 {
        if self.state() < State::Ready {
            return 0;
        }
        // In this order, in which what is being written becomes what is stored.
        let begun = self.index.oldest_begun().unwrap_or(u64::MAX);
        let stored = self.segments.load().iter().map(|segment| segment.oldest()).min();
        begun.min(stored.unwrap_or(u64::MAX))
    }

    /// Whether an object can be written now.
    pub fn takes(&self) -> Result<(), Refused> {
        if self.state() != State::Ready {
            return Err(Refused::NotReady);
        }
        if self.failing.load(Ordering::Relaxed) { Err(Refused::Failing) } else { Ok(()) }
    }

    /// Queues a job.
    pub fn submit(&self, job: Job) -> Result<(), Refused> {
        let bytes = job.bytes();
        if self.queued.fetch_add(bytes, Ordering::Relaxed) + bytes > BYTES || self.jobs.push(job).is_err() {
            self.queued.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Refused::Busy);
        }
        self.wake.notify_one();
        Ok(())
    }

    /// The next job.
    pub fn take(&self) -> Option<Job> {
        let job = self.jobs.pop()?;
        self.queued.fetch_sub(job.bytes(), Ordering::Relaxed);
        Some(job)
    }

    /// Bytes that wait to be written.
    pub fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Forgets a key, for good.
    pub fn forget(&self, key: Key) -> bool {
        // While it is not known what is stored, a key is noted before it is looked for: it is either found to be noted once
        // all is known, or found here.
        let is_unknown = matches!(self.state(), State::Waiting | State::Recovering);
        if is_unknown {
            if self.forgotten.len() < UNKNOWN {
                self.forgotten.push(key);
            } else {
                self.wipe.store(true, Ordering::SeqCst);
            }
        }
        let was_there = self.index.forget(key);
        if was_there && !is_unknown {
            self.forgotten.push(key);
            self.wake.notify_one();
        }
        was_there
    }

    /// An object that was put is written. False: its key was forgotten meanwhile.
    pub fn stored(&self, begun: &Begun, entry: Entry) -> bool {
        let is_there = self.index.publish(&begun.filling, entry);
        self.counts.stored.fetch_add(u64::from(is_there), Ordering::Relaxed);
        is_there
    }

    /// Asks for a purge to be written down.
    pub fn ask(&self, stamp: u64, what: What) -> Receipt {
        let (done, receipt) = oneshot::channel();
        self.purges.push(Asked { stamp, what, done });
        self.wake.notify_one();
        // Either the thread sees what was pushed before it ended, or it is seen here that it has.
        if self.has_ended.load(Ordering::SeqCst) {
            self.turn_away();
        }
        receipt
    }

    /// Asks for a note in place of others.
    pub fn ask_instead(&self, stamp: u64, note: Box<[u8]>) {
        let mut instead = self.instead.lock();
        match instead.iter_mut().find(|(known, _)| *known == note) {
            Some((_, last)) => *last = stamp.max(*last),
            None => instead.push((note, stamp)),
        }
        drop(instead);
        self.wake.notify_one();
    }

    /// The notes in place of others that are to be written down.
    pub fn take_instead(&self) -> Vec<(Box<[u8]>, u64)> {
        std::mem::take(&mut *self.instead.lock())
    }

    /// Nobody writes anything down any more.
    pub fn turn_away(&self) {
        self.has_ended.store(true, Ordering::SeqCst);
        while let Some(asked) = self.purges.pop() {
            let _ = asked.done.send(Err(io::Error::other("the disk cache is closed")));
        }
    }

    /// A record that was found damaged: nobody finds it again.
    pub fn drop_damaged(&self, key: Key, place: Place) {
        self.counts.corrupt.fetch_add(1, Ordering::Relaxed);
        if self.index.forget_at(key, place) {
            self.forgotten.push(key);
            self.wake.notify_one();
        }
    }
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Self::Whole { object, length, .. } => object.bytes() + length,
            Self::Chunks { length, .. } => *length,
            Self::Finish { object, .. } | Self::Renew { object, .. } => object.bytes(),
        }
    }
}

impl Described {
    pub fn bytes(&self) -> usize {
        self.meta.len() + self.head.len()
    }
}

impl Begun {
    pub fn new(shared: Arc<Shared>, key: Key, stamp: u64) -> Self {
        let filling = shared.index.begin(key, stamp);
        Self { shared, filling }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.shared.index.end(&self.filling);
    }
}

impl Spread {
    pub fn new(begun: Begun) -> Self {
        Self { begun, failed: AtomicBool::new(false), written: Mutex::default() }
    }

    pub fn is_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    pub fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    pub fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
