//! What keys have open, and how often they open something: connections of clients, requests in flight.
//!
//! Both limits are looked at and taken from in one step. Who cannot be counted is let in, and counted as that.

use super::pace::Pace;
use super::sync::{Arc, AtomicU64, Ordering};
use super::table::{Place, Record, TAKEN, Table};
use std::time::Duration;

/// Clients by a hash of their addresses.
pub type Clients = Table<Open>;

/// How many are open, and when the next is due, in ticks: of one that opened none too early, when it opened the last.
#[derive(Debug)]
pub struct Open {
    /// One more each time that all that is open is forgotten.
    epoch: AtomicU64,
}

/// One that is counted for as long as this lives.
#[derive(Debug)]
pub struct Held {
    table: Arc<Clients>,
    place: Place,
    epoch: u64,
}

/// Which limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// That of those that are open.
    Connections,
    /// That of how often one is opened.
    Rate,
}

/// Bits of the count of those that are open; ticks have the others, for nine years of uptime.
const OPEN_BITS: u32 = 18;
const OPEN: u64 = (1 << OPEN_BITS) - 1;

impl Record for Open {
    const TICK: u64 = 4_000;
    const LAST: u64 = (1 << (64 - OPEN_BITS)) - 2;

    fn due(&self, rest: u64, _now: u64) -> u64 {
        rest >> OPEN_BITS
    }

    fn open(&self, rest: u64) -> u64 {
        rest & OPEN
    }

    fn form(&self) -> String {
        "clients 1\n".to_owned()
    }

    /// What is open ends with the process that has it.
    fn told(&self, rest: u64) -> u64 {
        rest >> OPEN_BITS
    }

    fn heard(&self, told: u64, _now: u64) -> u64 {
        told.min(Self::LAST) << OPEN_BITS
    }
}

impl Pace {
    /// One opened in each `interval`, and `burst` at once.
    pub fn of_open(interval: Duration, burst: u32) -> Self {
        Self::ticking(Clients::ticks(interval), burst)
    }
}

impl Clients {
    /// A table for `size` clients.
    pub fn new(size: usize) -> Self {
        Self::with(Open { epoch: AtomicU64::new(0) }, size)
    }

    /// Counts one that client `key` opens at `now`, if it may have it.
    pub fn enter(
        self: &Arc<Self>,
        key: u64,
        most: Option<u32>,
        pace: Option<Pace>,
        now: Duration,
    ) -> Result<Option<Held>, Full> {
        let now = Self::ticks(now);
        let epoch = self.record.epoch.load(Ordering::Acquire);
        let entered = self.change(key, now, |rest| Ok((next(rest, most, pace, now)?, ())))?;
        Ok(entered.map(|(place, ())| Held { table: self.clone(), place, epoch }))
    }

    /// How many a client has open.
    pub fn open_of(&self, key: u64) -> u64 {
        self.look(key) & OPEN
    }

    /// How many are open, of all clients together.
    pub fn all_open(&self) -> u64 {
        let rests = self.slots().map(|slot| slot.rest.load(Ordering::Relaxed));
        rests.filter(|&rest| rest != TAKEN).map(|rest| rest & OPEN).sum()
    }

    /// Forgets all that is open: a worker is gone, and nobody knows what was its.
    pub fn forget_open(&self) {
        self.record.epoch.fetch_add(1, Ordering::AcqRel);
        let forgotten = |rest: u64| (rest != TAKEN).then_some(rest & !OPEN);
        for slot in self.slots() {
            let _ = slot.rest.fetch_update(Ordering::AcqRel, Ordering::Relaxed, forgotten);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.table.record.epoch.load(Ordering::Acquire) == self.epoch {
            self.table.leave(self.place);
        }
    }
}

/// What is known of a client that opens one more.
fn next(rest: u64, most: Option<u32>, pace: Option<Pace>, now: u64) -> Result<u64, Full> {
    let (due, open) = (rest >> OPEN_BITS, rest & OPEN);
    if most.is_some_and(|most| open >= u64::from(most)) {
        return Err(Full::Connections);
    }
    let due = match pace {
        Some(pace) => pace.next(due, now).ok_or(Full::Rate)?,
        None => due.max(now),
    };
    Ok(due.min(Open::LAST) << OPEN_BITS | (open + 1).min(OPEN - 1))
}
