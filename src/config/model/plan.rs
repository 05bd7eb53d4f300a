//! `[plans.NAME]`: limits that groups of consumers get.

use crate::config::formats::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[plans.NAME]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitPlan {
    /// Groups of consumers: whoever is in one of them has this plan.
    #[schemars(with = "Vec<Name>", length(min = 1, max = 1024))]
    pub groups: Vec<String>,
    /// Rules of type rate-limit, quota, concurrency and bandwidth that their requests are put to, on all routes that find out who asks.
    #[schemars(with = "Vec<Name>", length(min = 1, max = 64))]
    pub rules: Vec<String>,
}
