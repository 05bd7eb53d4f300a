//! Rules of type basic.

use crate::config::formats::FilePath;
use crate::config::units::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A rule of type basic: whoever sends the name and the password of a user is the consumer of that name; others get 401. Targets see neither.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// A file of users, one in a line, as htpasswd writes it: a name, a colon, and a hash of bcrypt or Argon2; empty lines and those that
    /// begin with # are none.
    #[schemars(with = "FilePath")]
    pub users_file: PathBuf,
    /// What the `WWW-Authenticate` of a refusal calls what is protected.
    #[serde(default = "api")]
    pub realm: String,
    /// For how long it is known whether a password fits before that is computed anew. "0s": it is computed for each request.
    #[serde(default = "five_minutes")]
    #[schemars(extend("x-maximum" = "24h"))]
    pub remember: Span,
}

fn api() -> String {
    "api".to_owned()
}

fn five_minutes() -> Span {
    Span::secs(300)
}
