//! What makes no sense of rules of type rate-limit.

use super::Sense;
use crate::config::model::{LimitAlgorithm, RateLimit};
use crate::config::sources::{Fault, KeyPath};

pub(super) fn rate_limit(sense: &mut Sense<'_>, of: &RateLimit, at: &KeyPath) {
    if of.algorithm == LimitAlgorithm::SlidingWindow && of.burst.is_some() {
        sense.fault(
            Fault::new(at.child("burst"), "a window that slides has no burst: all of its requests may come at once")
                .also(at.child("algorithm"), "the way of counting")
                .help("remove it"),
        );
    }
}
