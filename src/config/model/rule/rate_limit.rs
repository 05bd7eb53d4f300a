//! Rules of type rate-limit.

use super::counting::{Counting, client_ip};
use crate::config::limit_key::LimitKey;
use crate::config::rate::RequestRate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of type rate-limit: more requests than that get 429. It counts for all workers and all routes that name it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RateLimit {
    /// How many requests each key may make.
    pub rate: RequestRate,
    /// What requests are counted by.
    #[serde(default = "client_ip")]
    pub key: LimitKey,
    /// How many may come at once. With "sliding-window" it means nothing. Absent: as many as the rate has in a second.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub burst: Option<u32>,
    /// How they are counted.
    #[serde(default)]
    pub algorithm: LimitAlgorithm,
    /// Who counts together: over all hosts the limit is one, of which each has a part that goes to where requests come, so that none waits for the server.
    #[serde(default)]
    pub scope: LimitScope,
    /// Which clients, and how many.
    #[serde(flatten)]
    pub counting: Counting,
    /// What clients are told of it in answers.
    #[serde(default)]
    pub headers: LimitHeaders,
}

/// How requests are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LimitAlgorithm {
    /// Evenly, and a burst at once: the generic cell rate algorithm, as a bucket of tokens does it.
    #[default]
    Gcra,
    /// So many in any time as long as that of the rate, whenever they come.
    SlidingWindow,
}

/// Who keeps together to what a rule says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LimitScope {
    /// All workers of this process.
    #[default]
    Process,
    /// All hosts that share through `[store.redis]`.
    Cluster,
}

/// What clients are told of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LimitHeaders {
    /// `RateLimit-Policy` and `RateLimit`, as the current draft has them.
    #[default]
    Standard,
    /// `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset`.
    XRatelimit,
    /// All of these.
    Both,
    /// Nothing but `Retry-After`, where they are refused.
    None,
}
