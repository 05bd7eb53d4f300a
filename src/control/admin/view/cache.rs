//! Caches, and what is purged of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A cache.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Cache {
    /// Its name.
    pub name: String,
    /// The routes that use it.
    pub routes: Vec<String>,
    /// Where it keeps answers.
    pub tiers: Vec<Tier>,
    /// Requests since the start of routes that have it, by what it did for them.
    pub requests: CacheRequests,
    /// Bytes of content that came from it.
    pub sent: u64,
    /// Questions to origins that are under way.
    pub fills: u64,
    /// Answers that were stored.
    pub stored: u64,
    /// Stored answers of which the origin said that they are as they were.
    pub validated: u64,
    /// Answers that were not stored, by why; what has not happened is left out.
    pub not_stored: BTreeMap<String, u64>,
    /// Answers that were purged or forgotten, and are gone.
    pub purged: u64,
}

/// What a cache holds in one place.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Tier {
    /// "memory" or "disk".
    pub tier: String,
    /// Bytes that it holds, everything around the contents counted.
    pub bytes: u64,
    /// Bytes that it may hold.
    pub max: u64,
    /// Keys that it holds something for.
    pub objects: u64,
    /// Keys that gave way to others.
    pub evicted: u64,
}

/// What a cache did for requests.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct CacheRequests {
    /// A fresh answer came from it.
    pub hit: u64,
    /// A stale one did.
    pub stale: u64,
    /// The origin said that what is stored is as it was.
    pub revalidated: u64,
    /// They shared the answer to another's question.
    pub collapsed: u64,
    /// The origin answered.
    pub miss: u64,
    /// They were none for a cache.
    pub bypass: u64,
}

/// What is to be purged: exactly one of `url`, `prefix`, `tag`, `host` and `all`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPurge {
    /// All that is stored for this URL, in all its variants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// All whose URL begins so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// All that has this name in Surrogate-Key or Cache-Tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// All of this host, with its port if clients name one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Everything.
    #[serde(default)]
    pub all: bool,
    /// Whether it counts as stale, and not as gone: it is validated, or given on while it is fetched anew or the origin fails, as it may be.
    #[serde(default)]
    pub soft: bool,
}

/// What was purged.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Purged {
    /// Of each cache.
    pub caches: Vec<PurgedCache>,
}

/// What was purged of a cache.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PurgedCache {
    /// The cache.
    pub cache: String,
    /// How many answers; absent: it is in force, and what it concerns is found when it is looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<u64>,
}
