//! Rules of type bandwidth.

use super::counting::Counting;
use crate::config::limit_key::LimitKey;
use crate::config::rate::ByteRate;
use crate::config::units::Size;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of type bandwidth: requests and answers flow no faster than that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bandwidth {
    /// How fast answers flow. Absent: as fast as they can.
    pub download: Option<ByteRate>,
    /// How fast the bodies of requests do. Absent: as fast as they can.
    pub upload: Option<ByteRate>,
    /// Bytes of each that flow at once before that. Absent: what flows in a tenth of a second.
    pub burst: Option<Size>,
    /// What is slowed down together, over all workers and all routes that name the rule. Absent: each request by itself.
    pub key: Option<LimitKey>,
    /// Which clients, and how many.
    #[serde(flatten)]
    pub counting: Counting,
}
