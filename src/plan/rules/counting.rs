//! What rules that count have in common.

use super::limit_key::count_key;
use super::{Does, Here};
use crate::config::limit_key::LimitKey;
use crate::config::model::{self, LimitHeaders};
use crate::gateway::{CountKey, Meter, Ranges, RateLimit, ToldOf};
use std::sync::Arc;

/// Whom a rule counts, and by what.
pub(super) struct Counting {
    pub(super) key: CountKey,
    /// Whether that is known only once it is known who asks.
    pub(super) late: bool,
    pub(super) except: Ranges,
    /// What makes a key there: what was counted under another heading says nothing of it.
    pub(super) under: String,
}

impl Counting {
    /// By what a rule's table says of it. `None`: it is at fault.
    pub(super) fn of(key: &LimitKey, of: &model::Counting, here: &mut Here<'_>) -> Option<Self> {
        let prefixes = [of.ipv4_prefix, of.ipv6_prefix];
        let under = format!("{key} {}/{}", prefixes[0], prefixes[1]);
        let (late, except) = (key.needs_identity(), Ranges::new(&of.except));
        let key = count_key(key, prefixes).map_err(|why| here.fault(&["key"], why, None)).ok()?;
        Some(Self { key, late, except, under })
    }

    /// A limit by this meter, and what clients are told of it: its policy and whatever `headers` says.
    pub(super) fn limit(self, meter: Meter, policy: Vec<u8>, headers: LimitHeaders, here: &Here<'_>) -> Does {
        let told = ToldOf {
            index: here.index,
            name: here.name.into(),
            policy: policy.into(),
            standard: matches!(headers, LimitHeaders::Standard | LimitHeaders::Both),
            former: matches!(headers, LimitHeaders::XRatelimit | LimitHeaders::Both),
        };
        let Self { key, late, except, under } = self;
        let limit = RateLimit { index: here.index, key, late, except, meter };
        Does { limit: Some(Arc::new(limit)), told: Some(told), under, ..Does::default() }
    }
}
