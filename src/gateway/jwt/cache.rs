//! Tokens that have been verified, so that one that comes with each request costs a signature but once.
//!
//! An entry is found by a keyed hash of the token and of the keys that verified it, and counts only if both are those that it was made
//! from, byte by byte. So nothing hangs on the hash being free of collisions, and it may be a fast one (xxh3, a fifth of SHA-256's
//! time); its key is made by each cache for itself and never leaves it, so that nobody can aim at an entry, or learn of one by the
//! time that comparing takes. Tokens are in memory with it: they would be, in the buffers, without.
//!
//! What always holds:
//! - Of what signatures say only good ones are kept, so nobody without a key fills it; its bytes are bounded.
//! - Claims are judged each time: an entry outlives neither `exp` nor a change of policy. Other keys find no entry of theirs; the same,
//!   read again, find all.

use super::key::Print;
use super::{Claims, Denial, Keys, Policy};
use quick_cache::Weighter;
use quick_cache::unsync;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128_with_secret;

/// About what an entry takes beside its token and its claims, in bytes.
const OVERHEAD: usize = 192;
/// About what an entry takes, in bytes: for tables to begin with.
const TYPICAL: u64 = 4096;

/// Tokens that have been verified, of any keys and policies. It is one worker's own.
pub struct Cache {
    secret: Box<[u8]>,
    entries: unsync::Cache<u128, Entry, Weights>,
    hits: u64,
    misses: u64,
}

struct Entry {
    token: Box<str>,
    keys: Print,
    /// What it says; `None`: it is not good.
    claims: Option<Arc<Claims>>,
    /// Until when that is believed, in seconds since 1970.
    until: u64,
    weight: u64,
}

#[derive(Clone)]
struct Weights;

impl Cache {
    /// One of at most so many bytes. It takes them only as it fills.
    pub fn new(bytes: u64) -> Self {
        // The system's own randomness, as std draws it for its maps.
        let random = RandomState::new();
        let secret = (0u64..24).flat_map(|word| random.hash_one(word).to_le_bytes()).collect();
        let items = usize::try_from(bytes / TYPICAL).unwrap_or(usize::MAX);
        Self { secret, entries: unsync::Cache::with_weighter(items, bytes, Weights), hits: 0, misses: 0 }
    }

    /// As [`verify`](super::verify), but a token that is known costs no signature.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn verify(&mut self, token: &str, keys: &Keys, policy: &Policy, now: u64) -> Result<Arc<Claims>, Denial> {
        policy.admits(token)?;
        let hash = self.hash(token, keys.print());
        let known = self.entries.get(&hash).filter(|entry| *entry.token == *token && entry.keys == *keys.print());
        if let Some(claims) = known.and_then(|entry| entry.claims.clone()) {
            self.hits += 1;
            let judged = policy.judge(&claims, now).map(|()| claims);
            if let Err(Denial::Expired) = judged {
                self.entries.remove(&hash);
            }
            return judged;
        }
        self.misses += 1;
        let claims = Arc::new(keys.authenticate(token)?);
        let judged = policy.judge(&claims, now);
        if judged != Err(Denial::Expired) {
            self.keep(hash, token, keys.print(), Some(claims.clone()), u64::MAX);
        }
        judged.map(|()| claims)
    }

    /// What somebody has said of a token, by what tells them from others, if it is still believed at `now`, in seconds since 1970: what is
    /// in it, or that it is not good.
    pub fn known(&mut self, token: &str, by: &Print, now: u64) -> Option<Option<Arc<Claims>>> {
        let hash = self.hash(token, by);
        let known = self.entries.get(&hash).filter(|entry| *entry.token == *token && entry.keys == *by);
        match known {
            Some(entry) if now < entry.until => {
                self.hits += 1;
                Some(entry.claims.clone())
            }
            _ => {
                self.misses += 1;
                None
            }
        }
    }

    /// Notes that, to be believed until a time.
    pub fn note(&mut self, token: &str, by: &Print, claims: Option<Arc<Claims>>, until: u64) {
        self.keep(self.hash(token, by), token, by, claims, until);
    }

    fn keep(&mut self, hash: u128, token: &str, keys: &Print, claims: Option<Arc<Claims>>, until: u64) {
        let weight = (OVERHEAD + token.len() + claims.as_ref().map_or(0, |claims| claims.weight())) as u64;
        self.entries.insert(hash, Entry { token: token.into(), keys: *keys, claims, until, weight });
    }

    fn hash(&self, token: &str, keys: &Print) -> u128 {
        let [low, high] = [0, 16].map(|at| keys[at..].first_chunk().copied().map_or(0, u128::from_le_bytes));
        xxh3_128_with_secret(token.as_bytes(), &self.secret) ^ low ^ high
    }

    /// It takes so many bytes at most from now on.
    pub fn resize(&mut self, bytes: u64) {
        if self.entries.capacity() != bytes {
            self.entries.set_capacity(bytes);
        }
    }

    /// How many tokens there are in it.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// What they take, in bytes, by and large.
    pub fn bytes(&self) -> u64 {
        self.entries.weight()
    }

    /// How many tokens were known.
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// How many were not.
    pub fn misses(&self) -> u64 {
        self.misses
    }
}

impl Weighter<u128, Entry> for Weights {
    fn weight(&self, _: &u128, entry: &Entry) -> u64 {
        entry.weight
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Cache").field("count", &self.count()).field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}
