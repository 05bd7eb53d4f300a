//! Rules of type forward-auth.

use super::AuthServer;
use crate::config::formats::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of type forward-auth: a server is told of each request what is asked for, and lets it in by an answer of 2xx.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ForwardAuth {
    /// The server.
    #[serde(flatten)]
    pub server: AuthServer,
    /// Headers of the request that it is told, beside the `X-Forwarded-…` that say what is asked for.
    #[serde(default = "credentials")]
    #[schemars(with = "Vec<HeaderName>", length(max = 64))]
    pub request_headers: Vec<String>,
    /// Headers of its answer that targets are told. What clients send under these names goes no further.
    #[serde(default)]
    #[schemars(with = "Vec<HeaderName>", length(max = 64))]
    pub response_headers: Vec<String>,
    /// The header of its answer that names a consumer.
    #[schemars(with = "Option<HeaderName>")]
    pub consumer_header: Option<String>,
}

fn credentials() -> Vec<String> {
    ["authorization", "cookie"].map(str::to_owned).to_vec()
}
