//! Rules of type signature.

use crate::config::formats::FilePath;
use crate::config::units::{Size, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A rule of type signature: whoever signs a request (RFC 9421) by a key of the file is the consumer whose key it is; others get 401.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// A file of keys, one in a line: its name (`keyid`), its algorithm, the key in base64, and the name of the consumer, if that is not the
    /// key's; empty lines and those that begin with # are none.
    #[schemars(with = "FilePath")]
    pub keys_file: PathBuf,
    /// Components that have to be signed: names of headers in lower case, and "@method", "@target-uri", "@authority", "@scheme",
    /// "@request-target", "@path", "@query". Empty: "@method", all of the target ("@target-uri", or "@authority", "@path" and "@query"), and
    /// "content-digest" of a request with content.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub components: Vec<String>,
    /// How long ago a signature may have been made.
    #[serde(default = "five_minutes")]
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "24h"))]
    pub max_age: Span,
    /// By how much clocks may differ.
    #[serde(default = "half_a_minute")]
    #[schemars(extend("x-maximum" = "1h"))]
    pub clock_skew: Span,
    /// What a signature has to be for (its `tag`). Absent: whatever it says.
    pub tag: Option<String>,
    /// Whether each request needs a nonce that its key has not used before.
    #[serde(default)]
    pub nonce: bool,
    /// Nonces that there is room to know, of 28 bytes each.
    #[serde(default = "many")]
    #[schemars(range(min = 1_000, max = 100_000_000))]
    pub nonces: usize,
    /// Whether content has to be that of its digest (`Content-Digest`, RFC 9530), which then has to be signed, too. It is taken whole before
    /// any of it goes on.
    #[serde(default)]
    pub digest: bool,
    /// How much content is taken for that; more gets 413.
    #[serde(default = "one_mebibyte")]
    #[schemars(extend("x-minimum" = "1KiB", "x-maximum" = "1GiB"))]
    pub digest_body: Size,
    /// What the `WWW-Authenticate` of a refusal calls what is protected.
    #[serde(default = "api")]
    pub realm: String,
}

fn api() -> String {
    "api".to_owned()
}

fn five_minutes() -> Span {
    Span::secs(300)
}

fn half_a_minute() -> Span {
    Span::secs(30)
}

fn many() -> usize {
    100_000
}

fn one_mebibyte() -> Size {
    Size(1 << 20)
}
