//! The sessions of one address on one worker: found by who sends to whom, and in the order in which they were last heard of.
//! No I/O and no clock: time is passed in.
//!
//! What always holds: each entry that is not detached is found by its key, no two by the same one; the order is that of the last
//! [`Table::touch`], so that the oldest entry is the one that was silent for longest.

use slab::Slab;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// Sessions by key and by age.
pub(super) struct Table<K, T> {
    /// Keyed anew in each process: clients choose what they are found by.
    places: HashMap<K, u32>,
    entries: Slab<Entry<K, T>>,
    oldest: u32,
    newest: u32,
}

struct Entry<K, T> {
    key: K,
    /// Whether its key leads here.
    found: bool,
    heard: Duration,
    before: u32,
    after: u32,
    value: T,
}

/// The place of no entry.
const NONE: u32 = u32::MAX;

impl<K: Hash + Eq + Copy, T> Table<K, T> {
    pub(super) fn new() -> Self {
        Self { places: HashMap::new(), entries: Slab::new(), oldest: NONE, newest: NONE }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The place of the entry with this key.
    pub(super) fn find(&self, key: &K) -> Option<u32> {
        self.places.get(key).copied()
    }

    /// Adds an entry, heard of now. One that had the key before is detached.
    pub(super) fn insert(&mut self, key: K, value: T, now: Duration) -> u32 {
        let entry = Entry { key, found: true, heard: now, before: self.newest, after: NONE, value };
        // There are never that many: `max_sessions` bounds them.
        let place = self.entries.insert(entry) as u32;
        if let Some(old) = self.places.insert(key, place).and_then(|old| self.entries.get_mut(old as usize)) {
            old.found = false;
        }
        match self.entries.get_mut(self.newest as usize) {
            Some(newest) => newest.after = place,
            None => self.oldest = place,
        }
        self.newest = place;
        place
    }

    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        self.entries.get_mut(place as usize).map(|entry| &mut entry.value)
    }

    /// It was heard of now.
    pub(super) fn touch(&mut self, place: u32, now: Duration) {
        let Some(entry) = self.entries.get_mut(place as usize) else { return };
        entry.heard = now;
        if self.newest == place {
            return;
        }
        self.unlink(place);
        let newest = std::mem::replace(&mut self.newest, place);
        if let Some(entry) = self.entries.get_mut(newest as usize) {
            entry.after = place;
        }
        if let Some(entry) = self.entries.get_mut(place as usize) {
            (entry.before, entry.after) = (newest, NONE);
        }
        if self.oldest == NONE {
            self.oldest = place;
        }
    }

    /// It is found by its key no more, which is free for another.
    pub(super) fn detach(&mut self, place: u32) {
        if let Some(entry) = self.entries.get_mut(place as usize)
            && std::mem::take(&mut entry.found)
        {
            self.places.remove(&entry.key);
        }
    }

    /// Takes it out, with when it was last heard of.
    pub(super) fn remove(&mut self, place: u32) -> Option<(T, Duration)> {
        self.detach(place);
        self.unlink(place);
        let entry = self.entries.try_remove(place as usize)?;
        Some((entry.value, entry.heard))
    }

    /// The one that was silent for longest, and when it was heard of.
    pub(super) fn oldest(&self) -> Option<(u32, Duration)> {
        self.entries.get(self.oldest as usize).map(|entry| (self.oldest, entry.heard))
    }

    /// The first of the `among` oldest that is meant, and was not heard of after `since`.
    pub(super) fn oldest_of(&self, among: usize, since: Duration, is_meant: impl Fn(&T) -> bool) -> Option<u32> {
        let mut place = self.oldest;
        for _ in 0..among {
            let entry = self.entries.get(place as usize).filter(|entry| entry.heard <= since)?;
            if is_meant(&entry.value) {
                return Some(place);
            }
            place = entry.after;
        }
        None
    }

    /// The entry at a place.
    pub(super) fn get(&self, place: u32) -> Option<&T> {
        self.entries.get(place as usize).map(|entry| &entry.value)
    }

    /// Places from which on there is nothing.
    pub(super) fn end(&self) -> usize {
        self.entries.capacity()
    }

    /// Gives back what a burst has taken, once it is over.
    pub(super) fn trim(&mut self) {
        const SMALL: usize = 1024;
        if self.entries.capacity() > SMALL && self.entries.is_empty() {
            self.entries.shrink_to_fit();
        }
        if self.places.capacity() > SMALL && self.places.len() < self.places.capacity() / 8 {
            self.places.shrink_to(2 * self.places.len());
        }
    }

    fn unlink(&mut self, place: u32) {
        let Some((before, after)) = self.entries.get(place as usize).map(|entry| (entry.before, entry.after)) else {
            return;
        };
        match self.entries.get_mut(before as usize) {
            Some(entry) => entry.after = after,
            None => self.oldest = after,
        }
        match self.entries.get_mut(after as usize) {
            Some(entry) => entry.before = before,
            None => self.newest = before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_one_that_was_silent_for_longest_is_the_oldest() {
        let mut table = Table::new();
        let places: Vec<u32> = (0..3).map(|key| table.insert(key, key, at(key))).collect();
        assert_eq!(table.oldest(), Some((places[0], at(0))));
        table.touch(places[0], at(5));
        assert_eq!(table.oldest(), Some((places[1], at(1))));
        assert_eq!(table.oldest_of(2, at(5), |value| *value == 2), Some(places[2]));
        assert_eq!(table.oldest_of(1, at(5), |value| *value == 2), None);
        assert_eq!(table.oldest_of(2, at(1), |value| *value == 2), None, "it was heard of later");
        assert_eq!(table.remove(places[1]), Some((1, at(1))));
        assert_eq!((table.find(&1), table.remove(places[1])), (None, None));
        assert_eq!(table.oldest(), Some((places[2], at(2))));
    }

    #[test]
    fn one_that_is_detached_stays_and_its_key_is_free() {
        let mut table = Table::new();
        let first = table.insert("a", 1, at(0));
        table.detach(first);
        let second = table.insert("a", 2, at(1));
        let third = table.insert("a", 3, at(2));
        assert_eq!((table.find(&"a"), table.len()), (Some(third), 3));
        assert_eq!(table.remove(first), Some((1, at(0))));
        assert_eq!(table.remove(second), Some((2, at(1))));
        assert_eq!(table.find(&"a"), Some(third));
    }

    #[test]
    fn it_agrees_with_a_simple_list_whatever_is_done() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut table = Table::new();
        // As (key, place), the oldest first.
        let mut list: Vec<(u8, u32)> = Vec::new();
        for now in 0..20_000 {
            let key = random.u8(..20);
            let found = list.iter().position(|(other, _)| *other == key);
            assert_eq!(table.find(&key), found.map(|place| list[place].1));
            match (found, random.u8(..4)) {
                (Some(at_place), 0) => {
                    let (_, place) = list.remove(at_place);
                    assert_eq!(table.remove(place).map(|(value, _)| value), Some(key));
                }
                (Some(at_place), _) => {
                    let entry = list.remove(at_place);
                    table.touch(entry.1, at(now));
                    list.push(entry);
                }
                (None, _) => list.push((key, table.insert(key, key, at(now)))),
            }
            assert_eq!(table.oldest().map(|(place, _)| place), list.first().map(|(_, place)| *place));
            assert_eq!(table.len(), list.len());
        }
        while let Some((place, _)) = table.oldest() {
            assert_eq!(place, list.remove(0).1);
            table.remove(place);
        }
        assert!(table.is_empty() && list.is_empty());
        table.trim();
    }
}
