//! Targets that come and go by themselves: what is found is followed, and what fails changes nothing.

mod dnsmasq;
mod lists;
mod names;
mod operate;
mod services;
mod staged;

use crate::support::proxy::Setup;
use crate::support::{Nameserver, Proxy, Target, eventually};
use serde_json::Value;
use std::net::IpAddr;

/// A listener "web" in front of a pool "site" whose targets are found.
fn finding(discover: &str, more: &str) -> String {
    format!(
        "[listeners.web]\nlisten = [\"127.0.0.1:0\"]\npool = \"site\"\n[pools.site]\ndiscover = {{ {discover} }}\n{more}\n"
    )
}

/// The same by the addresses of `api.test`, asked for as often as can be.
fn by_name(server: &Nameserver, target: &Target, keys: &str, more: &str) -> String {
    let port = target.address.port();
    let discover = format!("dns = \"api.test\", port = {port}, min_ttl = \"100ms\"{keys}");
    finding(&discover, more) + &server.config()
}

/// With a folder of its own for its state, so that no other test finds what it has found.
fn setup(config: impl Into<String>) -> Setup {
    let setup = Setup::new(config);
    let state = format!("state_dir = \"{}/state\"", setup.directory().display());
    setup.runtime(&state)
}

#[track_caller]
fn start(config: impl Into<String>) -> Proxy {
    setup(config).start()
}

fn ip(target: &Target) -> IpAddr {
    target.address.ip()
}

/// The pool "site", as operators see it.
#[track_caller]
fn site(proxy: &Proxy) -> Value {
    let response = proxy.ask_admin("GET", "/v1/pools/site");
    assert_eq!(response.status, 200, "{}", response.text());
    serde_json::from_slice(&response.body).unwrap()
}

/// Its targets: address, weight and what is particular, in the order of their addresses.
#[track_caller]
fn targets(proxy: &Proxy) -> Vec<String> {
    let site = site(proxy);
    let shown = |target: &Value| {
        let backup = if target["backup"] == true { " backup" } else { "" };
        format!("{} {}{backup}", target["address"].as_str().unwrap(), target["weight"]["configured"])
    };
    let mut targets: Vec<String> = site["targets"].as_array().unwrap().iter().map(shown).collect();
    targets.sort();
    targets
}

/// Waits until these are its targets.
#[track_caller]
fn has(proxy: &Proxy, expected: &[String]) {
    let mut last = Vec::new();
    let came = crate::support::within(crate::support::PATIENCE, || {
        last = targets(proxy);
        last == expected
    });
    assert!(came, "the targets are {last:?}, not {expected:?}");
}

/// Waits until so many questions more have come to nothing.
#[track_caller]
fn fails(proxy: &Proxy, more: f64) {
    let failed = || proxy.metric("ringway_discovery_lookups_total", &[("result", "failed")]);
    let before = failed();
    eventually("the source fails", || failed() >= before + more);
}
