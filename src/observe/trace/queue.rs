//! The way of spans from the workers to whoever delivers them: bounded, and never waited for.

use crossbeam::channel::{self, Receiver, Sender};
use std::sync::Arc;
use tokio::sync::Notify;

/// Batches that may wait to be taken up; with what a batch holds, about 4 MiB.
const BATCHES: usize = 256;

/// Spans on their way.
#[derive(Debug, Default)]
pub struct Batch {
    /// The spans, each as a field of OTLP's `ScopeSpans`.
    pub bytes: Vec<u8>,
    /// How many they are.
    pub spans: u32,
}

/// A worker's end.
#[derive(Clone, Debug)]
pub struct Queue {
    batches: Sender<Batch>,
    wake: Arc<Notify>,
}

/// The end of whoever delivers them.
#[derive(Clone, Debug)]
pub struct Spans {
    batches: Receiver<Batch>,
    wake: Arc<Notify>,
}

/// A new queue.
pub fn queue() -> (Queue, Spans) {
    let (sender, receiver) = channel::bounded(BATCHES);
    let wake = Arc::new(Notify::new());
    (Queue { batches: sender, wake: wake.clone() }, Spans { batches: receiver, wake })
}

impl Queue {
    /// Hands over `batch`, or gives it back when there is no room. Never waits.
    pub fn send(&self, batch: Batch) -> Result<(), Batch> {
        self.batches.try_send(batch).map_err(|refused| refused.into_inner())?;
        // Whoever delivers them looks often enough by itself, unless there are many.
        if self.batches.len() > BATCHES / 4 {
            self.wake.notify_one();
        }
        Ok(())
    }
}

impl Spans {
    /// The next batch, if one has come.
    pub fn take(&self) -> Option<Batch> {
        self.batches.try_recv().ok()
    }

    /// Waits until there are many.
    pub async fn many(&self) {
        self.wake.notified().await;
    }
}
