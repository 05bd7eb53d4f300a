//! What makes no sense of rules of type rate-limit.

use super::Sense;
use crate::config::model::{LimitAlgorithm, LimitScope, RateLimit};
use crate::config::sources::{Fault, KeyPath};

pub(super) fn rate_limit(sense: &mut Sense<'_>, of: &RateLimit, at: &KeyPath) {
    if of.algorithm == LimitAlgorithm::SlidingWindow && of.burst.is_some() {
        sense.fault(
            Fault::new(at.child("burst"), "a window that slides has no burst: all of its requests may come at once")
                .also(at.child("algorithm"), "the way of counting")
                .help("remove it"),
        );
    }
    let is_alone = sense.config.store.redis.is_none()
        && sense.is_sound(&KeyPath::default(), "store")
        && sense.is_complete([])
        && sense.is_complete(["store"]);
    if of.scope == LimitScope::Cluster && is_alone {
        sense.fault(
            Fault::new(at.child("scope"), "there is nothing through which hosts could share a limit")
                .help("add [store.redis] with its url and hosts, or write scope = \"process\""),
        );
    }
}
