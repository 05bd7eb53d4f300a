//! `[pools.NAME]`: targets, how one is chosen, whether it is up.

use super::{
    Adaptive, Address, Agent, Discover, Health, OnDown, OnUp, Outlier, PoolTcp, PoolTls, Queue, SendProxy,
    SourceAddress, Sticky, Track,
};
use crate::config::formats::InterfaceName;
use crate::config::units::{Share, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[pools.NAME]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("additionalProperties" = false))]
pub struct Pool {
    /// What targets speak to http listeners.
    pub protocol: PoolProtocol,
    /// How a target is chosen.
    pub balance: Balance,
    /// What `balance = "hash"` hashes: "client-ip", "path", "header:NAME", "cookie:NAME", "query:NAME".
    pub key: HashKey,
    /// The targets: "10.0.0.1:8080", or tables with weight and backup.
    pub targets: Vec<Target>,
    /// Where targets are found that come and go by themselves, beside those in `targets`.
    pub discover: Option<Discover>,
    /// What happens while no target is up.
    pub all_down: AllDown,
    /// Active health checks. Absent: targets are taken to be up.
    pub health: Option<Health>,
    /// An agent that is asked beside the checks. Absent: none is.
    pub agent: Option<Agent>,
    /// The pool, or the target of one as "pool/10.0.0.1:80", that the targets are as healthy as. Absent: they are checked themselves.
    pub track: Option<Track>,
    /// Takes targets out of balancing for a while that fail live traffic. Absent: none is.
    pub outlier: Option<Outlier>,
    /// The share of the targets that must be usable, or their health is not believed and work goes to all; backups that are usable
    /// go first. Absent: `all_down` decides, once none is.
    pub panic: Option<Share>,
    /// How long a target that came up takes from a small share of the work to the whole of its own. Absent: it has it at once.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub slow_start: Option<Span>,
    /// What becomes of the connections of a target that goes down.
    pub on_down: OnDown,
    /// What becomes of the connections of backups when a target comes up that is none.
    pub on_up: OnUp,
    /// Connections kept for the next request.
    pub keepalive: Keepalive,
    /// Requests, or connections of tcp listeners, that all targets together may have in hand; more wait. Absent: any.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_in_flight: Option<u32>,
    /// Gives each target a limit that follows its latency, below its max_in_flight. Absent: there is none.
    pub adaptive: Option<Adaptive>,
    /// Those who wait for room at a target.
    pub queue: Queue,
    /// By what a client stays with its target. Absent: each request goes where `balance` says.
    pub sticky: Option<Sticky>,
    /// How long targets may take.
    pub timeouts: PoolTimeouts,
    /// Has targets told whose connection it is by the PROXY protocol, before anything else, TLS included. Absent: they are not.
    pub send_proxy: Option<SendProxy>,
    /// The addresses of this host that targets are connected to from, in no order, or "client" for the client's own, which needs CAP_NET_ADMIN
    /// and that answers are routed back to this host. Absent: as the kernel chooses.
    pub source: Option<SourceAddress>,
    /// The interface that targets are connected to by. Absent: as routes have it.
    #[schemars(with = "Option<InterfaceName>")]
    pub interface: Option<String>,
    /// How connections with targets are.
    pub tcp: PoolTcp,
    /// TLS with the targets. Absent: they are spoken to in clear.
    pub tls: Option<PoolTls>,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            protocol: PoolProtocol::H1,
            balance: Balance::Random,
            key: HashKey::ClientIp,
            targets: Vec::new(),
            discover: None,
            all_down: AllDown::Closed,
            health: None,
            agent: None,
            track: None,
            outlier: None,
            panic: None,
            slow_start: None,
            on_down: OnDown::Keep,
            on_up: OnUp::Keep,
            keepalive: Keepalive::default(),
            max_in_flight: None,
            adaptive: None,
            queue: Queue::default(),
            sticky: None,
            timeouts: PoolTimeouts::default(),
            send_proxy: None,
            source: None,
            interface: None,
            tcp: PoolTcp::default(),
            tls: None,
        }
    }
}

/// What targets speak to http listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PoolProtocol {
    /// HTTP/1.1.
    H1,
    /// HTTP/2, in clear by prior knowledge. Many requests share a connection; what gRPC needs.
    H2,
    /// Over TLS: HTTP/2 if the target agrees to it, HTTP/1.1 if not.
    Alpn,
}

/// How a target is chosen; all policies are weighted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// In turn, smoothly by weight.
    RoundRobin,
    /// The one with the fewest exchanges in flight.
    LeastConn,
    /// The one that has answered fastest of late (peak EWMA).
    Latency,
    /// The less loaded of two drawn at random.
    Random,
    /// By `key`, consistently, with bounded load.
    Hash,
}

/// What a hash is taken of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// The client's address.
    ClientIp,
    /// The normalised path.
    Path,
    /// A header's value; the name is in lower case.
    Header(String),
    /// A cookie's value.
    Cookie(String),
    /// A query parameter's value.
    Query(String),
}

/// One target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "TargetForm")]
#[schemars(with = "TargetForm")]
pub struct Target {
    /// Where it listens.
    pub address: Address,
    /// 0 to 256; 0 takes no new work.
    pub weight: u32,
    /// Used only while no target that is not a backup is up.
    pub backup: bool,
    /// Requests or connections that it may have in hand; `None`: any.
    pub max_in_flight: Option<u32>,
}

/// A target as written: its address, or a table.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum TargetForm {
    Bare(Address),
    Table(TargetTable),
}

/// A target with its properties.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TargetTable {
    /// Where it listens: "10.0.0.1:8080", "[fd00::1]:8080", "unix:/run/app.sock". Names are not resolved.
    address: Address,
    /// Its part of the work beside the others'; 0 takes no new work.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 256))]
    weight: u32,
    /// Used only while no target that is not a backup is up.
    #[serde(default)]
    backup: bool,
    /// Requests, or connections of tcp listeners, that it may have in hand, over all workers; more go elsewhere or wait. Absent: any.
    #[schemars(range(min = 1, max = 1_000_000))]
    max_in_flight: Option<u32>,
}

fn one() -> u32 {
    1
}

impl From<TargetForm> for Target {
    fn from(form: TargetForm) -> Self {
        match form {
            TargetForm::Bare(address) => Self { address, weight: one(), backup: false, max_in_flight: None },
            TargetForm::Table(TargetTable { address, weight, backup, max_in_flight }) => {
                Self { address, weight, backup, max_in_flight }
            }
        }
    }
}

/// What happens while no target is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AllDown {
    /// Requests get 503, TCP connections are closed.
    Closed,
    /// The checks are not believed: work goes to all targets.
    Open,
}

/// Connections kept for the next request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Keepalive {
    /// Idle connections kept per process and target; 0 keeps none.
    #[schemars(range(min = 0, max = 65536))]
    pub max_idle: usize,
    /// How long one is kept. Shorter than the target's own limit, or its close meets our request.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1h"))]
    pub idle: Span,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self { max_idle: 256, idle: Span::secs(4) }
    }
}

/// How long targets may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PoolTimeouts {
    /// To make a connection, TLS included; then the next target is tried.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1h"))]
    pub connect: Span,
    /// In the queue for a target with room; then 503.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1h"))]
    pub queue: Span,
    /// From the end of the request to the end of the answer's head; then 504.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "24h"))]
    pub response_head: Span,
    /// Silence in mid-response.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "24h"))]
    pub response_idle: Span,
    /// Silence both ways of TCP, WebSocket and event streams.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "30d"))]
    pub tunnel: Span,
}

impl Default for PoolTimeouts {
    fn default() -> Self {
        Self {
            connect: Span::secs(2),
            queue: Span::secs(5),
            response_head: Span::secs(60),
            response_idle: Span::secs(300),
            tunnel: Span::secs(3600),
        }
    }
}
