//! Splits, as the API shows and takes them.

use super::Weight;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A route whose requests are divided among pools.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Split {
    /// The route's name.
    pub route: String,
    /// What stays with one pool; absent: each request goes by chance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The pools.
    pub pools: Vec<SplitPool>,
}

/// A pool of a split.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SplitPool {
    /// Its name.
    pub pool: String,
    /// Its weight.
    pub weight: Weight,
    /// Whether nothing goes to it, whatever its condition says: an operator, or a rollback, has given it the weight 0.
    pub halted: bool,
    /// Requests that came to an end.
    pub requests: u64,
    /// Those of them that failed: by a status of 5xx, or without a whole answer.
    pub errors: u64,
    /// Those of them that took longer than `rollback.latency`.
    pub slow: u64,
}

/// A change of a split.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchSplit {
    /// Weights by pool, 0 to 1000; 0: nothing goes there. Pools that are not named keep theirs.
    pub weights: BTreeMap<String, u32>,
}
