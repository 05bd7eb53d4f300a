//! Several limits on one request: a request that one of them denies is counted by none.
//!
//! All are looked at before anything is taken, and the slowest is taken from first. Only when another request of the same key takes
//! the last one in between is what was taken given back; by a pace that cannot be done if yet another came since. So of each
//! request that is denied in such a race, at most one stays counted with each limit, and a denial without a race costs nothing.

use super::allowance::Decision;
use super::limit::{Calls, Limiter, Taken};
use super::table::Table;
use smallvec::SmallVec;
use std::time::Duration;

/// What counts requests by their keys.
pub trait Counts {
    /// How it knows the time.
    type Now: Copy;
    /// What a request took, so that it can be given back.
    type Taken;

    /// Takes what a request takes. Fails with what is said to who is denied.
    fn take(&self, key: u64, now: Self::Now) -> Result<(Self::Taken, Decision), Decision>;

    /// What a request of `key` would be told now, which is not counted.
    fn look(&self, key: u64, now: Self::Now) -> Decision;

    /// A request was denied, as [`Self::look`] has said.
    fn denied(&self, _key: u64) {}

    /// Gives back what a request took.
    fn give_back(&self, key: u64, taken: &Self::Taken, now: Self::Now);

    /// Nanoseconds for each request: of several limits the slowest is reached first by who keeps asking.
    fn slowness(&self) -> u64;
}

impl Counts for Limiter {
    type Now = Duration;
    type Taken = Taken;

    fn take(&self, key: u64, now: Duration) -> Result<(Taken, Decision), Decision> {
        self.take_at(key, Table::<Calls>::ticks(now))
    }

    fn look(&self, key: u64, now: Duration) -> Decision {
        self.look_at(key, Table::<Calls>::ticks(now))
    }

    fn denied(&self, key: u64) {
        Limiter::denied(self, key);
    }

    fn give_back(&self, key: u64, taken: &Taken, _now: Duration) {
        self.take_back(key, taken);
    }

    fn slowness(&self) -> u64 {
        self.allowance().slowness()
    }
}

/// What each of several limits says of a request, in the order in which they were asked.
pub type Decisions = SmallVec<[Decision; 4]>;

/// Decides on a request at `now` by all of `asked`, with its key in each, and counts it by all of them if none denies it.
pub fn decide_all<C: Counts>(asked: &[(&C, u64)], now: C::Now) -> Decisions {
    if let [(limiter, key)] = asked {
        let (Ok((_, decision)) | Err(decision)) = limiter.take(*key, now);
        return SmallVec::from_iter([decision]);
    }
    let look = || asked.iter().map(|(limiter, key)| limiter.look(*key, now)).collect::<Decisions>();
    let mut said = look();
    if said.iter().any(|decision| !decision.allowed) {
        let denying = asked.iter().zip(&said).filter(|(_, decision)| !decision.allowed);
        denying.for_each(|((limiter, key), _)| limiter.denied(*key));
        return said;
    }
    let mut order: SmallVec<[usize; 4]> = (0..asked.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(asked[at].0.slowness()));
    let mut taken: SmallVec<[(usize, C::Taken); 4]> = SmallVec::new();
    for at in order {
        let (limiter, key) = asked[at];
        match limiter.take(key, now) {
            Ok((one, decision)) => {
                said[at] = decision;
                taken.push((at, one));
            }
            Err(denied) => {
                for (at, one) in taken.iter().rev() {
                    let (limiter, key) = asked[*at];
                    limiter.give_back(key, one, now);
                }
                said = look();
                said[at] = denied;
                return said;
            }
        }
    }
    said
}

/// What all of `asked` would say of a request at `now`, which is not counted.
pub fn look_all<C: Counts>(asked: &[(&C, u64)], now: C::Now) -> Decisions {
    asked.iter().map(|(limiter, key)| limiter.look(*key, now)).collect()
}

/// Of what several limits have said, what a client needs to know first: the denial that lasts the longest, else where the smallest
/// share of the allowance remains. `None`: nothing was asked.
pub fn tightest(said: &[Decision]) -> Option<&Decision> {
    let denial = said.iter().filter(|decision| !decision.allowed).max_by_key(|decision| decision.more);
    let share = |decision: &&Decision| (decision.remaining << 32) / decision.limit.max(1);
    denial.or_else(|| said.iter().min_by_key(share))
}
