//! Several quotas on a request: one that denies it has none of them count it.
//!
//! All are looked at before anything is taken. Only when another request of the same key takes the last one in between is what was taken
//! given back.

use super::spend::{Quota, Taken};
use crate::gateway::limits::Decision;
use smallvec::SmallVec;
use std::time::Duration;

/// What each of several quotas says of a request, in the order in which they were asked.
pub type Decisions = SmallVec<[Decision; 4]>;

/// Decides on a request at `now` by all of `asked`, with its key in each, and counts it by all of them if none denies it.
pub fn decide_all(asked: &[(&Quota, u64)], now: Duration) -> Decisions {
    if let [(quota, key)] = asked {
        return SmallVec::from_iter([quota.decide(*key, now)]);
    }
    let look = || asked.iter().map(|(quota, key)| quota.look(*key, now)).collect::<Decisions>();
    let mut said = look();
    if said.iter().any(|decision| !decision.allowed) {
        return said;
    }
    let mut taken: SmallVec<[Taken; 4]> = SmallVec::new();
    for (at, (quota, key)) in asked.iter().enumerate() {
        match quota.take(*key, now) {
            Ok((one, decision)) => {
                said[at] = decision;
                taken.push(one);
            }
            Err(denied) => {
                for ((quota, key), one) in asked.iter().zip(&taken) {
                    quota.give_back(*key, one, now);
                }
                said = look();
                said[at] = denied;
                return said;
            }
        }
    }
    said
}
