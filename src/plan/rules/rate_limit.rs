//! Rules of type rate-limit.

use super::limit_key::count_key;
use super::{Compile, Does, Here};
use crate::config::model::{self, LimitAlgorithm, LimitHeaders};
use crate::gateway::limits::{Allowance, Limiter, fields};
use crate::gateway::{Meter, Ranges, RateLimit, ToldOf};
use std::sync::Arc;

impl Compile for model::RateLimit {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        let rate = self.rate;
        let allowance = match self.algorithm {
            LimitAlgorithm::Gcra => Allowance::pace(rate.count(), rate.time(), self.burst.unwrap_or(rate.per_second())),
            LimitAlgorithm::SlidingWindow => Allowance::window(rate.count(), rate.time()),
        };
        let prefixes = [self.ipv4_prefix, self.ipv6_prefix];
        let (allowance, key) = match (allowance, count_key(&self.key, prefixes)) {
            (Ok(allowance), Ok(key)) => (allowance, key),
            (Err(unfit), _) => {
                here.fault(&["rate"], unfit.to_string(), None);
                return Does::default();
            }
            (_, Err(why)) => {
                here.fault(&["key"], why, None);
                return Does::default();
            }
        };
        let under = format!("{} {}/{}", self.key, self.ipv4_prefix, self.ipv6_prefix);
        let before = here.previous.iter().find(|counted| counted.rule == here.name && counted.under == under);
        let limiter = Limiter::new(allowance, self.size, before.map(|counted| &counted.limiter));
        let mut policy = Vec::new();
        fields::write_policy(&mut policy, [(here.name, &allowance)]);
        let told = ToldOf {
            index: here.index,
            name: here.name.into(),
            policy: policy.into(),
            standard: matches!(self.headers, LimitHeaders::Standard | LimitHeaders::Both),
            former: matches!(self.headers, LimitHeaders::XRatelimit | LimitHeaders::Both),
        };
        let (late, except) = (self.key.needs_identity(), Ranges::new(&self.except));
        let limit = RateLimit { index: here.index, key, late, except, meter: Meter::Rate(limiter) };
        Does { limit: Some(Arc::new(limit)), told: Some(told), under, ..Does::default() }
    }
}
