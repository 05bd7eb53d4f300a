//! The disk's thread: it waits for the folder, reads what is stored, and then writes what workers hand to it.
//!
//! A disk that is slow, full or broken holds up this thread and nobody else: what it does not get to is refused where it comes
//! from. It is detached, so that the process can end without it.

use super::evict::{Lingering, let_go};
use super::lock::Lock;
use super::log::Log;

use super::recover::recover;
use super::shared::Shared;
use super::usage::{Refused, State};
use super::{Ready, Recovered, Renew};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::{Duration, Instant, sleep, timeout_at};

/// How often somebody else's lock is tried, and what has failed is looked at again.
const AGAIN: Duration = Duration::from_millis(100);
/// What goes on being so is told this often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What the thread is started with.
pub(super) struct Start {
    pub folder: PathBuf,
    pub shared: Arc<Shared>,
    pub lock: Lock,
    pub ready: Option<Ready>,
    pub renew: Option<Renew>,
}

/// Runs the thread to its end, with a ring if `ring` says so and the kernel allows it.
pub(super) fn run(ring: bool, start: Start) {
    let (ended, folder) = (Ended(start.shared.clone()), start.folder.clone());
    if let Err(error) = run_on(ring, start) {
        tracing::error!(folder = %folder.display(), %error, "the disk cache ends: nothing is read from it or written to it");
    }
    drop(ended);
}

/// Says that the thread has ended, also if it panicked.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        let Self(shared) = self;
        shared.advance(State::Closed);
        shared.turn_away();
        while shared.take().is_some() {}
    }
}

fn run_on(ring: bool, start: Start) -> io::Result<()> {
    if ring {
        match tokio_uring::Runtime::new(tokio_uring::builder().entries(16)) {
            Ok(runtime) => return runtime.block_on(serve(start, true)),
            Err(error) => tracing::warn!(%error, "no io_uring for the disk cache: plain writes instead"),
        }
    }
    tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(serve(start, false))
}

async fn serve(start: Start, ring: bool) -> io::Result<()> {
    let Start { folder, shared, lock, ready, renew } = start;
    let Some(lock) = wait_for(&folder, &shared, lock).await? else { return Ok(()) };
    shared.advance(State::Recovering);
    let began = Instant::now();
    let Some((mut log, recovered)) = read(&folder, &shared, ring).await else { return Ok(()) };
    log.renew = renew;
    let (objects, bytes) = (recovered.objects, recovered.bytes);
    if let Some(ready) = ready {
        ready(recovered);
    }
    tracing::info!(
        folder = %folder.display(), objects, bytes, took_ms = began.elapsed().as_millis() as u64, "the disk cache is read"
    );
    forget(&shared);
    if shared.wipe.load(Ordering::SeqCst) {
        shared.index.clear();
        log.wipe()?;
    }
    shared.advance(State::Ready);
    let mut told = Told::default();
    loop {
        // Asked before the queue is emptied, so that what came before is written.
        let closing = shared.closing.load(Ordering::Acquire);
        log.note().await;
        log.bury().await;
        log.shrink().await;
        let worked = log.work().await;
        log.let_go();
        told.tell(&folder, &shared);
        if worked {
            continue;
        }
        if closing {
            break;
        }
        match [log.due(), told.due(&shared)].into_iter().flatten().min() {
            Some(at) => drop(timeout_at(at, shared.wake.notified()).await),
            None => shared.wake.notified().await,
        }
    }
    shared.advance(State::Closed);
    let lingering = log.close().await;
    drop(lock);
    linger(lingering).await;
    Ok(())
}

/// Reads what is stored, as often as it takes. `None`: it was told to end before.
async fn read(folder: &Path, shared: &Arc<Shared>, ring: bool) -> Option<(Log, Recovered)> {
    let mut tell = Instant::now();
    loop {
        match recover(folder, shared, ring) {
            Ok(read) => return Some(read),
            Err(error) if tell <= Instant::now() => {
                tracing::error!(folder = %folder.display(), %error, "the disk cache cannot be read: it is tried again, and there is none until it can be");
                tell = Instant::now() + TELL_EVERY;
            }
            Err(_) => {}
        }
        shared.index.clear();
        let again = Instant::now() + Duration::from_secs(5);
        while again > Instant::now() {
            if shared.closing.load(Ordering::Acquire) {
                return None;
            }
            sleep(AGAIN).await;
        }
    }
}

/// Waits for the lock of the folder. `None`: it was told to end before.
async fn wait_for(folder: &Path, shared: &Shared, mut lock: Lock) -> io::Result<Option<Lock>> {
    let mut tell = Instant::now() + Duration::from_secs(5);
    while !lock.take()? {
        if shared.closing.load(Ordering::Acquire) {
            return Ok(None);
        }
        if tell <= Instant::now() {
            tracing::warn!(folder = %folder.display(), pid = lock.owner(), "the disk cache waits for the process that has its folder");
            tell = Instant::now() + TELL_EVERY;
        }
        sleep(AGAIN).await;
    }
    Ok(Some(lock))
}

/// Forgets what was forgotten before it was known what is stored.
fn forget(shared: &Shared) {
    let keys: Vec<_> = std::iter::from_fn(|| shared.forgotten.pop()).collect();
    for key in keys {
        shared.index.forget(key);
        // What there may be of it needs a tombstone.
        shared.forgotten.push(key);
    }
}

/// Gives room back when those that still read have ended.
async fn linger(mut lingering: Vec<Lingering>) {
    while let_go(&mut lingering) > 0 {
        sleep(AGAIN).await;
    }
}

/// What operators are told, a minute at a time.
#[derive(Default)]
struct Told {
    next: Option<Instant>,
    corrupt: u64,
    read_errors: u64,
    write_errors: u64,
    busy: u64,
}

impl Told {
    fn tell(&mut self, folder: &Path, shared: &Shared) {
        if self.next.is_some_and(|at| at > Instant::now()) || !self.has_news(shared) {
            return;
        }
        let now = Self::of(shared);
        tracing::warn!(
            folder = %folder.display(),
            damaged = now.corrupt - self.corrupt,
            failed_reads = now.read_errors - self.read_errors,
            failed_writes = now.write_errors - self.write_errors,
            not_written_in_time = now.busy - self.busy,
            "disk cache: objects were lost or not stored"
        );
        *self = Self { next: Some(Instant::now() + TELL_EVERY), ..now };
    }

    /// When there is something to tell that may not be told yet.
    fn due(&self, shared: &Shared) -> Option<Instant> {
        self.next.filter(|_| self.has_news(shared))
    }

    fn has_news(&self, shared: &Shared) -> bool {
        let now = Self::of(shared);
        (now.corrupt, now.read_errors, now.write_errors, now.busy)
            != (self.corrupt, self.read_errors, self.write_errors, self.busy)
    }

    fn of(shared: &Shared) -> Self {
        let counts = &shared.counts;
        Self {
            next: None,
            corrupt: counts.corrupt.load(Ordering::Relaxed),
            read_errors: counts.read_errors.load(Ordering::Relaxed),
            write_errors: counts.write_errors.load(Ordering::Relaxed),
            busy: counts.refused(Refused::Busy),
        }
    }
}
