//! A worker's end of the access log: records become lines in a buffer, full buffers go to the file thread.

use super::{Format, Formatter, Record};
use crate::observe::counters::{Shared, WorkerSet};
use crate::observe::file::{Batch, Queue};

/// A buffer that has grown to this many bytes is handed over at once.
const BATCH_BYTES: usize = 64 * 1024;

/// The access log of one worker. Never waits: what the file thread cannot take is dropped and counted.
#[derive(Debug)]
pub struct Log {
    formatter: Formatter,
    sampler: Sampler,
    batch: Batch,
    queue: Queue,
    counters: Shared<WorkerSet>,
}

impl Log {
    /// A log that writes `sample` (0 to 1) of the records in `format`; `seed` makes the choice repeatable.
    pub fn new(format: Format, sample: f64, seed: u64, queue: Queue, counters: Shared<WorkerSet>) -> Self {
        let sampler = Sampler::new(sample, seed);
        Self { formatter: Formatter::new(format), sampler, batch: Batch::default(), queue, counters }
    }

    /// Whether the next record is in the sample: ask before the record is put together, and write it only then.
    #[inline]
    pub fn wants(&mut self) -> bool {
        self.sampler.draw()
    }

    /// Writes one record to the buffer.
    pub fn write(&mut self, record: &Record<'_>) {
        self.formatter.write(record, &mut self.batch.bytes);
        self.batch.lines += 1;
        if self.batch.bytes.len() >= BATCH_BYTES {
            self.flush();
        }
    }

    /// Hands over what the buffer holds. To be called every 100 ms or so, and before the worker ends.
    pub fn flush(&mut self) {
        if self.batch.lines == 0 {
            return;
        }
        let batch = std::mem::replace(&mut self.batch, self.queue.spare());
        if let Err(mut refused) = self.queue.send(batch) {
            self.counters.log_lines_dropped.add(u64::from(refused.lines));
            refused.bytes.clear();
            refused.lost_before += refused.lines;
            refused.lines = 0;
            self.batch = refused;
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Draws a share of all records.
#[derive(Debug)]
struct Sampler {
    /// Draws below it are taken; `None` takes all.
    threshold: Option<u64>,
    random: fastrand::Rng,
}

impl Sampler {
    fn new(share: f64, seed: u64) -> Self {
        // A float to integer cast saturates, and NaN becomes 0.
        let threshold = (share < 1.0).then_some((share * u64::MAX as f64) as u64);
        Self { threshold, random: fastrand::Rng::with_seed(seed) }
    }

    #[inline]
    fn draw(&mut self) -> bool {
        self.threshold.is_none_or(|threshold| self.random.u64(..) < threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::access::tests::http;

    fn log(queue: Queue) -> (Log, Shared<WorkerSet>) {
        let counters = Shared::<WorkerSet>::default();
        (Log::new(Format::Json, 1.0, 0, queue, counters.clone()), counters)
    }

    #[test]
    fn a_full_queue_costs_counted_lines_and_no_memory() {
        let (queue, received) = Queue::pair(1);
        let (mut log, counters) = log(queue);
        for _ in 0..3 {
            log.write(&http());
            log.write(&http());
            log.flush();
        }
        assert_eq!(counters.log_lines_dropped.get(), 4);
        assert_eq!(received.recv().unwrap().lines, 2);
        log.write(&http());
        log.flush();
        let next = received.recv().unwrap();
        assert_eq!((next.lines, next.lost_before), (1, 4), "the next batch tells what was lost before it");
        assert_eq!(next.bytes.iter().filter(|b| **b == b'\n').count(), 1);
    }

    #[test]
    fn a_long_burst_is_handed_over_in_batches() {
        let (queue, received) = Queue::pair(8);
        let (mut log, _) = log(queue);
        for _ in 0..400 {
            log.write(&http());
        }
        log.flush();
        let batches: Vec<_> = received.try_iter().collect();
        assert!(batches.len() > 1);
        assert_eq!(batches.iter().map(|b| b.lines).sum::<u32>(), 400);
        assert!(batches.iter().all(|b| b.bytes.ends_with(b"}\n")));
    }

    #[test]
    fn a_sample_is_a_share() {
        let share = |share: f64| {
            let mut sampler = Sampler::new(share, 7);
            (0..10_000).filter(|_| sampler.draw()).count()
        };
        assert_eq!(share(0.0), 0);
        assert_eq!(share(1.0), 10_000);
        assert!((900..1_100).contains(&share(0.1)));
    }
}
