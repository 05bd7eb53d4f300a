//! Rules of type idempotency.

use super::{LimitScope, WhenAway};
use crate::config::formats::{HeaderName, Method};
use crate::config::limit_key::LimitKey;
use crate::config::units::{Size, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of type idempotency: a request that names a key in its Idempotency-Key is carried out once, and its answer is given again to
/// whoever sends it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Idempotency {
    /// The methods that it is for.
    #[serde(default = "post_and_patch")]
    #[schemars(with = "Vec<Method>", length(min = 1))]
    pub methods: Vec<String>,
    /// Whether a request without a key gets 400.
    #[serde(default)]
    pub required: bool,
    /// The header that names the key.
    #[serde(default = "idempotency_key")]
    #[schemars(with = "HeaderName")]
    pub header: String,
    /// Whose a key is: two requests have the same key only if this is the same of both. Absent: who asks; where no rule of the route finds that
    /// out, what the request shows to its target: `Authorization`, `Cookie`, `X-Api-Key`, the client's certificate and what rules have the target told.
    /// Name it where clients prove themselves otherwise.
    pub by: Option<LimitKey>,
    /// For how long an answer is given again.
    #[serde(default = "one_day")]
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "30d"))]
    pub ttl: Span,
    /// How long a request waits for the answer of another with its key that is under way, before it gets 409. 0s: not at all.
    #[serde(default = "ten_seconds")]
    #[schemars(extend("x-maximum" = "10m"))]
    pub wait: Span,
    /// Who knows keys together.
    #[serde(default)]
    pub scope: LimitScope,
    /// The largest content of an answer that is kept. Who sends again what got a larger one gets 409.
    #[serde(default = "quarter_mebibyte")]
    #[schemars(extend("x-minimum" = "1B", "x-maximum" = "16MiB"))]
    pub max_body: Size,
    /// The largest body of a request with a key, which is held until it has come whole; a larger one gets 413.
    #[serde(default = "one_mebibyte")]
    #[schemars(extend("x-minimum" = "1B", "x-maximum" = "64MiB"))]
    pub max_request_body: Size,
    /// Bytes that all answers may take. Where that is too little, the oldest are let go; their keys stay known.
    #[serde(default = "room")]
    #[schemars(extend("x-minimum" = "64KiB", "x-maximum" = "64GiB"))]
    pub memory: Size,
    /// Keys that are known at a time, of some 250 bytes each.
    #[serde(default = "many")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub max_keys: usize,
    /// What becomes of a request whose key is one too many.
    #[serde(default)]
    pub when_full: WhenFull,
    /// What becomes of a request with `scope = "cluster"` whose key is new to its host while the others cannot be asked.
    #[serde(default = "let_in")]
    pub when_away: WhenAway,
    /// Whether the target honours keys itself, so that a request with one may be sent to it again as if its method were idempotent.
    #[serde(default)]
    pub retry: bool,
}

/// What becomes of a request whose key is one too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// The oldest key that is not under way is forgotten for it.
    #[default]
    Forget,
    /// It gets 503.
    Refuse,
}

fn post_and_patch() -> Vec<String> {
    ["POST", "PATCH"].map(str::to_owned).to_vec()
}

fn idempotency_key() -> String {
    "Idempotency-Key".to_owned()
}

fn let_in() -> WhenAway {
    WhenAway::LetIn
}

fn one_day() -> Span {
    Span::secs(24 * 3600)
}

fn ten_seconds() -> Span {
    Span::secs(10)
}

fn quarter_mebibyte() -> Size {
    Size(256 << 10)
}

fn one_mebibyte() -> Size {
    Size(1 << 20)
}

fn room() -> Size {
    Size(64 << 20)
}

fn many() -> usize {
    100_000
}
