//! Rules, and what they decided.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What it does: its `type`.
    pub kind: String,
    /// "enforce", "shadow" or "off".
    pub mode: String,
    /// The routes that name it.
    pub routes: Vec<String>,
    /// The listeners that name it.
    pub listeners: Vec<String>,
    /// The rules that it is part of.
    pub parts_of: Vec<String>,
    /// Requests since the start that it let go on.
    pub passed: u64,
    /// Requests that it refused.
    pub denied: u64,
    /// Requests that it would have refused, were it not in shadow mode.
    pub shadow_denied: u64,
    /// Clients that it has banned.
    pub bans: u64,
    /// Requests that it kept waiting.
    pub held: u64,
}
