//! `[pools.NAME.queue]`: those who wait for room at a target.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Requests and connections that wait while `max_in_flight` is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// How many may wait, over all workers; more get 503 at once. 0: nobody waits.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub length: usize,
}

impl Default for Queue {
    fn default() -> Self {
        Self { length: 1024 }
    }
}
