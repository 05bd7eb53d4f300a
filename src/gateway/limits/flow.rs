//! How many bytes of a key may flow in a time: evenly, and a burst at once.
//!
//! What always holds: whoever takes bytes is told how long to wait until they may flow, and whoever comes after them waits for those, too:
//! over all workers no more flows in any time than the rate times it, the burst, and what each that shares the key has in hand.

use super::limit::Calls;
use super::sync::Arc;
use super::table::{Record, Table};
use std::cell::Cell;
use std::convert::Infallible;
use std::time::Duration;

/// How fast bytes may flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed {
    /// Bytes in a second, at least one.
    pub rate: u64,
    /// Bytes that may flow at once.
    pub burst: u64,
}

/// A speed that all have together who share a key. Plans that follow each other share what is counted.
#[derive(Clone, Debug)]
pub struct Shared {
    speed: Speed,
    table: Arc<Table<Calls>>,
}

/// When the next byte of one alone is due, as time since the boot of the host in nanoseconds.
#[derive(Debug, Default)]
pub struct Due(Cell<u64>);

const SECOND: u128 = 1_000_000_000;

impl Speed {
    /// What flows in this time; at least one byte.
    pub fn in_time(self, time: Duration) -> usize {
        let bytes = u128::from(self.rate) * time.as_nanos() / SECOND;
        usize::try_from(bytes).unwrap_or(usize::MAX).max(1)
    }

    /// Nanoseconds that so many bytes take.
    fn takes(self, bytes: u64) -> u64 {
        let nanos = u128::from(bytes) * SECOND / u128::from(self.rate.max(1));
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// How long those wait who take bytes at `now`, if the next is `due`, and when the one after these is.
    fn next(self, due: u64, now: u64, bytes: u64) -> (Duration, u64) {
        let begins = due.max(now);
        let wait = begins.saturating_sub(self.takes(self.burst)).saturating_sub(now);
        (Duration::from_nanos(wait), begins.saturating_add(self.takes(bytes)))
    }
}

impl Due {
    /// Takes bytes at `now`. Returns how long to wait until they may flow.
    pub fn take(&self, speed: Speed, bytes: u64, now: Duration) -> Duration {
        let (wait, due) = speed.next(self.0.get(), nanos(now), bytes);
        self.0.set(due);
        wait
    }
}

impl Shared {
    /// A speed of each of `size` keys; what was counted `before` counts on if the table is as large.
    pub fn new(speed: Speed, size: usize, before: Option<&Self>) -> Self {
        let table = before.map(|before| &before.table).filter(|table| table.size() == size).cloned();
        let record = Calls::Pace { recovery: speed.takes(speed.burst) };
        Self { speed, table: table.unwrap_or_else(|| Arc::new(Table::with(record, size))) }
    }

    /// The speed.
    pub fn speed(&self) -> Speed {
        self.speed
    }

    /// Where it counts.
    pub fn table(&self) -> &Arc<Table<Calls>> {
        &self.table
    }

    /// Takes bytes of `key` at `now`. Returns how long to wait until they may flow. What cannot be counted, as others were faster again and
    /// again, waits for as long as it takes by itself.
    pub fn take(&self, key: u64, bytes: u64, now: Duration) -> Duration {
        let now = nanos(now);
        let next = |rest: u64| {
            let (wait, due) = self.speed.next(rest, now, bytes);
            Ok::<_, Infallible>((due.clamp(1, Calls::LAST), wait))
        };
        match self.table.change(key, now, next) {
            Ok(Some((_, wait))) => wait,
            Ok(None) => Duration::from_nanos(self.speed.takes(bytes)),
            Err(never) => match never {},
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
