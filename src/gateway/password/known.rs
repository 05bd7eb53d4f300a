//! What was found of passwords, so that one that comes with each request costs its hash but once.
//!
//! An entry is a keyed hash (HMAC with SHA-256) of user, password and stored hash, under a key that is made at random and never leaves this:
//! nobody can aim at an entry, and none is found under another stored hash. No thread waits for another. Passwords that were wrong are on
//! a shelf of their own, so that guessing pushes nobody out of the other.

use arc_swap::ArcSwapOption;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::rand;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

/// What was found of passwords, of any users and rules. Plans that follow each other share it.
pub struct Known {
    key: hmac::Key,
    fitting: Shelf,
    wrong: Shelf,
}

/// A user, a password and a stored hash, as a keyed hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tag([u8; 32]);

/// Entries, in sets of which each has its own place.
struct Shelf(Box<[[ArcSwapOption<Entry>; WAYS]]>);

struct Entry {
    tag: Tag,
    /// When it was found.
    at: Duration,
}

/// Entries in a set.
const WAYS: usize = 4;
/// Sets of passwords that fit: with all entries 1.5 MB.
const FITTING: usize = 4096;
/// Sets of those that do not.
const WRONG: usize = 1024;

impl Known {
    /// Nothing yet. Its memory is taken as it fills, but for eight bytes an entry.
    pub fn new() -> Self {
        Self::with_sets(FITTING, WRONG)
    }

    pub(super) fn with_sets(fitting: usize, wrong: usize) -> Self {
        let mut secret = [0; 32];
        if rand::fill(&mut secret).is_err() {
            // As std draws it for its maps.
            let random = RandomState::new();
            let words = (0u64..).map(|word| random.hash_one(word).to_le_bytes());
            secret.chunks_mut(8).zip(words).for_each(|(part, word)| part.copy_from_slice(&word));
        }
        Self { key: hmac::Key::new(HMAC_SHA256, &secret), fitting: Shelf::of(fitting), wrong: Shelf::of(wrong) }
    }

    /// What stands for this password of this user under this stored hash.
    pub fn tag(&self, user: &str, password: &[u8], hash: &str) -> Tag {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [user.as_bytes(), password] {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        context.update(hash.as_bytes());
        let mut tag = [0; 32];
        tag.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        Tag(tag)
    }

    /// Whether it fits, if that was found no longer ago than `time`.
    pub fn find(&self, tag: &Tag, now: Duration, time: Duration) -> Option<bool> {
        let found = |shelf: &Shelf| shelf.find(tag).is_some_and(|at| now.saturating_sub(at) < time);
        if found(&self.fitting) {
            return Some(true);
        }
        found(&self.wrong).then_some(false)
    }

    /// Keeps what was found at `now`.
    pub fn keep(&self, tag: &Tag, fits: bool, now: Duration) {
        let shelf = if fits { &self.fitting } else { &self.wrong };
        shelf.put(tag, now);
    }
}

impl Shelf {
    fn of(sets: usize) -> Self {
        Self((0..sets.max(1)).map(|_| Default::default()).collect())
    }

    fn set(&self, tag: &Tag) -> &[ArcSwapOption<Entry>] {
        let word = tag.0.first_chunk().copied().map_or(0, u32::from_le_bytes);
        self.0.get(word as usize % self.0.len()).map_or(&[], |set| &set[..])
    }

    fn find(&self, tag: &Tag) -> Option<Duration> {
        self.set(tag).iter().find_map(|slot| {
            let entry = slot.load();
            let entry = entry.as_ref()?;
            verify_slices_are_equal(&entry.tag.0, &tag.0).ok().map(|()| entry.at)
        })
    }

    /// Puts it where it is already, where nothing is, or in place of the oldest. Who is overtaken there loses an entry, which costs a hash.
    fn put(&self, tag: &Tag, at: Duration) {
        let age = |slot: &&ArcSwapOption<Entry>| match &*slot.load() {
            Some(entry) if entry.tag == *tag => (0, Duration::ZERO),
            None => (1, Duration::ZERO),
            Some(entry) => (2, entry.at),
        };
        if let Some(slot) = self.set(tag).iter().min_by_key(age) {
            slot.store(Some(Arc::new(Entry { tag: *tag, at })));
        }
    }
}

impl Default for Known {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tag(secret)")
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Known(secret)")
    }
}
