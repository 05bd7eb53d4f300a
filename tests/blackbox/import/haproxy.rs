//! haproxy.cfg.

mod first;
mod requests;
mod streams;

use super::{Case, ask};
use crate::support::Target;
use crate::support::client;

/// A target that answers everything, health checks included.
fn echo(name: &str) -> Target {
    Target::echo(name)
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
