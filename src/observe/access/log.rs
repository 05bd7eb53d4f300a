//! A worker's end of the access log: records become lines in a buffer, full buffers go to the log's thread.

use super::{Formatter, Gist, Policy, Record};
use crate::observe::counters::{Counter, Shared, WorkerSet};
use crate::observe::file::{Batch, Queue};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A buffer that has grown to this many bytes is handed over at once.
const BATCH_BYTES: usize = 64 * 1024;

/// The access log of one worker. Never waits: what the log's thread cannot take is dropped and counted.
#[derive(Debug)]
pub struct Log {
    formatter: Formatter,
    random: fastrand::Rng,
    batch: Batch,
    queue: Queue,
    counters: Shared<WorkerSet>,
    /// Where it is counted what is dropped.
    dropped: fn(&WorkerSet) -> &Counter,
    /// One moment by both clocks: the wall's is asked only now and then.
    clocks: (Instant, Duration),
}

impl Log {
    /// A log that goes by `policy`; `seed` makes the choice of a sample repeatable.
    pub fn new(policy: Arc<Policy>, seed: u64, queue: Queue, counters: Shared<WorkerSet>) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self {
            formatter: Formatter::new(policy),
            random,
            batch: Batch::default(),
            queue,
            counters,
            dropped: |of| &of.log_lines_dropped,
            clocks: clocks(),
        }
    }

    /// Has what is dropped be counted there.
    pub fn counting(mut self, dropped: fn(&WorkerSet) -> &Counter) -> Self {
        self.dropped = dropped;
        self
    }

    /// Whether a record is to be written: ask before it is put together, and write it only then.
    #[inline]
    pub fn wants(&mut self, gist: &Gist<'_>) -> bool {
        let Self { formatter, random, .. } = self;
        formatter.policy().wants(gist, || random.u64(..))
    }

    /// Whether lines show headers of responses.
    #[inline]
    pub fn wants_answer(&self) -> bool {
        self.formatter.policy().wants_answer()
    }

    /// What time it was at `moment` by the wall's clock, ns since 1970.
    pub fn wall(&self, moment: Instant) -> u64 {
        let (base, wall) = self.clocks;
        let wall = match moment.checked_duration_since(base) {
            Some(later) => wall + later,
            None => wall.saturating_sub(base - moment),
        };
        u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX)
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
        self.clocks = clocks();
        if self.batch.lines == 0 {
            return;
        }
        let batch = std::mem::replace(&mut self.batch, self.queue.spare());
        if let Err(mut refused) = self.queue.send(batch) {
            (self.dropped)(&self.counters).add(u64::from(refused.lines));
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

/// Now, by the clock that only goes forward and by the wall's.
fn clocks() -> (Instant, Duration) {
    (Instant::now(), SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::access::tests::http;
    use crate::observe::access::{Format, Settings};

    fn log(queue: Queue) -> (Log, Shared<WorkerSet>) {
        let counters = Shared::<WorkerSet>::default();
        (Log::new(Policy::new(Settings::new(Format::Json)).into(), 0, queue, counters.clone()), counters)
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
    fn the_wall_clock_is_reckoned_both_ways() {
        let (queue, _received) = Queue::pair(1);
        let (log, _) = log(queue);
        let (base, wall) = log.clocks;
        let second = Duration::from_secs(1);
        let at = |moment| Duration::from_nanos(log.wall(moment));
        assert_eq!((at(base), at(base + second), at(base - second)), (wall, wall + second, wall - second));
    }
}
