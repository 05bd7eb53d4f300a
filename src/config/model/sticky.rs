//! `[pools.NAME.sticky]`: by what a client stays with its target.

use crate::config::formats::{CookieAttribute, CookieName, FilePath, HeaderName, HostName, QueryKey};
use crate::config::units::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[pools.NAME.sticky]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sticky {
    /// By a cookie of this name, which says what target the client belongs to.
    #[schemars(with = "Option<CookieName>")]
    pub cookie: Option<String>,
    /// Who sets that cookie.
    pub mode: StickyMode,
    /// The domain for which the cookie is set. Absent: the host that was asked alone.
    #[schemars(with = "Option<HostName>")]
    pub domain: Option<String>,
    /// To whom browsers show the cookie.
    pub same_site: SameSite,
    /// Whether scripts in a page are kept from the cookie.
    pub http_only: bool,
    /// Whether the cookie is set for TLS alone. Absent: if the request came over TLS, here or at a trusted proxy.
    pub secure: Option<bool>,
    /// Further attributes of the cookie, such as "Partitioned" or "Priority=High".
    #[schemars(with = "Vec<CookieAttribute>")]
    pub attributes: Vec<String>,
    /// Whether a cookie of that name that a target sets goes on to the client as it is, and none of ours with it: so that an
    /// application can end a session's stickiness. If not, it is taken out.
    pub preserve: bool,
    /// How long browsers keep the cookie. Absent: until they are closed.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "400d"))]
    pub max_age: Option<Span>,
    /// How long the cookie counts after the last request. Absent: for ever.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "400d"))]
    pub max_idle: Option<Span>,
    /// How long the cookie counts after it was first set. Absent: for ever.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "400d"))]
    pub max_life: Option<Span>,
    /// A file with the secret, 16 bytes or more, by which the cookie names targets; hosts that share clients share it. Absent: a key
    /// that everybody knows, so that who guesses an address can see that it is right.
    #[schemars(with = "Option<FilePath>")]
    pub secret_file: Option<PathBuf>,
    /// By what a target tells its client and the client tells in turn: it is noted in a table.
    pub learn: Option<Learn>,
    /// By the client's address: it is noted in a table.
    pub source: bool,
    /// How many bits of an IPv4 address make a client.
    #[schemars(range(min = 8, max = 32))]
    pub ipv4_prefix: u8,
    /// How many bits of an IPv6 address make a client.
    #[schemars(range(min = 16, max = 128))]
    pub ipv6_prefix: u8,
    /// Entries of the table; beyond it those that were not asked for the longest give way.
    #[schemars(range(min = 100, max = 4_000_000))]
    pub size: usize,
    /// How long an entry is kept after it was last asked for.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "30d"))]
    pub expire: Span,
    /// Whether a client whose target cannot be used gets 503. If not, it goes to another one and belongs there.
    pub strict: bool,
}

impl Default for Sticky {
    fn default() -> Self {
        Self {
            cookie: None,
            mode: StickyMode::Insert,
            domain: None,
            same_site: SameSite::Lax,
            http_only: true,
            secure: None,
            attributes: Vec::new(),
            preserve: false,
            max_age: None,
            max_idle: None,
            max_life: None,
            secret_file: None,
            learn: None,
            source: false,
            ipv4_prefix: 32,
            ipv6_prefix: 64,
            size: 100_000,
            expire: Span::secs(1800),
            strict: false,
        }
    }
}

/// Who sets the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StickyMode {
    /// Ringway does, for clients that come without it; targets never see it.
    Insert,
    /// The target does, and its value is replaced.
    Rewrite,
    /// The target does, and its value is given a prefix that the target does not see.
    Prefix,
}

/// To whom browsers show the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SameSite {
    /// To the site itself, also where a link leads there.
    Lax,
    /// To the site itself.
    Strict,
    /// To every site that asks: over TLS alone.
    None,
}

/// What a target tells its client and the client tells in turn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Learn {
    /// A cookie that targets set, such as that of a session.
    #[schemars(with = "Option<CookieName>")]
    pub cookie: Option<String>,
    /// A header of answers, looked for in requests.
    #[schemars(with = "Option<HeaderName>")]
    pub header: Option<String>,
    /// A parameter of the query in which clients may tell it instead.
    #[schemars(with = "Option<QueryKey>")]
    pub query: Option<String>,
}
