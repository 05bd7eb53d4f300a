//! Several hosts that share what they know through a real server of Redis: what becomes of it while the server is there, away, slow, or
//! empty after a crash. Each host is a process.

mod bans;
mod idempotency;
mod keys;
mod limits;
mod link;
mod quotas;

use crate::support::proxy::{Proxy, Setup};
use crate::support::servers::Server;
use crate::support::toml::http;
use crate::support::{Target, eventually};
use serde_json::Value;

/// `[store.redis]` by way of this server, with further keys.
pub fn store(server: &Server, keys: &str) -> String {
    format!("\n[store.redis]\nurl = \"redis://{server}\"\ntimeout = \"300ms\"\n{keys}\n")
}

/// A host in front of a target.
#[track_caller]
pub fn host(target: &Target, server: &Server, more: &str) -> Proxy {
    Setup::new(http(&[target]) + &store(server, "") + more).start()
}

/// What `/v1/status` says of the store.
#[track_caller]
pub fn told(proxy: &Proxy) -> Value {
    let status = proxy.ask_admin("GET", "/v1/status").text();
    serde_json::from_str::<Value>(&status).unwrap()["store"].clone()
}

/// Waits until the server answers a host.
#[track_caller]
pub fn is_up(proxy: &Proxy) {
    eventually("the store is up", || told(proxy)["state"] == "up");
}

/// Waits until it does not.
#[track_caller]
pub fn is_away(proxy: &Proxy) {
    eventually("the store is away", || told(proxy)["state"] == "away");
}

/// Waits until each of these has heard of all of them, and of no more.
#[track_caller]
pub fn know_each_other(hosts: &[&Proxy]) {
    let all = |proxy: &&Proxy| told(proxy)["hosts"].as_array().map(Vec::len) == Some(hosts.len());
    eventually("hosts know each other", || hosts.iter().all(all));
}

/// Asks the server by a connection of its own.
#[track_caller]
pub fn redis<T: redis::FromRedisValue>(server: &Server, words: &[&str]) -> T {
    let client = redis::Client::open(format!("redis://{server}")).unwrap();
    let mut connection = client.get_connection().unwrap();
    let mut command = redis::cmd(words[0]);
    words[1..].iter().for_each(|word| {
        command.arg(word);
    });
    command.query(&mut connection).unwrap()
}
