//! Rules of type opa.

use super::AuthServer;
use crate::config::formats::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of type opa: the Open Policy Agent decides of each request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Opa {
    /// The server; its URL is that of a decision: "http://127.0.0.1:8181/v1/data/app/allow".
    #[serde(flatten)]
    pub server: AuthServer,
    /// Headers of the request that it is told.
    #[serde(default)]
    #[schemars(with = "Vec<HeaderName>", length(max = 64))]
    pub request_headers: Vec<String>,
}
