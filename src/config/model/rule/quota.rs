//! Rules of type quota.

use super::counting::{Counting, client_ip};
use super::{LimitHeaders, LimitScope};
use crate::config::limit_key::LimitKey;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of type quota: more requests than that in a period of the calendar get 429 until it is over. It counts for all workers and all
/// routes that name it, and goes on counting when the process is started anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quota {
    /// How many requests each key may make in a period.
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    pub limit: u64,
    /// The period.
    pub period: QuotaPeriod,
    /// The place whose calendar and clock it goes by, as the IANA names time zones. Absent: UTC.
    pub time_zone: Option<String>,
    /// What requests are counted by.
    #[serde(default = "client_ip")]
    pub key: LimitKey,
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

/// For how long a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum QuotaPeriod {
    /// A minute of the clock.
    Minute,
    /// An hour of the clock.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Sunday.
    Week,
    /// From the first day of a month to the last.
    Month,
}

impl QuotaPeriod {
    /// Its name in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}
