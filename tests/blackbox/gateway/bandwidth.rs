//! How fast answers and requests flow: by each request, or all of a key together, and nobody else is slower for it.

use super::{config, faults};
use crate::support::client::{Client, request};
use crate::support::proxy::{Proxy, Setup};
use crate::support::{PATIENCE, Target, h2};
use http::Method;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of answers and requests here.
const LENGTH: usize = 1_000_000;

/// A rule `slow` of these keys.
fn slow(keys: &str) -> String {
    format!("[rules.slow]\ntype = \"bandwidth\"\n{keys}\n")
}

fn start(target: &Target, keys: &str, more: &str) -> Proxy {
    Setup::new(slow(keys) + &config(target, "[\"slow\"]", more)).workers(2).start()
}

/// Answers whatever it is asked with so many bytes, and each path without an `x` with its name.
fn large() -> Target {
    Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            let cached = ["Cache-Control: max-age=60"];
            let body = vec![b'x'; if seen.path.contains('x') { LENGTH } else { 4 }];
            if peer.reply(200, &cached, &body).is_none() {
                return;
            }
        }
    })
}

/// How long it takes.
fn took(act: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    act();
    begun.elapsed().as_secs_f64()
}

fn download(proxy: &Proxy) {
    assert_eq!(proxy.get("/v1/x").body.len(), LENGTH);
}

fn download_h2(proxy: &Proxy) {
    assert_eq!(h2::Client::to(&proxy.web()).get("/v1/x").body.len(), LENGTH);
}

fn upload(proxy: &Proxy) {
    assert_eq!(proxy.client().post("/v1/up", &[b'x'; LENGTH]).status, 200);
}

fn upload_h2(proxy: &Proxy) {
    let client = h2::Client::to(&proxy.web());
    assert_eq!(client.ask(h2::request(Method::POST, "/v1/up"), &[b'x'; LENGTH]).unwrap().status, 200);
}

/// It takes as long as that, or a little longer where the machine is busy.
#[track_caller]
fn assert_took(seconds: f64, wanted: f64) {
    println!("{seconds:.3} s of {wanted:.3} s");
    assert!(seconds >= 0.9 * wanted, "{seconds} s is too fast: {wanted} s");
    assert!(seconds <= 1.1 * wanted + 0.5, "{seconds} s is too slow: {wanted} s");
}

#[test]
fn answers_and_requests_take_as_long_as_their_rate_says_over_both_protocols() {
    let target = large();
    let proxy = start(&target, "download = \"1MB/s\"\nupload = \"500KB/s\"", "");
    // All but what flows in a tenth of a second.
    assert_took(took(|| download(&proxy)), 0.9);
    assert_took(took(|| download_h2(&proxy)), 0.9);
    assert_took(took(|| upload(&proxy)), 1.9);
    assert_took(took(|| upload_h2(&proxy)), 1.9);
    assert_eq!(proxy.metric("ringway_rule_requests_total", &[("rule", "slow"), ("result", "passed")]), 4.0);
    let waited = proxy.metric("ringway_rule_throttled_seconds_total", &[("rule", "slow")]);
    assert!((4.0..6.0).contains(&waited), "{waited}");
}

#[test]
fn a_burst_flows_at_once() {
    let target = large();
    let proxy = start(&target, "download = \"500KB/s\"\nburst = \"500KB\"", "");
    assert_took(took(|| download(&proxy)), 1.0);
    let mut client = proxy.client();
    client.send(request("GET", "/v1/x", &[]));
    client.head(PATIENCE).unwrap();
    let begun = took(|| drop(client.exact(450_000)));
    assert!(begun < 0.5, "{begun} s");
    assert!(took(|| upload(&proxy)) < 0.5, "requests are as fast as can be");
}

#[test]
fn what_has_the_same_key_flows_as_fast_as_one_alone() {
    let target = large();
    let proxy = Arc::new(start(&target, "download = \"1MB/s\"\nkey = \"client-ip\"", ""));
    let both = || {
        let threads: Vec<_> = [download, download_h2]
            .into_iter()
            .map(|download| {
                let proxy = proxy.clone();
                std::thread::spawn(move || download(&proxy))
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    };
    assert_took(took(both), 1.9);
    let elsewhere = took(|| {
        let mut client = Client::from("127.0.0.9", &proxy.web());
        assert_eq!(client.get("/v1/x").body.len(), LENGTH);
    });
    assert_took(elsewhere, 0.9);
}

#[test]
fn what_a_cache_or_a_file_has_is_no_faster() {
    let target = large();
    let store = "[routes.api.cache]\nstore = \"c\"\n[caches.c]\nmemory = \"64MiB\"\n";
    let proxy = start(&target, "download = \"1MB/s\"", store);
    for _ in 0..2 {
        assert_took(took(|| download(&proxy)), 0.9);
    }
    assert_took(took(|| download_h2(&proxy)), 0.9);
    assert_eq!(target.requests(), 1);

    let setup = Setup::new("");
    std::fs::write(setup.directory().join("x"), vec![b'x'; LENGTH]).unwrap();
    let root = setup.directory().display().to_string();
    let text = config(&target, "[\"slow\"]", "").replace(
        "[routes.api]\npaths = [\"/v1/\"]\npool = \"site\"",
        &format!("[routes.api]\npaths = [\"/v1/\"]\nfiles = {{ root = \"{root}\" }}\nstrip_prefix = \"/v1\""),
    );
    let proxy = setup.with(slow("download = \"1MB/s\"") + &text).start();
    assert_took(took(|| download(&proxy)), 0.9);
    assert_took(took(|| download_h2(&proxy)), 0.9);
}

#[test]
fn no_time_limit_runs_while_bytes_are_held_back() {
    let target = large();
    let idle = "[pools.site.timeouts]\nresponse_idle = \"300ms\"";
    let text = slow("download = \"500KB/s\"\nupload = \"500KB/s\"") + &config(&target, "[\"slow\"]", idle);
    let short = "listen = [\"127.0.0.1:0\"]\ntimeouts = { client_body = \"300ms\", write_stall = \"300ms\" }";
    let proxy = Proxy::start(text.replace("listen = [\"127.0.0.1:0\"]", short));
    assert_took(took(|| download(&proxy)), 1.9);
    assert_took(took(|| upload(&proxy)), 1.9);
    assert_took(took(|| download_h2(&proxy)), 1.9);
    assert_took(took(|| upload_h2(&proxy)), 1.9);
}

#[test]
fn others_of_a_worker_wait_for_nobody_who_is_slowed_down() {
    let target = large();
    let proxy = Setup::new(slow("download = \"200KB/s\"") + &config(&target, "[\"slow\"]", "")).workers(1).start();
    let mut slow: Vec<Client> = (0..8).map(|_| proxy.client()).collect();
    slow.iter_mut().for_each(|client| client.send(request("GET", "/v1/x", &[])));
    target.wait_for(8);
    for _ in 0..20 {
        let took = took(|| assert_eq!(proxy.get("/free").body.len(), 4));
        assert!(took < 0.5, "{took}");
    }
    // Who leaves meanwhile leaves nothing behind.
    drop(slow);
    proxy.settles("ringway_pool_in_flight", &[("pool", "site")], 0.0);
}

#[test]
fn a_connection_goes_on_with_what_came_behind_a_request_that_was_held_back() {
    let target = large();
    let proxy = start(&target, "upload = \"10KB/s\"", "");
    let mut client = proxy.client();
    let post = request("POST", "/v1/up", &["Content-Length: 1500"]) + &"y".repeat(1500);
    client.send(post.repeat(3));
    for _ in 0..3 {
        assert_eq!(client.response().body.len(), 4);
    }
    assert!(target.seen().iter().all(|seen| seen.body == vec![b'y'; 1500]));
}

#[test]
fn whichever_of_several_rules_lets_a_request_in_it_is_slowed_down() {
    let target = large();
    let several = "[rules.several]\ntype = \"any-of\"\nrules = [\"first\", \"key\"]\n\
                   [rules.first]\ntype = \"api-key\"\nheader = \"X-First\"\n";
    let text = slow("download = \"1MB/s\"") + several + &config(&target, "[\"slow\", \"several\"]", "");
    let proxy = Proxy::start(text);
    for key in ["X-First: key-of-acme", "X-Key: key-of-acme"] {
        let slow = took(|| assert_eq!(proxy.client().ask("GET", "/v1/x", &[key]).body.len(), LENGTH));
        assert_took(slow, 0.9);
    }
}

#[test]
fn what_comes_along_with_a_head_counts_as_what_comes_later() {
    let target = large();
    let proxy = start(&target, "upload = \"10KB/s\"\nkey = \"client-ip\"", "");
    let h1 = took(|| {
        for _ in 0..10 {
            assert_eq!(proxy.client().post("/v1/up", &[b'y'; 1500]).status, 200);
        }
    });
    // All but the last one, and the burst.
    assert_took(h1, 1.25);
    let client = h2::Client::to(&proxy.web());
    let h2 = took(|| {
        for _ in 0..10 {
            assert_eq!(client.ask(h2::request(Method::POST, "/v1/up"), &[b'y'; 1500]).unwrap().status, 200);
        }
    });
    assert_took(h2, 1.5);
}

#[test]
fn who_leaves_while_many_wait_leaves_nothing_for_the_others_to_wait_for() {
    let target = large();
    let text = slow("download = \"1KB/s\"\nkey = \"client-ip\"") + &config(&target, "[\"slow\"]", "");
    let proxy = Setup::new(text).workers(1).start();
    let mut waiting: Vec<Client> = (0..60).map(|_| proxy.client()).collect();
    waiting.iter_mut().for_each(|client| client.send(request("GET", "/v1/x", &[])));
    target.wait_for(60);
    drop(waiting);
    let left = took(|| proxy.settles("ringway_pool_in_flight", &[("pool", "site")], 0.0));
    assert!(left < 10.0, "{left} s");
    let next = took(|| assert_eq!(proxy.get("/v1/y").body.len(), 4));
    assert!(next < 10.0, "{next} s");
}

#[test]
fn a_process_that_stops_waits_for_nobody_who_is_slowed_down_for_longer_than_it_may() {
    let target = large();
    let keys = "download = \"1KB/s\"\nupload = \"1KB/s\"\nkey = \"client-ip\"";
    let text = slow(keys) + &config(&target, "[\"slow\"]", "");
    let mut proxy = Setup::new(text).runtime("shutdown_timeout = \"1s\"").start();
    let mut waiting: Vec<Client> = (0..20).map(|_| proxy.client()).collect();
    for (place, client) in waiting.iter_mut().enumerate() {
        match place % 2 {
            0 => client.send(request("GET", "/v1/x", &[])),
            _ => client.send(request("POST", "/v1/up", &["Content-Length: 50000"]) + &"y".repeat(50_000)),
        }
    }
    target.wait_for(10);
    proxy.signal(libc::SIGTERM);
    let status = proxy.exit_within(Duration::from_secs(8));
    assert!(status.is_some(), "it goes on");
}

#[test]
fn a_stream_that_is_slowed_down_holds_up_no_other_of_its_connection() {
    let target = large();
    let keys = "download = \"1KB/s\"\nkey = \"client-ip\"";
    let proxy = Setup::new(slow(keys) + &config(&target, "[\"slow\"]", "")).workers(1).start();
    let mut frames = h2::Frames::to(&proxy.web());
    let fields = |path| [(":method", "GET"), (":scheme", "http"), (":authority", "site.test"), (":path", path)];
    for stream in (1..80).step_by(2) {
        frames.send(h2::HEADERS, 5, stream, &h2::block(&fields("/v1/x"))).unwrap();
    }
    target.wait_for(40);
    let other = took(|| {
        frames.send(h2::HEADERS, 5, 101, &h2::block(&fields("/free"))).unwrap();
        assert_eq!(frames.ending(101), h2::Ended::Answer { good: true });
    });
    assert!(other < 2.0, "{other} s");
    for stream in (1..80).step_by(2) {
        frames.send(h2::RST_STREAM, 0, stream, &8_u32.to_be_bytes()).unwrap();
    }
    let left = took(|| proxy.settles("ringway_pool_in_flight", &[("pool", "site")], 0.0));
    assert!(left < 5.0, "{left} s");
    let next = took(|| assert_eq!(proxy.get("/v1/y").body.len(), 4));
    assert!(next < 10.0, "{next} s");
}

#[test]
fn a_condition_says_who_is_slowed_down_and_shadow_mode_slows_down_nobody() {
    let target = large();
    let keys = "download = \"500KB/s\"\nwhen = '\"x-slow\" in request.headers'";
    let proxy = start(&target, keys, "");
    assert!(took(|| download(&proxy)) < 0.9);
    let slow = took(|| assert_eq!(proxy.client().ask("GET", "/v1/x", &["X-Slow: 1"]).body.len(), LENGTH));
    assert_took(slow, 1.9);
    let proxy = start(&target, "download = \"100KB/s\"\nmode = \"shadow\"", "");
    assert!(took(|| download(&proxy)) < 2.0);
}

#[test]
fn rules_that_make_no_sense_are_told_where_they_stand() {
    let target = Target::echo("a");
    let text = slow("download = \"1MB/s\"\nkey = \"client-ip\"") + &config(&target, "[\"slow\"]", "");
    for (from, to, expected) in [
        ("download = \"1MB/s\"\n", "", "slows nothing down"),
        ("\"1MB/s\"", "\"1MB\"", "write \"1MB/s\""),
        ("\"1MB/s\"", "\"1B/s\"", "it is less than 1KB/s"),
        ("\"client-ip\"", "\"clientip\"", "did you mean \"client-ip\"?"),
    ] {
        let told = faults(&text, from, to);
        assert!(told.contains(expected) && told.contains("ringway.toml:"), "{to}: {told}");
    }
}
