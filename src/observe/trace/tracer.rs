//! A worker's end of tracing: it gives out ids, makes spans of what is to be told of, and hands them over in batches.

use super::context::{Context, Parent};
use super::queue::{Batch, Queue};
use super::rules::Rules;
use super::span::Exchange;
use crate::observe::counters::{Shared, WorkerSet};
use fastrand::Rng;
use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};

/// A batch that has grown to this many bytes is handed over at once.
const BATCH_BYTES: usize = 16 << 10;

/// A worker's end of tracing. Never waits: what finds no room is dropped and counted.
#[derive(Debug)]
pub struct Tracer {
    random: RefCell<Rng>,
    batch: RefCell<Batch>,
    queue: Queue,
    counters: Shared<WorkerSet>,
}

impl Tracer {
    /// One that hands over to `queue`.
    pub fn new(queue: Queue, counters: Shared<WorkerSet>) -> Self {
        // The system's own randomness: two processes that start at the same moment must not give out the same ids.
        let random = RefCell::new(Rng::with_seed(RandomState::new().hash_one(0)));
        Self { random, batch: RefCell::default(), queue, counters }
    }

    /// The place of an exchange that came with `parent`: see [`Rules::place`].
    pub fn place(&self, rules: &Rules, parent: Option<Parent>, trusted: bool) -> Context {
        rules.place(parent, trusted, &mut self.random.borrow_mut())
    }

    /// An id for a span. Neither it nor its opposite is 0.
    pub fn span_id(&self) -> u64 {
        self.random.borrow_mut().u64(1..u64::MAX)
    }

    /// Takes up the spans of an exchange.
    pub fn write(&self, exchange: &Exchange<'_>) {
        let mut batch = self.batch.borrow_mut();
        batch.spans += exchange.write(&mut batch.bytes);
        if batch.bytes.len() >= BATCH_BYTES {
            drop(batch);
            self.flush();
        }
    }

    /// Hands over what there is. To be called every 100 ms or so, and before the worker ends.
    pub fn flush(&self) {
        let mut batch = self.batch.borrow_mut();
        if batch.spans == 0 {
            return;
        }
        if let Err(mut refused) = self.queue.send(std::mem::take(&mut *batch)) {
            self.counters.spans_dropped.add(u64::from(refused.spans));
            refused.bytes.clear();
            *batch = Batch { bytes: refused.bytes, spans: 0 };
        }
    }
}
