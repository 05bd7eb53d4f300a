//! The PROXY protocol: who says whose connection it is, and which targets are told.

use crate::config::formats::Network;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[listeners.NAME.proxy_protocol]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProxyProtocol {
    /// Address ranges of proxies in front, whose headers count. On a Unix socket everybody's do.
    #[schemars(with = "Vec<Network>")]
    pub from: Vec<IpNet>,
    /// Whether a connection is refused that comes without a header, or from elsewhere.
    pub require: bool,
}

/// By which headers targets are told of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SendProxy {
    /// A line with the addresses.
    #[serde(rename = "v1")]
    V1,
    /// In binary, with what is known of TLS, the name asked for and ALPN.
    #[serde(rename = "v2")]
    V2,
    /// The same with a checksum.
    #[serde(rename = "v2-crc32c")]
    V2Crc32c,
}
