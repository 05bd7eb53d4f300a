//! Rules of type quota.

use super::limit_key::count_key;
use super::{Compile, Does, Here, KeptQuota};
use crate::config::model::{self, LimitHeaders, QuotaPeriod};
use crate::gateway::limits::fields;
use crate::gateway::quota::{Calendar, Period, Quota};
use crate::gateway::{Meter, Ranges, RateLimit, ToldOf};
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
        let key = match count_key(&self.key, [self.ipv4_prefix, self.ipv6_prefix]) {
            Ok(key) => key,
            Err(why) => {
                here.fault(&["key"], why, None);
                return Does::default();
            }
        };
        let zone = self.time_zone.as_deref().unwrap_or("UTC");
        let (word, key_text) = (self.period.word(), &self.key);
        let under = format!("{word} in {zone} by {key_text} {}/{}", self.ipv4_prefix, self.ipv6_prefix);
        let same = |kept: &&KeptQuota| kept.rule == here.name && kept.under == under;
        let before = here.before.and_then(|before| before.quotas().iter().find(same));
        let quota = Quota::new(self.limit, calendar, self.size, before.map(|kept| &kept.quota));
        if before.is_none_or(|before| !Arc::ptr_eq(before.quota.table(), quota.table())) {
            quota.table().set_seed(here.lasting.seed().load(Ordering::Relaxed));
        }
        here.lasting.quotas.push(KeptQuota { rule: here.name.to_owned(), under, quota: quota.clone() });
        let mut policy = Vec::new();
        fields::write_quota(&mut policy, here.name, self.limit, period.seconds());
        let told = ToldOf {
            index: here.index,
            name: here.name.into(),
            policy: policy.into(),
            standard: matches!(self.headers, LimitHeaders::Standard | LimitHeaders::Both),
            former: matches!(self.headers, LimitHeaders::XRatelimit | LimitHeaders::Both),
        };
        let (late, except) = (self.key.needs_identity(), Ranges::new(&self.except));
        let limit = RateLimit { index: here.index, key, late, except, meter: Meter::Quota(quota) };
        Does { limit: Some(Arc::new(limit)), told: Some(told), ..Does::default() }
    }
}
