//! `[routes.NAME.buffer]`: what stands between slow clients and targets that have few places.

use crate::config::units::Size;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[routes.NAME.buffer]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Buffer {
    /// Bytes of each body that go to the disk, into a file without a name in `runtime.temp_dir`, once memory holds as much as `request` or
    /// `response` says. Absent: none do.
    #[schemars(extend("x-minimum" = "1KiB", "x-maximum" = "1024GiB"))]
    pub disk: Option<Size>,
    /// How long a request's body may be, with `disk` beyond that, to be taken whole before a target is chosen: a slow client then keeps
    /// no target waiting. A longer one goes on as it comes. Absent: all do.
    #[schemars(extend("x-minimum" = "1KiB", "x-maximum" = "1GiB"))]
    pub request: Option<Size>,
    /// How much of an answer, with `disk` beyond that, is taken at its target's own pace for a client that reads slowly, so that the
    /// target is free before its client is done. Absent: a target waits for its client.
    #[schemars(extend("x-minimum" = "1KiB", "x-maximum" = "1GiB"))]
    pub response: Option<Size>,
}
