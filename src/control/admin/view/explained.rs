//! A request to ask about, and what would become of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A request to ask about: nothing is sent, and nothing counted.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewExplanation {
    /// Where it goes.
    pub url: String,
    /// The method; absent: GET.
    pub method: Option<String>,
    /// Header lines: "Name: value"; "Name;" has no value, and "Host:" sends none.
    pub headers: Vec<String>,
    /// Who connects: an IP address, with a port or without; absent: 127.0.0.1.
    pub client: Option<String>,
    /// The listener that it comes to; absent: the one that the URL leads to.
    pub listener: Option<String>,
    /// Whether it comes by HTTP/2.
    pub http2: bool,
    /// The name that the TLS handshake asks for; absent: that of the URL.
    pub sni: Option<String>,
    /// Protocols that the handshake offers by ALPN; empty: that of the request.
    pub alpn: Vec<String>,
}

/// What would become of a request.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Explained {
    /// The number of the plan in force, which says so.
    pub plan: u64,
    /// For people, as `ringway explain` prints it.
    pub text: String,
    /// The same, as `ringway explain --json` prints it.
    pub explanation: serde_json::Value,
}
