//! Servers that are asked about requests.

use crate::config::formats::{FilePath, SourceUrl};
use crate::config::units::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A server that is asked about requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuthServer {
    /// Where it is asked.
    #[schemars(with = "SourceUrl")]
    pub url: String,
    /// A PEM file with what its certificate is checked by. Absent: what the system trusts.
    #[schemars(with = "Option<FilePath>")]
    pub ca: Option<PathBuf>,
    /// How long it may take for its answer.
    #[serde(default = "two_seconds")]
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1m"))]
    pub timeout: Span,
    /// For how long what it has said counts for requests of which it would be told the same. "0s": it is asked of each.
    #[serde(default = "not_at_all")]
    #[schemars(extend("x-maximum" = "1h"))]
    pub remember: Span,
    /// What becomes of requests that it does not answer for.
    #[serde(default)]
    pub when_away: WhenAway,
}

/// What becomes of requests that a server does not answer for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhenAway {
    /// They get 503.
    #[default]
    Refuse,
    /// They go on, as if it had let them in.
    LetIn,
}

fn two_seconds() -> Span {
    Span::secs(2)
}

fn not_at_all() -> Span {
    Span::secs(0)
}
