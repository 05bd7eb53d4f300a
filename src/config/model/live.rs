//! What live traffic and the coming and going of targets do: `outlier`, `on_down`, `on_up` of a pool.

use crate::config::formats::FactorRange;
use crate::config::units::{Factor, Share, Span};
use crate::config::words::StatusRanges;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Takes targets out of balancing for a while that fail live traffic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Outlier {
    /// Errors in a row that eject a target; 0: they are not counted.
    #[schemars(range(min = 0, max = 10000))]
    pub errors: u32,
    /// After so long without an error a row is forgotten; `rate` and `latency` are judged over so long.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub window: Span,
    /// How long the first ejection lasts; the next in a row last twice as long as the one before.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub eject: Span,
    /// How long any ejection lasts at most.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "24h"))]
    pub max_eject: Span,
    /// The share of the pool's targets that may be ejected at a time: one at least, but never the only one.
    pub max_ejected: Share,
    /// The share of errors within `window` that ejects a target. Absent: it is not judged.
    pub rate: Option<Share>,
    /// How many times slower than the median of the others ejects a target. Absent: it is not judged.
    #[schemars(with = "Option<FactorRange>", extend("x-minimum" = "1.1", "x-maximum" = "1000"))]
    pub latency: Option<Factor>,
    /// Requests of a target within `window` from which on `rate` and `latency` are judged.
    #[schemars(range(min = 1, max = 1000000))]
    pub min_requests: u32,
    /// The statuses that are errors, beside what gets no answer at all.
    pub statuses: StatusRanges,
}

impl Default for Outlier {
    fn default() -> Self {
        Self {
            errors: 5,
            window: Span::secs(10),
            eject: Span::secs(30),
            max_eject: Span::secs(300),
            max_ejected: Share(0.5),
            rate: None,
            latency: None,
            min_requests: 20,
            statuses: StatusRanges(vec![(502, 504)]),
        }
    }
}

/// What becomes of the connections of a target that goes down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnDown {
    /// They go on for as long as they can.
    #[default]
    Keep,
    /// They end: tunnels are reset, requests get another target or 503.
    Close,
}

/// What becomes of the connections of backups when a target comes up that is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnUp {
    /// They go on.
    #[default]
    Keep,
    /// They end, as with `on_down`.
    CloseBackups,
}
