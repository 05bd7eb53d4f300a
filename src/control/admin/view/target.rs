//! What agents say of a target, and what operators want of it.

use super::{Check, some};
use crate::control::overrides::{Heed, State, Until};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an agent says of a target.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Agent {
    /// All that it has said and not taken back, in its own words: "up drain 75% maxconn:30".
    pub said: String,
    /// Whether an operator has it that nothing of that counts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
    /// How much it says that the target takes at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The last time that it was asked, where that is done beside the checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Check>,
}

/// A change of a target.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchTarget {
    /// What is wanted of it; absent: as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Its weight, 0 to 256; null: the configuration's; absent: as it is.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some")]
    #[schemars(range(min = 0, max = 256))]
    pub weight: Option<Option<u32>>,
    /// Whether what an agent says of it counts; absent: as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Heed>,
    /// How long that lasts.
    #[serde(default)]
    pub until: Until,
}
