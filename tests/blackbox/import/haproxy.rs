//! haproxy.cfg.

mod first;
mod requests;
mod streams;

use super::Case;
use crate::support::Target;
use crate::support::client::{self, Response};

/// A target that answers everything, health checks included.
fn echo(name: &str) -> Target {
    Target::echo(name)
}

/// GET with these lines of its head on a connection of its own, "Host: …" being the first of them.
#[track_caller]
fn ask(at: &str, method: &str, path: &str, host: &str, fields: &[&str]) -> Response {
    let mut client = client::Client::to(at);
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    client.send(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{fields}Connection: close\r\n\r\n"));
    client.response_to(method).unwrap_or_else(|e| panic!("no response to {method} {path}: {e:?}"))
}

/// The target that answers a GET.
#[track_caller]
fn target(at: &str, path: &str) -> String {
    ask(at, "GET", path, "site.test", &[]).target()
}

/// What a TCP connection is greeted with.
#[track_caller]
fn greeting(at: &str) -> String {
    let mut client = client::Client::to(at);
    client.finish_sending();
    let bytes = client.until_end().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
