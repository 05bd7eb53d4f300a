//! Mirrors, as the API shows them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A route of which another pool gets requests as well.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Mirror {
    /// The route's name.
    pub route: String,
    /// The pool that gets them as well.
    pub pool: String,
    /// Copies under way.
    pub in_flight: u32,
    /// What became of requests that it was to get: "answered", "failed", "timeout", "busy", "too-large", "incomplete".
    pub requests: BTreeMap<String, u64>,
    /// How its answers differ; absent: they are not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<MirrorReport>,
}

/// How the answers of a mirror differ from those that clients got.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MirrorReport {
    /// Since when it is kept.
    pub since: u64,
    /// Pairs of answers that were compared.
    pub compared: u64,
    /// Those of them that differ.
    pub different: u64,
    /// Pairs that could not be compared, by why: "incomplete", "backlog", "not-modified".
    pub uncompared: BTreeMap<String, u64>,
    /// Pairs by what differs: "status", "header", "json", "body".
    pub kinds: BTreeMap<String, u64>,
    /// Where they differ, the most frequent first.
    pub places: Vec<MirrorPlace>,
    /// Differences at other places, for which there was no room.
    pub elsewhere: u64,
    /// The last pairs that differ, the newest first.
    pub examples: Vec<MirrorExample>,
}

/// Where answers differ.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MirrorPlace {
    /// "status", "header", "json" or "body".
    pub kind: String,
    /// Both statuses, a header's name, or a JSON pointer with `*` for items.
    pub at: String,
    /// How often.
    pub count: u64,
    /// What the client got last, or of which kind that was.
    pub main: String,
    /// What the mirror said.
    pub mirrored: String,
}

/// A pair of answers that differ.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MirrorExample {
    /// When they were compared.
    pub at: u64,
    /// The request's method.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    /// How they differ, as far as there is room: each as where answers differ.
    pub differences: Vec<MirrorDifference>,
}

/// How a pair of answers differs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MirrorDifference {
    /// "status", "header", "json" or "body".
    pub kind: String,
    /// Both statuses, a header's name, or a JSON pointer with `*` for items.
    pub at: String,
    /// What the client got, or of which kind that was.
    pub main: String,
    /// What the mirror said.
    pub mirrored: String,
}
