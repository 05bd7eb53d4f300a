//! `[pools.NAME.queue]` and `[pools.NAME.adaptive]`: those who wait for room at a target, and a limit that finds itself.

use crate::config::units::{Share, Span};
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

/// A limit of each target that follows its latency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Adaptive {
    /// The least that it may be; so much a target has in hand while its least latency is measured.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min: u32,
    /// The most that it may be.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max: u32,
    /// How much longer than the least latency a target may take before its limit shrinks.
    pub tolerance: Share,
    /// How long latencies are gathered until the limit changes; at least 10 answers in any case.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1m"))]
    pub window: Span,
    /// From one measurement of the least latency to the next.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "24h"))]
    pub probe: Span,
}

impl Default for Adaptive {
    fn default() -> Self {
        Self { min: 4, max: 1000, tolerance: Share(0.25), window: Span::millis(100), probe: Span::secs(60) }
    }
}
