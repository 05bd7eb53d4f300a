//! Queues that nobody ever waits in.

use super::Sense;
use crate::config::model::Pool;
use crate::config::sources::{Fault, KeyPath};

pub(super) fn check(sense: &mut Sense<'_>, name: &str, pool: &Pool, at: &KeyPath) {
    let is_limited = pool.max_in_flight.is_some() || pool.targets.iter().any(|target| target.max_in_flight.is_some());
    let may_be = is_limited || !sense.is_sound(at, "targets") || !sense.is_complete(at.clone());
    for key in [at.child("queue"), at.child("timeouts").child("queue")] {
        if !may_be && sense.sources.has_own(&key) {
            let what = format!("nobody ever waits: nothing limits what pool `{name}` has in flight");
            sense.findings.warnings.push(Fault::new(key, what).help("set `max_in_flight` for the pool or its targets"));
        }
    }
}
