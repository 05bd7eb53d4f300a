//! Those who leave while they wait, and targets that come and go.

use super::limits::{asking, record, wait_for_waiting};
use super::{config, limited};
use crate::support::client::Client;
use crate::support::hurt::Frozen;
use crate::support::target::refused;
use crate::support::{Proxy, Target, eventually, h2};
use std::thread;
use std::time::{Duration, Instant};

/// http-messaging/http_abortonclose: a client that leaves frees its place in the queue and is logged as one that left.
#[test]
fn who_leaves_frees_its_place_and_never_reaches_a_target() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            if seen.path == "/hold" {
                thread::sleep(Duration::from_millis(700));
            }
            if peer.echo(&seen).is_none() {
                return;
            }
        }
    });
    let pool = "queue = { length = 3 }\ntimeouts = { queue = \"20s\" }";
    let proxy = Proxy::start(config("http", &[limited(&target, 1)], pool));
    let mut holder = asking(&proxy, "/hold");
    target.wait_for(1);
    let leavers = [asking(&proxy, "/left"), asking(&proxy, "/left"), asking(&proxy, "/left")];
    wait_for_waiting(&proxy, 3);
    let [first, second, third] = leavers;
    drop(first);
    second.reset();
    wait_for_waiting(&proxy, 1);
    let mut stays = asking(&proxy, "/stays");
    drop(third);
    assert_eq!(stays.response().status, 200);
    assert_eq!(holder.response().status, 200);
    let record = record(&proxy, "/left");
    assert_eq!((&record["reason"], &record["termination"]), (&"client-abort".into(), &"CQ--".into()));
    assert!(record.get("status").is_none() && record["queue_ms"].as_f64().is_some(), "{record}");
    assert_eq!(proxy.get("/then").status, 200);
    assert!(target.requests_for("/left").is_empty(), "{:?}", target.seen());
}

#[test]
fn a_stream_of_http2_that_is_taken_back_leaves_the_queue() {
    let target = Target::mute("a");
    let proxy = Proxy::start(config("http", &[limited(&target, 1)], "timeouts = { queue = \"20s\" }"));
    let _holder = asking(&proxy, "/hold");
    target.wait_for(1);
    let mut frames = h2::Frames::to(&proxy.web());
    let head = h2::block(&[(":method", "GET"), (":scheme", "http"), (":authority", "site.test"), (":path", "/left")]);
    frames.send(1, 5, 1, &head).unwrap();
    wait_for_waiting(&proxy, 1);
    // RST_STREAM, CANCEL.
    frames.send(3, 0, 1, &8u32.to_be_bytes()).unwrap();
    wait_for_waiting(&proxy, 0);
    let record = record(&proxy, "/left");
    assert_eq!((&record["reason"], &record["termination"]), (&"client-abort".into(), &"CQ--".into()));
    assert_eq!(target.requests(), 1);
}

/// A pool with checks that are quick to believe.
fn checked(targets: &[String], pool: &str) -> String {
    let health = "health = { type = \"tcp\", interval = \"100ms\", timeout = \"500ms\", rise = 1, fall = 1 }";
    config("http", targets, &format!("{health}\n{pool}"))
}

#[test]
fn those_who_wait_go_to_a_target_that_comes_up() {
    let (held, mut other) = (Target::mute("held"), Target::echo("other"));
    other.kill();
    let targets = [limited(&held, 1), limited(&other, 1)];
    let proxy = Proxy::start(checked(&targets, "timeouts = { queue = \"20s\" }"));
    let down = [("target", other.to_string())];
    eventually("it is down", || proxy.metric("ringway_target_up", &[("target", &down[0].1)]) == 0.0);
    let _holder = asking(&proxy, "/hold");
    held.wait_for(1);
    let mut waiting: Vec<Client> = (0..50).map(|n| asking(&proxy, &format!("/{n}"))).collect();
    wait_for_waiting(&proxy, 50);
    other.revive();
    for client in &mut waiting {
        assert_eq!(client.response().target(), "other");
    }
}

#[test]
fn those_who_wait_move_when_a_target_goes_down() {
    let (held, other) = (Target::mute("held"), Target::mute("other"));
    let targets = [limited(&held, 1), limited(&other, 1)];
    let proxy = Proxy::start(checked(&targets, "timeouts = { queue = \"20s\" }\nbalance = \"round-robin\""));
    let _holders = [asking(&proxy, "/hold"), asking(&proxy, "/hold")];
    held.wait_for(1);
    other.wait_for(1);
    let mut waiting: Vec<Client> = (0..50).map(|n| asking(&proxy, &format!("/{n}"))).collect();
    wait_for_waiting(&proxy, 50);
    held.kill();
    eventually("it is down", || proxy.metric("ringway_target_up", &[("target", &held.to_string())]) == 0.0);
    assert!(proxy.metric("ringway_pool_queue_length", &[("pool", "site")]) >= 49.0, "the other one is still up");
    // What it had in hand is lost with it, and nothing else is up.
    other.kill();
    let begun = Instant::now();
    for client in &mut waiting {
        let answer = client.response();
        assert!(matches!(answer.status, 502 | 503), "{answer:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "with nobody to wait for, nobody waits");
    wait_for_waiting(&proxy, 0);
}

#[test]
fn without_a_target_that_is_up_nobody_waits() {
    let targets = [format!("{{ address = \"{}\", max_in_flight = 1 }}", refused())];
    let proxy = Proxy::start(checked(&targets, "timeouts = { queue = \"20s\" }"));
    eventually("it is down", || proxy.metric("ringway_target_up", &[("pool", "site")]) == 0.0);
    let begun = Instant::now();
    assert_eq!(proxy.get("/none").status, 503);
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(record(&proxy, "/none")["reason"], "no-target");
    assert_eq!(proxy.metric("ringway_pool_queued_total", &[("pool", "site")]), 0.0);
}

/// A worker's end gives back what it had, and takes out who waited there.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_worker_that_dies_takes_no_room_with_it() {
    let target = Target::mute("a");
    let proxy = Proxy::start(config("http", &[limited(&target, 2)], "timeouts = { queue = \"20s\" }"));
    let mut clients = Vec::new();
    // Until both workers have somebody at the target and in the queue.
    for n in 0..24 {
        clients.push(asking(&proxy, &format!("/{n}")));
    }
    target.wait_for(2);
    wait_for_waiting(&proxy, 22);
    for worker in ["ringway-w0", "ringway-w1"] {
        Frozen::thread(proxy.pid(), worker).kill(proxy.pid());
        eventually("it is started again", || {
            proxy.log.count(&["the worker is gone; it is started again"]) >= if worker == "ringway-w0" { 1 } else { 2 }
        });
    }
    drop(clients);
    wait_for_waiting(&proxy, 0);
    let mut next = [asking(&proxy, "/next"), asking(&proxy, "/next")];
    eventually("there is room again", || target.requests_for("/next").len() == 2);
    next.iter_mut().for_each(|client| drop(client.try_send("")));
}
