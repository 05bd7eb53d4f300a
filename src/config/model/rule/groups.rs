//! Rules of type groups.

use crate::config::formats::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of type groups: who is in none of them gets 403, and who is nobody 401.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    /// Groups of consumers, of which one has to be the consumer's.
    #[schemars(with = "Vec<Name>", length(min = 1))]
    pub allow: Vec<String>,
}
