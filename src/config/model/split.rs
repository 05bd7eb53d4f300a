//! `split` of a route: requests that are divided among several pools, for canaries and for blue and green.

use crate::config::formats::Name;
use crate::config::units::{Share, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A pool's part of a route's requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitPool {
    /// The pool.
    #[schemars(with = "Name")]
    pub pool: String,
    /// Its part of the requests beside the others'; 0: only what `when` sends it.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 1000))]
    pub weight: u32,
    /// Requests of which this holds come here whatever the weights, in CEL: 'request.headers["x-canary"] == "1" ||
    /// consumer.name == "tester"'. The first pool whose condition holds has them.
    #[serde(default)]
    pub when: Option<String>,
    /// When the pool gets no more requests because of how it does. Absent: never.
    #[serde(default)]
    pub rollback: Option<Rollback>,
}

fn one() -> u32 {
    1
}

/// When a pool of a split gets no more requests: its weight is then 0 until an operator says otherwise or the split is written otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rollback {
    /// The share of requests that fail, by a status of 5xx or without a whole answer, from which on. Absent: failures are not judged.
    pub errors: Option<Share>,
    /// How long an answer may take, with its body. Absent: that is not judged.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1h"))]
    pub latency: Option<Span>,
    /// The share of answers that take longer than `latency` from which on: "5%" judges the 95th percentile.
    pub slow: Share,
    /// Over how long they are judged.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub window: Span,
    /// Requests within `window` from which on they are judged.
    #[schemars(range(min = 1, max = 1000000))]
    pub min_requests: u32,
}

impl Default for Rollback {
    fn default() -> Self {
        Self { errors: None, latency: None, slow: Share(0.05), window: Span::secs(30), min_requests: 20 }
    }
}
