//! What counts on this host by the parts that it has: the limits of a plan that hosts share.

use super::call::Key;
use super::host::{Buckets, Host};
use crate::gateway::limits::Limiter;
use crate::plan::Plan;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// The limits, by hashes of what they are.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Whose they are: its place is nobody else's for as long as this is kept.
    plan: Weak<Plan>,
    limits: HashMap<u64, Limiter>,
    /// What is to be changed of which keys are divided, by their rules: the part, or nothing.
    changes: HashMap<u64, HashMap<u64, Option<u32>>>,
    now: Duration,
}

/// How many requests of a limit tell how often it is asked for, and the bounds of how long that takes, in milliseconds.
const TELLING: u64 = 20;
const SOONEST: u64 = 100;
const LATEST: u64 = 5_000;

impl Counters {
    /// Those of these rules.
    #[cfg(test)]
    pub(super) fn with(limits: impl IntoIterator<Item = (u64, Limiter)>) -> Self {
        Self { limits: limits.into_iter().collect(), ..Self::default() }
    }

    /// Time passes.
    pub(super) fn set_now(&mut self, now: Duration) {
        self.now = now;
    }

    /// Whether there are any.
    pub(super) fn is_any(&self) -> bool {
        !self.limits.is_empty()
    }

    /// Goes by those of a plan. Those that are new are told what this host has of each key; nothing of any, where there is no host. Says whether it is
    /// another plan than before.
    pub(super) fn follow(&mut self, plan: &Arc<Plan>, host: Option<&Host>) -> bool {
        if self.plan.as_ptr() == Arc::as_ptr(plan) {
            return false;
        }
        self.plan = Arc::downgrade(plan);
        let shared = plan.counted.iter().filter_map(|counted| {
            counted.limiter.shares()?;
            Some((rule(&counted.rule, &counted.under), counted.limiter.clone()))
        });
        let limits: HashMap<u64, Limiter> = shared.collect();
        for (&rule, limiter) in &limits {
            let before = self.limits.get(&rule).and_then(Limiter::shares);
            let Some(shares) = limiter.shares() else { continue };
            if let Some(host) = host
                && before.is_none_or(|before| !Arc::ptr_eq(before, shares))
            {
                shares.begin(host.entries(rule));
                shares.set_base(host.base());
            }
        }
        self.limits = limits;
        true
    }

    /// Begins anew, with what a host has.
    pub(super) fn begin(&mut self, host: &Host) {
        self.changes.clear();
        for (&rule, limiter) in &self.limits {
            if let Some(shares) = limiter.shares() {
                shares.set_base(host.base());
                shares.begin(host.entries(rule));
            }
        }
    }

    /// The keys that are short, as many as have been found of late.
    pub(super) fn short(&self) -> Vec<Key> {
        let of = |(&rule, limiter): (&u64, &Limiter)| {
            let shares = limiter.shares()?.clone();
            Some(std::iter::from_fn(move || shares.next_short()).take(MOST_SHORT).map(move |key| Key { rule, key }))
        };
        self.limits.iter().filter_map(of).flatten().collect()
    }

    /// There was no room to divide one.
    pub(super) fn pass_over(&self, key: Key) {
        if let Some(shares) = self.limits.get(&key.rule).and_then(Limiter::shares) {
            shares.pass_over();
        }
    }

    /// Has workers know what was changed.
    pub(super) fn publish(&mut self) {
        for (rule, changes) in self.changes.drain() {
            let Some(shares) = self.limits.get(&rule).and_then(Limiter::shares) else { continue };
            let divided = changes.iter().filter_map(|(&key, &share)| Some((key, share?)));
            let gone = changes.iter().filter(|(_, share)| share.is_none()).map(|(&key, _)| key);
            shares.change(divided, gone);
        }
    }

    fn change(&mut self, key: Key, share: Option<u32>) {
        self.changes.entry(key.rule).or_default().insert(key.key, share);
    }
}

/// Keys of a rule that are looked at in a turn.
const MOST_SHORT: usize = 1024;

/// What a rule is called among hosts.
fn rule(name: &str, under: &str) -> u64 {
    xxh3_64(format!("{name}\0{under}").as_bytes())
}

impl Buckets for Counters {
    fn set_base(&mut self, share: u32) {
        self.limits.values().filter_map(Limiter::shares).for_each(|shares| shares.set_base(share));
    }

    fn set(&mut self, key: Key, share: u32) {
        let Some(shares) = self.limits.get(&key.rule).and_then(Limiter::shares) else { return };
        match shares.part(key.key) {
            Some(part) => {
                part.set(share);
                if let Some(changes) = self.changes.get_mut(&key.rule) {
                    changes.remove(&key.key);
                }
            }
            None => self.change(key, Some(share)),
        }
    }

    fn remove(&mut self, key: Key) {
        self.change(key, None);
    }

    fn grow(&mut self, key: Key, from_to: (u32, u32), debt: u32) {
        if let Some(limiter) = self.limits.get(&key.rule) {
            limiter.grow(key.key, from_to, debt, self.now);
        }
    }

    fn debt(&self, key: Key) -> (u32, u64) {
        let of = |limiter: &Limiter| (limiter.debt(key.key, self.now), limiter.comes_back());
        self.limits.get(&key.rule).map_or((0, 0), of)
    }

    fn least(&self, key: Key) -> u32 {
        self.limits.get(&key.rule).map_or(0, |limiter| limiter.least(key.key, self.now))
    }

    fn asked(&mut self, key: Key) -> (u64, u64) {
        let Some(limiter) = self.limits.get(&key.rule) else { return (0, SOONEST) };
        let asked = limiter.shares().and_then(|shares| shares.part(key.key)).map_or(0, |part| part.take_asked());
        let over = (limiter.allowance().slowness().saturating_mul(TELLING) / 1_000_000).clamp(SOONEST, LATEST);
        (asked, over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{compile, succeed};

    #[test]
    fn a_plan_is_looked_through_once() {
        let text = "[store.redis]\nurl = 'redis://h'\n[listeners.web]\nlisten = ['127.0.0.1:80']\npool = 'site'\n\
                    [pools.site]\ntargets = ['127.0.0.1:2']\n\
                    [routes.api]\npaths = ['/']\npool = 'site'\nrules = ['often']\n\
                    [rules.often]\ntype = 'rate-limit'\nrate = '5/s'\nscope = 'cluster'\n";
        let config = toml::from_str(text).unwrap();
        let first = Arc::new(compile(&config, 1).unwrap());
        let mut counters = Counters::default();
        assert!(counters.follow(&first, None) && counters.is_any());
        assert!(!counters.follow(&first, None));
        let next = Arc::new(succeed(&config, &first).unwrap());
        drop(first);
        assert!(counters.follow(&next, None) && !counters.follow(&next, None) && counters.is_any());
    }
}
