//! What is known of keys, in 64 bits each: one table for all workers, without a lock.
//!
//! Its memory is taken once. A key has fourteen slots in two buckets where it may stand; when all are taken, the one gives way of
//! which nothing is open and that is missed the least. A key with something open never does. What the 64 bits say is the [`Record`]'s.
//!
//! Invariants: a key stands in one slot, and what is known of it changes in one step from what the step has seen, so that all that
//! a record holds is looked at and taken from at once, and is exact over all workers; what has something open keeps its slot.

use super::sync::{AtomicBool, AtomicU64, Ordering, TRIES, WAYS, seed, spin_loop};
use std::time::Duration;

/// Keys by their hashes.
#[derive(Debug)]
pub struct Table<R> {
    pub(super) record: R,
    buckets: Box<[Bucket]>,
    size: usize,
    /// Keeps keys from being found that share a slot. It changes only before anything is counted.
    seed: AtomicU64,
    /// Whether others say what that is.
    is_told: AtomicBool,
    evictions: AtomicU64,
    uncounted: AtomicU64,
}

/// How what is known of a key is written in 64 bits, none of which set is that nothing is known, and all of which set is never written.
pub trait Record {
    /// What times are counted in, in nanoseconds.
    const TICK: u64;
    /// The last tick that can be written.
    const LAST: u64;

    /// The tick from which on nothing needs to be known any more; `now` tells about when it was written.
    fn due(&self, rest: u64, now: u64) -> u64;

    /// How many are open, in the lowest bits.
    fn open(&self, _rest: u64) -> u64 {
        0
    }

    /// What the bytes for the next process begin with: a line, of which its end is part.
    fn form(&self) -> String;

    /// What the next process is told.
    fn told(&self, rest: u64) -> u64;

    /// What is known of a key of which another process has told at `now`.
    fn heard(&self, told: u64, now: u64) -> u64;
}

/// Where a key stands: the bucket, and the way in it.
pub(crate) type Place = (usize, usize);

/// Two cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Bucket {
    slots: [Slot; WAYS],
    /// Held by who puts a key here that is at home here, so that no two put the same.
    claimed: AtomicBool,
}

#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) key: AtomicU64,
    /// What is known of it; [`EMPTY`]; or [`TAKEN`] by who puts another key here.
    pub(super) rest: AtomicU64,
}

pub(super) const EMPTY: u64 = 0;
pub(super) const TAKEN: u64 = u64::MAX;

impl<R: Record> Table<R> {
    /// A table for `size` keys.
    pub(crate) fn with(record: R, size: usize) -> Self {
        Self {
            record,
            buckets: (0..buckets(size)).map(|_| Bucket::default()).collect(),
            size,
            seed: AtomicU64::new(seed()),
            is_told: AtomicBool::new(false),
            evictions: AtomicU64::new(0),
            uncounted: AtomicU64::new(0),
        }
    }

    /// What the hashes of its keys are made with.
    #[inline]
    pub fn seed(&self) -> u64 {
        self.seed.load(Ordering::Relaxed)
    }

    /// Has its keys be hashed with that, as others do with whom they are counted, and with nothing else from now on.
    pub(crate) fn set_seed(&self, seed: u64) {
        self.seed.store(seed, Ordering::Relaxed);
        self.is_told.store(true, Ordering::Relaxed);
    }

    /// Has its keys be hashed as another process did. False: they are hashed otherwise.
    pub(super) fn take_seed(&self, seed: u64) -> bool {
        if self.is_told.load(Ordering::Relaxed) {
            return self.seed() == seed;
        }
        self.seed.store(seed, Ordering::Relaxed);
        true
    }

    /// How many keys it is for.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Keys that gave way to others although something of them was still to be known.
    pub fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    /// What could not be counted, for want of room or because others were faster again and again.
    pub fn uncounted(&self) -> u64 {
        self.uncounted.load(Ordering::Relaxed)
    }

    /// Keys that are counted at `now`: that have something open, or of which something is still to be known.
    pub fn len(&self, now: Duration) -> usize {
        let now = Self::ticks(now);
        self.slots().filter(|slot| self.counts(slot.rest.load(Ordering::Relaxed), now)).count()
    }

    /// Changes what is known of a key by `next`, which is asked again whenever somebody else was faster. Returns where the key stands,
    /// and what `next` has told; `None` if it cannot be counted.
    pub(crate) fn change<T, E>(
        &self,
        key: u64,
        now: u64,
        next: impl Fn(u64) -> Result<(u64, T), E>,
    ) -> Result<Option<(Place, T)>, E> {
        for _ in 0..TRIES {
            let (place, told) = match self.find(key) {
                Some((place, rest)) => {
                    let (after, told) = next(rest)?;
                    (self.add(place, key, rest, after), told)
                }
                None => {
                    let (after, told) = next(EMPTY)?;
                    match self.insert(key, after, now) {
                        Inserted::At(place) => (Some(place), told),
                        Inserted::Later => (None, told),
                        Inserted::Nowhere => break,
                    }
                }
            };
            if let Some(place) = place {
                return Ok(Some((place, told)));
            }
            spin_loop();
        }
        self.uncounted.fetch_add(1, Ordering::Relaxed);
        Ok(None)
    }

    /// What is known of a key.
    pub(crate) fn look(&self, key: u64) -> u64 {
        self.find(key).map_or(EMPTY, |(_, rest)| rest)
    }

    /// Changes what is known of a key where it stands, if it still does and `change` says to what.
    pub(crate) fn amend(&self, place: Place, key: u64, change: impl Fn(u64) -> Option<u64>) {
        let slot = self.slot(place);
        for _ in 0..TRIES {
            let rest = slot.rest.load(Ordering::Acquire);
            if rest == EMPTY || rest == TAKEN || slot.key.load(Ordering::Acquire) != key {
                return;
            }
            let Some(after) = change(rest) else { return };
            if slot.rest.compare_exchange(rest, after, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return;
            }
            spin_loop();
        }
    }

    /// Takes back one that is open.
    pub(super) fn leave(&self, place: Place) {
        let left = |rest: u64| (rest != TAKEN && self.record.open(rest) > 0).then(|| rest - 1);
        let _ = self.slot(place).rest.fetch_update(Ordering::AcqRel, Ordering::Relaxed, left);
    }

    /// The keys that stand somewhere, and what is known of each.
    pub(crate) fn known(&self) -> impl Iterator<Item = (u64, u64)> {
        let known = self.slots().map(|slot| {
            let rest = slot.rest.load(Ordering::Acquire);
            (slot.key.load(Ordering::Acquire), rest)
        });
        known.filter(|&(_, rest)| rest != EMPTY && rest != TAKEN)
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.buckets.iter().flat_map(|bucket| &bucket.slots)
    }

    pub(super) fn ticks(time: Duration) -> u64 {
        u64::try_from(time.as_nanos() / u128::from(R::TICK)).unwrap_or(R::LAST).min(R::LAST)
    }

    fn counts(&self, rest: u64, now: u64) -> bool {
        rest != EMPTY && rest != TAKEN && (self.record.open(rest) > 0 || self.record.due(rest, now) > now)
    }

    fn slot(&self, (bucket, way): Place) -> &Slot {
        &self.buckets[bucket].slots[way]
    }

    /// The buckets where a key may stand.
    fn homes(&self, key: u64) -> [usize; 2] {
        let count = self.buckets.len();
        let home = key as u32 as usize % count;
        let other = (key >> 32) as usize % count;
        [home, if other == home { (home + 1) % count } else { other }]
    }

    fn find(&self, key: u64) -> Option<(Place, u64)> {
        let mut places = self.homes(key).into_iter().flat_map(|bucket| (0..WAYS).map(move |way| (bucket, way)));
        places.find_map(|place| {
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

    /// Changes what is known of a key, unless somebody else was faster.
    fn add(&self, place: Place, key: u64, before: u64, after: u64) -> Option<Place> {
        let slot = self.slot(place);
        slot.rest.compare_exchange(before, after, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        // It may have become another's in between, with the same rest. With something open it stays whose it is from now on;
        // without, the other one is charged for this, which lets nobody have more.
        if slot.key.load(Ordering::Acquire) == key {
            return Some(place);
        }
        self.leave(place);
        None
    }

    /// Puts a key where nobody is, or whoever is missed the least.
    pub(super) fn insert(&self, key: u64, rest: u64, now: u64) -> Inserted {
        let claim = &self.buckets[self.homes(key)[0]].claimed;
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
        let mut least: Option<((u64, usize), u64, Place)> = None;
        for bucket in self.homes(key) {
            let rests: [u64; WAYS] = std::array::from_fn(|way| self.slot((bucket, way)).rest.load(Ordering::Acquire));
            let crowd = rests.iter().filter(|&&rest| self.counts(rest, now)).count();
            for (way, rest) in rests.into_iter().enumerate() {
                if rest == TAKEN || self.record.open(rest) > 0 {
                    continue;
                }
                // Of those that nothing is known of, one in the bucket where fewer are.
                let missed = (self.record.due(rest, now).saturating_sub(now), crowd);
                if least.is_none_or(|(least, ..)| missed < least) {
                    least = Some((missed, rest, (bucket, way)));
                }
            }
        }
        let Some(((missed, _), before, place)) = least else { return Inserted::Nowhere };
        let slot = self.slot(place);
        if slot.rest.compare_exchange(before, TAKEN, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return Inserted::Later;
        }
        if missed > 0 {
            self.evictions.fetch_add(1, Ordering::Relaxed);
        }
        slot.key.store(key, Ordering::Release);
        slot.rest.store(rest, Ordering::Release);
        Inserted::At(place)
    }
}

/// What came of putting a key into the table.
pub(super) enum Inserted {
    At(Place),
    /// Others were faster.
    Later,
    /// All slots have something open.
    Nowhere,
}

/// How many buckets `size` keys need: a third of the slots stays free, so that next to none gives way before it is full.
fn buckets(size: usize) -> usize {
    (size + size / 2).div_ceil(WAYS).max(2)
}

/// Bytes that a table for `size` keys takes: 27.5 for a key.
pub fn bytes(size: usize) -> usize {
    buckets(size) * size_of::<Bucket>()
}
