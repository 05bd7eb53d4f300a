//! `[rules.NAME]`: what is decided of a request before it goes on.

use crate::config::formats::{FilePath, HeaderName, Method, Name, Network, Origin};
use crate::config::units::Span;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[rules.NAME]`. Its `type` says what it does, and which keys it has beside `mode`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rule {
    /// Whether it is carried out.
    #[serde(default)]
    pub mode: RuleMode,
    /// What it does.
    #[serde(flatten)]
    pub kind: RuleKind,
}

/// Whether a rule is carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RuleMode {
    /// What it refuses is refused.
    #[default]
    Enforce,
    /// It decides, and that is counted and logged, but everything is let through.
    Shadow,
    /// It does nothing.
    Off,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum RuleKind {
    /// Tells consumers by the keys that they send.
    ApiKey(ApiKey),
    /// Says whose scripts browsers let read answers.
    Cors(Cors),
    /// Lets in consumers by the groups that they are in.
    Groups(Groups),
    /// Lets in clients by their addresses.
    Ip(Ip),
}

/// A rule of type api-key: whoever sends a key of a consumer is that consumer; who sends none, or another, gets 401.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApiKey {
    /// The header that has the key. Targets do not see it.
    #[schemars(with = "HeaderName")]
    pub header: String,
    /// What the `WWW-Authenticate` of a refusal calls what is protected.
    pub realm: String,
}

impl Default for ApiKey {
    fn default() -> Self {
        Self { header: "apikey".to_owned(), realm: "api".to_owned() }
    }
}

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

/// A rule of type ip: who is kept out gets 403.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ip {
    /// Address ranges of clients that come in. Empty, and without `allow_files`: all that are not kept out.
    #[schemars(with = "Vec<Network>")]
    pub allow: Vec<IpNet>,
    /// Files with more of them, one in a line; empty lines and those that begin with # are none.
    #[schemars(with = "Vec<FilePath>")]
    pub allow_files: Vec<PathBuf>,
    /// Address ranges of clients that are kept out, whatever `allow` says.
    #[schemars(with = "Vec<Network>")]
    pub deny: Vec<IpNet>,
    /// Files with more of them, in the same form.
    #[schemars(with = "Vec<FilePath>")]
    pub deny_files: Vec<PathBuf>,
}

/// A rule of type groups: who is in none of them gets 403, and who is nobody 401.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    /// Groups of consumers, of which one has to be the consumer's.
    #[schemars(with = "Vec<Name>", length(min = 1))]
    pub allow: Vec<String>,
}
