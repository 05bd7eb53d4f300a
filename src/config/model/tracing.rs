//! `[tracing]`: which requests are told of as traces, and to whom.

use crate::config::formats::{FilePath, HeaderValue, OtlpUrl, PlainText};
use crate::config::units::{Share, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// `[tracing]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tracing {
    /// Where a collector takes spans by OTLP over HTTP, in protobuf. A URL without a path gets /v1/traces.
    #[schemars(with = "OtlpUrl")]
    pub otlp: String,
    /// The share of the traces that begin here of which spans are sent. Errors and slow requests always are.
    pub sample: Share,
    /// A request that takes this long or longer is slow. A WebSocket never is.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "24h"))]
    pub slow: Span,
    /// Whose `traceparent` counts.
    pub trust: TraceTrust,
    /// Headers for the collector. Their values are secrets.
    #[schemars(with = "BTreeMap<String, HeaderValue>", extend("propertyNames" = { "format": "header-name" }))]
    pub headers: BTreeMap<String, Secret>,
    /// A file with more of them, a line each: `name: value`.
    #[schemars(with = "Option<FilePath>")]
    pub headers_file: Option<PathBuf>,
    /// A PEM file with what the collector's certificate is checked by. Absent: what the system trusts.
    #[schemars(with = "Option<FilePath>")]
    pub ca: Option<PathBuf>,
    /// What Ringway is called in traces: the resource's service.name.
    #[schemars(with = "PlainText")]
    pub service_name: String,
}

impl Default for Tracing {
    fn default() -> Self {
        Self {
            otlp: "http://127.0.0.1:4318/v1/traces".to_owned(),
            sample: Share(0.01),
            slow: Span::secs(1),
            trust: TraceTrust::Proxies,
            headers: BTreeMap::new(),
            headers_file: None,
            ca: None,
            service_name: "ringway".to_owned(),
        }
    }
}

impl Tracing {
    /// Whether spans go to the same collector in the same way.
    pub fn delivers_as(&self, other: &Self) -> bool {
        let how = |of: &Self| Self { sample: Share(0.0), slow: Span::secs(0), trust: TraceTrust::None, ..of.clone() };
        how(self) == how(other)
    }
}

/// Whose `traceparent` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TraceTrust {
    /// Everybody's trace is continued; only trusted_proxies say whether it is sampled.
    Proxies,
    /// Everybody's is, as its sender sampled it or not.
    All,
    /// Nobody's: every trace begins here.
    None,
}

/// A text that is shown to nobody.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Secret(pub String);

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(secret)")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}
