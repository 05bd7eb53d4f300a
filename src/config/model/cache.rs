//! `[caches.NAME]` and `[routes.NAME.cache]`: where answers are kept, which, and for how long.

use crate::config::formats::{FilePath, HeaderName, Name};
use crate::config::units::{Share, Size, Span};
use crate::config::words::StatusRanges;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `[caches.NAME]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    /// Bytes of memory that it takes at most, everything around the contents counted.
    #[schemars(extend("x-minimum" = "1MiB", "x-maximum" = "16TiB"))]
    pub memory: Size,
    /// Where it keeps what outlives the process and what memory has no room for. Absent: nowhere.
    pub disk: Option<CacheDisk>,
}

/// A folder that one cache alone writes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheDisk {
    /// The folder. Made when it is needed.
    #[schemars(with = "FilePath")]
    pub path: PathBuf,
    /// Bytes that its files take at most.
    #[schemars(extend("x-minimum" = "64MiB", "x-maximum" = "1024TiB"))]
    pub size: Size,
}

impl Default for Cache {
    fn default() -> Self {
        Self { memory: Size(256 << 20), disk: None }
    }
}

/// Whether a route's answers are kept, as written: the name of a cache, or a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Written")]
#[schemars(with = "Written")]
pub struct RouteCache {
    /// The cache.
    pub store: String,
    /// How long answers are fresh, whatever they say themselves.
    pub ttl: BTreeMap<String, Span>,
    /// How long answers are fresh that say nothing of it.
    pub default_ttl: BTreeMap<String, Span>,
    /// The share of its age by which an answer is fresh that says nothing but when it was changed; `None`: none.
    pub heuristic: Option<Share>,
    /// For how long a stale answer is given while it is validated.
    pub stale_while_revalidate: Span,
    /// For how long a stale answer is given where the origin fails.
    pub stale_if_error: Span,
    /// What a request's Cache-Control counts for.
    pub request_directives: RequestDirectives,
    /// What becomes of answers that set cookies.
    pub set_cookie: CachedCookies,
    /// Whether clients wait for an answer that another one has asked for.
    pub collapse: bool,
    /// Whether answers say what the cache did.
    pub status_header: bool,
    /// What tells answers apart.
    pub key: CacheKey,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
enum Written {
    #[schemars(with = "Name")]
    Name(String),
    Table(Box<Table>),
}

/// `[routes.NAME.cache]`
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Table {
    /// The cache, a name of `[caches]`.
    #[schemars(with = "Name")]
    store: String,
    /// How long answers are fresh, by their status, whatever they say themselves: { "200-299" = "1h" }. What must not be shared is not
    /// stored even so.
    #[serde(default)]
    #[schemars(extend("propertyNames" = { "format": "status-ranges" }))]
    ttl: BTreeMap<String, Span>,
    /// How long answers are fresh that say nothing of it, by their status: { "404" = "10s" }.
    #[serde(default)]
    #[schemars(extend("propertyNames" = { "format": "status-ranges" }))]
    default_ttl: BTreeMap<String, Span>,
    /// How fresh an answer is that says only when it was last changed: this share of the time since then, a day at most (RFC 9111
    /// §4.2.2). "0%": not at all.
    #[serde(default = "tenth")]
    heuristic: Share,
    /// For how long an answer that became stale is given at once, while it is validated beside (RFC 5861), where it does not say so
    /// itself.
    #[serde(default = "none")]
    #[schemars(extend("x-maximum" = "365d"))]
    stale_while_revalidate: Span,
    /// For how long an answer that became stale is given where the origin fails (RFC 5861), where it does not say so itself.
    #[serde(default = "day")]
    #[schemars(extend("x-maximum" = "365d"))]
    stale_if_error: Span,
    /// What the Cache-Control of a request counts for.
    #[serde(default)]
    request_directives: RequestDirectives,
    /// What becomes of answers that set cookies.
    #[serde(default)]
    set_cookie: CachedCookies,
    /// Whether clients that ask for the same wait for one answer of the origin.
    #[serde(default = "yes")]
    collapse: bool,
    /// Whether answers have a Cache-Status (RFC 9211).
    #[serde(default = "yes")]
    status_header: bool,
    /// What tells answers apart, beside scheme, host and path.
    #[serde(default)]
    key: CacheKey,
}

/// What the Cache-Control of a request counts for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RequestDirectives {
    /// What RFC 9111 §5.2.1 says.
    #[default]
    Honour,
    /// Nothing: no client can have the origin asked.
    Ignore,
}

/// What becomes of answers that set cookies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CachedCookies {
    /// They are stored as they are, if the origin says that they are for many: `public`, `s-maxage`, or CDN-Cache-Control.
    #[default]
    Explicit,
    /// They are stored without their cookies.
    Strip,
    /// They are not stored.
    Never,
    /// They are stored like others, with the cookies, which everybody is given.
    Store,
}

/// What tells answers apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CacheKey {
    /// Whether parameters in another order are the same.
    pub sort_query: bool,
    /// Parameters of the query that make no difference: "utm_*".
    pub ignore_query: Vec<String>,
    /// The only parameters of the query that make one. Absent: all do.
    pub only_query: Option<Vec<String>>,
    /// Headers of requests that make one.
    #[schemars(with = "Vec<HeaderName>")]
    pub headers: Vec<String>,
    /// Cookies that make one.
    pub cookies: Vec<String>,
}

fn tenth() -> Share {
    Share(0.1)
}

fn none() -> Span {
    Span::secs(0)
}

fn day() -> Span {
    Span::secs(86_400)
}

fn yes() -> bool {
    true
}

impl From<Written> for RouteCache {
    fn from(written: Written) -> Self {
        match written {
            Written::Name(store) => Self {
                store,
                ttl: BTreeMap::new(),
                default_ttl: BTreeMap::new(),
                heuristic: Some(tenth()),
                stale_while_revalidate: none(),
                stale_if_error: day(),
                request_directives: RequestDirectives::default(),
                set_cookie: CachedCookies::default(),
                collapse: true,
                status_header: true,
                key: CacheKey::default(),
            },
            Written::Table(table) => Self {
                heuristic: (table.heuristic.0 > 0.0).then_some(table.heuristic),
                store: table.store,
                ttl: table.ttl,
                default_ttl: table.default_ttl,
                stale_while_revalidate: table.stale_while_revalidate,
                stale_if_error: table.stale_if_error,
                request_directives: table.request_directives,
                set_cookie: table.set_cookie,
                collapse: table.collapse,
                status_header: table.status_header,
                key: table.key,
            },
        }
    }
}

impl RouteCache {
    /// Spans by the statuses that they are for, of [`RouteCache::ttl`] or [`RouteCache::default_ttl`].
    pub fn spans(table: &BTreeMap<String, Span>) -> impl Iterator<Item = (StatusRanges, Span)> {
        // What is no set of statuses was refused when it was read.
        table.iter().filter_map(|(statuses, span)| Some((statuses.parse().ok()?, *span)))
    }
}
