//! Rules of type quota.

use super::counting::Counting;
use super::{Compile, Does, Here, KeptQuota, Lasting};
use crate::config::model::{self, LimitScope, QuotaPeriod};
use crate::gateway::Meter;
use crate::gateway::limits::fields;
use crate::gateway::quota::{Calendar, Period, Quota, stranger};
use crate::plan::sharing;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Compile for model::Quota {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        let period = match self.period {
            QuotaPeriod::Minute => Period::Minute,
            QuotaPeriod::Hour => Period::Hour,
            QuotaPeriod::Day => Period::Day,
            QuotaPeriod::Week => Period::Week,
            QuotaPeriod::Month => Period::Month,
        };
        let calendar = match Calendar::new(period, self.time_zone.as_deref()) {
            Ok(calendar) => calendar,
            Err(why) => {
                here.fault(&["time_zone"], why, Some("write time_zone = \"Europe/Berlin\" or the like".to_owned()));
                return Does::default();
            }
        };
        let counting = Counting::of(&self.key, &self.counting, here);
        let Some(mut counting) = counting else { return Does::default() };
        let zone = self.time_zone.as_deref().unwrap_or("UTC");
        let under = format!("{} in {zone} by {}", self.period.word(), std::mem::take(&mut counting.under));
        let same = |kept: &&KeptQuota| kept.rule == here.name && kept.under == under;
        let is_shared = self.scope == LimitScope::Cluster;
        let seed = match is_shared {
            // All hosts know keys by the same numbers.
            true => sharing::seed(here.config, here.files),
            false => here.lasting.seed().load(Ordering::Relaxed),
        };
        let shared_goes_on = |kept: &&KeptQuota| kept.quota.limit() == self.limit && kept.quota.table().seed() == seed;
        let kept = |before: &'_ Lasting| match is_shared {
            // What this host may admit is counted from the limit down: with another limit, or other numbers of keys, it is asked for anew.
            true => before.shared_quotas().iter().find(same).filter(shared_goes_on).cloned(),
            false => before.quotas().iter().find(same).cloned(),
        };
        let before = here.before.and_then(kept);
        let quota = Quota::new(self.limit, calendar, self.counting.size, before.as_ref().map(|kept| &kept.quota));
        if before.is_none_or(|before| !Arc::ptr_eq(before.quota.table(), quota.table())) {
            quota.table().set_seed(seed);
            if is_shared {
                // Until the others are heard of.
                let hosts = here.config.store.redis.as_ref().map_or(1, |store| u64::from(store.hosts));
                quota.set_blind(stranger(self.limit, hosts));
            }
        }
        let kept = KeptQuota { rule: here.name.to_owned(), under, quota: quota.clone() };
        match is_shared {
            true => here.lasting.shared_quotas.push(kept),
            false => here.lasting.quotas.push(kept),
        }
        let mut policy = Vec::new();
        fields::write_quota(&mut policy, here.name, self.limit, period.seconds());
        counting.limit(Meter::Quota(quota), policy, self.headers, here)
    }
}
