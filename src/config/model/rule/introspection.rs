//! Rules of type introspection.

use crate::config::formats::{CookieName, EditedHeader, FilePath, HeaderName, PlainText, QueryKey, SourceUrl};
use crate::config::units::{Size, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A rule of type introspection: whoever sends a token of which its issuer says that it is good comes in (RFC 7662). Who sends none, another, or
/// more than one, gets 401; whose token lacks a scope, 403; while the issuer says nothing, 503.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Introspection {
    /// The URL that is asked whether a token is good.
    #[schemars(with = "SourceUrl")]
    pub endpoint: String,
    /// The name that we are known by there.
    #[schemars(with = "PlainText")]
    pub client_id: String,
    /// A file with the secret that goes with it: all of it but a line's end behind it.
    #[schemars(with = "FilePath")]
    pub secret_file: PathBuf,
    /// A PEM file with what the certificate of `endpoint` is checked by. Absent: what the system trusts.
    #[schemars(with = "Option<FilePath>")]
    pub ca: Option<PathBuf>,
    /// How long an answer may take.
    #[serde(default = "five_seconds")]
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1m"))]
    pub timeout: Span,
    /// How long it is believed that a token is good, but never beyond its own end (`exp`).
    #[serde(default = "a_minute")]
    #[schemars(extend("x-maximum" = "24h"))]
    pub cache: Span,
    /// How long it is believed that it is not.
    #[serde(default = "five_seconds")]
    #[schemars(extend("x-maximum" = "1h"))]
    pub negative_cache: Span,
    /// Who has to have made it (`iss`), to the letter. Absent: it does not matter.
    #[schemars(with = "Option<PlainText>")]
    pub issuer: Option<String>,
    /// For one of whom it has to have been made (`aud`). Empty: for anybody.
    #[serde(default)]
    #[schemars(with = "Vec<PlainText>", length(max = 64))]
    pub audiences: Vec<String>,
    /// Scopes that it has to have, all of them.
    #[serde(default)]
    #[schemars(with = "Vec<PlainText>", length(max = 64))]
    pub scopes: Vec<String>,
    /// Scopes of which it has to have one. Empty: none.
    #[serde(default)]
    #[schemars(with = "Vec<PlainText>", length(max = 64))]
    pub any_scope: Vec<String>,
    /// The longest token.
    #[serde(default = "some_kib")]
    #[schemars(extend("x-minimum" = "16B", "x-maximum" = "64KiB"))]
    pub max_size: Size,
    /// The header that has the token: behind "Bearer " in Authorization, bare or so in another. "Authorization" where neither `query` nor
    /// `cookie` is named.
    #[schemars(with = "Option<HeaderName>")]
    pub header: Option<String>,
    /// The parameter of the query that has it. Targets do not see it.
    #[schemars(with = "Option<QueryKey>")]
    pub query: Option<String>,
    /// The cookie that has it.
    #[schemars(with = "Option<CookieName>")]
    pub cookie: Option<String>,
    /// Whether header and cookie go no further.
    #[serde(default)]
    pub hide: bool,
    /// Headers that tell targets what the issuer says of the token: { sub = "x-user-id" }. What clients send under these names goes no
    /// further.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, EditedHeader>")]
    pub forward_claims: BTreeMap<String, String>,
    /// The claim whose value is the name of a consumer; who is none gets 403. Absent: who asks is no consumer.
    pub consumer_claim: Option<String>,
    /// What the `WWW-Authenticate` of a refusal calls what is protected.
    #[serde(default = "api")]
    pub realm: String,
}

fn five_seconds() -> Span {
    Span::secs(5)
}

fn a_minute() -> Span {
    Span::secs(60)
}

fn some_kib() -> Size {
    Size(8 << 10)
}

fn api() -> String {
    "api".to_owned()
}

impl Introspection {
    /// The header that has the token; `None`: it is elsewhere.
    pub fn header(&self) -> Option<&str> {
        let elsewhere = self.query.is_some() || self.cookie.is_some();
        self.header.as_deref().or((!elsewhere).then_some("Authorization"))
    }
}
