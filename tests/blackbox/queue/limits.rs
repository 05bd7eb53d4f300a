//! What a limit counts, and what becomes of those who find no room.

use super::{Busy, config, limited};
use crate::support::client::{Client, request};
use crate::support::h2;
use crate::support::{Proxy, Target, eventually};
use ::http::Method;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Waits until so many wait.
#[track_caller]
pub fn wait_for_waiting(proxy: &Proxy, wanted: usize) {
    eventually(&format!("{wanted} wait"), || {
        proxy.metric("ringway_pool_queue_length", &[("pool", "site")]) == wanted as f64
    });
}

/// A client that has sent its request.
pub fn asking(proxy: &Proxy, path: &str) -> Client {
    let mut client = proxy.client();
    client.send(request("GET", path, &[]));
    client
}

/// The line of the access log about `uri`.
#[track_caller]
pub fn record(proxy: &Proxy, uri: &str) -> serde_json::Value {
    let line = proxy.out.wait(&[&format!("\"uri\":\"{uri}\"")]);
    serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line}: {e}"))
}

#[test]
fn who_waits_too_long_gets_a_whole_503_and_is_told_when_to_come_again() {
    let target = Target::mute("a");
    let proxy = Proxy::start(config("http", &[limited(&target, 1)], "timeouts = { queue = \"400ms\" }"));
    let _holder = asking(&proxy, "/holder");
    target.wait_for(1);
    let mut client = proxy.client();
    let begun = Instant::now();
    let answer = client.get("/late");
    let took = begun.elapsed();
    assert_eq!((answer.status, answer.field("retry-after").as_deref()), (503, Some("1")), "{answer:?}");
    assert!(answer.text().starts_with("503 Service Unavailable\nrequest id: "), "{}", answer.text());
    assert!(took >= Duration::from_millis(390) && took < Duration::from_millis(1500), "{took:?}");
    assert!(client.alive() || !answer.head.names("connection", "close"), "its connection goes on");
    let record = record(&proxy, "/late");
    assert_eq!((&record["reason"], &record["termination"]), (&"queue-timeout".into(), &"sQ--".into()));
    assert_eq!((&record["pool"], &record["tries"]), (&"site".into(), &0.into()));
    assert!((390.0..1500.0).contains(&record["queue_ms"].as_f64().unwrap()), "{record}");
    assert_eq!(proxy.metric("ringway_pool_errors_total", &[("kind", "queue-timeout")]), 2.0);
    assert_eq!(target.requests(), 1);
}

#[test]
fn when_enough_wait_the_next_one_is_told_so_at_once() {
    let target = Target::mute("a");
    let pool = "queue = { length = 2 }\ntimeouts = { queue = \"20s\" }";
    let proxy = Proxy::start(config("http", &[limited(&target, 1)], pool));
    let _holder = asking(&proxy, "/holder");
    target.wait_for(1);
    let _waiting = [asking(&proxy, "/1"), asking(&proxy, "/2")];
    wait_for_waiting(&proxy, 2);
    let begun = Instant::now();
    let answer = proxy.get("/full");
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!((answer.status, answer.field("retry-after").as_deref()), (503, Some("20")));
    let record = record(&proxy, "/full");
    assert_eq!((&record["reason"], &record["termination"]), (&"queue-full".into(), &"PQ--".into()));
    assert_eq!(proxy.metric("ringway_pool_errors_total", &[("kind", "queue-full")]), 1.0);
    let status = proxy.ask_admin("GET", "/v1/pools/site").text();
    let pool: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(pool["queue"], serde_json::json!({ "waiting": 2, "length": 2, "queued": 2 }));
    assert_eq!(pool["targets"][0]["max_in_flight"], 1);
}

#[test]
fn a_queue_of_no_length_keeps_nobody_waiting() {
    let target = Target::mute("a");
    let proxy = Proxy::start(config("http", &[limited(&target, 1)], "queue = { length = 0 }"));
    let _holder = asking(&proxy, "/holder");
    target.wait_for(1);
    assert_eq!(proxy.get("/").status, 503);
}

#[test]
fn a_pools_limit_holds_over_all_of_its_targets() {
    let busy = [Busy::working("a", Duration::from_millis(10)), Busy::working("b", Duration::from_millis(10))];
    let targets: Vec<String> = busy.iter().map(|busy| format!("\"{}\"", busy.target)).collect();
    let proxy = Proxy::start(config("http", &targets, "max_in_flight = 3\nbalance = \"least-conn\""));
    let count = crate::support::load::run(&proxy.web(), 20, 200, |n| format!("/{n}"));
    count.assert_clean();
    let (a, b) = (busy[0].most(), busy[1].most());
    assert!(a <= 3 && b <= 3 && a + b >= 3, "{a} and {b} at a time");
    assert_eq!(proxy.metric("ringway_pool_max_in_flight", &[("pool", "site")]), 3.0);
    assert!(proxy.metric("ringway_pool_queued_total", &[("pool", "site")]) > 0.0);
}

/// balance/balance-hash-maxconn: a key whose target is full goes to the next one, and comes back.
#[test]
fn a_hash_moves_on_while_its_target_is_full() {
    let (targets, open) = gated();
    let tables: Vec<String> = targets.iter().map(|target| limited(target, 1)).collect();
    let proxy = Proxy::start(config("http", &tables, "balance = \"hash\"\nkey = \"header:x-key\""));
    let ask = |path: &str| {
        let mut client = proxy.client();
        client.send(request("GET", path, &["X-Key: one"]));
        client
    };
    // An answer is at its client a moment before its place is free.
    let all_free = || proxy.settles("ringway_target_in_flight", &[], 0.0);
    let own = ask("/own").response().target();
    all_free();
    let mut held = ask("/hold");
    eventually("it is held", || targets.iter().any(|target| !target.requests_for("/hold").is_empty()));
    assert_ne!(ask("/other").response().target(), own, "the other one takes it");
    open.store(true, Ordering::SeqCst);
    assert_eq!(held.response().target(), own);
    all_free();
    assert_eq!(ask("/own").response().target(), own, "and it comes back");
}

/// Two targets that hold "/hold" until they are let go of.
fn gated() -> ([Target; 2], Arc<AtomicBool>) {
    let open = Arc::new(AtomicBool::new(false));
    let targets = ["a", "b"].map(|name| {
        let gate = open.clone();
        Target::with(name, move |peer| {
            while let Some(seen) = peer.request() {
                while seen.path == "/hold" && !gate.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(2));
                }
                if peer.echo(&seen).is_none() {
                    return;
                }
            }
        })
    });
    (targets, open)
}

/// Works on "/hold" for a while.
fn hold(peer: &mut crate::support::target::Peer) {
    while let Some(seen) = peer.request() {
        if seen.path == "/hold" {
            thread::sleep(Duration::from_millis(400));
        }
        if peer.echo(&seen).is_none() {
            return;
        }
    }
}

#[test]
fn backups_do_not_help_out_those_who_are_busy() {
    let (main, backup) = (Busy::working("a", Duration::from_millis(20)), Target::echo("backup"));
    let tables = [limited(&main.target, 1), format!("{{ address = \"{backup}\", backup = true }}")];
    let proxy = Proxy::start(config("http", &tables, ""));
    crate::support::load::run(&proxy.web(), 5, 20, |n| format!("/{n}")).assert_clean();
    assert_eq!((main.most(), backup.requests()), (1, 0));
}

#[test]
fn each_stream_of_http2_is_a_request_of_its_own() {
    let busy = Busy::working("a", Duration::from_millis(10));
    let proxy = Proxy::start(config("http", &[limited(&busy.target, 3)], ""));
    let client = h2::Client::to(&proxy.web());
    let answers = client.ask_all((0..30).map(|n| h2::request(Method::GET, &format!("/{n}"))).collect());
    let paths: HashSet<String> = busy.target.seen().into_iter().map(|seen| seen.path).collect();
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 200)));
    assert_eq!((paths.len(), busy.most()), (30, 3));
}

#[test]
fn a_connection_that_waits_for_its_next_request_takes_no_room() {
    let target = Target::echo("a");
    let proxy = Proxy::start(config("http", &[limited(&target, 1)], "timeouts = { queue = \"100ms\" }"));
    let mut clients: Vec<Client> = (0..10).map(|_| proxy.client()).collect();
    for client in clients.iter_mut().chain(&mut Vec::new()) {
        assert_eq!(client.get("/").status, 200);
    }
    assert!(target.open() >= 1);
    assert!(clients.iter_mut().all(Client::alive));
}

#[test]
fn a_try_that_failed_has_given_its_place_back() {
    let mut target = Target::echo("a");
    let proxy = Proxy::start(config("http", &[limited(&target, 1)], "timeouts = { queue = \"200ms\" }"));
    target.kill();
    for _ in 0..5 {
        assert_eq!(proxy.get("/").status, 502);
    }
    target.revive();
    assert_eq!(proxy.get("/").status, 200);
}

#[test]
fn the_log_tells_a_wait_that_came_to_a_good_end() {
    let target = Target::with("a", hold);
    let proxy = Proxy::start(config("http", &[limited(&target, 1)], ""));
    let mut holder = asking(&proxy, "/hold");
    target.wait_for(1);
    assert_eq!(proxy.get("/then").status, 200);
    assert_eq!(holder.response().status, 200);
    let record = record(&proxy, "/then");
    assert!((50.0..5000.0).contains(&record["queue_ms"].as_f64().unwrap()), "{record}");
    assert_eq!((&record["termination"], record.get("reason")), (&"----".into(), None));
}

#[test]
fn explain_tells_where_a_request_would_wait() {
    let directory = crate::support::proxy::Directory::new();
    let text = config("http", &["{ address = \"127.0.0.1:9\", max_in_flight = 7 }".to_owned()], "max_in_flight = 9");
    let file = directory.write("ringway.toml", &text.replace("127.0.0.1:0", "127.0.0.1:8080"));
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_ringway"))
        .args(["explain", "-c", &file, "http://127.0.0.1:8080/"])
        .output()
        .unwrap();
    let told = String::from_utf8(out.stdout).unwrap();
    assert!(told.contains("at most 7 in flight"), "{told}");
    assert!(told.contains("queue      9 in flight in the pool; up to 1024 wait for 5s"), "{told}");
}

#[test]
fn those_who_wait_for_their_own_target_take_no_room_from_others() {
    let (targets, open) = gated();
    let tables: Vec<String> = targets.iter().map(|target| limited(target, 1)).collect();
    let pool = "sticky = { cookie = \"S\" }\nqueue = { length = 1 }\ntimeouts = { queue = \"20s\" }";
    let proxy = Proxy::start(config("http", &tables, pool));
    let first = proxy.get("/");
    let (own, cookie) = (first.target(), first.field("set-cookie").unwrap());
    let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap());
    let ask = |path: &str| {
        let mut client = proxy.client();
        client.send(request("GET", path, &[&cookie]));
        client
    };
    let mut holder = ask("/hold");
    eventually("it is held", || targets.iter().any(|target| !target.requests_for("/hold").is_empty()));
    let mut waits = ask("/waits");
    wait_for_waiting(&proxy, 1);
    let other = proxy.get("/other");
    assert_eq!(other.status, 200, "the other target has room");
    assert_ne!(other.target(), own);
    open.store(true, Ordering::SeqCst);
    assert_eq!(holder.response().target(), own);
    assert_eq!(waits.response().target(), own, "and who belongs to a target waits for it");
}
