//! One question to one target: does it take a connection, does it shake hands, does it answer as it should? Each protocol has a file of
//! its own.
//!
//! What always holds: a probe ends by its deadline and a moment for a farewell, holds no more than 64 KiB of what a target says, and leaves a
//! conversation as the protocol has it.

mod agent;
mod command;
mod conversation;
mod dial;
mod grpc;
mod http;
mod multiplexed;
mod mysql;
mod postgres;
mod redis;
mod script;
mod smtp;

pub use http::{Field, Http};
pub use mysql::Mysql;
pub use postgres::Postgres;
pub use redis::Redis;
pub use script::Step;

use super::CheckSpec;
use super::finding::Finding;
use crate::observe::reason::Outcome;
use crate::tls::Cargo;
use conversation::Conversation;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::time::Instant;

/// Where a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP.
    Ip(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// What a check asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Passes if the target takes a connection, and the handshake comes to its end where there is TLS.
    Tcp,
    /// Passes if a request is answered as expected.
    Http(Box<Http>),
    /// Passes if the service is SERVING by gRPC's own health check.
    Grpc {
        /// The service; empty: the server as a whole.
        service: String,
        /// The authority that is asked; `None`: the target's address.
        host: Option<String>,
    },
    /// Passes if PostgreSQL takes sessions.
    Postgres(Postgres),
    /// Passes if MySQL or MariaDB does.
    Mysql(Mysql),
    /// Passes if Redis answers PING with PONG.
    Redis(Redis),
    /// Passes if a mail server greets.
    Smtp {
        /// Who says EHLO.
        domain: String,
    },
    /// Passes if all steps do.
    Script(Vec<Step>),
    /// Passes if the program ends with success.
    Command(Vec<String>),
    /// Passes if an agent says a line that can be understood.
    Agent {
        /// What it is told first.
        send: Vec<u8>,
    },
}

impl Probe {
    /// The host that is asked, where it is not the target's address.
    fn host(&self) -> Option<&str> {
        match self {
            Self::Http(http) => http.host.as_deref(),
            Self::Grpc { host, .. } => host.as_deref(),
            _ => None,
        }
    }

    /// Whether TLS is asked for in the words of the protocol, once there is a connection.
    fn asks_for_tls(&self) -> bool {
        match self {
            Self::Postgres(postgres) => postgres.asks_for_tls,
            Self::Mysql(mysql) => mysql.asks_for_tls,
            _ => false,
        }
    }

    fn cargo(&self) -> Cargo<'static> {
        match self {
            Self::Http(_) | Self::Grpc { .. } => Cargo::Exchanges,
            _ => Cargo::Bytes(None),
        }
    }
}

/// Asks the target once.
pub async fn run(spec: &CheckSpec) -> Finding {
    ask(spec).await.unwrap_or_else(|failed| failed)
}

async fn ask(spec: &CheckSpec) -> Result<Finding, Finding> {
    if let Probe::Command(words) = &spec.probe {
        return command::run(words, spec).await;
    }
    let deadline = Instant::now() + spec.timeout;
    let own = match &spec.address {
        Address::Ip(ip) => ip.to_string(),
        Address::Unix(_) => "localhost".to_owned(),
    };
    let host = spec.probe.host().unwrap_or(&own);
    let dialled = dial::dial(spec, host, deadline).await?;
    let outcome = if dialled.secure { Outcome::Shaken } else { Outcome::Connected };
    let talk = |dialled: dial::Dialled| Conversation::new(dialled.wire, deadline);
    match &spec.probe {
        Probe::Tcp => {
            // A handshake is ended as TLS has it; a bare connection is let go.
            if dialled.secure {
                talk(dialled).part().await;
            }
            Ok(Finding::new(outcome, ""))
        }
        Probe::Http(http) => http.ask(dialled, host, deadline).await,
        Probe::Grpc { service, .. } => grpc::ask(service, dialled, host, deadline).await,
        Probe::Postgres(postgres) => postgres.ask(talk(dialled), spec, host).await,
        Probe::Mysql(mysql) => mysql.ask(talk(dialled), spec, host).await,
        Probe::Redis(redis) => redis.ask(talk(dialled)).await,
        Probe::Smtp { domain } => smtp::ask(domain, talk(dialled)).await,
        Probe::Script(steps) => script::ask(steps, talk(dialled)).await,
        Probe::Agent { send } => agent::ask(send, talk(dialled)).await,
        Probe::Command(words) => command::run(words, spec).await,
    }
}

#[cfg(test)]
mod tests;
