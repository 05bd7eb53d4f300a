//! `[listeners.NAME.proxy_protocol]`: who says whose connection it is.

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
