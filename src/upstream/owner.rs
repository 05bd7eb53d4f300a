//! Which target a key belongs to, without a request.

use super::balance::{Balancer, Kind, Seed, Targets};
use super::target::Pool;

impl Pool {
    /// The target that the `hash` policy finds for `key` while all are up and nothing is in flight, by its position; `None`
    /// where another policy chooses. Counts nothing, so that it may be asked of a pool that is at work.
    pub fn owner(&self, key: u64) -> Option<usize> {
        if self.balance != Kind::Hash {
            return None;
        }
        let seed = Seed { worker: 0, workers: 1, random: 0 };
        Balancer::new(self.balance, &AtRest(self), seed).pick(&AtRest(self), key, 0)
    }
}

/// A pool whose targets are all up and have nothing to do.
struct AtRest<'a>(&'a Pool);

impl Targets for AtRest<'_> {
    fn len(&self) -> usize {
        self.0.targets.len()
    }

    fn weight(&self, index: usize) -> u32 {
        self.0.targets[index].weight()
    }

    fn backup(&self, index: usize) -> bool {
        self.0.targets[index].backup
    }

    fn usable(&self, _index: usize) -> bool {
        true
    }

    fn in_flight(&self, _index: usize) -> u32 {
        0
    }

    fn id(&self, index: usize) -> u64 {
        self.0.targets[index].id
    }
}
