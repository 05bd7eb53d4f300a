//! The configuration as the user writes it, after includes, environment and defaults tables are applied.
//!
//! Names are identities: maps are ordered by name. Values are checked one by one here; what concerns several values
//! (dangling names, ties) is checked by `plan`.

use super::units::{Share, Size, Span};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub runtime: Runtime,
    pub admin: Option<Admin>,
    pub access_log: Option<AccessLog>,
    pub limits: Limits,
    pub listeners: BTreeMap<String, Listener>,
    pub routes: BTreeMap<String, Route>,
    pub pools: BTreeMap<String, Pool>,
}

/// `[runtime]`
#[derive(Clone, Debug)]
pub struct Runtime {
    /// Data-plane threads; `None` is "auto": one per allowed CPU.
    pub workers: Option<usize>,
    pub driver: Driver,
    pub shutdown_timeout: Span,
    /// `None` is "auto": bounded by the file limit.
    pub max_connections: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    Auto,
    IoUring,
    Epoll,
}

/// `[admin]`
#[derive(Clone, Debug)]
pub struct Admin {
    /// Loopback only in this version: there is no token yet.
    pub listen: std::net::SocketAddr,
}

/// `[access_log]`
#[derive(Clone, Debug)]
pub struct AccessLog {
    pub path: LogPath,
    pub format: LogFormat,
    pub sample: Share,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogPath {
    Stdout,
    File(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Json,
    Combined,
    Haproxy,
}

/// `[limits]`
#[derive(Clone, Debug)]
pub struct Limits {
    pub request_head: Size,
    pub headers: usize,
    /// `None` is "unlimited".
    pub request_body: Option<Size>,
}

/// Where to listen or connect.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    Ip(std::net::SocketAddr),
    /// `unix:/path`
    Unix(PathBuf),
}

/// `[listeners.NAME]`
#[derive(Clone, Debug)]
pub struct Listener {
    pub listen: Vec<Address>,
    pub protocol: Protocol,
    pub pool: Option<String>,
    /// `redirect = "https"`
    pub redirect: Option<SchemeRedirect>,
    pub trusted_proxies: Vec<IpNet>,
    pub forwarded: Forwarded,
    /// Only "websocket" is allowed.
    pub upgrades: Vec<String>,
    pub timeouts: ListenerTimeouts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http,
    Tcp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemeRedirect {
    Https,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    Xff,
    Rfc7239,
    Both,
    None,
}

#[derive(Clone, Debug)]
pub struct ListenerTimeouts {
    pub handshake: Span,
    pub request_head: Span,
    pub client_body: Span,
    pub write_stall: Span,
    pub idle: Span,
}

/// `[routes.NAME]`. Exactly one of `pool`, `respond`, `redirect` is set.
#[derive(Clone, Debug)]
pub struct Route {
    /// Empty: all http listeners.
    pub listeners: Vec<String>,
    pub hosts: Vec<String>,
    pub paths: Vec<String>,
    pub methods: Vec<String>,
    pub headers: BTreeMap<String, ValueMatch>,
    pub query: BTreeMap<String, ValueMatch>,
    pub client_ip: Vec<IpNet>,
    pub priority: i64,
    pub pool: Option<String>,
    pub respond: Option<Respond>,
    pub redirect: Option<Redirect>,
    pub strip_prefix: Option<String>,
    pub host: HostPolicy,
    pub retry: Retry,
    /// Path forms that are refused unless named here: "%2F", "%5C", "%00", "\\", ";", "dot-segments" (encoded ones).
    pub allow_in_path: Vec<String>,
}

/// How a header or a query parameter must look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueMatch {
    /// `true`
    Present,
    /// `false`
    Absent,
    /// A plain string, compared byte by byte.
    Exact(String),
    /// `"~regex"`
    Regex(String),
}

#[derive(Clone, Debug)]
pub struct Respond {
    pub status: u16,
    pub body: String,
    pub content_type: String,
}

/// At least one of scheme, host, port, path is set; the rest stays as the client sent it.
#[derive(Clone, Debug)]
pub struct Redirect {
    pub scheme: Option<String>,
    pub host: Option<String>,
    pub port: Option<u16>,
    pub path: Option<String>,
    pub status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPolicy {
    Client,
    Target,
    Fixed(String),
}

#[derive(Clone, Debug)]
pub struct Retry {
    /// Tries beyond the first.
    pub attempts: u32,
    pub on: Vec<RetryOn>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryOn {
    Connect,
    Reset,
}

/// `[pools.NAME]`
#[derive(Clone, Debug)]
pub struct Pool {
    pub balance: Balance,
    /// For `hash`.
    pub key: HashKey,
    pub targets: Vec<Target>,
    pub all_down: AllDown,
    pub health: Option<Health>,
    pub keepalive: Keepalive,
    pub timeouts: PoolTimeouts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    RoundRobin,
    LeastConn,
    Latency,
    Random,
    Hash,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    ClientIp,
    Path,
    Header(String),
    Cookie(String),
    Query(String),
}

#[derive(Clone, Debug)]
pub struct Target {
    pub address: Address,
    /// 1 to 256.
    pub weight: u32,
    pub backup: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllDown {
    Closed,
    Open,
}

#[derive(Clone, Debug)]
pub struct Health {
    pub kind: HealthKind,
    pub interval: Span,
    pub timeout: Span,
    pub rise: u32,
    pub fall: u32,
}

#[derive(Clone, Debug)]
pub enum HealthKind {
    Tcp,
    Http {
        path: String,
        /// Host header; `None`: the target's address.
        host: Option<String>,
        /// Inclusive status ranges.
        expect: Vec<(u16, u16)>,
    },
}

#[derive(Clone, Debug)]
pub struct Keepalive {
    /// Idle connections kept per process and target.
    pub max_idle: usize,
    pub idle: Span,
}

#[derive(Clone, Debug)]
pub struct PoolTimeouts {
    pub connect: Span,
    pub response_head: Span,
    pub response_idle: Span,
    pub tunnel: Span,
}
