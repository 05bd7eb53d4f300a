//! Clients' connections and sessions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A client's connection, or its session of datagrams.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Connection {
    /// What it is known by for as long as it is open.
    pub id: String,
    /// The client: address and port; "unix" on a Unix socket.
    pub client: String,
    /// By which listener it came in.
    pub listener: String,
    /// The worker that serves it.
    pub worker: usize,
    /// How long it has been open.
    pub age: u64,
    /// "h1", "h2", "tunnel" or "udp".
    pub protocol: String,
    /// The target that was asked last for it; absent: none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Datagrams of the client that were passed on; this and the three that follow of sessions of datagrams alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datagrams_in: Option<u64>,
    /// Datagrams of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datagrams_out: Option<u64>,
    /// Bytes of the client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_in: Option<u64>,
    /// Bytes of the target's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_out: Option<u64>,
}
