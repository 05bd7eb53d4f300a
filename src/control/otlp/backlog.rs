//! Spans that wait to be delivered: how many may, when enough do, and how long a collector that failed is left alone. No
//! I/O; time is passed in.

use crate::observe::trace::Batch;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bytes that may wait: some ten thousand spans.
const ROOM: usize = 4 << 20;
/// Bytes that are enough for a request. Collectors take 4 MiB and more.
const ENOUGH: usize = 512 << 10;
/// How long spans wait for more of them.
const PATIENCE: Duration = Duration::from_secs(1);

/// Spans that wait.
#[derive(Default)]
pub(super) struct Backlog {
    batches: VecDeque<Batch>,
    bytes: usize,
    /// Since when the first of them waits.
    since: Option<Instant>,
}

impl Backlog {
    /// Takes a batch, or says how many spans are dropped since there is no room.
    pub(super) fn add(&mut self, batch: Batch, now: Instant) -> Result<(), u64> {
        if self.bytes + batch.bytes.len() > ROOM {
            return Err(batch.spans.into());
        }
        self.bytes += batch.bytes.len();
        self.since.get_or_insert(now);
        self.batches.push_back(batch);
        Ok(())
    }

    /// What the next request has, if it is time for one.
    pub(super) fn due(&mut self, now: Instant) -> Option<Batch> {
        let waited = self.since.is_some_and(|since| now.duration_since(since) >= PATIENCE);
        if waited || self.bytes >= ENOUGH { self.next(now) } else { None }
    }

    /// What the next request has, however little it is.
    pub(super) fn next(&mut self, now: Instant) -> Option<Batch> {
        let mut whole = self.batches.pop_front()?;
        while whole.bytes.len() < ENOUGH
            && let Some(more) = self.batches.pop_front()
        {
            whole.bytes.extend_from_slice(&more.bytes);
            whole.spans += more.spans;
        }
        self.bytes -= whole.bytes.len();
        self.since = (!self.batches.is_empty()).then_some(now);
        Some(whole)
    }

    /// How many spans wait.
    pub(super) fn spans(&self) -> u64 {
        self.batches.iter().map(|batch| u64::from(batch.spans)).sum()
    }
}

/// How long a collector that failed is left alone: twice as long after each failure.
#[derive(Default)]
pub(super) struct Backoff {
    failures: u32,
}

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// What a collector may ask for itself.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

impl Backoff {
    /// It has failed, and `asked` to be left alone for that long. `random`, 0 to 1, keeps many hosts from coming back at once.
    pub(super) fn failed(&mut self, asked: Option<Duration>, random: f64) -> Duration {
        let delay = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures += 1;
        let own = delay.mul_f64(0.5 + random / 2.0);
        asked.map_or(own, |asked| asked.min(LONGEST_ASKED).max(own))
    }

    /// It works.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(bytes: usize) -> Batch {
        Batch { bytes: vec![b'x'; bytes], spans: 3 }
    }

    #[test]
    fn a_request_waits_for_a_second_or_for_enough() {
        let (mut backlog, now) = (Backlog::default(), Instant::now());
        assert!(backlog.due(now).is_none() && backlog.next(now).is_none());
        backlog.add(batch(10), now).unwrap();
        backlog.add(batch(20), now + PATIENCE / 2).unwrap();
        assert!(backlog.due(now + PATIENCE / 2).is_none());
        let due = backlog.due(now + PATIENCE).unwrap();
        assert_eq!((due.bytes.len(), due.spans, backlog.spans()), (30, 6, 0));
        backlog.add(batch(ENOUGH), now).unwrap();
        assert!(backlog.due(now).is_some());
    }

    #[test]
    fn what_waits_is_bounded_and_so_is_a_request() {
        let (mut backlog, now) = (Backlog::default(), Instant::now());
        let taken = (0..10_000).filter(|_| backlog.add(batch(16 << 10), now).is_ok()).count();
        assert_eq!(taken, ROOM / (16 << 10));
        assert_eq!(backlog.add(batch(1), now), Err(3));
        let mut requests = 0;
        while let Some(request) = backlog.due(now) {
            assert!(request.bytes.len() < ENOUGH + (16 << 10));
            requests += 1;
        }
        assert_eq!((requests, backlog.bytes), (ROOM / ENOUGH, 0));
        assert!(backlog.add(batch(1), now).is_ok(), "there is room again");
    }

    #[test]
    fn a_collector_that_fails_is_asked_ever_more_rarely() {
        let mut backoff = Backoff::default();
        let waits: Vec<f64> = (0..9).map(|_| backoff.failed(None, 1.0).as_secs_f64()).collect();
        assert_eq!(waits, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]);
        assert_eq!(backoff.failed(None, 0.0), LONGEST / 2);
        backoff.reset();
        assert_eq!(backoff.failed(Some(Duration::from_secs(7)), 1.0), Duration::from_secs(7));
        assert_eq!(backoff.failed(Some(Duration::ZERO), 1.0), Duration::from_secs(1), "not sooner than we would");
        assert_eq!(backoff.failed(Some(Duration::MAX), 1.0), LONGEST_ASKED, "nobody can silence us for good");
    }
}
