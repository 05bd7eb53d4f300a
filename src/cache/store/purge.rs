//! What has been purged: by generations, so that a purge is in force for every later lookup and costs the same however much is
//! stored.
//!
//! What always holds: what was asked of the origin before a purge is purged by it, also if it is stored only after. A list that
//! is full gives way to a purge of all.

use super::lock::Short;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Purges by prefix that are remembered, and by tag and host.
const PREFIXES: usize = 256;
const MARKS: usize = 65_536;

/// What is to be purged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purge {
    /// Everything.
    All,
    /// Everything of a host, by its hash.
    Host(u64),
    /// Everything with a tag, by its hash.
    Tag(u64),
    /// Every key that begins so.
    Prefix(Box<[u8]>),
}

/// Whether what is purged may still be served while it is fetched anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Force {
    /// It counts as stale.
    Soft,
    /// It counts as gone.
    Hard,
}

/// What has been purged.
#[derive(Debug, Default)]
pub struct Purges {
    /// Counts purges.
    clock: AtomicU64,
    list: Short<List>,
}

#[derive(Debug, Default)]
struct List {
    all: Stamps,
    hosts: HashMap<u64, Stamps>,
    tags: HashMap<u64, Stamps>,
    prefixes: Vec<(Box<[u8]>, Stamps)>,
}

/// When something was purged last, softly and hard; zero: never.
#[derive(Clone, Copy, Debug, Default)]
struct Stamps {
    soft: u64,
    hard: u64,
}

/// What an answer is looked at by.
#[derive(Clone, Copy, Debug)]
pub struct Marks<'a> {
    /// When it was asked for.
    pub stamp: u64,
    /// Its host's hash.
    pub host: u64,
    /// Its tags' hashes.
    pub tags: &'a [u64],
    /// The part of its key that prefixes are compared with.
    pub key: &'a [u8],
}

impl Stamps {
    fn note(&mut self, stamp: u64, force: Force) {
        match force {
            Force::Soft => self.soft = stamp,
            Force::Hard => self.hard = stamp,
        }
    }

    fn of(self, stamp: u64) -> Option<Force> {
        if stamp < self.hard {
            Some(Force::Hard)
        } else if stamp < self.soft {
            Some(Force::Soft)
        } else {
            None
        }
    }
}

impl Purges {
    /// The stamp of what is asked for from now on.
    pub fn now(&self) -> u64 {
        self.clock.load(Ordering::Acquire)
    }

    /// Goes on from what was purged before, so that what was stored then is known by its stamp.
    pub fn since(stamp: u64) -> Self {
        Self { clock: AtomicU64::new(stamp), list: Short::default() }
    }

    /// Stamps are at least so large from now on.
    pub fn advance(&self, stamp: u64) {
        self.clock.fetch_max(stamp, Ordering::AcqRel);
    }

    /// What is asked for from now on has another stamp than what was before.
    pub fn tick(&self) {
        self.clock.fetch_add(1, Ordering::AcqRel);
    }

    /// Purges what was asked for before `stamp`, as was said once before.
    pub fn recall(&self, what: Purge, force: Force, stamp: u64) {
        self.note(&mut self.list.lock(), what, force, stamp);
    }

    /// Purges. Returns the stamp that is in force from now on.
    pub fn purge(&self, what: Purge, force: Force) -> u64 {
        let mut list = self.list.lock();
        let stamp = self.clock.fetch_add(1, Ordering::AcqRel) + 1;
        self.note(&mut list, what, force, stamp);
        stamp
    }

    fn note(&self, list: &mut List, what: Purge, force: Force, stamp: u64) {
        let List { all, hosts, tags, prefixes } = list;
        let full = match &what {
            Purge::All => false,
            Purge::Host(host) => hosts.len() >= MARKS && !hosts.contains_key(host),
            Purge::Tag(tag) => tags.len() >= MARKS && !tags.contains_key(tag),
            Purge::Prefix(prefix) => prefixes.len() >= PREFIXES && !prefixes.iter().any(|(known, _)| known == prefix),
        };
        match what {
            Purge::Host(host) if !full => hosts.entry(host).or_default().note(stamp, force),
            Purge::Tag(tag) if !full => tags.entry(tag).or_default().note(stamp, force),
            Purge::Prefix(prefix) if !full => match prefixes.iter_mut().find(|(known, _)| *known == prefix) {
                Some((_, stamps)) => stamps.note(stamp, force),
                None => {
                    let mut stamps = Stamps::default();
                    stamps.note(stamp, force);
                    prefixes.push((prefix, stamps));
                }
            },
            _ => {
                all.note(stamp, force);
                if full {
                    tracing::warn!("more purges than are remembered: everything of the cache is purged");
                }
                // A hard purge of all covers what came before it.
                if force == Force::Hard {
                    *list = List { all: list.all, ..List::default() };
                }
            }
        }
    }

    /// Whether an answer is purged, and how.
    #[inline]
    pub fn of(&self, marks: &Marks<'_>) -> Option<Force> {
        if marks.stamp >= self.now() {
            return None;
        }
        self.look(marks)
    }

    fn look(&self, marks: &Marks<'_>) -> Option<Force> {
        let list = self.list.lock();
        let mut found = list.all.of(marks.stamp);
        let mut add = |stamps: Option<&Stamps>| found = found.max(stamps.and_then(|stamps| stamps.of(marks.stamp)));
        if !list.hosts.is_empty() {
            add(list.hosts.get(&marks.host));
        }
        if !list.tags.is_empty() {
            marks.tags.iter().for_each(|tag| add(list.tags.get(tag)));
        }
        for (prefix, stamps) in &list.prefixes {
            if marks.key.starts_with(prefix) {
                add(Some(stamps));
            }
        }
        found
    }

    /// Forgets purges that nothing is older than.
    pub fn forget(&self, oldest: u64) {
        let mut list = self.list.lock();
        let counts = |stamps: &Stamps| stamps.soft.max(stamps.hard) > oldest;
        list.hosts.retain(|_, stamps| counts(stamps));
        list.tags.retain(|_, stamps| counts(stamps));
        list.prefixes.retain(|(_, stamps)| counts(stamps));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(stamp: u64) -> Marks<'static> {
        Marks { stamp, host: 1, tags: &[7, 8], key: b"http://a/x/y" }
    }

    #[test]
    fn what_was_asked_before_a_purge_is_purged_and_what_comes_after_is_not() {
        for what in [Purge::All, Purge::Host(1), Purge::Tag(8), Purge::Prefix(b"http://a/x".as_slice().into())] {
            let purges = Purges::default();
            let before = purges.now();
            assert_eq!(purges.of(&marks(before)), None);
            purges.purge(what.clone(), Force::Soft);
            assert_eq!(purges.of(&marks(before)), Some(Force::Soft), "{what:?}");
            assert_eq!(purges.of(&marks(purges.now())), None, "{what:?}");
            purges.purge(what.clone(), Force::Hard);
            assert_eq!(purges.of(&marks(before)), Some(Force::Hard), "{what:?}");
        }
    }

    #[test]
    fn others_are_not_touched() {
        for what in [Purge::Host(2), Purge::Tag(9), Purge::Prefix(b"http://a/y".as_slice().into())] {
            let purges = Purges::default();
            purges.purge(what.clone(), Force::Hard);
            assert_eq!(purges.of(&marks(0)), None, "{what:?}");
        }
    }

    #[test]
    fn a_full_list_gives_way_to_a_purge_of_all() {
        let purges = Purges::default();
        for number in 0..=PREFIXES {
            purges.purge(Purge::Prefix(number.to_string().into_bytes().into()), Force::Hard);
        }
        assert_eq!(purges.of(&marks(0)), Some(Force::Hard));
    }
}
