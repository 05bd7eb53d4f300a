//! A limit that follows a target's latency.

use super::config;
use crate::support::load::Load;
use crate::support::{Proxy, Target, eventually};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

/// A target that works on `cores` requests at a time, 10 ms each; the others wait within it.
fn cores(count: usize) -> Target {
    let cores: Vec<Mutex<()>> = (0..count).map(|_| Mutex::default()).collect();
    Target::with("a", move |peer| {
        while let Some(seen) = peer.request() {
            {
                let free = cores.iter().find_map(|core| core.try_lock().ok());
                let _own = free.unwrap_or_else(|| cores[peer.number % cores.len()].lock().unwrap());
                thread::sleep(Duration::from_millis(10));
            }
            if peer.echo(&seen).is_none() {
                return;
            }
        }
    })
}

#[test]
fn what_a_target_cannot_work_on_waits_outside_of_it() {
    let target = cores(8);
    let pool = "adaptive = { min = 2, max = 64, window = \"50ms\" }\ntimeouts = { queue = \"20s\" }";
    let proxy = Proxy::start(config("http", &[format!("\"{target}\"")], pool));
    let limit = || proxy.metric("ringway_target_max_in_flight", &[("pool", "site")]);
    assert_eq!(limit(), 2.0, "it begins with the least");
    let load = Load::start(&proxy.web(), 48, Duration::ZERO);
    eventually("it has grown", || limit() > 4.0);
    load.more(600);
    assert!(limit() < 48.0, "{}: not all of them are let in", limit());
    assert!(proxy.metric("ringway_pool_queued_total", &[("pool", "site")]) > 0.0);
    load.stop().assert_clean();
}

#[test]
fn a_limit_that_could_not_be_found_is_a_fault() {
    let text = config("tcp", &["\"127.0.0.1:9\"".to_owned()], "adaptive = { min = 9, max = 3 }");
    let directory = crate::support::proxy::Directory::new();
    let file = directory.write("ringway.toml", &text.replace("127.0.0.1:0", "127.0.0.1:8080"));
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_ringway")).args(["check", "-c", &file]).output().unwrap();
    let told = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(2), "{told}");
    assert!(told.contains("the least limit, 9, is above the most, 3"), "{told}");
    assert!(told.contains("a limit cannot follow latency on the tcp listener `web`"), "{told}");
}
