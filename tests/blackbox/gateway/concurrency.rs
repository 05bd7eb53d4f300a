//! How many requests may be under way at once: no more come in than may, and whatever ends one lets the next one in.

use super::{config, faults};
use crate::admin;
use crate::reload::{reload, rewrite};
use crate::support::client::{Client, request};
use crate::support::proxy::{Proxy, Setup};
use crate::support::target::Seen;
use crate::support::{PATIENCE, Target, eventually, h2, rounds};
use http::Method;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Whether a target's answers may come.
type Gate = Arc<AtomicBool>;

/// A rule `limit` of these keys.
fn limit(keys: &str) -> String {
    format!("[rules.limit]\ntype = \"concurrency\"\n{keys}\n")
}

fn start(target: &Target, rules: &str, keys: &str) -> Proxy {
    Proxy::start(limit(keys) + &config(target, rules, ""))
}

/// What it does depends on the path of the request: some answers wait for the gate.
fn target(gate: &Gate) -> Target {
    let gate = gate.clone();
    Target::with("a", move |peer| {
        while let Some(seen) = peer.request() {
            match seen.path.trim_start_matches("/v1/") {
                "held" => {
                    eventually("the gate is open", || gate.load(Ordering::Relaxed));
                    peer.echo(&seen);
                }
                "reset" => {
                    eventually("the gate is open", || gate.load(Ordering::Relaxed));
                    return;
                }
                "stalls" => {
                    let _ = peer.try_send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
                    peer.ending();
                    return;
                }
                "mute" => {
                    peer.ending();
                    return;
                }
                "ws" => {
                    let _ = peer.try_send(switched(&seen));
                    peer.ending();
                    return;
                }
                _ => {
                    peer.echo(&seen);
                }
            }
        }
    })
}

fn switched(seen: &Seen) -> String {
    let key = seen.field("sec-websocket-key").unwrap_or_default();
    let accept = crate::upgrade::accept(&key);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

fn shut() -> Gate {
    Arc::default()
}

/// A client that has asked for this, of which the target has got `count` requests by then.
#[track_caller]
fn asking(proxy: &Proxy, target: &Target, path: &str, fields: &[&str], count: usize) -> Client {
    let mut client = proxy.client();
    client.send(request("GET", path, fields));
    target.wait_for(count);
    client
}

#[track_caller]
fn in_flight(proxy: &Proxy, count: f64) {
    proxy.settles("ringway_rule_in_flight", &[("rule", "limit")], count);
}

const WEBSOCKET: [&str; 4] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

#[test]
fn one_more_than_may_be_under_way_is_refused_until_one_of_them_ends() {
    let gate = shut();
    let target = target(&gate);
    let proxy = start(&target, "[\"limit\"]", "max = 3");
    let mut held: Vec<Client> = (1..=3).map(|count| asking(&proxy, &target, "/v1/held", &[], count)).collect();
    in_flight(&proxy, 3.0);
    let refused = proxy.get("/v1/x");
    assert_eq!((refused.status, refused.field("retry-after").as_deref()), (429, Some("1")));
    let h2 = h2::Client::to(&proxy.web());
    assert_eq!(h2.get("/v1/x").status, 429);
    assert_eq!(proxy.get("/open").status, 200, "elsewhere nobody counts");
    assert_eq!(target.requests_for("/v1/x").len(), 0);
    gate.store(true, Ordering::Relaxed);
    held.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
    in_flight(&proxy, 0.0);
    assert_eq!((proxy.get("/v1/x").status, h2.get("/v1/x").status), (200, http::StatusCode::OK));
    let results = |result: &str| proxy.metric("ringway_rule_requests_total", &[("rule", "limit"), ("result", result)]);
    assert_eq!((results("passed"), results("denied")), (5.0, 2.0));
    proxy.settles("ringway_refused_total", &[("reason", "concurrency")], 2.0);
    proxy.out.wait(&["\"reason\":\"concurrency\"", "\"denied_by\":\"limit\""]);
}

#[test]
fn however_one_ends_the_next_one_comes_in() {
    type End = fn(&Proxy, &Target, &Gate);
    let ends: [(&str, End); 10] = [
        ("the client leaves before there is an answer", |proxy, target, _| {
            drop(asking(proxy, target, "/v1/mute", &[], 1));
        }),
        ("the client leaves within the answer", |proxy, target, _| {
            let mut client = asking(proxy, target, "/v1/stalls", &[], 1);
            client.head(PATIENCE).unwrap();
            in_flight(proxy, 1.0);
            client.reset();
        }),
        ("the client leaves within its body", |proxy, _, _| {
            let mut client = proxy.client();
            client.send(request("POST", "/v1/x", &["Content-Length: 100"]));
            client.send("part");
            in_flight(proxy, 1.0);
        }),
        ("the target leaves", |proxy, target, gate| {
            let mut client = asking(proxy, target, "/v1/reset", &[], 1);
            in_flight(proxy, 1.0);
            gate.store(true, Ordering::Relaxed);
            assert_eq!(client.response().status, 502);
        }),
        ("the target is killed", |proxy, target, _| {
            let mut client = asking(proxy, target, "/v1/mute", &[], 1);
            in_flight(proxy, 1.0);
            target.hang_up();
            assert_eq!(client.response().status, 502);
        }),
        ("a tunnel ends", |proxy, target, _| {
            let mut client = asking(proxy, target, "/v1/ws", &WEBSOCKET, 1);
            assert_eq!(client.response().status, 101);
            in_flight(proxy, 1.0);
            assert_eq!(proxy.get("/v1/x").status, 429, "for as long as it stands");
        }),
        ("a tunnel of HTTP/2 ends", |proxy, target, _| {
            let mut frames = h2::Frames::to(&proxy.web());
            let asked = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/v1/ws")];
            let rest = [(":authority", "site.test"), ("sec-websocket-version", "13")];
            frames.send(h2::HEADERS, 4, 1, &h2::block(&[&asked[..], &rest].concat())).unwrap();
            while frames.next(PATIENCE).is_some_and(|(kind, ..)| kind != h2::HEADERS) {}
            assert_eq!(target.requests(), 1);
            in_flight(proxy, 1.0);
            assert_eq!(proxy.get("/v1/x").status, 429, "for as long as it stands");
        }),
        ("a target does not grant a tunnel", |proxy, _, _| {
            let mut client = proxy.client();
            client.send(request("GET", "/v1/x", &WEBSOCKET));
            assert_eq!(client.response().status, 200);
            in_flight(proxy, 0.0);
        }),
        ("a stream of HTTP/2 is reset", |proxy, target, _| {
            let mut frames = h2::Frames::to(&proxy.web());
            let fields = [(":method", "GET"), (":scheme", "http"), (":authority", "site.test"), (":path", "/v1/mute")];
            frames.send(h2::HEADERS, 5, 1, &h2::block(&fields)).unwrap();
            target.wait_for(1);
            in_flight(proxy, 1.0);
            frames.send(h2::RST_STREAM, 0, 1, &8_u32.to_be_bytes()).unwrap();
            in_flight(proxy, 0.0);
        }),
        ("a connection of HTTP/2 ends", |proxy, target, _| {
            let mut frames = h2::Frames::to(&proxy.web());
            let fields = [(":method", "GET"), (":scheme", "http"), (":authority", "site.test"), (":path", "/v1/mute")];
            frames.send(h2::HEADERS, 5, 1, &h2::block(&fields)).unwrap();
            target.wait_for(1);
            in_flight(proxy, 1.0);
        }),
    ];
    for (what, end) in ends {
        let gate = shut();
        let target = target(&gate);
        let proxy = start(&target, "[\"limit\"]", "max = 1");
        end(&proxy, &target, &gate);
        eventually(what, || proxy.get("/v1/x").status == 200);
        in_flight(&proxy, 0.0);
    }
}

#[test]
fn what_a_later_rule_refuses_is_under_way_no_more() {
    let target = Target::echo("a");
    let proxy = start(&target, "[\"limit\", \"key\"]", "max = 1");
    let mut client = proxy.client();
    for _ in 0..3 {
        assert_eq!(client.ask("GET", "/v1/x", &[]).status, 401);
    }
    assert_eq!(client.ask("GET", "/v1/x", &["X-Key: key-of-acme"]).status, 200);
    in_flight(&proxy, 0.0);
}

#[test]
fn who_is_kept_waiting_for_a_refusal_takes_no_place_of_others() {
    let target = Target::echo("a");
    let pit = "[rules.pit]\ntype = \"tarpit\"\ndelay = \"20s\"\n";
    let text = limit("max = 1\nkey = \"route\"") + pit + &config(&target, "[\"limit\", \"key\", \"pit\"]", "");
    let proxy = Proxy::start(text);
    let mut refused = proxy.client();
    refused.send(request("GET", "/v1/x", &[]));
    proxy.settles("ringway_tarpit_held", &[("rule", "pit")], 1.0);
    assert_eq!(proxy.client().ask("GET", "/v1/x", &["X-Key: key-of-acme"]).status, 200);
}

#[test]
fn what_is_refused_takes_nothing_of_a_rate() {
    let gate = shut();
    let target = target(&gate);
    let rate = "[rules.rate]\ntype = \"rate-limit\"\nrate = \"1/h\"\nburst = 2\n";
    let proxy = Proxy::start(limit("max = 1") + rate + &config(&target, "[\"rate\", \"limit\"]", ""));
    let mut held = asking(&proxy, &target, "/v1/held", &[], 1);
    for _ in 0..3 {
        assert_eq!(proxy.get("/v1/x").status, 429);
    }
    gate.store(true, Ordering::Relaxed);
    assert_eq!(held.response().status, 200);
    in_flight(&proxy, 0.0);
    assert_eq!([proxy.get("/v1/x").status, proxy.get("/v1/x").status], [200, 429]);
}

#[test]
fn each_consumer_has_as_many_and_over_a_reload_they_count_on() {
    let gate = shut();
    let target = target(&gate);
    let proxy = start(&target, "[\"limit\", \"key\"]", "max = 1\nkey = \"consumer\"");
    let mut held = asking(&proxy, &target, "/v1/held", &["X-Key: key-of-acme"], 1);
    let status = |key: &str| proxy.client().ask("GET", "/v1/x", &[key]).status;
    assert_eq!([status("X-Key: key-of-acme"), status("X-Key: key-of-other"), status("X-No: x")], [429, 200, 401]);
    rewrite(&proxy, |text| {
        text.replace("[access_log]", "[routes.more]\npaths = [\"/more\"]\npool = \"site\"\n[access_log]")
    });
    reload(&proxy, "applied");
    assert_eq!(status("X-Key: key-of-acme"), 429, "what began before counts");
    gate.store(true, Ordering::Relaxed);
    assert_eq!(held.response().status, 200);
    in_flight(&proxy, 0.0);
    assert_eq!(status("X-Key: key-of-acme"), 200);
    rewrite(&proxy, |text| text.replace("max = 1", "max = 2"));
    reload(&proxy, "applied");
    gate.store(false, Ordering::Relaxed);
    let _two = [4, 5].map(|count| asking(&proxy, &target, "/v1/held", &["X-Key: key-of-acme"], count));
    assert_eq!(status("X-Key: key-of-acme"), 429, "as many as it says now");
    gate.store(true, Ordering::Relaxed);
}

#[test]
fn whichever_of_several_rules_lets_a_request_in_it_is_under_way() {
    let gate = shut();
    let target = target(&gate);
    let several = "[rules.several]\ntype = \"any-of\"\nrules = [\"first\", \"key\"]\n\
                   [rules.first]\ntype = \"api-key\"\nheader = \"X-First\"\n";
    let proxy = Proxy::start(limit("max = 1") + several + &config(&target, "[\"limit\", \"several\"]", ""));
    let mut held = asking(&proxy, &target, "/v1/held", &["X-Key: key-of-acme"], 1);
    in_flight(&proxy, 1.0);
    let h2 = h2::Client::to(&proxy.web());
    let keyed = || {
        let mut keyed = h2::request(Method::GET, "/v1/x");
        keyed.headers_mut().insert("x-key", http::HeaderValue::from_static("key-of-acme"));
        keyed
    };
    for key in ["X-Key: key-of-acme", "X-First: key-of-acme", "X-No: x"] {
        assert_eq!(proxy.client().ask("GET", "/v1/x", &[key]).status, 429, "{key}");
    }
    assert_eq!(h2.ask(keyed(), b"").unwrap().status, 429);
    gate.store(true, Ordering::Relaxed);
    assert_eq!(held.response().status, 200);
    in_flight(&proxy, 0.0);
    assert_eq!(h2.ask(keyed(), b"").unwrap().status, 200);
}

#[test]
fn what_a_cache_has_is_under_way_until_it_is_sent() {
    let target = Target::says("a", "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\nabc");
    let store = "[routes.api.cache]\nstore = \"c\"\n[caches.c]\nmemory = \"8MiB\"\n";
    let proxy = Proxy::start(limit("max = 1") + &config(&target, "[\"limit\"]", store));
    let mut client = proxy.client();
    for _ in 0..5 {
        assert_eq!(client.get("/v1/x").status, 200);
    }
    let h2 = h2::Client::to(&proxy.web());
    in_flight(&proxy, 0.0);
    for _ in 0..5 {
        eventually("the next one", || h2.get("/v1/x").status == 200);
    }
    in_flight(&proxy, 0.0);
    assert_eq!(target.requests(), 1);
}

#[test]
fn in_shadow_mode_all_come_in() {
    let gate = shut();
    let target = target(&gate);
    let proxy = start(&target, "[\"limit\"]", "max = 1\nmode = \"shadow\"");
    let mut held = asking(&proxy, &target, "/v1/held", &[], 1);
    assert_eq!(proxy.get("/v1/x").status, 200);
    proxy.settles("ringway_rule_requests_total", &[("rule", "limit"), ("result", "shadow-denied")], 1.0);
    gate.store(true, Ordering::Relaxed);
    assert_eq!(held.response().status, 200);
    in_flight(&proxy, 0.0);
}

/// Two workers and many clients that ask all the time.
#[test]
fn never_are_more_under_way_than_may_be_and_none_is_lost() {
    const MOST: usize = 7;
    let (clients, asked) = (rounds(200, 40), rounds(200, 25));
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let target = {
        let (now, most) = (now.clone(), most.clone());
        Target::with("a", move |peer| {
            while let Some(seen) = peer.request() {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(2));
                now.fetch_sub(1, Ordering::SeqCst);
                peer.echo(&seen);
            }
        })
    };
    let text = limit(&format!("max = {MOST}")) + &config(&target, "[\"limit\"]", "");
    let proxy = Setup::new(text).workers(2).start();
    let connected: Vec<Client> = (0..clients).map(|_| proxy.client()).collect();
    let threads: Vec<_> = connected
        .into_iter()
        .map(|mut client| {
            std::thread::spawn(move || {
                let statuses = (0..asked).map(|_| client.get("/v1/x").status);
                statuses
                    .inspect(|status| assert!([200, 429].contains(status), "{status}"))
                    .filter(|&s| s == 200)
                    .count()
            })
        })
        .collect();
    let let_in: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert!(most.load(Ordering::SeqCst) <= MOST, "{most:?} at once");
    assert!(let_in > MOST && let_in < clients * asked, "{let_in} came in");
    in_flight(&proxy, 0.0);
    assert_eq!(proxy.get("/v1/x").status, 200);
}

#[test]
fn explaining_a_request_tells_what_would_become_of_it_and_holds_nothing() {
    let gate = shut();
    let target = target(&gate);
    let desk = admin::start(&(limit("max = 1") + &config(&target, "[\"limit\"]", "")));
    let url = format!("http://{}/v1/x", desk.proxy.web());
    let explain = || {
        let (code, out, err) = desk.run(&["explain", "--live", "--client", "127.0.0.1", &url]);
        assert_eq!(code, Some(0), "{out}{err}");
        out
    };
    for _ in 0..2 {
        assert!(!explain().contains(" 429"), "{}", explain());
    }
    let mut held = asking(&desk.proxy, &target, "/v1/held", &[], 1);
    assert!(explain().contains(" 429"), "{}", explain());
    gate.store(true, Ordering::Relaxed);
    assert_eq!(held.response().status, 200);
    in_flight(&desk.proxy, 0.0);
}

#[test]
fn limits_that_make_no_sense_are_told_where_they_stand() {
    let target = Target::echo("a");
    let text = limit("max = 10\nkey = \"client-ip\"") + &config(&target, "[\"limit\"]", "");
    for (from, to, expected) in [
        ("max = 10\n", "", "has no `max`"),
        ("max = 10", "max = 0", "max"),
        ("\"client-ip\"", "\"clientip\"", "did you mean \"client-ip\"?"),
        ("[\"limit\"]", "[\"any\"]\n[rules.any]\ntype = \"any-of\"\nrules = [\"limit\"]", "cannot be one of several"),
    ] {
        let told = faults(&text, from, to);
        assert!(told.contains(expected) && told.contains("ringway.toml:"), "{to}: {told}");
    }
}

#[test]
fn a_request_with_a_body_over_http2_is_under_way_until_its_answer_has_come() {
    let target = Target::echo("a");
    let proxy = start(&target, "[\"limit\"]", "max = 1");
    let h2 = h2::Client::to(&proxy.web());
    for _ in 0..3 {
        let ask = || h2.ask(h2::request(Method::POST, "/v1/x"), &[b'x'; 100_000]);
        eventually("the next one", || ask().is_ok_and(|answer| answer.status == 200 && answer.body.len() == 100_000));
    }
    in_flight(&proxy, 0.0);
}
