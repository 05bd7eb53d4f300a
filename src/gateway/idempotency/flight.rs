//! A request that is under way, for those who wait for its answer.
//!
//! What always holds: it ends once, and whoever waits is called then, however that came.

#![expect(clippy::disallowed_types, reason = "held for a push or a take, by nobody over I/O")]

use super::{Kept, Unkept};
use crate::net::{Call, Callers};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A request that is under way.
#[derive(Debug)]
pub struct Flight<W> {
    ended: OnceLock<Ended>,
    waiting: Mutex<Callers<W>>,
    /// Whether it is carried out here.
    is_here: AtomicBool,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this answer.
    Answered(Arc<Kept>),
    /// It was carried out, and its answer is not there.
    Unkept(Unkept),
    /// It came to no answer.
    Lost,
}

impl<W> Default for Flight<W> {
    fn default() -> Self {
        Self { ended: OnceLock::new(), waiting: Mutex::default(), is_here: AtomicBool::new(false) }
    }
}

impl<W: Call> Flight<W> {
    /// How it ended, once it has.
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.get()
    }

    /// Has `who` called when it ends. False: it has ended.
    pub fn wait(&self, who: W) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // It is told before the list is taken.
        if self.ended.get().is_some() {
            return false;
        }
        waiting.push(who);
        true
    }

    /// Whether it is carried out here; else it is not known yet, or at another host.
    pub fn is_here(&self) -> bool {
        self.is_here.load(Relaxed)
    }

    /// It is carried out here.
    pub(super) fn begin(&self) {
        self.is_here.store(true, Relaxed);
    }

    /// It has ended. A second end is none.
    pub(super) fn end(&self, ended: Ended) {
        let _ = self.ended.set(ended);
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.call();
    }
}
