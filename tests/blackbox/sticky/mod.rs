//! Clients that stay with their target. Protects http-cookies/cookie_insert_indirect and stickiness/lb-services.

mod cookies;
mod hostile;
mod modes;
mod operators;
mod tables;

use crate::support::client::Response;
use crate::support::toml::http_with;
use crate::support::{Client, Proxy, Target};

/// Targets that answer with their names.
fn echoes(count: usize) -> Vec<Target> {
    (0..count).map(|n| Target::echo(&format!("t{n}"))).collect()
}

/// A pool of these targets, asked in turn, that is sticky.
fn config(targets: &[Target], sticky: &str) -> String {
    http_with("", targets, &format!("balance = \"round-robin\"\nsticky = {{ {sticky} }}"))
}

fn start(targets: &[Target], sticky: &str) -> Proxy {
    Proxy::start(config(targets, sticky))
}

/// A request with these cookies.
#[track_caller]
fn with_cookie(client: &mut Client, cookies: &str) -> Response {
    client.ask("GET", "/", &[&format!("Cookie: {cookies}")])
}

/// The value that an answer sets for the cookie RWSRV.
fn set(response: &Response) -> Option<String> {
    let lines = response.head.lines("set-cookie");
    let line = lines.into_iter().find_map(|line| line.strip_prefix("RWSRV="))?;
    Some(line.split(';').next().unwrap_or_default().to_owned())
}

/// The target of that name.
fn named<'a>(targets: &'a [Target], name: &str) -> &'a Target {
    targets.iter().find(|target| target.name() == name).expect("a target of that name")
}
