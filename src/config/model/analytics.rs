//! `[analytics]`: who asks for what, how often and with what success, summed up on the disk.

use super::{Secret, SyslogTo};
use crate::config::formats::{FilePath, HeaderValue, SourceUrl};
use crate::config::units::{Size, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `[analytics]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Analytics {
    /// For how long sums are kept, and how fine.
    pub retention: Retention,
    /// Combinations of consumer, route, version and status that are told apart within an hour. Beyond it consumers are summed up as
    /// "(other)".
    #[schemars(range(min = 100, max = 1_000_000))]
    pub max_series: usize,
    /// Who gets a record of each request, by name.
    #[schemars(extend("propertyNames" = { "format": "name" }))]
    pub hooks: BTreeMap<String, Hook>,
}

impl Default for Analytics {
    fn default() -> Self {
        Self { retention: Retention::default(), max_series: 10_000, hooks: BTreeMap::new() }
    }
}

/// `[analytics.retention]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// For how long there are sums by the minute; they become sums by the hour.
    #[schemars(extend("x-minimum" = "1h", "x-maximum" = "90d"))]
    pub minutes: Span,
    /// For how long there are sums by the hour; they become sums by the day (UTC).
    #[schemars(extend("x-minimum" = "1d", "x-maximum" = "1000d"))]
    pub hours: Span,
    /// For how long there are sums by the day; then they are deleted.
    #[schemars(extend("x-minimum" = "1d", "x-maximum" = "10000d"))]
    pub days: Span,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |count: u64| Span::secs(count * 24 * 3600);
        Self { minutes: days(2), hours: days(90), days: days(730) }
    }
}

/// `[analytics.hooks.NAME]`. Exactly one of `url`, `path`, `syslog` is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hook {
    /// A URL that records are posted to in batches, a line of JSON each.
    #[schemars(with = "Option<SourceUrl>")]
    pub url: Option<String>,
    /// Headers for it. Their values are secrets.
    #[schemars(with = "BTreeMap<String, HeaderValue>", extend("propertyNames" = { "format": "header-name" }))]
    pub headers: BTreeMap<String, Secret>,
    /// A file that they are appended to. It is opened anew for each batch, so that it may be moved away.
    #[schemars(with = "Option<FilePath>")]
    pub path: Option<PathBuf>,
    /// A syslog server: "udp://127.0.0.1:514", "tcp://127.0.0.1:514", or "unix:/dev/log".
    pub syslog: Option<SyslogTo>,
    /// Bytes of records that wait while they are not taken. Below it none is lost; what is beyond is.
    #[schemars(extend("x-minimum" = "1MiB", "x-maximum" = "16GiB"))]
    pub max_backlog: Size,
}

impl Default for Hook {
    fn default() -> Self {
        Self { url: None, headers: BTreeMap::new(), path: None, syslog: None, max_backlog: Size(64 << 20) }
    }
}
