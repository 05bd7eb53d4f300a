//! How many connections clients have, and how many they make: one table for all workers, without a lock.
//!
//! Its memory is taken once. A client has fourteen slots in two buckets where it may stand; when all are taken, the one gives way
//! that has none open and made its last connection the longest ago. A client with a connection open never does.
//!
//! Invariants: a client stands in one slot, so that both limits are looked at and taken from in one step, and are exact over all
//! workers; who has a connection open keeps its slot. Who cannot be counted is let in, and counted as that.

mod keep;

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Clients by a hash of their addresses.
#[derive(Debug)]
pub struct Table {
    buckets: Box<[Bucket]>,
    size: usize,
    /// Keeps clients from being found that share a slot. It changes only before anybody is counted.
    seed: AtomicU64,
    /// One more each time that all connections are forgotten.
    epoch: AtomicU64,
    evictions: AtomicU64,
    uncounted: AtomicU64,
}

/// A connection that is counted for as long as this lives.
#[derive(Debug)]
pub struct Held {
    table: Arc<Table>,
    bucket: usize,
    way: usize,
    epoch: u64,
}

/// Which limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// That of connections open.
    Connections,
    /// That of connections made.
    Rate,
}

/// How often something may happen: a bucket that leaks evenly (the generic cell rate algorithm), in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    interval: u64,
    /// How far ahead of its time it may be.
    ahead: u64,
}

/// Two cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Bucket {
    slots: [Slot; WAYS],
    /// Held by who puts a client here that is at home here, so that no two put the same.
    claimed: AtomicBool,
}

#[derive(Debug, Default)]
struct Slot {
    key: AtomicU64,
    /// How many are open, and when the next is due, in ticks: of one that made none too early, when it made the last; [`EMPTY`];
    /// or [`TAKEN`] by who puts another client here.
    rest: AtomicU64,
}

const WAYS: usize = 7;
const EMPTY: u64 = 0;
const TAKEN: u64 = u64::MAX;
/// Bits of the count of those that are open; ticks have the others, for nine years of uptime.
const OPEN_BITS: u32 = 18;
const OPEN: u64 = (1 << OPEN_BITS) - 1;
const LAST_TICK: u64 = (1 << (64 - OPEN_BITS)) - 2;
const TICK: Duration = Duration::from_micros(4);
/// How often one begins anew because others were faster: some 50 µs at the most.
const TRIES: usize = 1000;

impl Pace {
    /// One in each `interval`, and `burst` at once.
    pub fn new(interval: Duration, burst: u32) -> Self {
        let interval = ticks(interval).max(1);
        Self { interval, ahead: interval.saturating_mul(u64::from(burst.saturating_sub(1))) }
    }
}

impl Table {
    /// A table for `size` clients.
    pub fn new(size: usize) -> Self {
        // A third of the slots stays free, so that next to none gives way before it is full.
        let buckets = (size + size / 2).div_ceil(WAYS).max(2);
        Self {
            buckets: (0..buckets).map(|_| Bucket::default()).collect(),
            size,
            seed: AtomicU64::new(fastrand::u64(..)),
            epoch: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
            uncounted: AtomicU64::new(0),
        }
    }

    /// What the hashes of its clients are made with.
    #[inline]
    pub(super) fn seed(&self) -> u64 {
        self.seed.load(Ordering::Relaxed)
    }

    /// How many clients it is for.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Clients that gave way to others although their rate was still known.
    pub fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    /// Connections that were let in uncounted for want of room.
    pub fn uncounted(&self) -> u64 {
        self.uncounted.load(Ordering::Relaxed)
    }

    /// Clients that are counted at `now`: that have a connection, or made one too soon for it to be forgotten.
    pub fn len(&self, now: Duration) -> usize {
        let now = ticks(now);
        let counts = |slot: &&Slot| {
            let rest = slot.rest.load(Ordering::Relaxed);
            rest != EMPTY && rest != TAKEN && (open(rest) > 0 || due(rest) > now)
        };
        self.buckets.iter().flat_map(|bucket| &bucket.slots).filter(counts).count()
    }

    /// Counts a connection of client `key` at `now`, if it may have it.
    pub fn enter(
        self: &Arc<Self>,
        key: u64,
        most: Option<u32>,
        pace: Option<Pace>,
        now: Duration,
    ) -> Result<Option<Held>, Full> {
        let now = ticks(now);
        let epoch = self.epoch.load(Ordering::Acquire);
        for _ in 0..TRIES {
            let entered = match self.find(key) {
                Some((place, rest)) => self.add(place, key, rest, next(rest, most, pace, now)?),
                None => match self.insert(key, next(EMPTY, most, pace, now)?, now) {
                    Inserted::At(place) => Some(place),
                    Inserted::Later => None,
                    Inserted::Nowhere => break,
                },
            };
            if let Some((bucket, way)) = entered {
                return Ok(Some(Held { table: self.clone(), bucket, way, epoch }));
            }
            spin_loop();
        }
        self.uncounted.fetch_add(1, Ordering::Relaxed);
        Ok(None)
    }

    /// Forgets all connections that are open: a worker is gone, and nobody knows which were its.
    pub fn forget_open(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        for slot in self.buckets.iter().flat_map(|bucket| &bucket.slots) {
            let forgotten = |rest: u64| (rest != TAKEN).then_some(rest & !OPEN);
            let _ = slot.rest.fetch_update(Ordering::AcqRel, Ordering::Relaxed, forgotten);
        }
    }

    /// How many clients of a bucket have connections.
    fn staying(&self, bucket: usize) -> usize {
        self.buckets[bucket].slots.iter().filter(|slot| open(slot.rest.load(Ordering::Relaxed)) > 0).count()
    }

    fn slot(&self, (bucket, way): (usize, usize)) -> &Slot {
        &self.buckets[bucket].slots[way]
    }

    /// Where a client may stand.
    fn places(&self, key: u64) -> impl Iterator<Item = (usize, usize)> {
        let count = self.buckets.len();
        let home = key as u32 as usize % count;
        let other = (key >> 32) as usize % count;
        let other = if other == home { (home + 1) % count } else { other };
        [home, other].into_iter().flat_map(|bucket| (0..WAYS).map(move |way| (bucket, way)))
    }

    fn find(&self, key: u64) -> Option<((usize, usize), u64)> {
        self.places(key).find_map(|place| {
            let slot = self.slot(place);
            if slot.key.load(Ordering::Acquire) != key {
                return None;
            }
            let rest = slot.rest.load(Ordering::Acquire);
            // Whoever makes it another's writes the key before the rest.
            let is_its = rest != EMPTY && rest != TAKEN && slot.key.load(Ordering::Acquire) == key;
            is_its.then_some((place, rest))
        })
    }

    /// Changes what is known of a client, unless somebody else was faster.
    fn add(&self, place: (usize, usize), key: u64, before: u64, after: u64) -> Option<(usize, usize)> {
        let slot = self.slot(place);
        slot.rest.compare_exchange(before, after, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        // It may have become another's in between, with the same rest. From now on it stays whose it is.
        if slot.key.load(Ordering::Acquire) == key {
            return Some(place);
        }
        leave(slot);
        None
    }

    /// Puts a client where nobody is, or whoever is missed the least.
    fn insert(&self, key: u64, rest: u64, now: u64) -> Inserted {
        let claim = &self.buckets[key as u32 as usize % self.buckets.len()].claimed;
        if claim.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return Inserted::Later;
        }
        let inserted = match self.find(key) {
            Some(_) => Inserted::Later,
            None => self.insert_alone(key, rest, now),
        };
        claim.store(false, Ordering::Release);
        inserted
    }

    fn insert_alone(&self, key: u64, rest: u64, now: u64) -> Inserted {
        let free = self.places(key).filter_map(|place| {
            let rest = self.slot(place).rest.load(Ordering::Acquire);
            (rest != TAKEN && open(rest) == 0).then_some((rest, place))
        });
        // Of those that nothing is known of, one in the bucket where fewer stay.
        let missed = |&(rest, place): &(u64, (usize, usize))| (due(rest).saturating_sub(now), self.staying(place.0));
        let Some((before, place)) = free.min_by_key(missed) else { return Inserted::Nowhere };
        let slot = self.slot(place);
        if slot.rest.compare_exchange(before, TAKEN, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return Inserted::Later;
        }
        if due(before) > now {
            self.evictions.fetch_add(1, Ordering::Relaxed);
        }
        slot.key.store(key, Ordering::Release);
        slot.rest.store(rest, Ordering::Release);
        Inserted::At(place)
    }
}

enum Inserted {
    At((usize, usize)),
    /// Others were faster.
    Later,
    /// All slots have clients with connections.
    Nowhere,
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.table.epoch.load(Ordering::Acquire) == self.epoch {
            leave(self.table.slot((self.bucket, self.way)));
        }
    }
}

/// What is known of a client that makes one connection more.
fn next(rest: u64, most: Option<u32>, pace: Option<Pace>, now: u64) -> Result<u64, Full> {
    let open = open(rest);
    if most.is_some_and(|most| open >= u64::from(most)) {
        return Err(Full::Connections);
    }
    let due = due(rest);
    let due = match pace {
        Some(pace) if due > now.saturating_add(pace.ahead) => return Err(Full::Rate),
        Some(pace) => due.max(now).saturating_add(pace.interval),
        None => due.max(now),
    };
    Ok(due.min(LAST_TICK) << OPEN_BITS | (open + 1).min(OPEN - 1))
}

fn leave(slot: &Slot) {
    let left = |rest: u64| (rest != TAKEN && open(rest) > 0).then(|| rest - 1);
    let _ = slot.rest.fetch_update(Ordering::AcqRel, Ordering::Relaxed, left);
}

fn open(rest: u64) -> u64 {
    rest & OPEN
}

fn due(rest: u64) -> u64 {
    rest >> OPEN_BITS
}

fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos() / TICK.as_nanos()).unwrap_or(LAST_TICK).min(LAST_TICK)
}

#[cfg(test)]
mod tests;
