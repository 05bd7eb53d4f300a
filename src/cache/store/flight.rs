//! One question to the origin that several clients wait for.
//!
//! What always holds: it is answered once; whoever waits is called when it is, however its asker ended.

use super::entry::Entry;
use crate::cache::Why;
use crate::cache::short::Short;
use crate::net::{Callee, Callers, call};
use crate::observe::access::Times;
use crate::observe::reason::Failure;
use std::io;
use std::sync::{Arc, OnceLock};

/// One question to the origin.
#[derive(Debug, Default)]
pub struct Flight {
    /// What had been purged and forgotten when it began.
    pub since: Since,
    trail: OnceLock<Trail>,
    verdict: OnceLock<Verdict>,
    waiting: Short<Waiting>,
}

/// What has been purged and forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Since {
    /// The stamp of what is asked for.
    pub stamp: u64,
    /// How often something was forgotten under the key, or under one that shares its place.
    pub forgotten: u64,
}

#[derive(Debug, Default)]
struct Waiting {
    callers: Callers,
    interim: Vec<Arc<[u8]>>,
}

/// Who was asked, and how long that took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trail {
    /// The pool and the target that was tried last, by their positions in the plan of whoever asked.
    pub target: Option<(usize, usize)>,
    /// Tries sent to targets.
    pub tries: u32,
    /// How long it took.
    pub times: Times,
}

/// What a question came to.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// An answer that may be given to everybody whom it fits.
    Shared(Arc<Entry>),
    /// An answer for the one who asked: the others ask for themselves.
    Own(Arc<Entry>, Option<Why>),
    /// An answer to another question than was asked: that something is as it was which we do not have.
    Unknown,
    /// No answer; what to say instead.
    Failed(Refusal),
}

/// What is said where there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// How the pool failed, if it did.
    pub failure: Option<Failure>,
    /// After how many seconds it may be asked again; zero: it is not said.
    pub retry_after: u32,
}

impl Flight {
    /// One that begins now.
    pub fn new(since: Since) -> Self {
        Self { since, ..Self::default() }
    }

    /// Says who was asked, before it is concluded.
    pub fn note(&self, trail: Trail) {
        // Who was asked first for it is known already.
        let _ = self.trail.set(trail);
    }

    /// Who was asked, once it is known.
    pub fn trail(&self) -> Option<&Trail> {
        self.trail.get()
    }

    /// What it came to, once it is known.
    pub fn verdict(&self) -> Option<&Verdict> {
        self.verdict.get()
    }

    /// It has come to this. A second verdict is none.
    pub fn conclude(&self, verdict: Verdict) {
        // Before the list is taken: who comes later sees it.
        let _ = self.verdict.set(verdict);
        let callers = std::mem::take(&mut self.waiting.lock().callers);
        callers.call();
    }

    /// An interim answer has come: the text of its head.
    pub fn tell(&self, interim: &[u8]) {
        let mut waiting = self.waiting.lock();
        waiting.interim.push(interim.into());
        let callers = std::mem::take(&mut waiting.callers);
        drop(waiting);
        callers.call();
    }

    /// The interim answer at a place.
    pub fn interim(&self, place: usize) -> Option<Arc<[u8]>> {
        self.waiting.lock().interim.get(place).cloned()
    }

    /// A call when there is something new for who knows of so many interim answers; `None`: there is.
    pub fn wait(&self, known: usize) -> io::Result<Option<Callee>> {
        let mut waiting = self.waiting.lock();
        if self.verdict.get().is_some() || waiting.interim.len() > known {
            return Ok(None);
        }
        let (caller, callee) = call()?;
        waiting.callers.push(caller);
        Ok(Some(callee))
    }
}
