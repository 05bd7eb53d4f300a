//! What has been purged: by generations, so that a purge is in force for every later lookup and costs the same however much is
//! stored.
//!
//! What always holds: what was asked of the origin before a purge is purged by it, also if it is stored only after. A list that
//! is full gives way to a purge of all. A purge is remembered until nothing can be older than it; whatever is older than what is
//! remembered counts as purged.

use crate::cache::short::Short;
use crate::cache::{groups, key};
use crate::net::coarse_now;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Purges by prefix that are remembered, and by tag, host and URI.
const PREFIXES: usize = 1024;
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
    /// Every URI that begins so.
    Prefix(Box<[u8]>),
    /// Of a URI, by its hash, what is kept under more than that.
    Uri(u64),
    /// All that is kept under more than its URI.
    Uris,
}

/// Whether what is purged may still be served while it is fetched anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// It counts as stale.
    Soft,
    /// It counts as gone.
    Hard,
}

/// How an answer was purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purged {
    /// It counts as stale since then, by the coarse clock.
    Soft(Duration),
    /// It counts as gone.
    Hard,
}

/// What has been purged.
#[derive(Debug, Default)]
pub struct Purges {
    /// Counts purges.
    clock: AtomicU64,
    /// The last of them that purged something.
    newest: AtomicU64,
    list: Short<List>,
}

#[derive(Debug, Default)]
struct List {
    all: Stamps,
    hosts: HashMap<u64, Stamps>,
    tags: HashMap<u64, Stamps>,
    uris: HashMap<u64, Stamps>,
    /// Of all that is kept under more than its URI.
    every_uri: Stamps,
    prefixes: Vec<(Box<[u8]>, Stamps)>,
    /// The stamps of questions that are under way, and how many have each.
    asking: BTreeMap<u64, usize>,
    /// What is older may have been purged by what is forgotten.
    since: u64,
}

/// When something was purged last, softly and hard; zero: never.
#[derive(Clone, Copy, Debug, Default)]
struct Stamps {
    soft: u64,
    softened: Duration,
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
    /// Its key, whose URI prefixes are compared with.
    pub key: &'a [u8],
}

/// How an answer stands to purges.
#[derive(Debug)]
pub struct Stamp {
    asked: u64,
    /// Up to which purge it is known how it stands: at first the one before it was asked for.
    known: AtomicU64,
    /// When a soft one of those made it stale, in milliseconds of the coarse clock; `u64::MAX`: none did.
    softened: AtomicU64,
}

impl From<u64> for Stamp {
    fn from(stamp: u64) -> Self {
        Self { asked: stamp, known: AtomicU64::new(stamp), softened: AtomicU64::new(u64::MAX) }
    }
}

impl Marks<'_> {
    /// The hash of its URI, where it is kept under more than that.
    fn uri(&self) -> Option<u64> {
        let uri = key::uri(self.key);
        (self.key.len() > uri.len() + 4).then(|| groups::tag(uri))
    }
}

impl Stamp {
    /// When it was asked for.
    pub fn asked(&self) -> u64 {
        self.asked
    }

    /// Up to which purge it is known how it stands.
    #[inline]
    pub fn known(&self) -> u64 {
        self.known.load(Ordering::Acquire)
    }

    /// How it was purged by those; to be asked after [`Stamp::known`].
    #[inline]
    pub(super) fn purged(&self) -> Option<Purged> {
        let softened = self.softened.load(Ordering::Relaxed);
        (softened != u64::MAX).then(|| Purged::Soft(Duration::from_millis(softened)))
    }

    /// It is stale since then, unless it was before.
    pub(super) fn soften(&self, at: Duration) {
        self.softened.fetch_min(u64::try_from(at.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// It has been looked at against all purges up to `stamp`.
    pub(super) fn looked_at(&self, stamp: u64) {
        self.known.fetch_max(stamp, Ordering::Release);
    }
}

impl Purged {
    /// Purged in both ways.
    pub(super) fn and(self, other: Option<Self>) -> Self {
        match (self, other) {
            (Self::Soft(one), Some(Self::Soft(other))) => Self::Soft(one.min(other)),
            (Self::Soft(one), None) => Self::Soft(one),
            _ => Self::Hard,
        }
    }
}

impl Stamps {
    fn note(&mut self, stamp: u64, force: Force) {
        match force {
            Force::Soft => {
                // As answers note it.
                let now = u64::try_from(coarse_now().as_millis()).unwrap_or(u64::MAX - 1);
                if stamp > self.soft {
                    (self.soft, self.softened) = (stamp, Duration::from_millis(now));
                }
            }
            Force::Hard => self.hard = self.hard.max(stamp),
        }
    }

    fn of(self, stamp: u64) -> Option<Purged> {
        if stamp < self.hard {
            Some(Purged::Hard)
        } else if stamp < self.soft {
            Some(Purged::Soft(self.softened))
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
        Self { clock: AtomicU64::new(stamp), ..Self::default() }
    }

    /// Stamps are at least so large from now on.
    pub fn advance(&self, stamp: u64) {
        self.clock.fetch_max(stamp, Ordering::AcqRel);
    }

    /// What is asked for from now on has another stamp than what was before: this one, or a larger one.
    pub fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Purges what was asked for before `stamp`, as was said once before.
    pub fn recall(&self, what: Purge, force: Force, stamp: u64) {
        self.note(&mut self.list.lock(), what, force, stamp);
    }

    /// The stamp of what is asked for now: purges that concern it are remembered until [`Purges::asked`] is told of its end.
    pub fn ask(&self) -> u64 {
        let mut list = self.list.lock();
        let stamp = self.now();
        *list.asking.entry(stamp).or_default() += 1;
        stamp
    }

    /// What was asked for is stored, or is not going to be.
    pub fn asked(&self, stamp: u64) {
        let mut list = self.list.lock();
        if let Some(count) = list.asking.get_mut(&stamp) {
            *count -= 1;
            if *count == 0 {
                list.asking.remove(&stamp);
            }
        }
    }

    /// Purges. Returns the stamp that is in force from now on.
    pub fn purge(&self, what: Purge, force: Force) -> u64 {
        let mut list = self.list.lock();
        let stamp = self.clock.fetch_add(1, Ordering::AcqRel) + 1;
        self.note(&mut list, what, force, stamp);
        stamp
    }

    fn note(&self, list: &mut List, what: Purge, force: Force, stamp: u64) {
        self.newest.fetch_max(stamp, Ordering::AcqRel);
        let List { all, hosts, tags, uris, every_uri, prefixes, .. } = list;
        let full = match &what {
            Purge::All | Purge::Uris => false,
            Purge::Uri(uri) => uris.len() >= MARKS && !uris.contains_key(uri),
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
            Purge::Uri(uri) if !full => uris.entry(uri).or_default().note(stamp, force),
            // What others have changed must not cost those whose URI is all that tells their answers apart.
            Purge::Uri(_) | Purge::Uris => {
                every_uri.note(stamp, force);
                uris.retain(|_, stamps| stamps.soft.max(stamps.hard) > stamp);
            }
            _ => {
                all.note(stamp, force);
                if full {
                    tracing::warn!("more purges at once than are remembered: everything of the cache is purged");
                }
                // A hard purge of all covers what came before it.
                if force == Force::Hard {
                    let counts = |stamps: &Stamps| stamps.soft.max(stamps.hard) > stamp;
                    hosts.retain(|_, stamps| counts(stamps));
                    tags.retain(|_, stamps| counts(stamps));
                    uris.retain(|_, stamps| counts(stamps));
                    prefixes.retain(|(_, stamps)| counts(stamps));
                }
            }
        }
    }

    /// Whether an answer is purged, and how.
    #[inline]
    pub fn of(&self, marks: &Marks<'_>) -> Option<Purged> {
        if marks.stamp >= self.newest.load(Ordering::Acquire) {
            return None;
        }
        self.look(marks)
    }

    fn look(&self, marks: &Marks<'_>) -> Option<Purged> {
        let list = self.list.lock();
        if marks.stamp < list.since {
            return Some(Purged::Hard);
        }
        let mut found = list.all.of(marks.stamp);
        let mut add = |stamps: Option<&Stamps>| {
            if let Some(how) = stamps.and_then(|stamps| stamps.of(marks.stamp)) {
                found = Some(how.and(found));
            }
        };
        if !list.hosts.is_empty() {
            add(list.hosts.get(&marks.host));
        }
        if !list.tags.is_empty() {
            marks.tags.iter().for_each(|tag| add(list.tags.get(tag)));
        }
        if (!list.uris.is_empty() || marks.stamp < list.every_uri.soft.max(list.every_uri.hard))
            && let Some(uri) = marks.uri()
        {
            add(list.uris.get(&uri));
            add(Some(&list.every_uri));
        }
        if !list.prefixes.is_empty() {
            let uri = key::uri(marks.key);
            let begin = list.prefixes.iter().filter(|(prefix, _)| uri.starts_with(prefix));
            begin.for_each(|(_, stamps)| add(Some(stamps)));
        }
        found
    }

    /// Everything stored is going to be looked at. Returns up to which purge, and up to which nothing is older then.
    pub(super) fn begin_sweep(&self) -> (u64, u64) {
        let list = self.list.lock();
        let now = self.now();
        (now, list.asking.keys().next().map_or(now, |oldest| now.min(*oldest)))
    }

    /// Forgets purges that nothing is older than.
    pub(super) fn forget(&self, oldest: u64) {
        let mut list = self.list.lock();
        list.since = list.since.max(oldest);
        let counts = |stamps: &Stamps| stamps.soft.max(stamps.hard) > oldest;
        list.hosts.retain(|_, stamps| counts(stamps));
        list.tags.retain(|_, stamps| counts(stamps));
        list.uris.retain(|_, stamps| counts(stamps));
        list.prefixes.retain(|(_, stamps)| counts(stamps));
    }

    /// How many purges are remembered, but for those of all.
    pub fn remembered(&self) -> usize {
        let list = self.list.lock();
        list.hosts.len() + list.tags.len() + list.uris.len() + list.prefixes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(stamp: u64) -> Marks<'static> {
        Marks { stamp, host: 1, tags: &[7, 8], key: b"\0\0\0\x0chttp://a/x/yh" }
    }

    #[test]
    fn what_was_asked_before_a_purge_is_purged_and_what_comes_after_is_not() {
        for what in [Purge::All, Purge::Host(1), Purge::Tag(8), Purge::Prefix(b"http://a/x".as_slice().into())] {
            let purges = Purges::default();
            let before = purges.now();
            assert_eq!(purges.of(&marks(before)), None);
            purges.purge(what.clone(), Force::Soft);
            assert!(matches!(purges.of(&marks(before)), Some(Purged::Soft(_))), "{what:?}");
            assert_eq!(purges.of(&marks(purges.now())), None, "{what:?}");
            purges.purge(what.clone(), Force::Hard);
            assert_eq!(purges.of(&marks(before)), Some(Purged::Hard), "{what:?}");
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
        assert_eq!(purges.of(&marks(0)), Some(Purged::Hard));
    }

    #[test]
    fn what_is_kept_under_more_than_its_uri_is_purged_by_that_and_a_flood_of_those_costs_nobody_else() {
        let plain = Marks { key: b"\0\0\0\x0chttp://a/x/y", ..marks(0) };
        let purges = Purges::default();
        let uri = groups::tag(b"http://a/x/y");
        purges.purge(Purge::Uri(uri), Force::Hard);
        assert_eq!((purges.of(&marks(0)), purges.of(&plain)), (Some(Purged::Hard), None), "that has a key of its own");
        let after = purges.now();
        for other in 0..=MARKS as u64 {
            purges.purge(Purge::Uri(other), Force::Hard);
        }
        assert_eq!((purges.of(&marks(after)), purges.of(&plain)), (Some(Purged::Hard), None));
        assert!(purges.remembered() <= MARKS);
    }

    #[test]
    fn the_first_of_soft_purges_counts_and_a_hard_one_more_than_any() {
        let (early, late) = (Duration::from_secs(1), Duration::from_secs(2));
        assert_eq!(Purged::Soft(late).and(Some(Purged::Soft(early))), Purged::Soft(early));
        assert_eq!(Purged::Soft(late).and(Some(Purged::Hard)), Purged::Hard);
        assert_eq!(Purged::Hard.and(Some(Purged::Soft(early))), Purged::Hard);
        let stamp = Stamp::from(3);
        assert_eq!((stamp.known(), stamp.purged()), (3, None));
        stamp.soften(late);
        stamp.soften(early);
        stamp.looked_at(5);
        stamp.looked_at(4);
        assert_eq!((stamp.known(), stamp.purged()), (5, Some(Purged::Soft(early))));
    }

    #[test]
    fn what_is_under_way_has_its_purges_remembered_and_what_came_too_late_counts_as_purged() {
        let purges = Purges::default();
        let slow = purges.ask();
        purges.purge(Purge::Tag(8), Force::Hard);
        let other = purges.ask();
        let (now, oldest) = purges.begin_sweep();
        assert_eq!((now, oldest), (1, slow));
        purges.forget(oldest);
        assert_eq!((purges.remembered(), purges.of(&marks(slow))), (1, Some(Purged::Hard)));
        purges.asked(slow);
        let (_, oldest) = purges.begin_sweep();
        purges.forget(oldest);
        assert_eq!((oldest, purges.remembered()), (other, 0));
        assert_eq!(purges.of(&marks(other)), None);
        purges.purge(Purge::Tag(100), Force::Hard);
        assert_eq!(purges.of(&marks(other)), None, "another tag's");
        assert_eq!(purges.of(&marks(slow)), Some(Purged::Hard), "nobody knows any more how it stands");
    }
}
