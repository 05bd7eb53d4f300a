//! What is known of keys, for all workers.
//!
//! What always holds: a key is in one state, which changes under the lock of its shard alone; a lock is held for a few instructions. What is
//! bounded is how many keys there are and what answers take. An answer that gives way leaves its key behind, so that for want of memory nothing
//! is carried out twice; only where there are too many keys does one give way as a whole, and then only if that is allowed.

#![expect(clippy::disallowed_types, reason = "held for a look into a table, by nobody over I/O")]

use super::run::Run;
use super::shard::{Entry, Settled, Shard, State, What};
use super::tidings::Noted;
use super::{Flight, Kept, Print, Scope, Terms, Unkept};
use crate::net::Call;
use std::hash::{BuildHasher, RandomState};
use std::ops::DerefMut;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What is known of keys.
#[derive(Debug)]
pub struct Store<W> {
    shards: Box<[Mutex<Shard<W>>]>,
    hasher: RandomState,
    keys: AtomicUsize,
    bytes: AtomicUsize,
    ages: AtomicU64,
    noted: Mutex<Noted>,
    /// What was counted.
    pub figures: Figures,
}

/// How much is known at most: as whoever comes has it, so that a reload may change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Keys.
    pub max_keys: usize,
    /// Bytes that answers take.
    pub memory: usize,
    /// Whether the oldest key gives way where there are too many; else there is no room for new ones.
    pub forgets: bool,
}

/// What has become of requests and answers.
#[derive(Debug, Default)]
pub struct Figures {
    /// Requests that were carried out.
    pub executed: AtomicU64,
    /// Requests that were given a stored answer.
    pub replayed: AtomicU64,
    /// Requests that waited for the answer of another, and were given it.
    pub collapsed: AtomicU64,
    /// Requests that waited in vain.
    pub conflicts: AtomicU64,
    /// Requests with the key of another one.
    pub mismatches: AtomicU64,
    /// Requests whose answer was not there any more.
    pub unkept: AtomicU64,
    /// Requests that waited for one that came to no answer.
    pub lost: AtomicU64,
    /// Requests for whose keys there was no room.
    pub full: AtomicU64,
    /// Requests of which other hosts could not be asked, and that were refused for it.
    pub away: AtomicU64,
    /// Answers that were stored.
    pub stored: AtomicU64,
    /// Keys that became free again, as their requests came to no answer that counts.
    pub freed: AtomicU64,
    /// Answers that were too large to be stored.
    pub too_large: AtomicU64,
    /// Answers that found no room.
    pub no_room: AtomicU64,
    /// And one whose answer broke off.
    pub broken: AtomicU64,
    /// Answers that gave way to others before their time.
    pub evicted_answers: AtomicU64,
    /// Keys that did.
    pub evicted_keys: AtomicU64,
    /// Requests that all hosts have left to this one.
    pub claimed: AtomicU64,
    /// Requests that another host has carried out, or does.
    pub elsewhere: AtomicU64,
    /// Requests of which other hosts could not be asked.
    pub alone: AtomicU64,
    /// Requests that another host has carried out as well.
    pub twice: AtomicU64,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Claim<W: Call> {
    /// It is carried out, by whoever has this, unless another host does.
    Own(Run<W>),
    /// Another one is, whose answer it may wait for.
    Wait(Arc<Flight<W>>),
    /// It was carried out, with this answer.
    Replay(Arc<Kept>),
    /// It was carried out, and its answer is not there.
    Unkept(Unkept),
    /// Its key is that of another request.
    Mismatch,
    /// There is no room for its key.
    Full,
    /// Other hosts cannot be asked.
    Away,
}

/// What would become of a request in shadow mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is the first one.
    First,
    /// It would be given the answer of the first, or wait for it.
    Again,
    /// It would be refused: its key is that of another request.
    Mismatch,
}

/// Parts that keys are divided among.
const SHARDS: usize = 16;
/// How many answers give way at most for one that needs room.
const TURNS: usize = 1024;
/// How many keys give way at most for one.
const MAKING: usize = 8;
/// How many are forgotten whose time has passed, whenever somebody comes.
const SWEPT: usize = 4;

impl<W> Default for Store<W> {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            keys: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            ages: AtomicU64::new(0),
            noted: Mutex::default(),
            figures: Figures::default(),
        }
    }
}

impl<W: Call> Store<W> {
    /// Keys that are known.
    pub fn keys(&self) -> usize {
        self.keys.load(Relaxed)
    }

    /// Bytes that answers take.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    /// What becomes of a request that has come at `now`.
    pub fn claim(self: &Arc<Self>, scope: Scope, print: Print, terms: &Terms, now: Duration) -> Claim<W> {
        let bounds = terms.bounds;
        self.sweep(scope, now);
        for turn in 0..=MAKING {
            {
                let mut shard = self.shard(&scope);
                match shard.keys.get(&scope) {
                    Some(entry) if terms.shared.is_some() && entry.is_doubtful(print, now) => {
                        // Others may know by now.
                        let flight = Arc::new(Flight::default());
                        let before =
                            shard.keys.insert(scope, Entry { print, state: State::Running(flight.clone(), terms.ttl) });
                        let doubt = before.and_then(|entry| entry.until());
                        return Claim::Own(Run::new(self.clone(), (scope, print), flight, terms).doubtful(doubt));
                    }
                    Some(entry) if entry.counts(now) => return entry.claim(print),
                    // What has had its time makes room for itself.
                    Some(_) => self.remove(&mut shard, &scope),
                    None => {}
                }
                if self.has_room(bounds, turn) {
                    let flight = Arc::new(Flight::default());
                    self.keys.fetch_add(1, Relaxed);
                    shard.keys.insert(scope, Entry { print, state: State::Running(flight.clone(), terms.ttl) });
                    return Claim::Own(Run::new(self.clone(), (scope, print), flight, terms));
                }
            }
            if !self.make_room(bounds, now) {
                break;
            }
        }
        Claim::Full
    }

    /// Notes in shadow mode that a request has come, which is carried out in any case.
    pub fn look(&self, scope: Scope, print: Print, terms: &Terms, now: Duration) -> Seen {
        let bounds = terms.bounds;
        self.sweep(scope, now);
        for turn in 0..=MAKING {
            {
                let mut shard = self.shard(&scope);
                if let Some(entry) = shard.keys.get(&scope).filter(|entry| entry.is_due(now)) {
                    return if entry.print == print { Seen::Again } else { Seen::Mismatch };
                }
                self.remove(&mut shard, &scope);
                if self.has_room(bounds, turn) {
                    self.keys.fetch_add(1, Relaxed);
                    let (until, age) = (now.saturating_add(terms.ttl), self.next_age());
                    shard.settle(scope, print, Settled { until, age, what: What::Seen });
                    break;
                }
            }
            if !self.make_room(bounds, now) {
                break;
            }
        }
        Seen::First
    }

    /// Whether there is room for another key, in whose turn `turn` others have given way: after a few there is, so that a store whose bound
    /// has become smaller refuses nobody for that.
    fn has_room(&self, bounds: Bounds, turn: usize) -> bool {
        self.keys() < bounds.max_keys || turn == MAKING
    }

    /// Takes so many bytes for an answer, for which older ones give way. False: there is no room.
    pub(super) fn charge(&self, bytes: usize, bounds: Bounds) -> bool {
        if bytes > bounds.memory {
            // For that nothing has to give way.
            return false;
        }
        self.bytes.fetch_add(bytes, Relaxed);
        for _ in 0..TURNS {
            if self.bytes() <= bounds.memory {
                return true;
            }
            if !self.lighten() {
                break;
            }
        }
        self.discharge(bytes);
        false
    }

    /// Gives back what was taken for an answer.
    pub(super) fn discharge(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Relaxed);
    }

    /// What became of a request that was under way.
    pub(super) fn settle(&self, scope: Scope, print: Print, until: Duration, what: What) {
        let age = self.next_age();
        self.shard(&scope).settle(scope, print, Settled { until, age, what });
    }

    /// What became of a request that another process has carried out.
    pub(super) fn adopt(&self, scope: Scope, print: Print, until: Duration, what: What) {
        let charged = if let What::Answer(_, charged) = what { charged } else { 0 };
        let age = self.next_age();
        let mut shard = self.shard(&scope);
        if shard.keys.contains_key(&scope) {
            // What is known here is newer.
            return;
        }
        self.keys.fetch_add(1, Relaxed);
        self.bytes.fetch_add(charged, Relaxed);
        shard.settle(scope, print, Settled { until, age, what });
    }

    /// Shows each key.
    pub(super) fn each(&self, mut see: impl FnMut(&Scope, &Entry<W>)) {
        for place in 0..self.shards.len() {
            self.lock(place).keys.iter().for_each(|(scope, entry)| see(scope, entry));
        }
    }

    /// The key of a request that was under way is free again.
    pub(super) fn free(&self, scope: &Scope) {
        self.remove(&mut self.shard(scope), scope);
    }

    /// Shows one key.
    pub(super) fn look_at<T>(&self, scope: &Scope, see: impl FnOnce(Option<&Entry<W>>) -> T) -> T {
        see(self.shard(scope).keys.get(scope))
    }

    /// Keys of which other hosts are to be told.
    pub(super) fn noted(&self) -> impl DerefMut<Target = Noted> + use<'_, W> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_age(&self) -> u64 {
        self.ages.fetch_add(1, Relaxed)
    }

    fn shard(&self, scope: &Scope) -> impl DerefMut<Target = Shard<W>> + use<'_, W> {
        let place = self.hasher.hash_one(scope) as usize % self.shards.len();
        self.lock(place)
    }

    fn lock(&self, place: usize) -> impl DerefMut<Target = Shard<W>> + use<'_, W> {
        self.shards[place % self.shards.len()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self, shard: &mut Shard<W>, scope: &Scope) {
        if let Some(entry) = shard.keys.remove(scope) {
            self.keys.fetch_sub(1, Relaxed);
            if let State::Settled(Settled { what: What::Answer(_, charged), .. }) = entry.state {
                self.discharge(charged);
            }
        }
    }

    /// Forgets a few of a shard whose time has passed.
    fn sweep(&self, scope: Scope, now: Duration) {
        let mut shard = self.shard(&scope);
        for _ in 0..SWEPT {
            match shard.oldest() {
                Some((age, until)) if until <= now => self.forget(&mut shard, age),
                _ => break,
            };
        }
    }

    fn forget(&self, shard: &mut Shard<W>, age: u64) -> bool {
        let charged = shard.forget(age);
        if let Some(charged) = charged {
            self.keys.fetch_sub(1, Relaxed);
            self.discharge(charged);
        }
        charged.is_some()
    }

    /// The oldest key gives way, if its time has passed or that is allowed. False: none does.
    fn make_room(&self, bounds: Bounds, now: Duration) -> bool {
        let all = (0..self.shards.len()).filter_map(|place| Some((self.lock(place).oldest()?, place)));
        let Some(((age, until), place)) = all.min() else { return false };
        let is_early = until > now;
        if is_early && !bounds.forgets {
            return false;
        }
        // Whoever was faster has made room as well.
        if self.forget(&mut self.lock(place), age) && is_early {
            self.figures.evicted_keys.fetch_add(1, Relaxed);
        }
        true
    }

    /// The oldest answer gives way. False: there is none.
    fn lighten(&self) -> bool {
        let all = (0..self.shards.len()).filter_map(|place| Some((self.lock(place).oldest_answer()?, place)));
        let Some((age, place)) = all.min() else { return false };
        if let Some(charged) = self.lock(place).lighten(age) {
            self.discharge(charged);
            self.figures.evicted_answers.fetch_add(1, Relaxed);
        }
        true
    }
}

impl<W: Call> Entry<W> {
    /// Whether it is still to be known.
    fn is_due(&self, now: Duration) -> bool {
        match &self.state {
            State::Running(..) => true,
            State::Settled(settled) => settled.until > now,
        }
    }

    /// Whether it is known of it only that another process or host had it under way.
    fn is_doubtful(&self, print: Print, now: Duration) -> bool {
        let is_elsewhere = matches!(self.state, State::Settled(Settled { what: What::Unkept(Unkept::Elsewhere), .. }));
        is_elsewhere && self.is_due(now) && self.print == print
    }

    /// Until when it is known, if its request was carried out.
    fn until(&self) -> Option<Duration> {
        match &self.state {
            State::Running(..) => None,
            State::Settled(settled) => Some(settled.until),
        }
    }

    /// Whether it says anything to who is not in shadow mode.
    fn counts(&self, now: Duration) -> bool {
        self.is_due(now) && !matches!(self.state, State::Settled(Settled { what: What::Seen, .. }))
    }

    fn claim(&self, print: Print) -> Claim<W> {
        if self.print != print {
            return Claim::Mismatch;
        }
        match &self.state {
            State::Running(flight, _) => Claim::Wait(flight.clone()),
            State::Settled(settled) => match &settled.what {
                What::Answer(kept, _) => Claim::Replay(kept.clone()),
                What::Unkept(why) => Claim::Unkept(*why),
                // It does not count here.
                What::Seen => Claim::Unkept(Unkept::Memory),
            },
        }
    }
}
