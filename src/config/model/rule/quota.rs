//! Rules of type quota.

use super::LimitHeaders;
use super::counting::{all_of_ipv4, client_ip, many, net_of_ipv6};
use crate::config::formats::Network;
use crate::config::limit_key::LimitKey;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of type quota: more requests than that in a period of the calendar get 429 until it is over. It counts for all workers and all
/// routes that name it, and goes on counting when the process is started anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
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
    /// Addresses of clients that are not counted.
    #[serde(default)]
    #[schemars(with = "Vec<Network>")]
    pub except: Vec<IpNet>,
    /// Bits of an IPv4 address that make a client.
    #[serde(default = "all_of_ipv4")]
    #[schemars(range(min = 1, max = 32))]
    pub ipv4_prefix: u8,
    /// Bits of an IPv6 address that do.
    #[serde(default = "net_of_ipv6")]
    #[schemars(range(min = 1, max = 128))]
    pub ipv6_prefix: u8,
    /// Keys that there is room to count, of 28 bytes each; then the ones give way that have used the least.
    #[serde(default = "many")]
    #[schemars(range(min = 1_000, max = 100_000_000))]
    pub size: usize,
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
