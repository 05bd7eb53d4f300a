//! `[pools.NAME.health]`, `[pools.NAME.agent]` and `track`: how it is known whether targets work.

use super::{Address, Pool, PoolTls, Secret, ValueMatch};
use crate::config::formats::{
    BodyPattern, FilePath, HeaderValue, Hex, HostName, IpAddress, Method, RequestTarget, StepText,
};
use crate::config::units::Span;
use crate::config::words::StatusRanges;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// Active health checks, once per target and process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// What a check does.
    #[serde(rename = "type")]
    pub kind: HealthType,
    /// The address that is checked. Absent: the target's.
    #[schemars(with = "Option<IpAddress>")]
    pub address: Option<IpAddr>,
    /// The body that a check of type http sends.
    #[serde(default)]
    pub body: String,
    /// The program of a check of type command and its arguments; there is no shell.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub command: Vec<String>,
    /// The database of a check of type postgres. Absent: the one that is named like the user.
    pub database: Option<String>,
    /// From check to check while a target is down. Absent: `interval`.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub down_interval: Option<Span>,
    /// The status codes that are good for a check of type http.
    #[serde(default = "good_status")]
    pub expect: StatusRanges,
    /// What the body of the answer must hold for a check of type http: a text, or "~regex".
    #[schemars(with = "Option<BodyPattern>")]
    pub expect_body: Option<String>,
    /// What headers of the answer must be for a check of type http, all of them: a value, "~regex", true for present, false for absent.
    #[serde(default)]
    #[schemars(extend("propertyNames" = { "format": "header-name" }))]
    pub expect_headers: BTreeMap<String, ValueMatch>,
    /// What the body must not hold, in the form of `expect_body`.
    #[schemars(with = "Option<BodyPattern>")]
    pub expect_not_body: Option<String>,
    /// What the first value of the answer to `query` must hold: a text, or "~regex".
    #[schemars(with = "Option<BodyPattern>")]
    pub expect_value: Option<String>,
    /// Failed checks in a row until a target is down.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 100))]
    pub fall: u32,
    /// From check to check while a target that is up begins to fail, or one that is down begins to pass. Absent: `interval`.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub fast_interval: Option<Span>,
    /// Headers that a check of type http sends. Their values are secrets.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, HeaderValue>", extend("propertyNames" = { "format": "header-name" }))]
    pub headers: BTreeMap<String, Secret>,
    /// The Host header of a check of type http, and of grpc; the domain that one of type smtp says it comes from. Absent: the target's
    /// address, and localhost.
    #[schemars(with = "Option<HostName>")]
    pub host: Option<String>,
    /// How a target that is new is taken to be until its first check is over: at the start, after a reload, or when it is found.
    #[serde(default)]
    pub initial_state: InitialState,
    /// From check to check, jitter aside.
    #[serde(default = "two_seconds")]
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub interval: Span,
    /// The method of a check of type http.
    #[serde(default = "get")]
    #[schemars(with = "Method")]
    pub method: String,
    /// A file with the password of a check of type redis; read again for each check.
    #[schemars(with = "Option<FilePath>")]
    pub password_file: Option<PathBuf>,
    /// What a check of type http asks for.
    #[serde(default = "root_path")]
    #[schemars(with = "RequestTarget")]
    pub path: String,
    /// The port that is checked. Absent: the target's.
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// What a check of type postgres or mysql asks once it is logged in. Absent: nothing of postgres, a ping of mysql.
    pub query: Option<String>,
    /// Good checks in a row until a target is up.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 100))]
    pub rise: u32,
    /// What a check of type agent sends first.
    #[serde(default)]
    pub send: String,
    /// The service that a check of type grpc asks for. Empty: the server as a whole.
    #[serde(default)]
    pub service: String,
    /// What a check of type script does, in this order.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub steps: Vec<HealthStep>,
    /// Until a check has failed.
    #[serde(default = "one_second")]
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1m"))]
    pub timeout: Span,
    /// Whether checks are made over TLS, or how: the keys of `tls` of a pool. Absent: as the pool speaks with its targets.
    pub tls: Option<HealthTls>,
    /// Who logs in, without a password, for a check of type postgres or mysql; with that of `password_file`, for redis.
    pub user: Option<String>,
    /// The version of HTTP of a check of type http. Absent: as the pool speaks with its targets.
    pub version: Option<HealthVersion>,
}

/// What a health check does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HealthType {
    /// A connection can be made.
    Tcp,
    /// A TLS handshake comes to its end.
    Tls,
    /// A request is answered with an expected status.
    Http,
    /// The server says SERVING by gRPC's own health check.
    Grpc,
    /// PostgreSQL takes sessions.
    Postgres,
    /// MySQL or MariaDB takes a session.
    Mysql,
    /// Redis answers PING.
    Redis,
    /// A mail server greets.
    Smtp,
    /// Some steps of saying and expecting succeed.
    Script,
    /// A program ends with exit code 0.
    Command,
    /// An agent says that all is well, as HAProxy's do.
    Agent,
}

/// How a target is taken to be that no check has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InitialState {
    /// It is used; the first check that fails has it down.
    #[default]
    Up,
    /// It is not; the first check that passes has it up.
    Down,
}

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthVersion {
    /// HTTP/1.1.
    H1,
    /// HTTP/2, in clear by prior knowledge.
    H2,
}

/// Whether checks are made over TLS, or how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum HealthTls {
    /// Whether.
    Whether(bool),
    /// How.
    How(Box<PoolTls>),
}

/// One step of a script: one of `send`, `send_hex`, `expect`, `expect_hex`, `expect_not`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HealthStep {
    /// Says this; what has come before is forgotten.
    #[schemars(with = "Option<StepText>")]
    pub send: Option<String>,
    /// Says these bytes, two hexadecimal digits each; blanks are passed over.
    #[schemars(with = "Option<Hex>")]
    pub send_hex: Option<String>,
    /// Waits until this comes: a text, or "~regex".
    #[schemars(with = "Option<BodyPattern>")]
    pub expect: Option<String>,
    /// Waits until these bytes come, two hexadecimal digits each; blanks are passed over.
    #[schemars(with = "Option<Hex>")]
    pub expect_hex: Option<String>,
    /// Fails if this comes.
    #[schemars(with = "Option<BodyPattern>")]
    pub expect_not: Option<String>,
    /// With `expect_not`, the bytes that must have come until it is decided. Absent: a whole line that could hold it.
    #[schemars(range(min = 1, max = 65536))]
    pub min_bytes: Option<u32>,
}

/// An agent that is asked beside the checks: HAProxy's agent-check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// The address that it is asked at. Absent: the target's.
    #[schemars(with = "Option<IpAddress>")]
    pub address: Option<IpAddr>,
    /// From one time to the next, jitter aside.
    #[serde(default = "two_seconds")]
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub interval: Span,
    /// The port that it is asked at.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// What it is told first.
    #[serde(default)]
    pub send: String,
    /// How long it may take.
    #[serde(default = "one_second")]
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1m"))]
    pub timeout: Span,
}

/// What a pool's targets follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// The pool.
    pub pool: String,
    /// The target of that pool; `None`: for each target the one at the same address.
    pub target: Option<Address>,
}

impl Track {
    /// The position of the target of `other` that one at `address` follows: the one that is named, the one at the same address, or the
    /// only one on the same host.
    pub fn counterpart(&self, other: &Pool, address: &Address) -> Option<usize> {
        let place = |wanted: &Address| other.targets.iter().position(|target| target.address == *wanted);
        if let Some(wanted) = &self.target {
            return place(wanted);
        }
        place(address).or_else(|| {
            let Address::Ip(own) = address else { return None };
            let on_host = |address: &Address| matches!(address, Address::Ip(ip) if ip.ip() == own.ip());
            let mut found = other.targets.iter().enumerate().filter(|(_, target)| on_host(&target.address));
            match (found.next(), found.next()) {
                (Some((only, _)), None) => Some(only),
                _ => None,
            }
        })
    }
}

fn root_path() -> String {
    "/".into()
}

fn get() -> String {
    "GET".into()
}

fn good_status() -> StatusRanges {
    StatusRanges(vec![(200, 399)])
}

fn two_seconds() -> Span {
    Span::secs(2)
}

fn one_second() -> Span {
    Span::secs(1)
}

fn two() -> u32 {
    2
}

fn three() -> u32 {
    3
}

impl Health {
    /// The keys that mean something for checks of one type only.
    pub fn own_keys(kind: HealthType) -> &'static [&'static str] {
        match kind {
            HealthType::Tcp | HealthType::Tls => &["tls"],
            HealthType::Http => &[
                "body",
                "expect",
                "expect_body",
                "expect_headers",
                "expect_not_body",
                "headers",
                "host",
                "method",
                "path",
                "tls",
                "version",
            ],
            HealthType::Grpc => &["host", "service", "tls"],
            HealthType::Postgres => &["database", "expect_value", "query", "tls", "user"],
            HealthType::Mysql => &["expect_value", "query", "tls", "user"],
            HealthType::Redis => &["password_file", "tls", "user"],
            HealthType::Smtp => &["host", "tls"],
            HealthType::Script => &["steps", "tls"],
            HealthType::Command => &["command"],
            HealthType::Agent => &["send"],
        }
    }
}

impl HealthType {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Tcp,
        Self::Tls,
        Self::Http,
        Self::Grpc,
        Self::Postgres,
        Self::Mysql,
        Self::Redis,
        Self::Smtp,
        Self::Script,
        Self::Command,
        Self::Agent,
    ];

    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Redis => "redis",
            Self::Smtp => "smtp",
            Self::Script => "script",
            Self::Command => "command",
            Self::Agent => "agent",
        }
    }
}
