//! What is said of the server through which hosts share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The server through which hosts share what they know.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Store {
    /// Where it is, without a password.
    pub place: String,
    /// "up", "away" or "unknown": it has not been asked yet.
    pub state: String,
    /// Since when.
    pub since: u64,
    /// What was wrong last, while it is away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// How long its last answer took, in microseconds.
    pub latency_us: u64,
    /// Calls since the start.
    pub calls: u64,
    /// Those of them that came to nothing.
    pub failures: u64,
    /// What this process is known by there.
    pub id: String,
    /// How many hosts share, as the configuration says.
    pub expected: u32,
    /// Who shares, as it has heard of them last; this process is one of them.
    pub hosts: Vec<StoreHost>,
}

/// A process that shares.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StoreHost {
    /// What it is known by.
    pub id: String,
    /// What its host is called.
    pub name: String,
}
