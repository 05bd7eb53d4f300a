//! Rules of type anonymous.

use crate::config::formats::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of type anonymous: whoever has not been found to be a consumer is this one. Among the rules of one of type any-of it is for
/// clients that send nothing which another of them looks for: who sends a wrong key is refused all the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Anonymous {
    /// The consumer.
    #[schemars(with = "Name")]
    pub consumer: String,
}
