//! What has happened of late.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// What has happened, moment by moment.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Traffic {
    /// The upper bounds of the steps in which latencies are counted, in milliseconds; there is one step more.
    pub bounds: Vec<f64>,
    /// The moments, the oldest first.
    pub items: Vec<Moment>,
}

/// What happened in a moment.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Moment {
    /// When it was over.
    pub at: u64,
    /// How long it was, in milliseconds.
    pub span_ms: u64,
    /// HTTP requests answered, by class of their status: 1xx to 5xx, and those without one.
    pub requests: [u64; 6],
    /// Requests and connections refused.
    pub refused: u64,
    /// Tries at targets that failed.
    pub failed: u64,
    /// Client connections accepted.
    pub accepted: u64,
    /// Bytes received from clients.
    pub received: u64,
    /// Bytes sent to clients.
    pub sent: u64,
    /// Client connections open at its end.
    pub connections: u64,
    /// Exchanges and connections in flight at its end.
    pub in_flight: u64,
    /// How long requests took that ended in it; absent: there were none, or it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
}

/// How long requests took, first byte to last byte, in milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Half of them took no longer.
    pub p50: f64,
    /// 90 % of them.
    pub p90: f64,
    /// 99 % of them.
    pub p99: f64,
    /// The longest.
    pub max: f64,
    /// How many there were in each step of `bounds`.
    pub steps: Vec<u64>,
}

/// Which moments are wanted.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Moments {
    /// How long they are in seconds: 1 (the last six minutes, the default) or 10 (the last hour).
    #[serde(default, deserialize_with = "step")]
    #[schemars(with = "Option<u8>")]
    pub step: Option<u8>,
    /// Those alone that were over later, in seconds since 1970.
    #[serde(default, deserialize_with = "seconds")]
    #[schemars(with = "Option<u64>")]
    pub after: Option<u64>,
}

/// An exchange, or a connection, that failed, was refused or took long.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Exchange {
    /// When it began, in milliseconds since 1970.
    pub at_ms: u64,
    /// "failed", "refused" (or the client left), or "slow": it took longer than `admin.slow`.
    pub kind: String,
    /// Why it ended otherwise than well, in the words of the access log; absent: it ended well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who asked; absent: a peer on a Unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The listener.
    pub listener: String,
    /// The route; absent: none took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The pool; absent: none was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The target that was tried last; absent: none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Tries sent to targets.
    pub tries: u32,
    /// What was asked; absent: it is a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Asked>,
    /// How long it took, and in which phase.
    pub took: Took,
}

/// What was asked by HTTP.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Asked {
    /// The id of the request, which the access log has, too.
    pub id: String,
    /// The method.
    pub method: String,
    /// The host; empty: it names none.
    pub host: String,
    /// The path, without the query: that may hold secrets.
    pub path: String,
    /// The status sent; 0: none was.
    pub status: u16,
    /// The consumer; absent: none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<String>,
    /// The rule that refused it; absent: none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// How long it took, in milliseconds; what it has not come to is absent.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Took {
    /// From the first byte of the request to the end of its head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<f64>,
    /// Waiting for a target with room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<f64>,
    /// Getting a connection to a target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<f64>,
    /// From the request sent to the first byte of the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte: Option<f64>,
    /// All of it.
    pub total: f64,
}

/// Which exchanges are wanted.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exchanges {
    /// Those of this kind alone: "failed", "refused" or "slow".
    pub kind: Option<String>,
}

fn step<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    match &*String::deserialize(deserializer)? {
        "1" => Ok(Some(1)),
        "10" => Ok(Some(10)),
        other => Err(serde::de::Error::custom(format!("`step` is 1 or 10, not `{other}`"))),
    }
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = |_| serde::de::Error::custom(format!("`after` is a time in seconds, not `{text}`"));
    text.parse().map(Some).map_err(wrong)
}
