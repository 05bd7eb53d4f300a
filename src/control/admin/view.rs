//! What the API says and takes, as types: the document of the API and the command line are made from them.
//!
//! Times are seconds since 1970, spans whole seconds, sizes bytes. Lists are in a stable order: by name or address.

mod analytics;
mod cache;
mod connection;
mod consumer;
mod explained;
mod headline;
mod mirror;
mod rule;
mod session;
mod split;
mod sticky;
mod store;
mod target;
mod traffic;

use crate::config::diff::Change;
use crate::control::overrides::{Row, SplitRow, Until};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

pub use super::problem::Problem;
pub use analytics::{Analytics, Sums, WantedSums};
pub use cache::{Cache, CacheRequests, NewPurge, Purged, PurgedCache, Tier};
pub use connection::Connection;
pub use consumer::{Consumer, NewConsumer};
pub use explained::{Explained, NewExplanation};
pub use headline::{Finding, Headline, Severity};
pub use mirror::{Mirror, MirrorDifference, MirrorExample, MirrorPlace, MirrorReport};
pub use rule::Rule;
pub use session::{NewSession, Session};
pub use split::{PatchSplit, Split, SplitPool};
pub use sticky::{Belonging, Forgot, Forgotten, Found, Noted, WhoseEntry};
pub use store::{Store, StoreHost};
pub use target::{Agent, Check, Ejection, PatchTarget, Target, Weight};
pub use traffic::{Asked, Exchange, Exchanges, Latency, Moment, Moments, Took, Traffic};

/// Part of a list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// What to give as `after` for the next part; absent: this is the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The process.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The version of Ringway.
    pub version: String,
    /// The process's id.
    pub pid: u32,
    /// When it started.
    pub started: u64,
    /// For how long it runs.
    pub uptime: u64,
    /// "starting", "ready" or "draining".
    pub state: String,
    /// The number of the plan in force: 1 at the start, one more with each change.
    pub plan: u64,
    /// Threads that move bytes.
    pub workers: usize,
    /// Client connections.
    pub connections: Used,
    /// Targets that operators have overridden, and weights of splits that are set.
    pub overrides: usize,
    /// Bans.
    pub bans: usize,
    /// What the operational log tells: the filter.
    pub log_level: String,
    /// Whether requests are summed up, so that `/v1/analytics` has something to say.
    #[serde(default)]
    pub analytics: bool,
    /// The server through which hosts share what they know; absent: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<Store>,
    /// The last reload or change of targets; absent: there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_reload: Option<Reload>,
}

/// How much there is of something, and how much there may be.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Used {
    /// As of now.
    pub open: u64,
    /// At most.
    pub max: u64,
}

/// How a reload went, or a change of targets.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Reload {
    /// When it was over.
    pub at: u64,
    /// Who asked for it: "signal", or "admin" and from where.
    pub by: String,
    /// "applied", "trying", "rolled-back", "unchanged" or "failed".
    pub result: String,
    /// The number of the plan that was in force then.
    pub plan: u64,
    /// What has changed by it.
    pub changes: Vec<Change>,
    /// Keys that have changed and take effect only when the process is started anew, or by an upgrade.
    pub deferred: Vec<String>,
    /// What is allowed but likely a mistake, and what was wrong, as `ringway check` tells it.
    pub diagnostics: String,
}

/// A listener.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// What it listens on.
    pub addresses: Vec<String>,
    /// "http", "tcp" or "udp".
    pub protocol: String,
    /// Whether it ends TLS.
    pub tls: bool,
    /// Where goes what no route takes; absent: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// How many routes are on it.
    pub routes: usize,
    /// Client connections open.
    pub connections: u64,
    /// Client connections accepted since the start.
    pub accepted: u64,
    /// Requests answered since the start.
    pub requests: u64,
    /// Requests and connections refused since the start.
    pub refused: u64,
    /// Sessions of datagrams; absent: it takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u64>,
    /// Datagrams received from clients since the start; absent: it takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datagrams: Option<u64>,
    /// Datagrams that went no further since the start; absent: it takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datagrams_lost: Option<u64>,
    /// Bytes received from clients.
    pub received: u64,
    /// Bytes sent to clients.
    pub sent: u64,
}

/// A route.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// The listeners that it is on.
    pub listeners: Vec<String>,
    /// Hosts, or names asked for by SNI; empty: every one.
    pub hosts: Vec<String>,
    /// Paths; empty: every one.
    pub paths: Vec<String>,
    /// Methods; empty: every one.
    pub methods: Vec<String>,
    /// "forward", "aggregate", "files", "respond", "redirect" or "passthrough".
    pub action: String,
    /// The pool that answers, if it forwards or passes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Requests answered, or connections passed on, since the start.
    pub requests: u64,
    /// Those of them with a status of 500 and above.
    pub errors: u64,
}

/// A pool.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// How a target is chosen.
    pub balance: String,
    /// What targets speak.
    pub protocol: String,
    /// Whether TLS is spoken with them.
    pub tls: bool,
    /// Whether targets are checked.
    pub checked: bool,
    /// Targets that take new work.
    pub up: usize,
    /// Whether too few of them are for health to be believed, so that work goes to all.
    #[serde(default)]
    pub panic: bool,
    /// Exchanges and connections in flight.
    pub in_flight: u64,
    /// Exchanges and connections that may be, over all targets; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<u32>,
    /// Who waits for a target with room; absent: the pool has no limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queue>,
    /// Exchanges and connections since the start.
    pub requests: u64,
    /// Tries that failed since the start.
    pub errors: u64,
    /// Its targets, in the order of the configuration.
    pub targets: Vec<Target>,
    /// Where targets are found that come and go by themselves; absent: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<Discovery>,
}

/// A source of targets.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Discovery {
    /// Where they are found: "dns api.example.com:8080".
    pub source: String,
    /// How many it has told of last; absent: it has told nothing yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<usize>,
    /// Since when it tells of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// How long ago it said something that could be used; absent: it has not since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<u64>,
    /// In how long it is asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// What came of asking it last, if that was not targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// Those who wait for a target with room.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Queue {
    /// As of now.
    pub waiting: usize,
    /// At most.
    pub length: usize,
    /// Since the start.
    pub queued: u64,
}

/// A certificate.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Certificate {
    /// The listener that shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
    /// The pool whose targets are shown it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Its file.
    pub file: String,
    /// When it ends.
    pub not_after: i64,
    /// Seconds until then; negative once it has ended.
    pub left: i64,
}

/// What the process may use, and what clients may send.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// Client connections.
    pub connections: Used,
    /// Descriptors of the process.
    pub descriptors: Used,
    /// Bytes of a request's head.
    pub request_head: u64,
    /// Header lines of a request.
    pub headers: usize,
    /// Bytes of a request's body; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_body: Option<u64>,
}

/// A ban.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Ban {
    /// The address or range.
    pub client: String,
    /// Why.
    pub reason: String,
    /// The rule that says so; absent: an operator does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Seconds until it ends; absent: it has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<u64>,
}

/// All that operators have overridden.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Overrides {
    /// One more with each change, within a process.
    pub revision: u64,
    /// What is overridden of targets, in the order of pools and targets.
    pub items: Vec<Row>,
    /// Weights of splits that are set, by operators or because a pool was taken back.
    #[serde(default)]
    pub splits: Vec<SplitRow>,
}

/// What a change came to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// The number of the plan in force.
    pub plan: u64,
    /// What has changed; empty: it was so before.
    pub changes: Vec<Change>,
}

/// A new process that has taken over.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Upgrade {
    /// Its number.
    pub pid: u32,
}

/// How many connections were ended.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Closed {
    /// So many.
    pub closed: usize,
    /// Whether there may be more: a request ends so many at most.
    pub more: bool,
}

/// What the operational log tells.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogLevel {
    /// A level ("debug"), or several by module ("ringway::upstream=debug,info").
    pub filter: String,
}

/// A new target.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTarget {
    /// Where it listens: "10.0.0.1:8080", "[fd00::1]:8080", "unix:/run/app.sock".
    pub address: String,
    /// Its part of the work beside the others', 0 to 256.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 256))]
    pub weight: u32,
    /// Whether it is used only while no target that is not a backup can be.
    #[serde(default)]
    pub backup: bool,
    /// How long it stays.
    #[serde(default)]
    pub until: Until,
}

/// How to reload. Without a body it is put into force at once.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReload {
    /// The share of connections that go by it first, such as "5%".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
    /// For how long, such as "10m"; then all do, unless it has not proven itself.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub span: Option<String>,
}

/// A new ban.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBan {
    /// For how long, such as "10m"; absent: until it is taken back, or the process ends.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub span: Option<String>,
    /// Why, for those who come after; at most 200 bytes.
    #[serde(default)]
    pub reason: String,
    /// Whether open connections of the client are ended, too.
    #[serde(default)]
    pub close: bool,
}

/// Which part of a list is wanted.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// How many, 1 to 1000.
    #[serde(default, deserialize_with = "number")]
    #[schemars(with = "Option<u16>", range(min = 1, max = 1000))]
    pub limit: Option<usize>,
    /// What came last on the part before.
    pub after: Option<String>,
}

/// Which connections are wanted.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connections {
    /// Those that came in by this listener.
    pub listener: Option<String>,
    /// Those of this address or range.
    pub client: Option<String>,
    /// Those for which this target was asked last.
    pub target: Option<String>,
    /// How many, 1 to 1000.
    #[serde(default, deserialize_with = "number")]
    #[schemars(with = "Option<u16>", range(min = 1, max = 1000))]
    pub limit: Option<usize>,
    /// What came last on the part before.
    pub after: Option<String>,
}

/// Which connections are to be ended: at least one of these is given.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// Those that came in by this listener.
    pub listener: Option<String>,
    /// Those of this address or range.
    pub client: Option<String>,
    /// Those for which this target was asked last.
    pub target: Option<String>,
}

/// How long a change lasts.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lasting {
    /// How long that lasts.
    #[serde(default)]
    pub until: Until,
}

fn one() -> u32 {
    1
}

/// What is there, `null` included.
fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A number as a query has it.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.parse() {
        Ok(number @ 1..=1000) => Ok(Some(number)),
        _ => Err(serde::de::Error::custom(format!("`limit` is a number from 1 to 1000, not `{text}`"))),
    }
}
