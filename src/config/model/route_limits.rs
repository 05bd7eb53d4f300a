//! `[routes.NAME.limits]`

use crate::config::formats::SizeOrUnlimited;
use crate::config::units::{Invalid, Size, text_form};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// `[routes.NAME.limits]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RouteLimits {
    /// Bytes of a request's body, more or fewer than `limits.request_body` allows; more are answered with 413. Absent: as that says.
    #[schemars(with = "Option<SizeOrUnlimited>", extend("x-minimum" = "1B"))]
    pub request_body: Option<BodyLimit>,
}

/// How long a body may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLimit {
    /// `"unlimited"`
    Unlimited,
    /// So long, and no longer.
    Bytes(Size),
}

text_form!(BodyLimit);

impl FromStr for BodyLimit {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text == "unlimited" { Ok(Self::Unlimited) } else { text.parse().map(Self::Bytes) }
    }
}

impl fmt::Display for BodyLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("unlimited"),
            Self::Bytes(size) => size.fmt(f),
        }
    }
}
