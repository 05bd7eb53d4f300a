//! Rules of type rate-limit.

use super::counting::{all_of_ipv4, client_ip, many, net_of_ipv6};
use crate::config::formats::Network;
use crate::config::limit_key::LimitKey;
use crate::config::rate::RequestRate;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of type rate-limit: more requests than that get 429. It counts for all workers and all routes that name it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
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
    /// Keys that there is room to count, of 28 bytes each; then the ones give way that have the most of their allowance left.
    #[serde(default = "many")]
    #[schemars(range(min = 1_000, max = 100_000_000))]
    pub size: usize,
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
