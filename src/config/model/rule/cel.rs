//! Rules of type cel.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of type cel: a condition decides who comes in. Others get 403, or 401 if it asks who asks and that is nobody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cel {
    /// What has to hold, in CEL: '"gold" in consumer.groups'.
    pub allow: String,
}
