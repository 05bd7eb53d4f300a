//! What is stored: the tier in memory, questions to the origin that are under way, and what has been purged.
//!
//! What always holds: the bytes that it is said to hold are not exceeded, everything around the content counted; what is read is
//! never waited for; no lock is held over I/O.
//!
//! The table is `quick_cache`'s, whose policy (a clock with a queue of newcomers, as S3-FIFO) a scan does not wash out.

pub mod body;
pub mod entry;
mod evict;
pub mod figures;
pub mod flight;
pub mod pieces;
pub mod purge;
mod recent;
pub mod record;
pub mod shelf;
#[cfg(test)]
mod tests;
mod weight;

use super::short::Short;
use crate::cache::Freshness;
use crate::cache::disk::{Disk, Receipt};
use crate::net::coarse_now;
use arc_swap::ArcSwapOption;
use entry::{Entry, Slot};
use evict::Evict;
use figures::Figures;
use flight::{Flight, Since, Verdict};
use purge::{Force, Marks, Purged, Purges};
use quick_cache::OptionsBuilder;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use recent::Recent;
use shelf::Opened;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::DerefMut;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// A key, hashed so that no two are the same.
pub type Key = u128;

/// What is stored under one name of the configuration.
pub struct Store {
    /// Its name.
    pub name: String,
    seed: AtomicU64,
    table: Table,
    flights: Box<[Short<Flights>]>,
    /// What has been purged.
    pub purges: Purges,
    memory: AtomicU64,
    /// How often something under a key was forgotten, by the keys' hashes.
    forgotten: Box<[AtomicU64]>,
    /// Bytes of answers that come in and are to be kept.
    filling: AtomicU64,
    /// What was read from the disk last.
    recent: Recent,
    shelf: ArcSwapOption<Opened>,
    /// What has happened to what is stored.
    pub figures: Arc<Figures>,
    /// The last purge after which everything was looked at.
    swept: AtomicU64,
}

type Table = Cache<Key, Held, Weigh, BuildHasherDefault<Own>, Evict>;
type Flights = HashMap<Key, Arc<Flight>>;

/// A slot with what it takes of memory.
#[derive(Clone)]
struct Held {
    slot: Arc<Slot>,
    weight: u64,
}

/// Shards of the questions that are under way.
const SHARDS: usize = 64;
/// Places where is noted what was forgotten.
const FORGOTTEN: usize = 8192;
/// How exactly is noted that nobody is to wait.
const LONELY_GRAIN: Duration = Duration::from_secs(5);
/// Variants of a key.
const VARIANTS: usize = 64;
/// How much of its memory a store keeps for answers that come in, as a divisor.
const INCOMING: u64 = 16;
/// What one object may take of a store's memory at most, as a divisor: one that is alone has room to come in.
const LARGEST: u64 = INCOMING;
/// The least that a shard of the table holds.
const SHARD: u64 = 32 << 20;
/// A typical object, for the size of the table at first.
const TYPICAL: u64 = 16 << 10;

impl Store {
    /// A store that holds at most `memory` bytes.
    pub fn new(name: String, memory: u64) -> Self {
        let capacity = memory - memory / INCOMING;
        let items = usize::try_from(capacity / TYPICAL).unwrap_or(usize::MAX).clamp(256, 1 << 20);
        let (figures, purges) = (Arc::<Figures>::default(), Purges::since(millis()));
        let swept = AtomicU64::new(purges.now());
        Self {
            name,
            seed: AtomicU64::new(fastrand::u64(..)),
            table: table(items, capacity, &figures),
            flights: (0..SHARDS).map(|_| Short::default()).collect(),
            purges,
            memory: AtomicU64::new(memory),
            forgotten: (0..FORGOTTEN).map(|_| AtomicU64::default()).collect(),
            filling: AtomicU64::new(0),
            recent: Recent::new(items),
            shelf: ArcSwapOption::empty(),
            figures,
            swept,
        }
    }

    /// A number that nobody outside knows, with which keys are made: nobody can find requests that share one by chance.
    #[inline]
    pub fn seed(&self) -> u64 {
        self.seed.load(Ordering::Acquire)
    }

    /// It holds at most so many bytes from now on.
    pub fn resize(&self, memory: u64) {
        if self.memory.swap(memory, Ordering::Relaxed) != memory {
            self.table.set_capacity(memory - memory / INCOMING);
        }
    }

    /// Bytes that it may hold.
    pub fn memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    /// Bytes that it holds.
    pub fn used(&self) -> u64 {
        self.table.weight() + self.filling.load(Ordering::Relaxed)
    }

    /// Whether what was read from the disk is to be in memory as well: while that has room for so many bytes, or if it is asked for
    /// again.
    pub fn is_for_memory(&self, key: Key, length: u64) -> bool {
        let again = self.recent.again(key);
        again || self.used() + length < self.memory() - self.memory() / INCOMING
    }

    /// Keys that it holds.
    pub fn objects(&self) -> u64 {
        self.table.len() as u64
    }

    /// The largest content that is kept in memory, in bytes.
    pub fn largest(&self) -> u64 {
        // A shard keeps nothing that is larger than itself.
        (self.memory() / LARGEST).min(self.table.shard_capacity() / 2)
    }

    /// What is stored under a key.
    #[inline]
    pub fn find(&self, key: Key) -> Option<Arc<Slot>> {
        self.table.get(&key).map(|held| held.slot)
    }

    /// How an answer was purged, if it was.
    #[inline]
    pub fn purged(&self, entry: &Entry) -> Option<Purged> {
        let found = self.purges.of(&entry.marks());
        match entry.stamp.purged() {
            None => found,
            Some(before) => Some(before.and(found)),
        }
    }

    /// How long an answer may be used, by what it says and by how it was purged softly.
    pub fn freshness(&self, entry: &Entry, purged: Option<Purged>) -> Freshness {
        match purged {
            Some(Purged::Soft(at)) => entry.freshness.purged(entry.resident_at(at)),
            _ => entry.freshness,
        }
    }

    /// Whether an answer may be given where the origin fails.
    pub fn may_serve_on_error(&self, entry: &Entry) -> bool {
        let purged = self.purged(entry);
        purged != Some(Purged::Hard) && self.freshness(entry, purged).may_serve_on_error(entry.resident())
    }

    /// Stores an answer in the place of those that `replaces` names, unless something was forgotten under its key since that had
    /// happened `forgotten` times. Returns whether it is stored.
    pub fn insert(&self, key: Key, forgotten: u64, entry: Arc<Entry>, replaces: impl Fn(&Entry) -> bool) -> bool {
        let mut stored = false;
        self.change(key, |slot| {
            stored = self.forgotten(key) == forgotten;
            if !stored {
                return;
            }
            slot.variants.retain(|old| !replaces(old));
            slot.variants.insert(0, entry);
            slot.variants.truncate(VARIANTS);
            slot.lonely = None;
        });
        stored
    }

    /// What is under a key takes more or less of memory now.
    pub fn weigh(&self, key: Key) {
        if self.table.peek(&key).is_some() {
            self.change(key, |_| {});
        }
    }

    /// Lets go of an answer, if it is still there.
    pub fn drop_entry(&self, key: Key, entry: &Arc<Entry>) {
        if self.table.peek(&key).is_some() {
            self.change(key, |slot| slot.variants.retain(|old| !Arc::ptr_eq(old, entry)));
        }
    }

    /// Lets go of everything under a key. Returns how many answers that were.
    pub fn forget(&self, key: Key) -> usize {
        let mut shard = self.shard(key);
        self.outdate(key, &mut shard);
        let gone = self.table.remove(&key).map(|(_, held)| held.slot);
        let entries = gone.as_deref().map_or(&[][..], |slot| &slot.variants);
        self.forget_on_disk(key, entries.iter());
        self.figures.purged.add(entries.len() as u64);
        entries.len()
    }

    /// Makes everything under a key stale that is in memory; the disk forgets it. Returns how many answers that are.
    pub fn soften(&self, key: Key) -> usize {
        let mut shard = self.shard(key);
        self.outdate(key, &mut shard);
        let now = coarse_now();
        let slot = self.table.peek(&key).map(|held| held.slot);
        let variants = slot.as_ref().map_or(&[][..], |slot| &slot.variants);
        variants.iter().for_each(|entry| entry.stamp.soften(now));
        self.forget_on_disk(key, variants.iter());
        variants.len()
    }

    /// What was asked for before must not be stored any more, nor be waited for.
    fn outdate(&self, key: Key, shard: &mut Flights) {
        self.forgotten[key as usize % FORGOTTEN].fetch_add(1, Ordering::AcqRel);
        shard.remove(&key);
    }

    /// Purges what is under a key. Returns how many answers in memory that were, and what comes once the disk will remember it over a
    /// loss of power.
    pub fn purge_key(&self, key: Key, force: Force) -> (usize, Option<Receipt>) {
        let answers = match force {
            Force::Soft => self.soften(key),
            Force::Hard => self.forget(key),
        };
        (answers, self.with_disk(|disk| disk.purge(key, self.purges.tick())))
    }

    /// How often something was forgotten under a key, or under one that shares its place.
    pub fn forgotten(&self, key: Key) -> u64 {
        self.forgotten[key as usize % FORGOTTEN].load(Ordering::Acquire)
    }

    /// Nobody waits for another's answer until then, by the coarse clock. It is not noted anew each time.
    pub fn be_lonely(&self, key: Key, until: Duration) {
        let known = self.table.peek(&key).and_then(|held| held.slot.lonely);
        if known.is_some_and(|known| known + LONELY_GRAIN >= until) {
            return;
        }
        self.change(key, |slot| slot.lonely = Some(until));
    }

    fn change(&self, key: Key, change: impl FnOnce(&mut Slot)) {
        let _shard = self.shard(key);
        let before = self.table.peek(&key);
        let (variants, lonely) =
            before.map_or_else(Default::default, |held| (held.slot.variants.clone(), held.slot.lonely));
        let mut slot = Slot { variants, lonely };
        change(&mut slot);
        if slot.variants.is_empty() && slot.lonely.is_none() {
            self.table.remove(&key);
        } else {
            slot.variants.shrink_to_fit();
            let weight = slot.weight();
            self.table.insert(key, Held { slot: Arc::new(slot), weight });
        }
    }

    /// The question to the origin that is known under a key, and whether it is new: then whoever asked for it asks the origin, and
    /// [`Store::land`]s it. One that was put before a purge is nothing to wait for. `asked`: under what its answer is stored, and by
    /// which host and key it is purged.
    pub fn take_off(&self, known_as: Key, asked: (Key, u64, &[u8])) -> (Arc<Flight>, bool) {
        let (key, host, uri) = asked;
        let since = Since { stamp: self.purges.now(), forgotten: self.forgotten(key) };
        let mut shard = self.shard(known_as);
        match shard.get(&known_as) {
            Some(flight) if !self.is_outdated(flight, since, host, uri) => (flight.clone(), false),
            _ => {
                let flight = Arc::new(Flight::new(since));
                shard.insert(known_as, flight.clone());
                (flight, true)
            }
        }
    }

    /// Whether what a question comes to was purged since it was put.
    fn is_outdated(&self, flight: &Flight, now: Since, host: u64, key: &[u8]) -> bool {
        if flight.since == now {
            return false;
        }
        let purged = match flight.verdict() {
            Some(Verdict::Shared(entry)) => self.purged(entry),
            _ => self.purges.of(&Marks { stamp: flight.since.stamp, host, tags: &[], key }),
        };
        flight.since.forgotten != now.forgotten || purged == Some(Purged::Hard)
    }

    /// The question to the origin about a key, if there is one.
    pub fn in_flight(&self, key: Key) -> Option<Arc<Flight>> {
        self.shard(key).get(&key).cloned()
    }

    /// A question has been answered: the next one is a new one.
    pub fn land(&self, key: Key, flight: &Arc<Flight>) {
        let mut shard = self.shard(key);
        if shard.get(&key).is_some_and(|known| Arc::ptr_eq(known, flight)) {
            shard.remove(&key);
        }
    }

    fn shard(&self, key: Key) -> impl DerefMut<Target = Flights> {
        self.flights[key as usize % SHARDS].lock()
    }

    /// Whether anything was purged since everything was looked at.
    pub fn is_to_be_swept(&self) -> bool {
        self.swept.load(Ordering::Relaxed) != self.purges.now()
    }

    /// Looks at everything: lets go of what was purged for good, and of purges that nothing is older than any more. It takes its time,
    /// and holds nobody up: not for a worker, nor for the thread of control.
    pub fn sweep(&self) {
        let (now, oldest) = self.purges.begin_sweep();
        let on_disk = self.with_disk(Disk::oldest).unwrap_or(u64::MAX);
        let is_gone = |entry: &Arc<Entry>| self.purged(entry) == Some(Purged::Hard);
        for (key, held) in self.table.iter() {
            let look = |entry: &Arc<Entry>| {
                match self.purged(entry) {
                    Some(Purged::Hard) => return true,
                    Some(Purged::Soft(at)) => entry.stamp.soften(at),
                    None => {}
                }
                entry.stamp.looked_at(now);
                false
            };
            if held.slot.variants.iter().filter(|entry| look(entry)).count() > 0 {
                self.change(key, |slot| {
                    let before = slot.variants.len();
                    slot.variants.retain(|entry| !is_gone(entry));
                    self.figures.purged.add((before - slot.variants.len()) as u64);
                });
            }
        }
        self.purges.forget(oldest.min(on_disk));
        self.swept.store(now, Ordering::Relaxed);
    }

    /// Counts content that comes in to be kept, and whose length may be known. `None`: there is no room for it.
    pub fn incoming(self: &Arc<Self>, length: Option<u64>) -> Option<Incoming> {
        let mut incoming = Incoming { store: self.clone(), held: 0 };
        incoming.hold(length.unwrap_or(0)).then_some(incoming)
    }
}

/// Milliseconds of the wall clock since 1970: what was purged before a restart has a smaller stamp than what is after.
fn millis() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Content that comes in, counted for as long as it does.
pub struct Incoming {
    store: Arc<Store>,
    /// Bytes that there is room for.
    held: u64,
}

impl Incoming {
    /// There are so many bytes by now. Returns whether there is room for them.
    pub fn reach(&mut self, bytes: u64) -> bool {
        bytes <= self.held || self.hold(bytes - self.held)
    }

    fn hold(&mut self, bytes: u64) -> bool {
        let room = self.store.memory() / INCOMING;
        let before = self.store.filling.fetch_add(bytes, Ordering::Relaxed);
        self.held += bytes;
        before + bytes <= room || self.held <= room / SHARDS as u64
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.store.filling.fetch_sub(self.held, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.name)
    }
}

/// The table, in as many shards as have room for large objects.
fn table(items: usize, capacity: u64, figures: &Arc<Figures>) -> Table {
    let evict = Evict(figures.clone());
    let most = crate::net::allowed_cores().len() * 4;
    let shards = usize::try_from(capacity / SHARD).unwrap_or(usize::MAX).clamp(1, most.max(1));
    // The next power of two is taken.
    let shards = if shards.is_power_of_two() { shards } else { shards.next_power_of_two() / 2 };
    let options =
        OptionsBuilder::new().estimated_items_capacity(items).weight_capacity(capacity).shards(shards).build();
    match options {
        Ok(options) => Cache::with_options(options, Weigh, BuildHasherDefault::default(), evict),
        Err(_) => Cache::with(items, capacity, Weigh, BuildHasherDefault::default(), evict),
    }
}

#[derive(Clone)]
struct Weigh;

impl Weighter<Key, Held> for Weigh {
    fn weight(&self, _: &Key, held: &Held) -> u64 {
        held.weight
    }
}

/// Keys are hashes already.
#[derive(Default)]
struct Own(u64);

impl Hasher for Own {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}
