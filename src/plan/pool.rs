//! Pools of a plan, what their `hash` policy goes by, and their checks.

use crate::{tls, upstream};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// A pool and what the `hash` policy goes by.
#[derive(Clone, Debug)]
pub struct Pool {
    /// What all workers share.
    pub shared: Arc<upstream::Pool>,
    /// The key; `None` where the policy needs none.
    pub key: Option<Key>,
    /// What TLS is done with in health checks; `None`: they are made in clear.
    pub check_tls: Option<Arc<tls::Outbound>>,
    /// How long the first checks may take of targets that nobody uses before; `None`: targets are taken for up.
    pub unproven_for: Option<Duration>,
}

/// What the `hash` policy goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// The client's address.
    ClientIp,
    /// The normalised path.
    Path,
    /// A header's value.
    Header(String),
    /// A cookie's value.
    Cookie(String),
    /// A query parameter's value.
    Query(String),
}

/// A health check of one target, or an agent that is asked beside it.
#[derive(Debug)]
pub struct Check {
    /// Position of the pool.
    pub pool: usize,
    /// Position of the target in its pool.
    pub target: usize,
    /// How to check it.
    pub spec: upstream::health::CheckSpec,
    /// Whether it is an agent beside the checks.
    pub beside: bool,
    /// The targets that follow this one, as positions of a pool and in it.
    pub followers: Vec<(usize, usize)>,
}

impl fmt::Display for Key {
    /// As a configuration has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::ClientIp => f.write_str("client-ip"),
            Key::Path => f.write_str("path"),
            Key::Header(name) => write!(f, "header:{name}"),
            Key::Cookie(name) => write!(f, "cookie:{name}"),
            Key::Query(name) => write!(f, "query:{name}"),
        }
    }
}

impl Key {
    /// The hash of a client's address, which stands in for a key that a request does not have.
    pub fn hash_ip(ip: IpAddr) -> u64 {
        match ip {
            IpAddr::V4(ip) => xxh3_64(&ip.octets()),
            IpAddr::V6(ip) => xxh3_64(&ip.octets()),
        }
    }
}
