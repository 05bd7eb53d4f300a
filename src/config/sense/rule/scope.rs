//! What makes no sense of rules that hold for all hosts together.

use super::Sense;
use crate::config::model::LimitScope;
use crate::config::sources::{Fault, KeyPath};

/// There is nothing through which hosts would tell each other.
pub(super) fn scope(sense: &mut Sense<'_>, scope: LimitScope, at: &KeyPath) {
    let has_store = sense.config.store.redis.is_some() || sense.has(&KeyPath::from(["store"]), "redis");
    if scope == LimitScope::Cluster && !has_store {
        sense.fault(
            Fault::new(at.child("scope"), "hosts have nothing through which they could share what they know")
                .help("add [store.redis] with url = \"redis://127.0.0.1:6379\", or write scope = \"process\""),
        );
    }
}
