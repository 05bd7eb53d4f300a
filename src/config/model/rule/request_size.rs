//! Rules of type request-size.

use crate::config::units::Size;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of type request-size: a body that is larger gets 413.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestSize {
    /// Bytes of a body.
    #[schemars(extend("x-minimum" = "1B"))]
    pub max: Size,
}
