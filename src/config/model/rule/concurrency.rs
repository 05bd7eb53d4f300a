//! Rules of type concurrency.

use super::counting::{all_of_ipv4, client_ip, many, net_of_ipv6};
use crate::config::formats::Network;
use crate::config::limit_key::LimitKey;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of type concurrency: a request that comes while as many of its key are under way gets 429. It counts for all workers and
/// all routes that name it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Concurrency {
    /// How many requests of each key may be under way at once.
    #[schemars(range(min = 1, max = 200_000))]
    pub max: u32,
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
    /// Keys that there is room to count, of 28 bytes each. A key with requests under way never gives way to another: what finds no room
    /// is let in without being counted.
    #[serde(default = "many")]
    #[schemars(range(min = 1_000, max = 100_000_000))]
    pub size: usize,
}
