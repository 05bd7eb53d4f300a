//! `deprecated` of a route: how a part of an API comes to its end.

use crate::config::formats::LinkTarget;
use crate::config::moment::Moment;
use crate::config::units::{Share, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[routes.NAME.deprecated]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deprecated {
    /// From when on nobody should use it any more, "2026-11-01": `Deprecation` (RFC 9745) says so on each answer.
    pub since: Moment,
    /// When it ends, "2027-05-01" or "2027-05-01T12:00:00Z": `Sunset` (RFC 8594) says so on each answer. Absent: that is not known yet.
    #[serde(default)]
    pub sunset: Option<Moment>,
    /// How requests are answered after the sunset: a status of 400 to 599, or "serve" for as before.
    #[serde(default)]
    pub after_sunset: AfterSunset,
    /// A page about it: a `Link` with rel="deprecation".
    #[serde(default)]
    #[schemars(with = "Option<LinkTarget>")]
    pub link: Option<String>,
    /// A page about how and when parts of the API end: a `Link` with rel="sunset".
    #[serde(default)]
    #[schemars(with = "Option<LinkTarget>")]
    pub policy: Option<String>,
    /// What takes its place: a `Link` with rel="successor-version" (RFC 5829).
    #[serde(default)]
    #[schemars(with = "Option<LinkTarget>")]
    pub successor: Option<String>,
    /// Times at which it is as if it were gone, so that those who still call notice before it is.
    #[serde(default)]
    pub brownouts: Vec<Brownout>,
    /// With `from_openapi`, for which operations this holds: "all", or "marked" for those with `deprecated: true`.
    #[serde(default)]
    pub operations: DeprecatedOperations,
}

/// What becomes of requests after a sunset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterSunset {
    /// They are served as before.
    Serve,
    /// They are answered with this status.
    Status(u16),
}

impl Default for AfterSunset {
    fn default() -> Self {
        Self::Status(410)
    }
}

/// For which operations of an API something holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeprecatedOperations {
    /// For all of them.
    #[default]
    All,
    /// For those that the description says are deprecated.
    Marked,
}

/// A time at which requests are refused that will be refused for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Brownout {
    /// When it begins, "2027-03-01T09:00:00Z".
    pub from: Moment,
    /// How long it lasts.
    #[serde(rename = "for")]
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "90d"))]
    pub length: Span,
    /// After which time from its beginning it begins again, until the sunset. Absent: never.
    #[serde(default)]
    #[schemars(extend("x-minimum" = "2s", "x-maximum" = "366d"))]
    pub every: Option<Span>,
    /// The share of requests that are refused. Of several brown-outs at a time, the one with the largest counts.
    #[serde(default = "all")]
    pub share: Share,
    /// The status that they get.
    #[serde(default = "unavailable")]
    #[schemars(range(min = 400, max = 599))]
    pub status: u16,
}

fn all() -> Share {
    Share(1.0)
}

fn unavailable() -> u16 {
    503
}
