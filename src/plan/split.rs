//! Routes whose requests are divided among pools, compiled.

use super::compile::fault;
use super::rules::count_key;
use super::{Action, Forward, Plan, Route};
use crate::config::{Fault, model};
use crate::gateway::condition::{self, Condition, Stage};
use crate::gateway::{About, Asked, CountKey, Who};
use crate::upstream::split::{Part, Rollback, Split as Shared};
use std::borrow::Cow;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// How a route's requests are divided among pools.
#[derive(Clone, Debug)]
pub struct Split {
    /// What all workers and plans share.
    pub shared: Arc<Shared>,
    /// What stays with one pool; `None`: each request goes by chance.
    pub by: Option<CountKey>,
    /// Each pool, in the order of the configuration.
    pub members: Arc<[Member]>,
}

/// One of the pools.
#[derive(Debug)]
pub struct Member {
    /// Which requests come to it whatever the weights; `None`: none do.
    pub when: Option<Condition>,
    /// How it is forwarded to.
    pub forward: Arc<Forward>,
}

/// A route as it is for this pool of its split.
pub(super) fn as_for(route: &model::Route, pool: &str) -> model::Route {
    model::Route { pool: Some(pool.to_owned()), ..route.clone() }
}

/// A route as it is for the first pool of its split, if it has one.
pub(super) fn lead(route: &model::Route) -> Cow<'_, model::Route> {
    match route.split.first() {
        Some(first) => Cow::Owned(as_for(route, &first.pool)),
        None => Cow::Borrowed(route),
    }
}

impl Split {
    /// That of a route, if it has one, each of whose pools is forwarded to as `as_for` says; none is a pool that is not there. `before`: what it was.
    pub(super) fn compile(
        (name, route): (&str, &model::Route),
        as_for: impl Fn(&str) -> Option<Forward>,
        workers: usize,
        before: Option<&Self>,
    ) -> Result<Option<Arc<Self>>, Vec<Fault>> {
        if route.split.is_empty() {
            return Ok(None);
        }
        let mut faults = Vec::new();
        let (mut members, mut parts) = (Vec::new(), Vec::new());
        for (index, part) in route.split.iter().enumerate() {
            let place = index.to_string();
            let Some(forward) = as_for(&part.pool) else {
                let what = format!("no pool is named `{}`", part.pool);
                faults.push(fault(&["routes", name, "split", &place, "pool"], what, None));
                continue;
            };
            let when = part.when.as_deref().and_then(|text| {
                let wrong = |found: condition::Fault| {
                    faults.push(fault(&["routes", name, "split", &place, "when"], found.to_string(), found.help));
                };
                Condition::compile(text, Stage::Known).map_err(wrong).ok()
            });
            let rollback = part.rollback.as_ref().map(|rollback| Rollback {
                errors: rollback.errors.map(|share| share.0),
                latency: rollback.latency.map(|most| (most.0, rollback.slow.0)),
                window: rollback.window.0,
                min_requests: u64::from(rollback.min_requests),
            });
            parts.push(Part::new(part.pool.clone(), part.weight, rollback, workers));
            members.push(Member { when, forward: Arc::new(forward) });
        }
        let by = route.split_by.as_ref().and_then(|key| {
            let compiled = count_key(key, [32, 64]);
            compiled.map_err(|why| faults.push(fault(&["routes", name, "split_by"], why, None))).ok()
        });
        if !faults.is_empty() {
            return Err(faults);
        }
        let shared = Arc::new(Shared::new(parts, before.map(|before| &*before.shared)));
        Ok(Some(Arc::new(Self { shared, by, members: members.into() })))
    }

    /// The member that a request is for; `chance` is drawn where nothing else says. The second: why a condition could say nothing.
    pub fn choose(&self, asked: &Asked<'_>, who: &Who, chance: impl FnOnce() -> u64) -> (usize, Choice) {
        let Asked { client, route, request, .. } = *asked;
        let about = About { client, route, request, who, path: None };
        for (index, (member, part)) in self.members.iter().zip(self.shared.parts()).enumerate() {
            // A condition that cannot say anything does not hold.
            if !part.is_halted() && member.when.as_ref().is_some_and(|when| when.holds(&about) == Ok(true)) {
                return (index, Choice::Condition);
            }
        }
        match &self.by {
            Some(key) => (self.shared.pick(xxh3_64(&key.text(asked, who))), Choice::Key),
            None => (self.shared.pick(chance()), Choice::Chance),
        }
    }

    /// How the member at this place is forwarded to; out of reach, the first.
    pub fn forward(&self, index: usize) -> Option<&Arc<Forward>> {
        self.members.get(index).or(self.members.first()).map(|member| &member.forward)
    }
}

impl Plan {
    /// How the requests of the route of this name are divided among pools; `None`: they are not.
    pub fn split(&self, name: &str) -> Option<&Split> {
        let place = self.routes.binary_search_by(|route| route.name.as_str().cmp(name)).ok()?;
        self.routes[place].split()
    }
}

impl Route {
    /// How its requests are divided among pools; `None`: they are not.
    pub fn split(&self) -> Option<&Split> {
        match &self.action {
            Action::Forward(forward) => forward.split.as_deref(),
            _ => None,
        }
    }
}

/// By what a pool was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Its condition holds.
    Condition,
    /// What stays with one pool.
    Key,
    /// Chance.
    Chance,
}
