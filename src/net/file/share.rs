//! Shares of the threads of [`pool`]: what one disk that stands still holds of them.
//!
//! What always holds: work has a turn of its share from before it is handed to the threads until a thread is done with it, whether or
//! not anybody still waits for it, so no more of it is with the threads than all shares have turns. Turns come in the order in which
//! they were asked for, and who waits for one holds no thread. The lock is held for one look into the line, by nobody over I/O.

use super::pool;
use crate::net::call::{Caller, call};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, MutexGuard, PoisonError};

#[expect(clippy::disallowed_types, reason = "held for one look into the line, by nobody over I/O")]
type Mutex<T> = std::sync::Mutex<T>;

/// How much of the threads' time what belongs together may take. Clones are the same share.
#[derive(Clone, Debug)]
pub(super) struct Share(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Threads at most.
    most: usize,
    /// Who may wait for one.
    room: usize,
    line: Mutex<Line>,
}

/// While somebody waits, all turns are taken.
#[derive(Debug, Default)]
struct Line {
    taken: usize,
    /// By number: first come, first served.
    waiting: BTreeMap<u64, Waiting>,
    next: u64,
}

enum Waiting {
    Task(Caller),
    Work(Box<dyn FnOnce() + Send>),
}

/// A turn; dropped, the next one's begins.
struct Turn(Share);

/// A place in the line. Left before the turn comes, it is nobody's; left afterwards, the turn goes on to the next.
struct Place<'s> {
    share: &'s Share,
    number: u64,
}

impl Share {
    /// One of `most` threads, for which `room` may wait.
    pub(super) fn new(most: usize, room: usize) -> Self {
        Self(Arc::new(Inner { most, room, line: Mutex::default() }))
    }

    /// Does `work` on a thread that may wait. Fails with `ResourceBusy` if too many wait already. Dropped before a thread has
    /// begun, the work is not done.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        let turn = self.turn().await?;
        let work = move || {
            let _turn = turn;
            work()
        };
        pool::run(work).await
    }

    /// Has `work` done on a thread that may wait, for nobody to wait for. It is never refused, so what is left has to be bounded by
    /// what it is left by: it stands in the line with those that make more of it.
    pub(super) fn leave(&self, work: impl FnOnce() + Send + 'static) {
        let mut line = self.line();
        let Some(turn) = self.free_turn(&mut line) else {
            line.queue(Waiting::Work(Box::new(work)));
            drop(line);
            return pool::staff();
        };
        drop(line);
        begin(turn, work);
    }

    /// Whether a thread has to do with it.
    pub(super) fn is_busy(&self) -> bool {
        self.line().taken > 0
    }

    async fn turn(&self) -> io::Result<Turn> {
        if let Some(turn) = self.free_turn(&mut self.line()) {
            return Ok(turn);
        }
        let (caller, called) = call()?;
        let place = {
            let mut line = self.line();
            if let Some(turn) = self.free_turn(&mut line) {
                return Ok(turn);
            }
            if line.waiting.len() >= self.0.room {
                return Err(ErrorKind::ResourceBusy.into());
            }
            Place { share: self, number: line.queue(Waiting::Task(caller)) }
        };
        pool::staff();
        called.await;
        std::mem::forget(place);
        Ok(Turn(self.clone()))
    }

    fn free_turn(&self, line: &mut Line) -> Option<Turn> {
        let is_free = line.taken < self.0.most;
        line.taken += usize::from(is_free);
        is_free.then(|| Turn(self.clone()))
    }

    /// A turn is over.
    fn hand_on(&self) {
        let mut line = self.line();
        let next = line.waiting.pop_first();
        if next.is_none() {
            line.taken -= 1;
        }
        drop(line);
        match next {
            Some((_, Waiting::Task(caller))) => caller.call(),
            Some((_, Waiting::Work(work))) => begin(Turn(self.clone()), work),
            None => {}
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Nobody panics between two changes that belong together.
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn queue(&mut self, waiting: Waiting) -> u64 {
        let number = self.next;
        self.next += 1;
        self.waiting.insert(number, waiting);
        number
    }
}

/// Hands work over whose turn it is.
fn begin(turn: Turn, work: impl FnOnce() + Send + 'static) {
    pool::leave(move || {
        let _turn = turn;
        work();
    });
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.hand_on();
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let left = self.share.line().waiting.remove(&self.number);
        if left.is_none() {
            self.share.hand_on();
        }
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Task(_) => "Task",
            Self::Work(_) => "Work",
        })
    }
}

#[cfg(test)]
mod tests;
