//! `[consumers.NAME]`: who asks.

use super::Secret;
use crate::config::formats::{FilePath, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[consumers.NAME]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Consumer {
    /// What it belongs to.
    #[schemars(with = "Vec<Name>")]
    pub groups: Vec<String>,
    /// The keys that it sends: each as it is, or "sha256:" and the SHA-256 of it in hexadecimal digits. They are secrets.
    #[schemars(with = "Vec<String>", length(max = 64))]
    pub keys: Vec<Secret>,
    /// A file with more of them, one in a line; empty lines and those that begin with # are none.
    #[schemars(with = "Option<FilePath>")]
    pub keys_file: Option<PathBuf>,
    /// What tells its certificates from others: "sha256:" and a fingerprint, "subject:", "cn:", "dns:", "email:", "uri:" or "ip:" and a name.
    #[schemars(length(max = 64))]
    pub certificates: Vec<String>,
}
