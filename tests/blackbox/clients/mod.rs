//! What others have written: programs and libraries that speak to Ringway, over TLS and in clear. Each is strict in its own
//! way, and none of them knows what we mean.

mod chromium;
mod curl;
pub mod grpc;
mod h2load;
mod prometheus;
mod websocket;

use crate::support::tls::{Authority, listener};
use crate::support::toml::http_with;
use crate::support::{Client, PATIENCE, Proxy};
use crate::tls::Edge;
use std::fmt::Display;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A proxy, and what its clients must know of it.
pub struct Front {
    proxy: Proxy,
    authority: Authority,
    /// The authority's certificate.
    ca: PathBuf,
    secure: bool,
}

impl Front {
    /// Over TLS or in clear, before `targets`, with further keys for their pool.
    #[track_caller]
    fn start<A: Display>(secure: bool, targets: &[A], pool: &str) -> Front {
        let edge = Edge::new();
        let ca = edge.setup.directory().join("ca.pem");
        std::fs::write(&ca, edge.authority.pem()).unwrap();
        let tls = if secure { listener(&["site"], "") } else { String::new() };
        let log = "\n[access_log]\npath = \"stdout\"\nformat = \"json\"\n";
        let proxy = edge.setup.with(http_with(&tls, targets, pool) + log).start();
        Front { proxy, authority: edge.authority, ca, secure }
    }

    fn port(&self) -> String {
        self.proxy.web().rsplit_once(':').unwrap().1.to_owned()
    }

    /// A connection that stands, for a library that brings none of its own.
    #[track_caller]
    fn dial(&self) -> Client {
        let client = match self.secure {
            true => self.authority.dial().to(&self.proxy.web(), "site.test"),
            false => self.proxy.client(),
        };
        client.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    }

    /// Where a client finds `path`.
    fn url(&self, path: &str) -> String {
        format!("{}://site.test:{}{path}", if self.secure { "https" } else { "http" }, self.port())
    }
}

/// Runs a program to its end.
#[track_caller]
fn run(command: &mut Command) -> (bool, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.success(), text(stdout), text(stderr))
}
