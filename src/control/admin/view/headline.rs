//! Whether all is well.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether all is well, and what is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Headline {
    /// How bad the worst of it is.
    pub state: Severity,
    /// "All is well", or the worst of it.
    pub text: String,
    /// What is not well, the worst first.
    pub items: Vec<Finding>,
}

/// Something that is not well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: "traffic", "pool", "target", "certificate", "reload", "process".
    pub of: String,
    /// What is the matter.
    pub text: String,
    /// More about it; absent: there is no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<String>,
}

/// How bad something is, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It is well.
    Well,
    /// Somebody should look at it.
    Warn,
    /// Clients feel it.
    Bad,
}
