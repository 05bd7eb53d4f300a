//! A few threads that may wait for a disk, for what a worker's driver cannot do. They are started when they are needed, and
//! serve all workers.
//!
//! What always holds: no work is refused, and none is done by whoever brings it. All of it has a turn of a [`Share`](super::share::Share):
//! what waits for a thread is no more than all shares have turns. A worker that does not wait for it any more costs nothing but the
//! thread's time.

use crate::net::call::call;
use crossbeam::channel::{Receiver, Sender};
use crossbeam::queue::ArrayQueue;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Threads at most: enough for several shares that stand still and those that do not.
const THREADS: usize = 64;

type Work = Box<dyn FnOnce() + Send>;

struct Pool {
    sender: Sender<Work>,
    receiver: Receiver<Work>,
    threads: AtomicUsize,
    /// Work that has been taken and is not done.
    unfinished: AtomicUsize,
}

static POOL: OnceLock<Pool> = OnceLock::new();

/// Does `work` on a thread that may wait. Dropped before a thread has begun, the work is not done.
pub(super) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (caller, callee) = call()?;
    let result = Arc::new(ArrayQueue::new(1));
    let shelf = result.clone();
    let task = move || {
        if Arc::strong_count(&shelf) == 1 {
            return;
        }
        if let Ok(output) = catch_unwind(AssertUnwindSafe(work)) {
            // There is room for the one that there is.
            let _ = shelf.push(output);
        }
        drop(shelf);
        caller.call();
    };
    Pool::get().take(Box::new(task))?;
    callee.await;
    result.pop().ok_or_else(|| io::Error::other("a file thread failed"))
}

/// Has `work` done on a thread that may wait, for nobody to wait for.
pub(super) fn leave(work: impl FnOnce() + Send + 'static) {
    // Where no thread can be had, it waits until one can.
    let _ = Pool::get().take(Box::new(work));
}

/// Starts a thread if work waits for one that could not be had before.
pub(super) fn staff() {
    let pool = Pool::get();
    let _ = pool.grow(pool.unfinished.load(Ordering::Acquire));
}

impl Pool {
    #[expect(clippy::disallowed_methods, reason = "whoever sends has a turn of a share, and those are few")]
    fn get() -> &'static Self {
        POOL.get_or_init(|| {
            let (sender, receiver) = crossbeam::channel::unbounded();
            Self { sender, receiver, threads: AtomicUsize::new(0), unfinished: AtomicUsize::new(0) }
        })
    }

    /// Takes work. Fails if there is no thread for it and none can be had; it waits for one nevertheless.
    fn take(&'static self, work: Work) -> io::Result<()> {
        let unfinished = self.unfinished.fetch_add(1, Ordering::AcqRel) + 1;
        // The receiver is there as long as the sender.
        let _ = self.sender.send(work);
        self.grow(unfinished)
    }

    /// Starts a thread if all have something to do. Fails if there is none and none can be had.
    fn grow(&'static self, unfinished: usize) -> io::Result<()> {
        let grown = self.threads.try_update(Ordering::AcqRel, Ordering::Acquire, |threads| {
            (threads < unfinished.min(THREADS)).then_some(threads + 1)
        });
        let Ok(before) = grown else { return Ok(()) };
        let builder = std::thread::Builder::new().name("ringway-files".into());
        match builder.spawn(|| self.work()) {
            Ok(_) => Ok(()),
            Err(error) => {
                self.threads.fetch_sub(1, Ordering::AcqRel);
                // With others there it is only slower.
                if before == 0 { Err(error) } else { Ok(()) }
            }
        }
    }

    fn work(&self) {
        roam();
        while let Ok(work) = self.receiver.recv() {
            work();
            self.unfinished.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Lets the calling thread run wherever the process may: whoever started it may be a worker, which is pinned to a core.
fn roam() {
    // SAFETY: the set is plain numbers, of which all zeros is a value; both calls get its size and a pointer to it for their
    // own time alone. The process's number names its first thread, which is not pinned.
    unsafe {
        let mut cores: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(libc::getpid(), size_of_val(&cores), &mut cores) == 0 {
            libc::sched_setaffinity(0, size_of_val(&cores), &cores);
        }
    }
}
