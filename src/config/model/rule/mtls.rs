//! Rules of type mtls.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of type mtls: whoever shows a certificate of a consumer is that consumer; who shows none, or another, gets 401. The listener's TLS
/// asks for certificates and verifies them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mtls {
    /// What the `WWW-Authenticate` of a refusal calls what is protected.
    pub realm: String,
}

impl Default for Mtls {
    fn default() -> Self {
        Self { realm: "api".to_owned() }
    }
}
