//! Rules of type bandwidth.

use super::counting::{all_of_ipv4, many, net_of_ipv6};
use crate::config::formats::Network;
use crate::config::limit_key::LimitKey;
use crate::config::rate::ByteRate;
use crate::config::units::Size;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of type bandwidth: requests and answers flow no faster than that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bandwidth {
    /// How fast answers flow. Absent: as fast as they can.
    pub download: Option<ByteRate>,
    /// How fast the bodies of requests do. Absent: as fast as they can.
    pub upload: Option<ByteRate>,
    /// Bytes of each that flow at once before that. Absent: what flows in a tenth of a second.
    pub burst: Option<Size>,
    /// What is slowed down together, over all workers and all routes that name the rule. Absent: each request by itself.
    pub key: Option<LimitKey>,
    /// Addresses of clients that are not slowed down.
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
    /// Keys that there is room to count, of 28 bytes each, of answers and of requests; then the ones give way that have taken the least.
    #[serde(default = "many")]
    #[schemars(range(min = 1_000, max = 100_000_000))]
    pub size: usize,
}
