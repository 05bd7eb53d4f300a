//! Which part of a limit a host has that shares it with others: of each key the even part, or another one where hosts have agreed on that.
//!
//! What always holds: a worker asks nobody. It looks a key up among those that are divided in another way, and asks for a key to
//! become one of them where the even part is short. What it finds is changed by whoever agrees with the other hosts on it.

use arc_swap::ArcSwap;
use crossbeam::queue::ArrayQueue;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What a limit is divided into: all of it. Even parts for up to sixteen hosts are whole.
pub const UNIT: u32 = 720_720;

/// A burst that is used up, as [`Limiter::debt`](super::Limiter::debt) counts it.
pub const FULL: u32 = 1_000_000;

/// Keys that may wait for being divided. More of them are not missed: who is short asks again.
const WAITING: usize = 1024;

/// The parts that this host has of a limit.
#[derive(Debug)]
pub struct Shares {
    /// Of each key that is not divided in another way.
    base: AtomicU32,
    divided: ArcSwap<Divided>,
    short: ArrayQueue<u64>,
    /// The last that was found to be short, which is not told again at once.
    last: AtomicU64,
    /// Those that there was no room for.
    passed_over: AtomicU64,
}

/// The part that this host has of a key.
#[derive(Debug)]
pub struct Part {
    share: AtomicU32,
    asked: AtomicU64,
}

/// Keys are hashes already.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known(u64);

type Divided = HashMap<u64, Arc<Part>, Known>;

impl Shares {
    /// Where this host has `base` of each key.
    pub fn new(base: u32) -> Self {
        Self {
            base: AtomicU32::new(base),
            divided: ArcSwap::default(),
            short: ArrayQueue::new(WAITING),
            last: AtomicU64::new(0),
            passed_over: AtomicU64::new(0),
        }
    }

    /// The part of each key that is not divided in another way.
    pub fn base(&self) -> u32 {
        self.base.load(Ordering::Acquire)
    }

    /// Sets it.
    pub fn set_base(&self, base: u32) {
        self.base.store(base, Ordering::Release);
    }

    /// The part of a key.
    pub fn of(&self, key: u64) -> u32 {
        self.divided.load().get(&key).map_or_else(|| self.base(), |part| part.share())
    }

    /// The part of a key of which one more is asked for, and whether that is counted.
    pub(super) fn ask(&self, key: u64) -> (u32, bool) {
        match self.divided.load().get(&key) {
            None => (self.base(), false),
            Some(part) => {
                part.asked.fetch_add(1, Ordering::Relaxed);
                (part.share(), true)
            }
        }
    }

    /// The part is short of a key that is not divided yet.
    pub(super) fn note_short(&self, key: u64) {
        if self.last.swap(key, Ordering::Relaxed) != key && self.short.push(key).is_err() {
            self.pass_over();
        }
    }

    /// The next key of which the part was short.
    pub fn next_short(&self) -> Option<u64> {
        let next = self.short.pop();
        if next.is_none() {
            self.last.store(0, Ordering::Relaxed);
        }
        next
    }

    /// There is no room to divide one more.
    pub fn pass_over(&self) {
        self.passed_over.fetch_add(1, Ordering::Relaxed);
    }

    /// How often there was none.
    pub fn passed_over(&self) -> u64 {
        self.passed_over.load(Ordering::Relaxed)
    }

    /// How many keys are divided in another way.
    pub fn divided(&self) -> usize {
        self.divided.load().len()
    }

    /// What is known of a key that is divided.
    pub fn part(&self, key: u64) -> Option<Arc<Part>> {
        self.divided.load().get(&key).cloned()
    }

    /// Divides these keys and no others.
    pub fn begin(&self, divided: impl IntoIterator<Item = (u64, u32)>) {
        let divided = divided.into_iter().map(|(key, share)| (key, Arc::new(Part::new(share))));
        self.divided.store(Arc::new(divided.collect()));
    }

    /// Divides keys, each with the part that this host has, and takes those away that are not divided any more.
    pub fn change(&self, divided: impl IntoIterator<Item = (u64, u32)>, gone: impl IntoIterator<Item = u64>) {
        let mut next = Divided::clone(&self.divided.load());
        for key in gone {
            next.remove(&key);
        }
        for (key, share) in divided {
            next.entry(key).or_insert_with(|| Arc::new(Part::new(share))).set(share);
        }
        self.divided.store(Arc::new(next));
    }
}

impl Part {
    fn new(share: u32) -> Self {
        Self { share: AtomicU32::new(share), asked: AtomicU64::new(0) }
    }

    /// Of [`UNIT`].
    pub fn share(&self) -> u32 {
        self.share.load(Ordering::Acquire)
    }

    /// Sets it.
    pub fn set(&self, share: u32) {
        self.share.store(share, Ordering::Release);
    }

    /// How often the key was asked for since this was last asked.
    pub fn take_asked(&self) -> u64 {
        self.asked.swap(0, Ordering::Relaxed)
    }
}

impl BuildHasher for Known {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for Known {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}
