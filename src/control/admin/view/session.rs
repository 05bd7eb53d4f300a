//! Browsers that are signed in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What who asks may do.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    /// Whether changes are taken from who asks.
    pub changes: bool,
    /// Whether there is a token to sign in with.
    pub token: bool,
    /// When a browser that is signed in has to sign in again; absent: none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<u64>,
}

/// A browser that has signed in.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NewSession {
    /// What it shows with each request, in `Ringway-Session`, beside its cookie. Neither is worth anything alone.
    pub key: String,
    /// When it has to sign in again.
    pub ends: u64,
}
