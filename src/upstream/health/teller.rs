//! How many changes of targets the log tells of one by one: of a pool of thousands that goes down as a whole, the first ones, and then how many
//! more. No clock of its own.
//!
//! What always holds: what is not told one by one is counted, and told once its second is over; metrics and events know of each.

use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::Mutex;

/// Decides what is told one by one.
#[derive(Debug, Default)]
pub(super) struct Teller(Mutex<HashMap<String, Burst>>);

/// What changed in a pool within a while.
#[derive(Clone, Copy, Debug, Default)]
struct Burst {
    since: Duration,
    told: u32,
    left: Left,
}

/// Changes that were not told one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// Targets that went down.
    pub(super) down: u32,
    /// Targets that came up.
    pub(super) up: u32,
}

/// Changes of a pool that are told one by one within [`WHILE`].
const MOST: u32 = 20;
const WHILE: Duration = Duration::from_secs(1);

impl Teller {
    /// Whether it is told that a target of a pool is `up`, or down, as of `now`.
    pub(super) fn tells(&self, pool: &str, up: bool, now: Duration) -> bool {
        // Checks run on one thread, and nobody waits within.
        let Ok(mut pools) = self.0.try_lock() else { return true };
        if !pools.contains_key(pool) {
            pools.insert(pool.to_owned(), Burst { since: now, ..Burst::default() });
        }
        let Some(burst) = pools.get_mut(pool) else { return true };
        if now.saturating_sub(burst.since) >= WHILE && burst.left == Left::default() {
            *burst = Burst { since: now, ..Burst::default() };
        }
        if burst.told < MOST {
            burst.told += 1;
            return true;
        }
        match up {
            true => burst.left.up += 1,
            false => burst.left.down += 1,
        }
        false
    }

    /// What was left out until `now`, by pool. It is forgotten, as is what has been quiet.
    pub(super) fn left(&self, now: Duration) -> Vec<(String, Left)> {
        let Ok(mut pools) = self.0.try_lock() else { return Vec::new() };
        let over = |burst: &Burst| now.saturating_sub(burst.since) >= WHILE;
        let left = pools.extract_if(|_, burst| over(burst));
        left.filter(|(_, burst)| burst.left != Left::default()).map(|(pool, burst)| (pool, burst.left)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_changes_are_told_and_the_others_counted() {
        let (teller, at) = (Teller::default(), Duration::from_millis);
        let told = (0..5000).filter(|n| teller.tells("a", false, at(n / 10))).count();
        assert_eq!(told, MOST as usize);
        assert!(!teller.tells("a", true, at(600)) && teller.tells("b", true, at(600)), "each pool has its own");
        assert!(teller.left(at(999)).is_empty(), "the second is not over");
        assert_eq!(teller.left(at(1000)), [("a".to_owned(), Left { down: 4980, up: 1 })]);
        assert!(teller.left(at(2000)).is_empty() && teller.0.try_lock().unwrap().is_empty());
        assert!(teller.tells("a", false, at(2001)), "what comes later is told again");
    }

    #[test]
    fn who_changes_now_and_then_is_always_told() {
        let teller = Teller::default();
        assert!((0..200).all(|n| teller.tells("a", n % 2 == 0, Duration::from_millis(100 * n))));
    }
}
