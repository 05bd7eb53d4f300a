//! Rules of type rate-limit.

use super::counting::Counting;
use super::{Compile, Counted, Does, Here};
use crate::config::model::{self, LimitAlgorithm, LimitScope};
use crate::gateway::Meter;
use crate::gateway::limits::shares::UNIT;
use crate::gateway::limits::{Allowance, Limiter, Shares, fields};
use crate::plan::compile::key_path;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

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
        let before = before.filter(|limiter| limiter.shares().is_some() == (self.scope == LimitScope::Cluster));
        let mut limiter = Limiter::new(allowance, self.counting.size, before);
        if self.scope == LimitScope::Cluster {
            let (shares, seed) = shared(before, &counting.under, here);
            limiter.table().set_seed(seed);
            limiter = limiter.shared(shares);
        }
        let mut policy = Vec::new();
        fields::write_policy(&mut policy, [(here.name, &allowance)]);
        counting.limit(Meter::Rate(limiter), policy, self.headers, here)
    }
}

/// The parts that this host has, and what makes the hashes of keys, which all hosts make likewise. What follows another plan has the least until control
/// knows of it: others may have all the rest.
fn shared(before: Option<&Limiter>, under: &str, here: &Here<'_>) -> (Arc<Shares>, u64) {
    let store = here.config.store.redis.as_ref();
    let hosts = store.map_or(1, |store| store.hosts.max(1));
    let secret = store.and_then(|store| match &store.password_file {
        Some(_) => here.files.content(&key_path(&["store", "redis", "password_file"])).ok().map(|text| text.to_vec()),
        None => store.url.password.as_ref().map(|password| password.clone().into_bytes()),
    });
    let text = format!("{}\0{under}\0{}\0", here.name, store.map_or("", |store| &store.prefix));
    let mut seed = text.into_bytes();
    seed.extend_from_slice(secret.unwrap_or_default().trim_ascii_end());
    let kept = before.and_then(Limiter::shares).cloned();
    let first = UNIT / hosts / if here.is_first { 1 } else { 50 };
    (kept.unwrap_or_else(|| Arc::new(Shares::new(first.max(1)))), xxh3_64(&seed))
}
