//! How sockets are set up: of listeners, and of connections to targets.

use crate::config::formats::IpAddress;
use crate::config::units::Span;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::net::IpAddr;

/// `[listeners.NAME.tcp]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListenerTcp {
    /// Connections that may wait to be accepted, for each worker; the kernel's net.core.somaxconn bounds it.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub backlog: u32,
    /// Whether a connection is accepted only once its client has sent something, or after a second without.
    pub defer_accept: bool,
    /// Whether clients may send with their first segment (TCP Fast Open, RFC 7413).
    pub fast_open: bool,
    /// Asks whether clients are still there that say nothing. Absent: they are not asked.
    pub keepalive: Option<TcpKeepalive>,
    /// Bytes that a segment may have at the most. Absent: as the route to the client allows.
    #[schemars(range(min = 88, max = 32767))]
    pub mss: Option<u32>,
    /// How long what was sent may stay unacknowledged before the connection is over. Absent: as the kernel has it, some 15 minutes.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "24h"))]
    pub user_timeout: Option<Span>,
}

impl Default for ListenerTcp {
    fn default() -> Self {
        Self { backlog: 4096, defer_accept: false, fast_open: false, keepalive: None, mss: None, user_timeout: None }
    }
}

/// `[pools.NAME.tcp]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PoolTcp {
    /// Whether what is sent first goes out with the first segment, where a target has allowed it before (TCP Fast Open, RFC 7413).
    pub fast_open: bool,
    /// Asks whether targets are still there that say nothing. Absent: they are not asked.
    pub keepalive: Option<TcpKeepalive>,
    /// Bytes that a segment may have at the most. Absent: as the route to the target allows.
    #[schemars(range(min = 88, max = 32767))]
    pub mss: Option<u32>,
    /// How long what was sent may stay unacknowledged before the connection is over. Absent: as the kernel has it, some 15 minutes.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "24h"))]
    pub user_timeout: Option<Span>,
}

/// How peers are asked whether they are still there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TcpKeepalive {
    /// How often one that does not answer is asked before the connection is over.
    #[schemars(range(min = 1, max = 127))]
    pub count: u32,
    /// Silence before it is asked first, in whole seconds.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "9h"))]
    pub idle: Span,
    /// From one question to the next, in whole seconds.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "9h"))]
    pub interval: Span,
}

impl Default for TcpKeepalive {
    fn default() -> Self {
        Self { count: 6, idle: Span::secs(60), interval: Span::secs(10) }
    }
}

/// From which address targets are connected to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum SourceAddress {
    /// The client's own.
    Client,
    /// One of these.
    List(Vec<IpAddr>),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Word(Word),
    List(Vec<IpAddr>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Client,
}

impl From<Written> for SourceAddress {
    fn from(written: Written) -> Self {
        match written {
            Written::Word(Word::Client) => Self::Client,
            Written::List(list) => Self::List(list),
        }
    }
}

impl From<SourceAddress> for Written {
    fn from(source: SourceAddress) -> Self {
        match source {
            SourceAddress::Client => Self::Word(Word::Client),
            SourceAddress::List(list) => Self::List(list),
        }
    }
}

impl JsonSchema for SourceAddress {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SourceAddress".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "string", "enum": ["client"] },
            { "type": "array", "items": IpAddress::json_schema(generator) },
        ] })
    }
}
