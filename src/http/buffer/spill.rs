//! What of a body finds no room in memory, on the disk: bytes go in at one end and come out at the other, or are read over and over.
//!
//! What always holds: the file has no name and is made by the first write; it never grows beyond what the route allows for one body,
//! and all of the process together beyond `limits.buffers_disk`; each byte that it takes of the disk is counted until it is gone. A
//! write that fails gives its bytes back and is the last one: what was written before can still be read.

use crate::http::connection::Connection;
use crate::net::{Lease, TempFile, coarse_now};
use crate::observe::counters::{Shared, WorkerSet};
use crate::plan;
use std::cell::Cell;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A body's bytes on the disk.
pub(in crate::http) struct Spill {
    file: Option<TempFile>,
    /// Bytes written since the file was made, and those of them that are of no more use: their place is used again.
    written: u64,
    freed: u64,
    account: Account,
    folder: Arc<Path>,
    has_failed: bool,
    was_full: bool,
}

/// What a file takes of the disk.
struct Account {
    bytes: u64,
    /// What one body may take.
    most: u64,
    /// What all may.
    of_all: u64,
    worker: Shared<WorkerSet>,
}

/// What became of a write.
pub(super) struct Written {
    result: io::Result<TempFile>,
    /// What was to be written, `count` bytes of it at once.
    bytes: Lease,
    count: usize,
}

/// Bytes that are written at a time.
pub(super) const PIECE: usize = 256 << 10;
/// How long the disk may take for a write or a read.
const LIMIT: Duration = Duration::from_secs(30);
/// How often a worker tells of a disk that fails.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Bytes of the disk that all files take.
static TAKEN: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// When the worker may tell again.
    static SILENT_UNTIL: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

impl Spill {
    /// That of a body, if its route has it so. Nothing is on the disk yet.
    pub(super) fn of(connection: &Connection<'_>, rule: &plan::Forward) -> Option<Self> {
        let limits = &connection.era.plan.limits;
        let most = rule.buffer_disk?;
        let worker = connection.lane.worker.clone();
        Some(Self::new(most, limits.buffers_disk, worker, limits.temp_dir.clone()))
    }

    fn new(most: u64, of_all: u64, worker: Shared<WorkerSet>, folder: Arc<Path>) -> Self {
        let account = Account { bytes: 0, most, of_all, worker };
        Self { file: None, written: 0, freed: 0, account, folder, has_failed: false, was_full: false }
    }

    /// Bytes that are there to be read.
    pub(super) fn len(&self) -> u64 {
        self.written - self.freed
    }

    /// Bytes that can be written now.
    pub(super) fn room(&self) -> u64 {
        match self.account.most {
            _ if self.has_failed => 0,
            // All of the file is used over again.
            most if self.account.bytes == most => most - self.len(),
            _ => self.account.room(),
        }
    }

    /// There is no room for all of the body.
    pub(super) fn is_full(&mut self) {
        if !self.has_failed && !std::mem::replace(&mut self.was_full, true) {
            self.account.worker.buffers_disk_full.inc();
        }
    }

    /// Begins to write what there is room for of `bytes`: [`Spill::wrote`] is to be told what became of it before anything else is
    /// written.
    pub(super) fn write(&mut self, bytes: Lease) -> impl Future<Output = Written> + use<> {
        let offset = self.written % self.account.most;
        let most = self.room().min(self.account.most - offset).min(PIECE as u64);
        let end = self.account.reaches(offset + most.min(bytes.len() as u64));
        let count = end.saturating_sub(offset) as usize;
        let (file, folder) = (self.file.clone(), self.folder.clone());
        async move {
            let file = match file {
                Some(file) => file,
                None => match TempFile::create(&folder, LIMIT).await {
                    Ok(file) => file,
                    Err(error) => return Written { result: Err(error), bytes, count },
                },
            };
            let (result, bytes) = file.write_at(offset, bytes, count, LIMIT).await;
            Written { result: result.map(|()| file), bytes, count }
        }
    }

    /// Notes what became of a write. Returns what is not on the disk.
    pub(super) fn wrote(&mut self, Written { result, mut bytes, count }: Written) -> Lease {
        match result {
            Ok(file) => {
                self.file = Some(file);
                self.written += count as u64;
                bytes.advance(count);
            }
            Err(error) => {
                self.failed("write", &error);
                if self.file.is_none() {
                    self.account.give_back();
                }
            }
        }
        bytes
    }

    /// Writes what there is room for. Returns the rest.
    pub(super) async fn write_all(&mut self, mut bytes: Lease) -> Lease {
        while !bytes.is_empty() && self.room() > 0 {
            let written = self.write(bytes).await;
            bytes = self.wrote(written);
        }
        bytes
    }

    /// Reads from `at` on, counted from the first byte written: `most` bytes, or fewer, which is said beforehand.
    pub(super) fn read(&self, at: u64, most: usize) -> (impl Future<Output = io::Result<Lease>> + use<>, usize) {
        let offset = at % self.account.most;
        let count = (self.written - at).min(self.account.most - offset).min(most as u64) as usize;
        let file = self.file.clone();
        let read = async move {
            let file = file.ok_or(io::ErrorKind::NotFound)?;
            file.read_at(offset, count, LIMIT).await
        };
        (read, count)
    }

    /// Where the first byte is that is of use.
    pub(super) fn begin(&self) -> u64 {
        self.freed
    }

    /// The first so many bytes are of no more use.
    pub(super) fn free(&mut self, count: usize) {
        debug_assert!(count as u64 <= self.len());
        self.freed += count as u64;
        let Account { bytes, most, .. } = self.account;
        // The others have taken the rest: it goes round in what it has.
        if bytes < most && bytes >= PIECE as u64 && bytes == self.written && self.account.room() == 0 {
            self.account.most = self.account.bytes;
        }
    }

    /// Lets the file go once all of it is of no more use.
    pub(super) fn close(&mut self) {
        debug_assert!(self.len() == 0);
        (self.file, self.written, self.freed) = (None, 0, 0);
        self.account.give_back();
    }

    /// The disk has failed: it is counted, and told now and then.
    pub(super) fn failed(&mut self, doing: &str, error: &io::Error) {
        self.has_failed = true;
        self.account.worker.buffers_disk_errors.inc();
        let now = coarse_now();
        if SILENT_UNTIL.get() <= now {
            SILENT_UNTIL.set(now + TELL_EVERY);
            let folder = self.folder.display();
            tracing::warn!(
                %folder, doing, %error,
                "the disk fails bodies that are to be buffered, and what was not written goes on as it comes; \
                 make runtime.temp_dir a folder on a disk with room that Ringway may write to"
            );
        }
    }
}

impl Account {
    /// Bytes that the file may grow by.
    fn room(&self) -> u64 {
        let of_all = self.of_all.saturating_sub(TAKEN.load(Ordering::Relaxed));
        of_all.min(self.most.saturating_sub(self.bytes))
    }

    /// The file is to be so long, if it is not already. Returns how long it may be, if that is less.
    fn reaches(&mut self, length: u64) -> u64 {
        let wanted = length.saturating_sub(self.bytes);
        let granted = |taken: u64| wanted.min(self.of_all.saturating_sub(taken));
        let taken = TAKEN.update(Ordering::Relaxed, Ordering::Relaxed, |taken| taken + granted(taken));
        let more = granted(taken);
        self.bytes += more;
        self.worker.buffered_disk_bytes.add(more);
        length - (wanted - more)
    }

    fn give_back(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        TAKEN.fetch_sub(bytes, Ordering::Relaxed);
        self.worker.buffered_disk_bytes.sub(bytes);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Backend, enter};
    use std::collections::VecDeque;

    fn lease(bytes: impl Iterator<Item = u8>) -> Lease {
        let mut lease = Lease::new();
        lease.buffer().extend(bytes);
        lease
    }

    #[test]
    fn bytes_come_out_as_they_went_in_and_all_bounds_hold() {
        let worker = Shared::<WorkerSet>::default();
        let folder: Arc<Path> = std::env::temp_dir().as_path().into();
        let run = async |most: u64, of_all: u64, seed: u64| {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut spill = Spill::new(most, of_all, worker.clone(), folder.clone());
            let (mut model, mut next) = (VecDeque::<u8>::new(), 0u8);
            for _ in 0..300 {
                let bytes: Vec<u8> = (0..random.usize(1..1000)).map(|n| next.wrapping_add((n * 7) as u8)).collect();
                next = next.wrapping_add(1);
                let rest = spill.write_all(lease(bytes.iter().copied())).await;
                let count = bytes.len() - rest.len();
                assert!(rest[..] == bytes[count..], "seed {seed}");
                model.extend(&bytes[..count]);
                assert_eq!(spill.len(), model.len() as u64, "seed {seed}");
                assert!(worker.buffered_disk_bytes.get() <= most.min(of_all), "seed {seed}");
                while random.bool() && spill.len() > 0 {
                    let (read, count) = spill.read(spill.begin(), random.usize(1..1500));
                    let read = read.await.unwrap();
                    assert!(read.len() == count && read.iter().copied().eq(model.drain(..count)), "seed {seed}");
                    spill.free(count);
                }
                if spill.len() == 0 {
                    spill.close();
                    assert_eq!(worker.buffered_disk_bytes.get(), 0, "seed {seed}");
                }
            }
            drop(spill);
            assert_eq!((worker.buffered_disk_bytes.get(), worker.buffers_disk_errors.get()), (0, 0), "seed {seed}");
        };
        enter(Backend::Epoll, 0, async {
            for seed in 0..10 {
                run(2_003, u64::MAX, seed).await;
                run(u64::MAX, 5_000, seed).await;
                run(700, 701, seed).await;
            }
        })
        .unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_gives_all_bytes_back() {
        let worker = Shared::<WorkerSet>::default();
        let folder: Arc<Path> = Path::new("/nowhere/at/all").into();
        enter(Backend::Epoll, 0, async {
            let mut spill = Spill::new(1000, u64::MAX, worker.clone(), folder);
            let rest = spill.write_all(lease(b"content".iter().copied())).await;
            assert_eq!((&rest[..], spill.len(), spill.room()), (&b"content"[..], 0, 0));
            assert_eq!((worker.buffers_disk_errors.get(), worker.buffered_disk_bytes.get()), (1, 0));
        })
        .unwrap();
    }
}
