//! What rules that count have in common.

use crate::config::formats::Network;
use crate::config::limit_key::LimitKey;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which clients a rule counts, and how many of what it counts by. The rule's table has these keys beside its own; which of them there are
/// is made sure of by the schema, as serde cannot where they are flattened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Counting {
    /// Addresses of clients that it is not for.
    #[schemars(with = "Vec<Network>")]
    pub except: Vec<IpNet>,
    /// Bits of an IPv4 address that make a client.
    #[schemars(range(min = 1, max = 32))]
    pub ipv4_prefix: u8,
    /// Bits of an IPv6 address that do.
    #[schemars(range(min = 1, max = 128))]
    pub ipv6_prefix: u8,
    /// Keys that there is room to count, of 28 bytes each.
    #[schemars(range(min = 1_000, max = 100_000_000))]
    pub size: usize,
}

impl Default for Counting {
    /// A client commonly has one IPv4 address, and a whole net of IPv6.
    fn default() -> Self {
        Self { except: Vec::new(), ipv4_prefix: 32, ipv6_prefix: 64, size: 100_000 }
    }
}

/// What is counted by where nothing is said.
pub(super) fn client_ip() -> LimitKey {
    LimitKey::ClientIp
}
