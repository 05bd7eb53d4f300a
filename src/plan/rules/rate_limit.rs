//! Rules of type rate-limit.

use super::counting::Counting;
use super::{Compile, Counted, Does, Here};
use crate::config::model::{self, LimitAlgorithm, LimitScope};
use crate::gateway::Meter;
use crate::gateway::limits::shares::UNIT;
use crate::gateway::limits::{Allowance, Limiter, Shares, fields};
use crate::plan::sharing;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64_with_seed;

impl Compile for model::RateLimit {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        let rate = self.rate;
        let allowance = match self.algorithm {
            LimitAlgorithm::Gcra => Allowance::pace(rate.count(), rate.time(), self.burst.unwrap_or(rate.per_second())),
            LimitAlgorithm::SlidingWindow => Allowance::window(rate.count(), rate.time()),
        };
        let allowance = allowance.map_err(|unfit| here.fault(&["rate"], unfit.to_string(), None));
        let counting = Counting::of(&self.key, &self.counting, here);
        let (Ok(allowance), Some(counting)) = (allowance, counting) else { return Does::default() };
        let same = |counted: &&Counted| counted.rule == here.name && counted.under == counting.under;
        let before = here.previous.iter().find(same);
        let before = before.map(|counted| &counted.limiter);
        let seed = (self.scope == LimitScope::Cluster).then(|| seed(&counting.under, here));
        // What was counted of keys that are hashed otherwise says nothing of any.
        let goes_on = |limiter: &&Limiter| match seed {
            Some(seed) => limiter.shares().is_some() && limiter.table().seed() == seed,
            None => limiter.shares().is_none(),
        };
        let before = before.filter(goes_on);
        let mut limiter = Limiter::new(allowance, self.counting.size, before);
        if let Some(seed) = seed {
            limiter.table().set_seed(seed);
            limiter = limiter.shared(shares(before, here));
        }
        let mut policy = Vec::new();
        fields::write_policy(&mut policy, [(here.name, &allowance)]);
        counting.limit(Meter::Rate(limiter), policy, self.headers, here)
    }
}

/// What makes the hashes of keys, which all hosts make likewise.
fn seed(under: &str, here: &Here<'_>) -> u64 {
    xxh3_64_with_seed(format!("{}\0{under}", here.name).as_bytes(), sharing::seed(here.config, here.files))
}

/// The parts that this host has. What follows another plan has the least until control knows of it: others may have all the rest.
fn shares(before: Option<&Limiter>, here: &Here<'_>) -> Arc<Shares> {
    let hosts = here.config.store.redis.as_ref().map_or(1, |store| store.hosts.max(1));
    let kept = before.and_then(Limiter::shares).cloned();
    let first = UNIT / hosts / if here.is_first { 1 } else { 50 };
    kept.unwrap_or_else(|| Arc::new(Shares::new(first.max(1))))
}
