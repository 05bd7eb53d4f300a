//! What analytics have summed up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which sums are wanted.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedSums {
    /// From then on: seconds since 1970, "2026-11-29T08:00:00Z", or how long ago, such as "90m". A day ago unless it is said.
    pub from: Option<String>,
    /// Until then, without it, in the same forms. Now, unless it is said.
    pub to: Option<String>,
    /// What rows are told apart by, with commas between: "consumer", "route", "version", "status". All in one unless it is said.
    pub by: Option<String>,
    /// The time that a row is about: "minute", "hour" or "day" (UTC). What is older than minutes are kept for comes by the hour or the
    /// day. All of it in one unless it is said.
    pub step: Option<String>,
    /// "json", "jsonl" (a row on each line) or "csv". "json" unless it is said.
    pub format: Option<String>,
    /// "true": only routes count that are deprecated now. "false" unless it is said.
    pub deprecated: Option<String>,
}

/// What analytics have summed up.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Analytics {
    /// From then on.
    pub from: u64,
    /// Until then.
    pub to: u64,
    /// The rows, by time, consumer, route, version and status.
    pub items: Vec<Sums>,
}

/// A row. What was not asked for is absent.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Sums {
    /// When its time begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// Who asked; empty: nobody known. "(other)": those that are not told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<String>,
    /// The route; "(none)": none took them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The version that the route says; empty: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The status; 0: none was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Requests.
    pub requests: u64,
    /// Those with a status from 500 on, or whose answer broke off for the target's or our own fault.
    pub errors: u64,
    /// Bytes received from clients.
    pub bytes_in: u64,
    /// Bytes sent to clients.
    pub bytes_out: u64,
    /// How long they took together, in milliseconds.
    pub latency_ms: f64,
    /// How long half of them took at most, in milliseconds, to within 20 %.
    pub p50_ms: f64,
    /// The same of 95 %.
    pub p95_ms: f64,
    /// The same of 99 %.
    pub p99_ms: f64,
    /// When the last minute begins in which there were any, or the hour or the day, where minutes are not kept any more.
    pub last: u64,
}
