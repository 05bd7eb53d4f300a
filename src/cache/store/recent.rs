//! What has been asked for lately that memory has not: only what is asked for again soon is worth the place of something else.
//!
//! What always holds: it is of one size, and a wrong answer costs one copy more or one read of the disk more, no correctness.

use super::Key;
use std::sync::atomic::{AtomicU64, Ordering};

/// The keys that were seen last, each in a place that others take over.
#[derive(Debug)]
pub(super) struct Recent(Box<[AtomicU64]>);

impl Recent {
    /// Of so many keys, within reason.
    pub fn new(keys: usize) -> Self {
        Self((0..keys.clamp(64, 65_536)).map(|_| AtomicU64::default()).collect())
    }

    /// Notes a key. Returns whether it was noted before, and no other in its place since.
    pub fn again(&self, key: Key) -> bool {
        let (place, rest) = ((key >> 64) as u64, key as u64);
        // There are no more places than numbers of 32 bits.
        let place = &self.0[(place % self.0.len() as u64) as usize];
        place.swap(rest, Ordering::Relaxed) == rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_soon_is_known_and_what_comes_after_many_others_is_not() {
        let recent = Recent::new(64);
        let mut random = fastrand::Rng::with_seed(1);
        assert!(!recent.again(7) && recent.again(7) && recent.again(7));
        let known = (0..10_000).filter(|_| recent.again(random.u128(..))).count();
        assert_eq!(known, 0);
        assert!(!recent.again(7));
        let keys: Vec<u128> = (0..4000).map(|_| random.u128(..)).collect();
        let again = (0..40_000).filter(|_| recent.again(keys[random.usize(..keys.len())])).count();
        assert!(again < 2_000, "{again}: a set that is far larger than memory is no one's");
    }
}
