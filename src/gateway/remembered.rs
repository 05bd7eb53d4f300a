//! What others have said of requests, so that they need not be asked again for a while.
//!
//! An entry is found by a keyed hash (HMAC with SHA-256) of all that was asked, under a key that is made at random: nobody can aim at an
//! entry of somebody else's. There is a bound on how many there are; locks are held for a look-up alone.

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::rand;
use quick_cache::sync::Cache;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What others have said.
pub struct Remembered<V> {
    /// How long it counts.
    time: Duration,
    /// `None`: nothing is remembered.
    key: Option<hmac::Key>,
    entries: Cache<[u8; 32], (Duration, Arc<V>)>,
}

impl<V> Remembered<V> {
    /// Answers of at most `size` questions, each for `time`; none where it is nothing.
    pub fn new(time: Duration, size: usize) -> Self {
        let mut secret = [0; 32];
        // Without randomness anybody could aim, so that nothing is remembered then.
        let has_secret = rand::fill(&mut secret).is_ok() && !time.is_zero();
        Self { time, key: has_secret.then(|| hmac::Key::new(HMAC_SHA256, &secret)), entries: Cache::new(size) }
    }

    /// What stands for a question that is made of these parts; `None`: nothing is remembered.
    pub fn tag<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Option<[u8; 32]> {
        let mut context = hmac::Context::with_key(self.key.as_ref()?);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let mut tag = [0; 32];
        tag.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        Some(tag)
    }

    /// What was said, if that was no longer ago than it counts.
    pub fn find(&self, tag: Option<&[u8; 32]>, now: Duration) -> Option<Arc<V>> {
        let (at, said) = self.entries.get(tag?)?;
        (now.saturating_sub(at) < self.time).then_some(said)
    }

    /// Keeps what was said at `now`.
    pub fn keep(&self, tag: Option<[u8; 32]>, said: &Arc<V>, now: Duration) {
        if let Some(tag) = tag {
            self.entries.insert(tag, (now, said.clone()));
        }
    }
}

impl<V> fmt::Debug for Remembered<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remembered").field("time", &self.time).finish_non_exhaustive()
    }
}
