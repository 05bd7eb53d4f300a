//! Rules of type ban and tarpit: what comes of refusals.

use crate::config::formats::{Name, Network};
use crate::config::units::Span;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of type ban: whoever is refused too often is refused everywhere for a while, before TLS and anything else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ban {
    /// So many refusals have a client banned.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub denials: u32,
    /// Within this time.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "24h"))]
    pub within: Span,
    /// For this long.
    #[serde(rename = "for")]
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "365d"))]
    pub span: Span,
    /// Rules whose refusals count. Empty: those of all, with 401, 403 and 429, unless `reasons` says something else.
    #[schemars(with = "Vec<Name>")]
    pub rules: Vec<String>,
    /// Why a refusal has to be to count. Empty: whatever the rules refuse for.
    pub reasons: Vec<RefusalReason>,
    /// Address ranges of clients that are never banned. `trusted_proxies` and those that may send PROXY headers never are.
    #[schemars(with = "Vec<Network>")]
    pub except: Vec<IpNet>,
    /// Clients whose refusals are counted at a time; memory for them is taken at the start, 27 bytes each.
    #[schemars(range(min = 1000, max = 10_000_000))]
    pub size: usize,
}

impl Default for Ban {
    fn default() -> Self {
        Self {
            denials: 10,
            within: Span::secs(60),
            span: Span::secs(600),
            rules: Vec::new(),
            reasons: Vec::new(),
            except: Vec::new(),
            size: 100_000,
        }
    }
}

/// A rule of type tarpit: whoever is refused waits for the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tarpit {
    /// For how long.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "5m"))]
    pub delay: Span,
    /// How many wait at a time; whoever is refused beyond that is so at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub at_once: u32,
    /// Rules whose refusals are meant. Empty: those of all, with 401, 403 and 429, unless `reasons` says something else.
    #[schemars(with = "Vec<Name>")]
    pub rules: Vec<String>,
    /// Why a refusal has to be to be meant. Empty: whatever the rules refuse for.
    pub reasons: Vec<RefusalReason>,
}

impl Default for Tarpit {
    fn default() -> Self {
        Self { delay: Span::secs(10), at_once: 1000, rules: Vec::new(), reasons: Vec::new() }
    }
}

/// Why a client may be refused, in the words of metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalReason {
    /// The head breaks RFC 9112 or RFC 9113.
    BadRequest,
    /// The path could be read in two ways.
    AmbiguousPath,
    /// Host is missing, repeated or malformed.
    BadHost,
    /// The length of the body is in doubt.
    BadFraming,
    /// The head is too large.
    HeadTooLarge,
    /// It has too many headers.
    TooManyHeaders,
    /// The body is too large.
    BodyTooLarge,
    /// A method that is not passed on.
    Method,
    /// No route takes it.
    NoRoute,
    /// There is no such file.
    NoFile,
    /// A rule does not know who asks.
    Unauthenticated,
    /// A page of another site asks.
    Origin,
    /// A rule does not let in what the client says that it is.
    UserAgent,
    /// A rule does not let in who asks.
    Forbidden,
    /// A rule lets in no more for now.
    RateLimit,
    /// A rule lets in no more at once.
    Concurrency,
    /// The address is denied.
    Denied,
    /// No whole head came in time.
    HeadTimeout,
    /// No byte of the body came in time.
    BodyTimeout,
    /// The client has as many connections as it may have.
    ClientConnections,
    /// The client makes more connections than it may.
    ConnectionRate,
    /// A TLS handshake came to nothing.
    Handshake,
    /// There was no whole one in time.
    HandshakeTimeout,
    /// No certificate is for the name that is asked for.
    UnknownName,
    /// The client has no good certificate where one is asked for.
    ClientCertificate,
}
