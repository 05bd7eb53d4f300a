//! Rules of type quota.

use super::counting::Counting;
use super::{Compile, Does, Here, KeptQuota};
use crate::config::model::{self, QuotaPeriod};
use crate::gateway::Meter;
use crate::gateway::limits::fields;
use crate::gateway::quota::{Calendar, Period, Quota};
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
        let before = here.before.and_then(|before| before.quotas().iter().find(same));
        let quota = Quota::new(self.limit, calendar, self.counting.size, before.map(|kept| &kept.quota));
        if before.is_none_or(|before| !Arc::ptr_eq(before.quota.table(), quota.table())) {
            quota.table().set_seed(here.lasting.seed().load(Ordering::Relaxed));
        }
        here.lasting.quotas.push(KeptQuota { rule: here.name.to_owned(), under, quota: quota.clone() });
        let mut policy = Vec::new();
        fields::write_quota(&mut policy, here.name, self.limit, period.seconds());
        counting.limit(Meter::Quota(quota), policy, self.headers, here)
    }
}
