//! How many bytes of a key may flow in a time: evenly, and a burst at once.
//!
//! What always holds: whoever takes bytes is told how long to wait until they may flow, and whoever comes after them waits for those, too:
//! over all workers no more flows in any time than the rate times it, the burst, and what each that shares the key has in hand. What does not
//! flow after all is given back, and those who wait move up: who shares a key takes nothing from the others by what it leaves behind.

use super::limit::Calls;
use super::sync::Arc;
use super::table::{EMPTY, Record, Table};
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

/// When those that were taken have flowed, as time since the boot of the host in nanoseconds; `None`: they are not counted, and go when they
/// were told.
pub type Turn = Option<u64>;

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
        (self.wait(begins, now), begins.saturating_add(self.takes(bytes)))
    }

    /// How long those wait at `now` whose turn `begins` then.
    fn wait(self, begins: u64, now: u64) -> Duration {
        Duration::from_nanos(begins.saturating_sub(self.takes(self.burst)).saturating_sub(now))
    }
}

impl Due {
    /// Takes bytes at `now`. Returns how long to wait until they may flow.
    pub fn take(&self, speed: Speed, bytes: u64, now: Duration) -> Duration {
        let (wait, due) = speed.next(self.0.get(), nanos(now), bytes);
        self.0.set(due);
        wait
    }

    /// How long those that were taken last have still to wait.
    pub fn waits(&self, speed: Speed, bytes: u64, now: Duration) -> Duration {
        speed.wait(self.0.get().saturating_sub(speed.takes(bytes)), nanos(now))
    }

    /// Gives back those that were taken last.
    pub fn give_back(&self, speed: Speed, bytes: u64) {
        self.0.set(self.0.get().saturating_sub(speed.takes(bytes)));
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

    /// Takes bytes of `key` at `now`. Returns how long to wait until they may flow, and when they have. What cannot be counted, as others were
    /// faster again and again, waits for as long as it takes by itself.
    pub fn take(&self, key: u64, bytes: u64, now: Duration) -> (Duration, Turn) {
        let now = nanos(now);
        let next = |rest: u64| {
            let (wait, due) = self.speed.next(rest, now, bytes);
            let due = due.clamp(1, Calls::LAST);
            Ok::<_, Infallible>((due, (wait, due)))
        };
        match self.table.change(key, now, next) {
            Ok(Some((_, (wait, due)))) => (wait, Some(due)),
            Ok(None) => {
                let takes = self.speed.takes(bytes);
                (Duration::from_nanos(takes), None)
            }
            Err(never) => match never {},
        }
    }

    /// How long those have still to wait whose turn it is then, and when they have flowed: as soon as all have that are left, at the latest.
    pub fn waits(&self, key: u64, turn: Turn, bytes: u64, now: Duration) -> (Duration, Turn) {
        let Some(turn) = turn else { return (Duration::ZERO, None) };
        let turn = match self.table.look(key) {
            EMPTY => turn,
            due => due.min(turn),
        };
        (self.speed.wait(turn.saturating_sub(self.speed.takes(bytes)), nanos(now)), Some(turn))
    }

    /// Gives back those whose turn would have been then.
    pub fn give_back(&self, key: u64, turn: Turn, bytes: u64, now: Duration) {
        let (Some(_), takes) = (turn, self.speed.takes(bytes)) else { return };
        let less = |rest: u64| Ok::<_, Infallible>((rest.saturating_sub(takes).max(1), ()));
        let _ = self.table.change(key, nanos(now), less);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
