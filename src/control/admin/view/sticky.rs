//! Who belongs to which target.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The clients that belong to a target.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Belonging {
    /// Their requests and connections since the start.
    pub served: u64,
    /// How many are noted in the table; null where there is none.
    pub noted: Option<u64>,
}

/// The table in which the clients of a pool are noted.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Noted {
    /// What they are noted under.
    pub under: String,
    /// The entries that there is room for.
    pub size: usize,
    /// The entries that there are.
    pub entries: u64,
    /// Entries that gave way to others before their time.
    pub evictions: u64,
    /// Where the client that was asked for belongs.
    pub found: Option<Found>,
}

/// Where a client belongs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// The target.
    pub target: String,
    /// How long that is remembered if nothing is heard of it, in seconds.
    pub left: u32,
}

/// One client among those that are noted.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhoseEntry {
    /// By its address.
    pub client: Option<String>,
    /// By what it tells: the value of its session.
    pub value: Option<String>,
}

/// Which clients are to be forgotten: all without any of these.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Forgotten {
    /// Those that belong to this target.
    pub target: Option<String>,
    /// The one at this address.
    pub client: Option<String>,
    /// The one that tells this.
    pub value: Option<String>,
}

/// What was forgotten.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Forgot {
    /// Entries that are gone.
    pub entries: u64,
}
