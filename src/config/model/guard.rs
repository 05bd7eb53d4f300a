//! Who may connect to a listener, and how often.

use crate::config::formats::Network;
use crate::config::rate::Rate;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[listeners.NAME.limits]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClientLimits {
    /// Connections that a client may make at once beyond its rate. Absent: one second's worth.
    #[schemars(range(min = 1, max = 100_000))]
    pub burst: Option<u32>,
    /// Connections that a client may have open at a time. Absent: any.
    #[schemars(range(min = 1, max = 100_000))]
    pub connections: Option<u32>,
    /// Address ranges that the limits are not for.
    #[schemars(with = "Vec<Network>")]
    pub except: Vec<IpNet>,
    /// Bits of an IPv4 address that make a client.
    #[schemars(range(min = 1, max = 32))]
    pub ipv4_prefix: u8,
    /// Bits of an IPv6 address that make a client: who has one has a network of them.
    #[schemars(range(min = 1, max = 128))]
    pub ipv6_prefix: u8,
    /// Connections that a client may make in some time. Absent: any.
    pub rate: Option<Rate>,
    /// Clients that are counted at a time; memory for them is taken at the start, 27 bytes each.
    #[schemars(range(min = 1000, max = 10_000_000))]
    pub size: usize,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            burst: None,
            connections: None,
            except: Vec::new(),
            ipv4_prefix: 32,
            ipv6_prefix: 64,
            rate: None,
            size: 100_000,
        }
    }
}

/// What becomes of a connection that may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnRefuse {
    /// It is reset.
    Reject,
    /// It is forgotten, and the client not told.
    Silent,
}
