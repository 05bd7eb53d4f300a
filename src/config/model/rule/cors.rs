//! Rules of type cors.

use crate::config::formats::{HeaderName, Method, Origin};
use crate::config::units::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of type cors: browsers that ask beforehand get their answer here, and answers say whose scripts may read them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// Whose scripts may read: "https://app.example.com", "https://*.example.com" for all below it, or "*" for all.
    #[schemars(with = "Vec<Origin>", length(min = 1))]
    pub origins: Vec<String>,
    /// Methods that they may use.
    #[serde(default = "usual_methods")]
    #[schemars(with = "Vec<Method>")]
    pub methods: Vec<String>,
    /// Headers that they may send. Empty: whatever they ask for.
    #[serde(default)]
    #[schemars(with = "Vec<HeaderName>")]
    pub headers: Vec<String>,
    /// Headers of answers that they may read, beside those that they always may.
    #[serde(default)]
    #[schemars(with = "Vec<HeaderName>")]
    pub expose_headers: Vec<String>,
    /// Whether cookies, TLS certificates and Authorization come along.
    #[serde(default)]
    pub credentials: bool,
    /// For how long a browser need not ask again.
    #[serde(default = "ten_minutes")]
    #[schemars(extend("x-maximum" = "24h"))]
    pub max_age: Span,
}

fn usual_methods() -> Vec<String> {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].map(str::to_owned).to_vec()
}

fn ten_minutes() -> Span {
    Span::secs(600)
}
