//! Bodies that are held on the way, so that slow clients keep no target waiting: of requests before a target is chosen ([`hold`]), of
//! answers once it has given them ([`backlog`]); of requests whose rules edit them ([`edited`]), and
//! of requests that become something else ([`whole()`]).
//!
//! What always holds: one body holds no more than its route says, but for what had come by then, and all bodies of a worker stop
//! growing at its share of `limits.buffers`; each byte is counted while it is held, and no longer. What has no room there goes to the
//! disk ([`spill`]), if its route has one that takes it, or else on as it comes; what has to be edited is refused then.

mod backlog;
mod edited;
mod hold;
mod spill;
mod whole;

pub(super) use backlog::{Backlog, Begun, drain, pass};
pub(super) use edited::edit;
pub(super) use hold::{Aside, Held, hold};
pub(super) use whole::{unheld, whole};

use super::connection::Connection;
use crate::observe::counters::{Shared, WorkerSet};

/// Bytes that count as held until this is dropped.
pub(super) struct Charge {
    bytes: usize,
    /// What this body may hold.
    most: usize,
    /// What the worker may hold of all.
    of_all: u64,
    worker: Shared<WorkerSet>,
}

impl Charge {
    /// None yet, of a body that may hold `most`.
    pub(super) fn new(connection: &Connection<'_>, most: usize) -> Self {
        let Connection { era, lane, .. } = connection;
        let of_all = (era.plan.limits.buffers / era.plan.runtime.workers.max(1)) as u64;
        Self { bytes: 0, most, of_all, worker: lane.worker.clone() }
    }

    /// Whether `more` may be held as well.
    pub(super) fn has_room(&self, more: usize) -> bool {
        self.bytes + more <= self.most && self.worker.buffered_bytes.get() + more as u64 <= self.of_all
    }

    pub(super) fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.worker.buffered_bytes.add(bytes as u64);
    }

    fn sub(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.bytes);
        self.bytes -= bytes;
        self.worker.buffered_bytes.sub(bytes as u64);
    }

    /// What there is no room for goes on as it comes.
    pub(super) fn is_full(&self) {
        self.worker.buffers_full.inc();
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.worker.buffered_bytes.sub(self.bytes as u64);
    }
}
