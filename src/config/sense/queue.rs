//! Queues that nobody ever waits in, and limits that could never be found.

use super::Sense;
use crate::config::model::{Adaptive, Health, HealthType, Listener, Pool, Protocol};
use crate::config::sources::{Fault, KeyPath};

pub(super) fn check(sense: &mut Sense<'_>, name: &str, pool: &Pool, at: &KeyPath) {
    let of_targets = pool.adaptive.is_some() || pool.targets.iter().any(|target| target.max_in_flight.is_some());
    let asks_agent = |health: &Health| health.kind == HealthType::Agent;
    let by_agent = pool.agent.is_some() || pool.health.as_ref().is_some_and(asks_agent);
    let is_limited = pool.max_in_flight.is_some() || of_targets || by_agent;
    let may_be = is_limited || !sense.is_sound(at, "targets") || !sense.is_complete(at.clone());
    for key in [at.child("queue"), at.child("timeouts").child("queue")] {
        if !may_be && sense.sources.has_own(&key) {
            let what = format!("nobody ever waits: nothing limits what pool `{name}` has in flight");
            sense.findings.warnings.push(Fault::new(key, what).help("set `max_in_flight` for the pool or its targets"));
        }
    }
    if let Some(adaptive) = pool.adaptive.as_ref().filter(|_| sense.is_complete(at.child("adaptive"))) {
        limit(sense, name, adaptive, &at.child("adaptive"));
    }
}

fn limit(sense: &mut Sense<'_>, name: &str, adaptive: &Adaptive, at: &KeyPath) {
    if adaptive.min > adaptive.max {
        let what = format!("the least limit, {}, is above the most, {}", adaptive.min, adaptive.max);
        sense.fault(Fault::new(at.clone(), what).help("set `min` below `max`"));
    }
    let over_tcp = |listener: &Listener| listener.protocol == Protocol::Tcp && listener.pool.as_deref() == Some(name);
    let Some((listener, _)) = sense.config.listeners.iter().find(|(_, listener)| over_tcp(listener)) else { return };
    let fault = Fault::new(at.clone(), format!("a limit cannot follow latency on the tcp listener `{listener}`"));
    sense.fault(
        fault
            .also(["listeners", listener.as_str(), "pool"], "used here")
            .help("a connection is no answer that could be timed: write `max_in_flight`, or use a pool of its own"),
    );
}
