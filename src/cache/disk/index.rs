//! What is stored and where, in memory.
//!
//! What always holds: a lock is held for the time of a look or a change and never over I/O; where a key is now is decided by the
//! file thread alone, in the order in which it has written; others only take keys away.

use super::Key;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};

#[expect(clippy::disallowed_types, reason = "held for one look into a table, by nobody over I/O")]
type Mutex<T> = std::sync::Mutex<T>;

const SHARDS: usize = 256;

/// Where an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// When it was asked for, in purges.
    pub stamp: u64,
    pub place: Place,
    /// Bytes of its record without the padding.
    pub length: u32,
    /// How many segments before its own its first chunk may be in.
    pub span: u16,
    /// Whether it was hit since it was written.
    pub hit: bool,
}

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub segment: u32,
    /// In units of the alignment.
    offset: u32,
}

impl Place {
    pub fn new(segment: u32, offset: u64) -> Self {
        Self { segment, offset: (offset / super::record::ALIGN) as u32 }
    }

    pub fn offset(self) -> u64 {
        u64::from(self.offset) * super::record::ALIGN
    }
}

/// An object on its way to the disk.
#[derive(Debug)]
pub(super) struct Filling {
    pub key: Key,
    /// When it was asked for, in purges.
    stamp: u64,
    forgotten: AtomicBool,
}

impl Filling {
    /// Whether its key was forgotten since it began.
    pub fn is_forgotten(&self) -> bool {
        self.forgotten.load(Ordering::Acquire)
    }
}

/// The table.
pub(super) struct Index {
    shards: Box<[Mutex<Shard>]>,
    count: AtomicUsize,
}

#[derive(Default)]
struct Shard {
    entries: HashMap<Own, Entry, BuildHasherDefault<Taken>>,
    /// What is being written; few at a time.
    fillings: Vec<Arc<Filling>>,
}

/// A key, which is a hash already. Two halves, so that it is aligned as what it belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Own([u64; 2]);

impl From<Key> for Own {
    fn from(key: Key) -> Self {
        Self([key as u64, (key >> 64) as u64])
    }
}

impl Own {
    fn key(self) -> Key {
        Key::from(self.0[0]) | Key::from(self.0[1]) << 64
    }
}

impl std::hash::Hash for Own {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0[0]);
    }
}

/// Takes a key's lower half as its hash.
#[derive(Default)]
struct Taken(u64);

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, half: u64) {
        self.0 = half;
    }
}

impl Default for Index {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), count: AtomicUsize::new(0) }
    }
}

impl Index {
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    pub fn find(&self, key: Key) -> Option<Entry> {
        self.shard(key).entries.get(&key.into()).copied()
    }

    /// Notes a hit. False: it is not there.
    pub fn touch(&self, key: Key) -> bool {
        self.shard(key).entries.get_mut(&key.into()).map(|entry| entry.hit = true).is_some()
    }

    /// An object begins to be written.
    pub fn begin(&self, key: Key, stamp: u64) -> Arc<Filling> {
        let filling = Arc::new(Filling { key, stamp, forgotten: AtomicBool::new(false) });
        self.shard(key).fillings.push(filling.clone());
        filling
    }

    /// The oldest stamp of what is being written.
    pub fn oldest_begun(&self) -> Option<u64> {
        let oldest = |shard: &Mutex<Shard>| lock(shard).fillings.iter().map(|filling| filling.stamp).min();
        self.shards.iter().filter_map(oldest).min()
    }

    /// It is written no more.
    pub fn end(&self, filling: &Arc<Filling>) {
        let mut shard = self.shard(filling.key);
        shard.fillings.retain(|other| !Arc::ptr_eq(other, filling));
        if shard.fillings.is_empty() {
            shard.fillings.shrink_to(4);
        }
    }

    /// It is written, and is there from now on, unless its key was forgotten meanwhile: false then.
    pub fn publish(&self, filling: &Filling, entry: Entry) -> bool {
        let mut shard = self.shard(filling.key);
        if filling.is_forgotten() {
            return false;
        }
        self.insert(&mut shard, filling.key, entry);
        true
    }

    /// Puts an entry in the place of the one that is at `from`. False: there is none any more.
    pub fn replace(&self, key: Key, from: Place, entry: Entry) -> bool {
        let mut shard = self.shard(key);
        match shard.entries.get_mut(&key.into()).filter(|old| old.place == from) {
            Some(old) => {
                *old = entry;
                true
            }
            None => false,
        }
    }

    /// Takes a key away, and has what is being written under it come to nothing. False: it was not there.
    pub fn forget(&self, key: Key) -> bool {
        let mut shard = self.shard(key);
        shard.fillings.iter().filter(|filling| filling.key == key).for_each(|filling| {
            filling.forgotten.store(true, Ordering::Release);
        });
        self.take(&mut shard, key, |_| true)
    }

    /// Takes a key away if it is at this place.
    pub fn forget_at(&self, key: Key, place: Place) -> bool {
        self.take(&mut self.shard(key), key, |entry| entry.place == place)
    }

    /// Takes a key away if it is older than this.
    pub fn forget_older(&self, key: Key, stamp: u64) -> bool {
        self.take(&mut self.shard(key), key, |entry| entry.stamp < stamp)
    }

    /// As a start finds it.
    pub fn restore(&self, key: Key, entry: Entry) {
        self.insert(&mut self.shard(key), key, entry);
    }

    /// Makes room for so many more.
    pub fn reserve(&self, more: usize) {
        for shard in &self.shards {
            lock(shard).entries.reserve(more.div_ceil(SHARDS));
        }
    }

    /// Goes over all entries and keeps those that `keep` says; a shard is locked at a time.
    pub fn retain(&self, mut keep: impl FnMut(Key, &Entry) -> bool) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            let before = shard.entries.len();
            shard.entries.retain(|key, entry| keep(key.key(), entry));
            if shard.entries.len() < shard.entries.capacity() / 4 {
                let twice = 2 * shard.entries.len();
                shard.entries.shrink_to(twice);
            }
            self.count.fetch_sub(before - shard.entries.len(), Ordering::Relaxed);
        }
    }

    /// Shows all entries; a shard is locked at a time.
    pub fn for_each(&self, mut see: impl FnMut(Key, &Entry)) {
        for shard in &self.shards {
            lock(shard).entries.iter().for_each(|(key, entry)| see(key.key(), entry));
        }
    }

    /// Nothing is there any more.
    pub fn clear(&self) {
        for shard in &self.shards {
            let entries = std::mem::take(&mut lock(shard).entries);
            self.count.fetch_sub(entries.len(), Ordering::Relaxed);
        }
    }

    fn insert(&self, shard: &mut Shard, key: Key, entry: Entry) {
        if shard.entries.insert(key.into(), entry).is_none() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn take(&self, shard: &mut Shard, key: Key, which: impl FnOnce(&Entry) -> bool) -> bool {
        let is_there = shard.entries.get(&key.into()).is_some_and(which);
        if is_there {
            shard.entries.remove(&key.into());
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        is_there
    }

    fn shard(&self, key: Key) -> MutexGuard<'_, Shard> {
        lock(&self.shards[(key >> 64) as usize % SHARDS])
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // Nothing that panics is done while it is held.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(segment: u32, stamp: u64) -> Entry {
        Entry { stamp, place: Place::new(segment, 64), length: 100, span: 0, hit: false }
    }

    #[test]
    fn an_entry_is_small() {
        assert_eq!(size_of::<(Own, Entry)>(), 40);
    }

    #[test]
    fn what_is_forgotten_while_it_is_written_never_appears() {
        let index = Index::default();
        let (old, other) = (index.begin(1, 7), index.begin(2, 5));
        assert_eq!(index.oldest_begun(), Some(5));
        assert!(!index.forget(1), "it was not there");
        let new = index.begin(1, 9);
        assert!(!index.publish(&old, entry(1, 1)) && index.find(1).is_none());
        assert!(index.publish(&other, entry(1, 1)) && index.publish(&new, entry(2, 2)));
        [&old, &other, &new].into_iter().for_each(|filling| index.end(filling));
        assert_eq!((index.find(1), index.len()), (Some(entry(2, 2)), 2));
        assert!(index.forget(1) && !index.forget(1));
        assert_eq!(index.len(), 1);
    }

    #[test]
    fn an_entry_that_has_moved_is_taken_away_by_nobody_who_knows_its_old_place() {
        let index = Index::default();
        index.restore(1, entry(1, 1));
        assert!(index.replace(1, entry(1, 1).place, entry(2, 1)));
        assert!(!index.replace(1, entry(1, 1).place, entry(3, 1)));
        assert!(!index.forget_at(1, entry(1, 1).place) && index.forget_at(1, entry(2, 1).place));
        index.restore(1, entry(1, 5));
        assert!(!index.forget_older(1, 5) && index.forget_older(1, 6));
        assert_eq!(index.len(), 0);
    }

    #[test]
    fn a_sweep_sees_all_and_keeps_the_count() {
        let index = Index::default();
        index.reserve(1000);
        (0..1000u128).for_each(|key| index.restore(key << 60 | key, entry(key as u32 % 10, 1)));
        index.retain(|_, entry| entry.place.segment != 3);
        assert_eq!(index.len(), 900);
        assert!(index.touch(1 << 60 | 1) && index.find(1 << 60 | 1).is_some_and(|entry| entry.hit));
        index.clear();
        assert_eq!(index.len(), 0);
    }
}
