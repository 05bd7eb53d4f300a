//! `[rules.NAME]`: what is decided of a request before it goes on.

mod anonymous;
mod api_key;
mod basic;
mod combined;
mod cors;
mod forward_auth;
mod groups;
mod ip;
mod opa;
mod rate_limit;
mod server;
mod signature;
mod transform;

pub use anonymous::Anonymous;
pub use api_key::ApiKey;
pub use basic::Basic;
pub use combined::{AllOf, AnyOf};
pub use cors::Cors;
pub use forward_auth::ForwardAuth;
pub use groups::Groups;
pub use ip::Ip;
pub use opa::Opa;
pub use rate_limit::{LimitAlgorithm, LimitHeaders, RateLimit};
pub use server::{AuthServer, WhenAway};
pub use signature::Signature;
pub use transform::{BodyEdits, Transform, TransformedRequest, TransformedResponse};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// Other rules, each of which has to let a request through.
    AllOf(AllOf),
    /// Takes clients for a consumer who have not proven to be one.
    Anonymous(Anonymous),
    /// Other rules, one of which has to let a request through.
    AnyOf(AnyOf),
    /// Tells consumers by the keys that they send.
    ApiKey(ApiKey),
    /// Tells consumers by the names and passwords that they send.
    Basic(Basic),
    /// Says whose scripts browsers let read answers.
    Cors(Cors),
    /// Has a server decide of each request.
    ForwardAuth(ForwardAuth),
    /// Lets in consumers by the groups that they are in.
    Groups(Groups),
    /// Lets in clients by their addresses.
    Ip(Ip),
    /// Has the Open Policy Agent decide of each request.
    Opa(Opa),
    /// Lets in so many requests in a time.
    RateLimit(RateLimit),
    /// Tells consumers by the signatures of their requests.
    Signature(Signature),
    /// Changes requests and answers on their way.
    Transform(Box<Transform>),
}

impl RuleKind {
    /// The rules that it is made of.
    pub fn members(&self) -> &[String] {
        match self {
            Self::AllOf(of) => &of.rules,
            Self::AnyOf(of) => &of.rules,
            _ => &[],
        }
    }

    /// Whether it finds out who asks, by itself.
    pub fn identifies(&self) -> bool {
        match self {
            Self::ForwardAuth(of) => of.consumer_header.is_some(),
            _ => matches!(self, Self::Anonymous(_) | Self::ApiKey(_) | Self::Basic(_) | Self::Signature(_)),
        }
    }
}
