//! `[listeners.NAME.udp]`: when a client's datagrams make a session, and when it ends.

use crate::config::units::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[listeners.NAME.udp]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Udp {
    /// Silence both ways after which a session ends, and how long an answer may take.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "24h"))]
    pub idle: Span,
    /// Answers to each datagram of a client: once all have come, the session ends and its socket is free for another. 1 for DNS
    /// and NTP; 0 for what is never answered, such as syslog: each datagram then goes to a target of its own. Absent: any number.
    #[schemars(range(min = 0, max = 65535))]
    pub responses: Option<u32>,
    /// Datagrams of a client in a session; the next one begins another, and may go to another target. Absent: any number.
    #[schemars(range(min = 1, max = 1000000000))]
    pub requests: Option<u32>,
    /// Sessions at a time on each address, of which each worker has its part; with more of them the one that was silent for
    /// longest ends.
    #[schemars(range(min = 1, max = 10000000))]
    pub max_sessions: usize,
    /// Sockets to each target, of which each worker has its part. Each takes a port and a descriptor.
    #[schemars(range(min = 1, max = 60000))]
    pub max_sockets: usize,
}

impl Default for Udp {
    fn default() -> Self {
        Self { idle: Span::secs(120), responses: None, requests: None, max_sessions: 65536, max_sockets: 8192 }
    }
}
