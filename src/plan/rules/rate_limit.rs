//! Rules of type rate-limit.

use super::counting::Counting;
use super::{Compile, Counted, Does, Here};
use crate::config::model::{self, LimitAlgorithm};
use crate::gateway::Meter;
use crate::gateway::limits::{Allowance, Limiter, fields};

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
        let limiter = Limiter::new(allowance, self.counting.size, before.map(|counted| &counted.limiter));
        let mut policy = Vec::new();
        fields::write_policy(&mut policy, [(here.name, &allowance)]);
        counting.limit(Meter::Rate(limiter), policy, self.headers, here)
    }
}
