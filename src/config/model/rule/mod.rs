//! `[rules.NAME]`: what is decided of a request before it goes on.

mod anonymous;
mod api_key;
mod ban;
mod bandwidth;
mod basic;
mod cel;
mod combined;
mod concurrency;
mod cors;
mod counting;
mod csrf;
mod forward_auth;
mod groups;
mod idempotency;
mod introspection;
mod ip;
mod jwt;
mod mtls;
mod oidc;
mod opa;
mod openapi;
mod quota;
mod rate_limit;
mod request_size;
mod server;
mod signature;
mod transform;
mod user_agent;

pub use anonymous::Anonymous;
pub use api_key::ApiKey;
pub use ban::{Ban, RefusalReason, Tarpit};
pub use bandwidth::Bandwidth;
pub use basic::Basic;
pub use cel::Cel;
pub use combined::{AllOf, AnyOf};
pub use concurrency::Concurrency;
pub use cors::Cors;
pub use counting::Counting;
pub use csrf::Csrf;
pub use forward_auth::ForwardAuth;
pub use groups::Groups;
pub use idempotency::{Idempotency, WhenFull};
pub use introspection::Introspection;
pub use ip::Ip;
pub use jwt::{Jwt, JwtAlgorithm, TokenType};
pub use mtls::Mtls;
pub use oidc::Oidc;
pub use opa::Opa;
pub use openapi::OpenApi;
pub use quota::{Quota, QuotaPeriod};
pub use rate_limit::{LimitAlgorithm, LimitHeaders, LimitScope, RateLimit};
pub use request_size::RequestSize;
pub use server::{AuthServer, WhenAway};
pub use signature::Signature;
pub use transform::{BodyEdits, Transform, TransformedRequest, TransformedResponse};
pub use user_agent::UserAgent;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[rules.NAME]`. Its `type` says what it does, and which keys it has beside `mode` and `when`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rule {
    /// Whether it is carried out.
    #[serde(default)]
    pub mode: RuleMode,
    /// For which requests it is there at all, in CEL. Absent: for all.
    pub when: Option<String>,
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
    /// Bans clients that are refused too often.
    Ban(Ban),
    /// Slows down requests and answers.
    Bandwidth(Bandwidth),
    /// Tells consumers by the names and passwords that they send.
    Basic(Basic),
    /// Lets in requests that meet a condition.
    Cel(Cel),
    /// Lets in so many requests at once.
    Concurrency(Concurrency),
    /// Says whose scripts browsers let read answers.
    Cors(Cors),
    /// Has a server decide of each request.
    ForwardAuth(ForwardAuth),
    /// Keeps out what pages of other sites have browsers do.
    Csrf(Csrf),
    /// Lets in consumers by the groups that they are in.
    Groups(Groups),
    /// Has requests with an Idempotency-Key carried out once.
    Idempotency(Box<Idempotency>),
    /// Tells who asks by tokens that their issuer is asked about.
    Introspection(Box<Introspection>),
    /// Lets in clients by their addresses.
    Ip(Ip),
    /// Tells who asks by the JSON Web Tokens that they send.
    Jwt(Box<Jwt>),
    /// Tells consumers by the certificates that they show.
    Mtls(Mtls),
    /// Has people log in with an OpenID provider.
    Oidc(Box<Oidc>),
    /// Has the Open Policy Agent decide of each request.
    Opa(Opa),
    /// Lets through requests that are as an API is described.
    #[serde(rename = "openapi")]
    OpenApi(OpenApi),
    /// Lets in so many requests in a period of the calendar.
    Quota(Quota),
    /// Lets in so many requests in a time.
    RateLimit(RateLimit),
    /// Tells consumers by the signatures of their requests.
    Signature(Signature),
    /// Lets through bodies of a size.
    RequestSize(RequestSize),
    /// Keeps clients waiting that are refused.
    Tarpit(Tarpit),
    /// Lets in clients by what they say that they are.
    UserAgent(UserAgent),
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

    /// Whether each request is put to it, and nothing else of its routes depends on it.
    pub fn is_asked(&self) -> bool {
        !matches!(self, Self::Ban(_) | Self::Cors(_) | Self::RequestSize(_) | Self::Tarpit(_) | Self::Transform(_))
    }

    /// Whether it counts requests, so that a plan may have it.
    pub fn is_limit(&self) -> bool {
        matches!(self, Self::Bandwidth(_) | Self::Concurrency(_) | Self::Quota(_) | Self::RateLimit(_))
    }

    /// Whether it refuses nothing by itself.
    pub fn refuses_nothing(&self) -> bool {
        matches!(self, Self::Cors(_) | Self::Ban(_) | Self::Bandwidth(_) | Self::Tarpit(_))
    }

    /// The header and the parameter of the query in which clients prove themselves.
    pub fn shown_secrets(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::ApiKey(of) => (of.header(), of.query.as_deref()),
            Self::Introspection(of) => (of.header(), of.query.as_deref()),
            Self::Jwt(of) => (of.header(), of.query.as_deref()),
            _ => (None, None),
        }
    }

    /// Whether it finds out who asks, by itself.
    pub fn identifies(&self) -> bool {
        match self {
            Self::ForwardAuth(of) => of.consumer_header.is_some(),
            Self::Anonymous(_) | Self::ApiKey(_) | Self::Basic(_) | Self::Signature(_) => true,
            Self::Introspection(_) | Self::Jwt(_) | Self::Mtls(_) | Self::Oidc(_) => true,
            _ => false,
        }
    }
}
