//! The file thread's loop: batches in, whole lines out, losses counted and told.

use super::losses::Losses;
use super::output::Output;
use super::{Batch, Destination, Shared};
use crossbeam::channel::{Receiver, Sender};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A spent buffer larger than this is freed and not used again.
pub const SPARE_BYTES: usize = 128 * 1024;

/// Runs the writer to its end on tokio-uring, or on plain tokio where there is no ring.
pub fn run(ring: bool, writer: impl FnOnce(bool) -> Writer) {
    if ring {
        match tokio_uring::Runtime::new(tokio_uring::builder().entries(16)) {
            Ok(runtime) => return runtime.block_on(async { writer(true).run().await }),
            Err(error) => tracing::warn!(%error, "no io_uring for log files: plain writes instead"),
        }
    }
    match tokio::runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime.block_on(writer(false).run()),
        Err(error) => tracing::error!(%error, "the file thread cannot start: all access log lines will be lost"),
    }
}

/// The thread's state.
pub struct Writer {
    output: Output,
    destination: Destination,
    queued: Receiver<Batch>,
    spent: Sender<Vec<u8>>,
    shared: Arc<Shared>,
    /// The rest of a line whose beginning is written.
    torn: Vec<u8>,
    losses: Losses,
}

impl Writer {
    /// A writer on an `output` that is the open `destination`. With `ring` it must be made on a tokio-uring runtime.
    pub fn new(
        output: File,
        ring: bool,
        destination: Destination,
        queued: Receiver<Batch>,
        spent: Sender<Vec<u8>>,
        shared: Arc<Shared>,
    ) -> Self {
        let output = Output::new(output, ring);
        let losses = Losses::new(destination.clone(), shared.clone());
        Self { output, destination, queued, spent, shared, torn: Vec::new(), losses }
    }

    async fn run(mut self) {
        loop {
            // Asked before the queue is emptied, so that what was sent before `shutdown` is written.
            let closing = self.shared.closing.load(Ordering::Acquire);
            while let Ok(batch) = self.queued.try_recv() {
                self.reopen_if_asked().await;
                self.write(batch).await;
            }
            self.reopen_if_asked().await;
            if closing {
                return self.losses.tell_last();
            }
            self.losses.tell();
            match self.losses.due() {
                Some(at) => drop(tokio::time::timeout_at(at, self.shared.wake.notified()).await),
                None => self.shared.wake.notified().await,
            }
        }
    }

    async fn write(&mut self, batch: Batch) {
        self.losses.lost_before(batch.lost_before);
        if !self.finish_torn().await {
            return self.losses.lose(u64::from(batch.lines));
        }
        let (mut bytes, written, result) = self.output.write_all(batch.bytes).await;
        let settled = Settled::after(&bytes, written);
        self.losses.wrote(settled.whole);
        match result {
            Ok(()) => self.losses.works(),
            Err(error) => {
                self.torn.extend_from_slice(settled.torn);
                self.losses.fail(&error);
                self.losses.lose(u64::from(batch.lines) - settled.whole - u64::from(!settled.torn.is_empty()));
            }
        }
        self.losses.tell();
        if bytes.capacity() <= SPARE_BYTES {
            bytes.clear();
            // Full means that there are enough.
            let _ = self.spent.try_send(bytes);
        }
    }

    /// Writes the rest of a torn line; false if that failed again.
    async fn finish_torn(&mut self) -> bool {
        if self.torn.is_empty() {
            return true;
        }
        let (mut bytes, written, result) = self.output.write_all(std::mem::take(&mut self.torn)).await;
        match result {
            Ok(()) => self.losses.wrote(1),
            Err(error) => {
                bytes.drain(..written);
                self.torn = bytes;
                self.losses.fail(&error);
            }
        }
        self.torn.is_empty()
    }

    async fn reopen_if_asked(&mut self) {
        if !self.shared.reopen.swap(false, Ordering::AcqRel) || self.destination == Destination::Stdout {
            return;
        }
        match self.destination.open() {
            Ok(file) => {
                if !self.finish_torn().await {
                    self.torn.clear();
                    self.losses.lose(1);
                }
                self.output = Output::new(file, self.output.is_ring());
                self.losses.works();
                tracing::info!(path = %self.destination, "access log reopened");
            }
            Err(error) => tracing::error!(%error, "the access log stays with its old file"),
        }
    }
}

/// What a write that broke off left behind.
#[derive(Debug, PartialEq)]
struct Settled<'a> {
    /// Lines written whole.
    whole: u64,
    /// The rest of the line within which it broke off.
    torn: &'a [u8],
}

impl<'a> Settled<'a> {
    fn after(bytes: &'a [u8], written: usize) -> Self {
        let (done, rest) = bytes.split_at(written);
        let whole = memchr::memchr_iter(b'\n', done).count() as u64;
        let is_torn = done.last().is_some_and(|last| *last != b'\n');
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        Self { whole, torn: if is_torn { &rest[..end] } else { &[] } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_broke_off_leaves_at_most_one_line_to_finish() {
        let after = |written| Settled::after(b"one\ntwo\nthree\n", written);
        assert_eq!(after(0), Settled { whole: 0, torn: b"" });
        assert_eq!(after(2), Settled { whole: 0, torn: b"e\n" });
        assert_eq!(after(4), Settled { whole: 1, torn: b"" });
        assert_eq!(after(7), Settled { whole: 1, torn: b"\n" });
        assert_eq!(after(14), Settled { whole: 3, torn: b"" });
    }
}
