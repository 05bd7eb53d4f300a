//! Rules of type concurrency.

use super::counting::{Counting, client_ip};
use crate::config::limit_key::LimitKey;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of type concurrency: a request that comes while as many of its key are under way gets 429. It counts for all workers and
/// all routes that name it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Concurrency {
    /// How many requests of each key may be under way at once.
    #[schemars(range(min = 1, max = 200_000))]
    pub max: u32,
    /// What requests are counted by.
    #[serde(default = "client_ip")]
    pub key: LimitKey,
    /// Which clients, and how many.
    #[serde(flatten)]
    pub counting: Counting,
}
