//! Choosing a target where there are limits: one that has room.

use super::Queue;
use crate::upstream::Ask;
use crate::upstream::balance::Targets;
use crate::upstream::local::{Attempt, Local, View};
use std::time::Duration;

impl Local {
    /// Chooses a target that has room and takes a slot. `None`: there is none, or others wait, who go first.
    pub(in crate::upstream) fn choose_with_room(&self, queue: &Queue, ask: &Ask<'_>, now: Duration) -> Option<Attempt> {
        let pool = self.pool();
        let plain = |ignore_health| View { pool, tried: ask.tried, ignore_health, now };
        let take = |target: usize| queue.take(pool, &pool.targets[target], self.worker());
        let begin = |target| Attempt::begin(pool, target, self.worker());
        // Who belongs to a target that is busy waits for it.
        if let Some(owner) = ask.owner
            && self.of_owner(owner, &Ask { only_owner: true, ..*ask }, plain, now).is_some()
        {
            return (queue.lets_past() && take(owner)).then(|| begin(owner));
        }
        if ask.only_owner {
            return None;
        }
        // Backups are for targets that are down, not for those that are busy.
        let roomy = |ignore_health| {
            let view = plain(ignore_health);
            let works = |index: usize| !view.backup(index) && view.usable(index) && view.weight(index) > 0;
            let backups = !(0..view.len()).any(works);
            WithRoom { view, backups }
        };
        // Another worker may be quicker.
        for _ in 0..=pool.targets.len() {
            if !queue.lets_past() {
                return None;
            }
            let target = self.pick(ask.key, roomy, now)?;
            if take(target) {
                return Some(begin(target));
            }
        }
        None
    }
}

/// Those that may take one more.
struct WithRoom<'a> {
    view: View<'a>,
    /// Whether backups count.
    backups: bool,
}

impl Targets for WithRoom<'_> {
    fn len(&self) -> usize {
        self.view.len()
    }

    fn weight(&self, index: usize) -> u32 {
        self.view.weight(index)
    }

    fn backup(&self, index: usize) -> bool {
        self.view.backup(index)
    }

    fn usable(&self, index: usize) -> bool {
        let counts = self.backups || !self.view.backup(index);
        counts && self.view.usable(index) && self.view.pool.targets[index].has_room()
    }

    fn in_flight(&self, index: usize) -> u32 {
        self.view.in_flight(index)
    }

    fn id(&self, index: usize) -> u64 {
        self.view.id(index)
    }
}
