//! `[store]`: what several hosts share.

use crate::config::formats::{FilePath, StorePrefix};
use crate::config::redis_url::RedisUrl;
use crate::config::units::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[store]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Stores {
    /// A server of Redis through which hosts that run Ringway share what they know. Absent: each host knows its own.
    pub redis: Option<RedisStore>,
}

/// `[store.redis]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedisStore {
    /// Where it is: "redis://127.0.0.1:6379", "rediss://" over TLS, "unix:/run/redis.sock". User, password and the number of a database may
    /// stand in it: "redis://user:password@host:6379/0". It is shown without the password.
    pub url: RedisUrl,
    /// A file with the password. Absent: that of `url`, or none.
    #[serde(default)]
    #[schemars(with = "Option<FilePath>")]
    pub password_file: Option<PathBuf>,
    /// A file with a secret of 32 bytes or more, the same on all hosts: with it they share the keys of TLS tickets, which stand in the server sealed,
    /// and those of logins by OIDC. Absent: each host has its own.
    #[serde(default)]
    #[schemars(with = "Option<FilePath>")]
    pub secret_file: Option<PathBuf>,
    /// A PEM file with what the server's certificate is checked by. Absent: what the system trusts.
    #[serde(default)]
    #[schemars(with = "Option<FilePath>")]
    pub ca: Option<PathBuf>,
    /// What the names of all keys there begin with: the same on all hosts that share.
    #[serde(default = "ringway")]
    #[schemars(with = "StorePrefix")]
    pub prefix: String,
    /// How many hosts share. An even part of a limit is one of so many, and hosts beyond that let in nothing by it. Of a quota a host counts on one of
    /// twice so many of what is left while the server is away, or of twice as many as were heard of last, if those are more.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 1000))]
    pub hosts: u32,
    /// How long an answer of the server may take. Nobody but Ringway's own upkeep waits for it.
    #[serde(default = "half_a_second")]
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "10s"))]
    pub timeout: Span,
    /// How often hosts tell each other what they have counted.
    #[serde(default = "a_tenth")]
    #[schemars(extend("x-minimum" = "20ms", "x-maximum" = "10s"))]
    pub interval: Span,
}

fn ringway() -> String {
    "ringway".to_owned()
}

fn two() -> u32 {
    2
}

fn half_a_second() -> Span {
    Span::millis(500)
}

fn a_tenth() -> Span {
    Span::millis(100)
}
