//! Where clients stand to the targets of a pool that is sticky.

use super::{Counters, PoolCounters};
use crate::observe::reason::Sticking;

impl Counters<{ Sticking::COUNT }> {
    /// Counts one exchange or connection.
    fn stands(&self, how: Sticking) {
        self.0[how.index()].inc();
    }
}

impl PoolCounters {
    /// Counts how a client stood to the targets; `owner`: the one that it belongs to.
    pub fn stuck(&self, how: Sticking, owner: Option<usize>) {
        self.set.sticky.stands(how);
        if let Some(owner) = owner.filter(|_| how == Sticking::Kept) {
            self.targets[owner].kept.inc();
        }
    }
}
