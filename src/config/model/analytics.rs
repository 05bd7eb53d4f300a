//! `[analytics]`: who asks for what, how often and with what success, summed up on the disk.

use crate::config::units::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[analytics]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Analytics {
    /// For how long sums are kept, and how fine.
    pub retention: Retention,
    /// Combinations of consumer, route, version and status that are told apart within an hour. Beyond it consumers are summed up as
    /// "(other)".
    #[schemars(range(min = 100, max = 1_000_000))]
    pub max_series: usize,
}

impl Default for Analytics {
    fn default() -> Self {
        Self { retention: Retention::default(), max_series: 10_000 }
    }
}

/// `[analytics.retention]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// For how long there are sums by the minute; they become sums by the hour.
    #[schemars(extend("x-minimum" = "1h", "x-maximum" = "90d"))]
    pub minutes: Span,
    /// For how long there are sums by the hour; they become sums by the day (UTC).
    #[schemars(extend("x-minimum" = "1d", "x-maximum" = "1000d"))]
    pub hours: Span,
    /// For how long there are sums by the day; then they are deleted.
    #[schemars(extend("x-minimum" = "1d", "x-maximum" = "10000d"))]
    pub days: Span,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |count: u64| Span::secs(count * 24 * 3600);
        Self { minutes: days(2), hours: days(90), days: days(730) }
    }
}
