//! Rules of type jwt.

use crate::config::formats::{CookieName, EditedHeader, FilePath, HeaderName, PlainText, QueryKey, SourceUrl};
use crate::config::units::{Size, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A rule of type jwt: whoever sends a JSON Web Token (RFC 7519) that one of the issuer's keys has signed, and that says what is asked of it,
/// comes in. Who sends none, a wrong one, or more than one, gets 401; whose token lacks a scope, 403.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Jwt {
    /// Who has to have made the token (`iss`), to the letter. Absent: whoever has the key.
    #[schemars(with = "Option<PlainText>")]
    pub issuer: Option<String>,
    /// For one of whom it has to have been made (`aud`). Empty: for anybody.
    #[schemars(with = "Vec<PlainText>", length(max = 64))]
    pub audiences: Vec<String>,
    /// The URL of the issuer's keys, a JSON Web Key Set (RFC 7517).
    #[schemars(with = "Option<SourceUrl>")]
    pub jwks_url: Option<String>,
    /// Whether the issuer says itself where its keys are (OpenID Connect Discovery). `issuer` is a URL then.
    pub discovery: bool,
    /// A file with a JSON Web Key Set.
    #[schemars(with = "Option<FilePath>")]
    pub jwks_file: Option<PathBuf>,
    /// A PEM file with public keys.
    #[schemars(with = "Option<FilePath>")]
    pub key_file: Option<PathBuf>,
    /// A file with a shared secret, for HS256 and the like: all of it but a line's end behind it.
    #[schemars(with = "Option<FilePath>")]
    pub secret_file: Option<PathBuf>,
    /// A PEM file with what the certificate of `jwks_url`, or of the issuer, is checked by. Absent: what the system trusts.
    #[schemars(with = "Option<FilePath>")]
    pub ca: Option<PathBuf>,
    /// How long an answer with keys may take.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1m"))]
    pub timeout: Span,
    /// How old keys may be before they are fetched anew, where the issuer says nothing shorter.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "24h"))]
    pub refresh: Span,
    /// How old they may be, while the issuer is away, before nobody is let in any more.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "720h"))]
    pub stale: Span,
    /// How tokens may be signed. Empty: in any way that the keys are for; with keys that are fetched, not by a shared secret.
    pub algorithms: Vec<JwtAlgorithm>,
    /// Scopes that the token has to have, all of them (`scope`, or `scp`).
    #[schemars(with = "Vec<PlainText>", length(max = 64))]
    pub scopes: Vec<String>,
    /// Scopes of which it has to have one. Empty: none.
    #[schemars(with = "Vec<PlainText>", length(max = 64))]
    pub any_scope: Vec<String>,
    /// How far the issuer's clock may be from ours.
    #[schemars(extend("x-maximum" = "5m"))]
    pub leeway: Span,
    /// How long ago the token may have been issued (`iat`). Absent: it does not matter.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "8760h"))]
    pub max_age: Option<Span>,
    /// Whether it has to expire (`exp`).
    pub must_expire: bool,
    /// What it may say that it is (`typ`).
    pub token_type: TokenType,
    /// The longest token.
    #[schemars(extend("x-minimum" = "256B", "x-maximum" = "64KiB"))]
    pub max_size: Size,
    /// Claims that it has to have: { tenant = ["a", "b"], "realm.roles" = ["admin"], email = [] }. Each has to be one of these texts,
    /// or the number or boolean that is written so; an array has to hold one; with [] anything will do.
    pub required_claims: BTreeMap<String, Vec<String>>,
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
    pub hide: bool,
    /// Headers that tell targets what claims say: { sub = "x-user-id" }. What clients send under these names goes no further.
    #[schemars(with = "BTreeMap<String, EditedHeader>")]
    pub forward_claims: BTreeMap<String, String>,
    /// The claim whose value is the name of a consumer; who is none gets 403. Absent: who asks is no consumer.
    pub consumer_claim: Option<String>,
    /// What the `WWW-Authenticate` of a refusal calls what is protected.
    pub realm: String,
}

/// How a token is signed (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "they are their names")]
pub enum JwtAlgorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// What a token may say that it is (RFC 8725 §3.11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TokenType {
    /// Nothing, a JWT, or an access token.
    #[default]
    #[serde(rename = "jwt")]
    Jwt,
    /// An access token (RFC 9068).
    #[serde(rename = "at+jwt")]
    AccessToken,
}

impl Default for Jwt {
    fn default() -> Self {
        Self {
            issuer: None,
            audiences: Vec::new(),
            jwks_url: None,
            discovery: false,
            jwks_file: None,
            key_file: None,
            secret_file: None,
            ca: None,
            timeout: Span::secs(5),
            refresh: Span::secs(3600),
            stale: Span::secs(24 * 3600),
            algorithms: Vec::new(),
            scopes: Vec::new(),
            any_scope: Vec::new(),
            leeway: Span::secs(30),
            max_age: None,
            must_expire: true,
            token_type: TokenType::Jwt,
            max_size: Size(8 << 10),
            required_claims: BTreeMap::new(),
            header: None,
            query: None,
            cookie: None,
            hide: false,
            forward_claims: BTreeMap::new(),
            consumer_claim: None,
            realm: "api".to_owned(),
        }
    }
}

impl Jwt {
    /// The header that has the token; `None`: it is elsewhere.
    pub fn header(&self) -> Option<&str> {
        let elsewhere = self.query.is_some() || self.cookie.is_some();
        self.header.as_deref().or((!elsewhere).then_some("Authorization"))
    }
}

impl JwtAlgorithm {
    /// Its name in a token's `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }
}
