//! Rules of type oidc.

use super::JwtAlgorithm;
use crate::config::formats::{CookieName, EditedHeader, FilePath, PlainPath, PlainText, SourceUrl};
use crate::config::units::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A rule of type oidc: people log in with an OpenID provider, and are known by a cookie from then on. Who looks at a page without having logged
/// in is sent to the provider; scripts, forms and all others get 401; while the provider is away, 503.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// The provider, by the URL that is its name: it says itself where everything is (OpenID Connect Discovery).
    #[schemars(with = "SourceUrl")]
    pub issuer: String,
    /// The name that we are known by there.
    #[schemars(with = "PlainText")]
    pub client_id: String,
    /// A file with the secret that goes with it. Absent: we are known there as a client without one.
    #[schemars(with = "Option<FilePath>")]
    pub client_secret_file: Option<PathBuf>,
    /// A file with the secret that cookies are sealed with, of 32 bytes at least: the same on all hosts that one browser comes to. Absent: one
    /// that is made once, and kept in `runtime.state_dir`.
    #[schemars(with = "Option<FilePath>")]
    pub secret_file: Option<PathBuf>,
    /// Whether that is one that is made and kept by ourselves.
    #[serde(skip)]
    pub own_secret: bool,
    /// What the provider is asked to tell: "openid", and more.
    #[serde(default = "openid")]
    #[schemars(with = "Vec<PlainText>", length(min = 1, max = 64))]
    pub scopes: Vec<String>,
    /// The path that the provider sends browsers back to; it is one of the route's.
    #[serde(default = "callback")]
    #[schemars(with = "PlainPath")]
    pub callback: String,
    /// The path where people log out; it is one of the route's.
    #[serde(default = "logout")]
    #[schemars(with = "PlainPath")]
    pub logout: String,
    /// Where they are sent then: a path of this site, or a URL that the provider knows.
    #[serde(default = "root")]
    #[schemars(with = "PlainText")]
    pub after_logout: String,
    /// Scheme, host and port that browsers know this site by: "https://app.example.com". Absent: as each request has them.
    #[schemars(with = "Option<SourceUrl>")]
    pub public_url: Option<String>,
    /// What the cookie is called; over TLS with `__Host-` before it.
    #[serde(default = "ringway")]
    #[schemars(with = "CookieName")]
    pub cookie: String,
    /// How long somebody stays logged in at most.
    #[serde(default = "a_workday")]
    #[schemars(extend("x-minimum" = "1m", "x-maximum" = "720h"))]
    pub lifetime: Span,
    /// How the provider may sign. Empty: in any way that its keys are for, but not by a shared secret.
    #[serde(default)]
    pub algorithms: Vec<JwtAlgorithm>,
    /// A PEM file with what the provider's certificate is checked by. Absent: what the system trusts.
    #[schemars(with = "Option<FilePath>")]
    pub ca: Option<PathBuf>,
    /// How long an answer of the provider may take.
    #[serde(default = "five_seconds")]
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1m"))]
    pub timeout: Span,
    /// How old what the provider says of itself may be before it is asked anew.
    #[serde(default = "an_hour")]
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "24h"))]
    pub refresh: Span,
    /// How old it may be, while the provider is away.
    #[serde(default = "a_day")]
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "720h"))]
    pub stale: Span,
    /// Headers that tell targets what claims of the identity token say: { email = "x-user-email" }. What clients send under these names
    /// goes no further.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, EditedHeader>")]
    pub forward_claims: BTreeMap<String, String>,
    /// The claim whose value is the name of a consumer; who is none gets 403. Absent: who asks is no consumer.
    pub consumer_claim: Option<String>,
    /// What the `WWW-Authenticate` of a refusal calls what is protected.
    #[serde(default = "site")]
    pub realm: String,
}

/// Where a secret of our own is kept, in `runtime.state_dir`.
const OWN: &str = "oidc.secret";

impl Oidc {
    /// Has the secret be in a file in this folder, where no other one is named.
    pub(in crate::config) fn settle(&mut self, state_dir: &Path) {
        if self.secret_file.is_none() {
            (self.secret_file, self.own_secret) = (Some(state_dir.join(OWN)), true);
        }
    }

    /// The file of a secret that is to be made and kept by ourselves; `None`: an operator has.
    pub fn own_secret(&self) -> Option<&Path> {
        self.secret_file.as_deref().filter(|_| self.own_secret)
    }
}

fn openid() -> Vec<String> {
    vec!["openid".to_owned()]
}

fn callback() -> String {
    "/oidc/callback".to_owned()
}

fn logout() -> String {
    "/oidc/logout".to_owned()
}

fn root() -> String {
    "/".to_owned()
}

fn ringway() -> String {
    "ringway".to_owned()
}

fn a_workday() -> Span {
    Span::secs(8 * 3600)
}

fn five_seconds() -> Span {
    Span::secs(5)
}

fn an_hour() -> Span {
    Span::secs(3600)
}

fn a_day() -> Span {
    Span::secs(24 * 3600)
}

fn site() -> String {
    "site".to_owned()
}
