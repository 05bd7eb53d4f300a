//! Targets: how they are, what agents say of them, and what operators want of them.

use super::{Belonging, some};
use crate::control::overrides::{Heed, State, Until};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A target.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// Its address, which is its name.
    pub address: String,
    /// Its part of the work beside the others'.
    pub weight: Weight,
    /// Whether it is used only while no target that is not a backup can be.
    pub backup: bool,
    /// What operators want of it.
    pub state: State,
    /// Whether its checks pass, and no agent says otherwise; true where there are none.
    pub up: bool,
    /// The last check; absent: there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    /// What an agent says of it; absent: none is asked, or it has said nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Agent>,
    /// The target that it is as healthy as: "pool/address"; absent: it follows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
    /// Since live traffic has shown it to be unfit; absent: it is not ejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ejected: Option<Ejection>,
    /// The percentage of its own share that it takes in slow start; absent: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_start: Option<u32>,
    /// Tries in flight.
    pub in_flight: u64,
    /// Tries that may be, by what is in force now; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<u32>,
    /// Tries since the start.
    pub requests: u64,
    /// Tries that failed since the start.
    pub errors: u64,
    /// "config", "discovery" where its pool's source has told of it, or "override" where an operator has changed anything of it.
    pub origin: String,
    /// Who belongs to it, in a pool that is sticky.
    #[serde(default)]
    pub sticky: Option<Belonging>,
}

/// What a health check found.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// How far it came and how it ended, in HAProxy's words: "L4OK", "L7STS", …
    pub result: String,
    /// The number that the target's protocol has for it: a status, an exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// In words.
    pub detail: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// When it was over.
    pub at: u64,
}

/// How a target is ejected.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Ejection {
    /// "errors", "rate", "latency", or "trial": the request that tried it after its time has failed.
    pub reason: String,
    /// Which ejection in a row it is.
    pub times: u32,
    /// Seconds until a request tries it; 0: the next one may.
    pub left: u64,
}

/// A target's weight.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Weight {
    /// By the configuration, or as the target was added.
    pub configured: u32,
    /// As of now: 0 while it drains.
    pub in_force: u32,
}

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
