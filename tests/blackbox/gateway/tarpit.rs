//! Clients that are refused, and wait for it.

use super::{config, faults};
use crate::support::client::{Client, request};
use crate::support::proxy::Proxy;
use crate::support::{PATIENCE, Target, eventually, h2};
use http::{HeaderValue, Method};
use std::time::{Duration, Instant};

fn text(target: &Target, tarpit: &str) -> String {
    let rule = format!("[rules.pit]\ntype = \"tarpit\"\n{tarpit}\n[rules.key]");
    config(target, "[\"key\", \"pit\"]", "").replace("[rules.key]", &rule)
}

fn held(proxy: &Proxy) -> f64 {
    proxy.metric("ringway_tarpit_held", &[("rule", "pit")])
}

fn counted(proxy: &Proxy, result: &str) -> f64 {
    proxy.metric("ringway_rule_tarpit_total", &[("rule", "pit"), ("result", result)])
}

#[test]
fn who_is_refused_waits_for_the_answer_and_nobody_else_does() {
    let target = Target::echo("a");
    let proxy = Proxy::start(text(&target, "delay = \"700ms\""));
    let waits = |ask: &dyn Fn() -> u16| {
        let start = Instant::now();
        assert_eq!(ask(), 401);
        // Timers are as coarse as that.
        assert!(start.elapsed() >= Duration::from_millis(650), "{:?}", start.elapsed());
    };
    let h2 = h2::Client::to(&proxy.web());
    waits(&|| proxy.get("/v1/x").status);
    waits(&|| h2.get("/v1/x").status.as_u16());
    waits(&|| proxy.client().post("/v1/x", b"body").status);
    assert_eq!(counted(&proxy, "held"), 3.0);
    assert_eq!(proxy.client().ask("GET", "/v1/x", &["X-Key: key-of-acme"]).status, 200);
    assert_eq!((proxy.get("/").status, counted(&proxy, "held"), held(&proxy)), (200, 3.0, 0.0));
    proxy.out.wait(&["\"reason\":\"no-key\"", "\"held_by\":\"pit\""]);
}

#[test]
fn so_many_wait_at_a_time_and_others_are_refused_at_once() {
    let target = Target::echo("a");
    let proxy = Proxy::start(text(&target, "delay = \"5m\"\nat_once = 2"));
    let mut waiting: Vec<Client> = (0..2).map(|_| proxy.client()).collect();
    for (n, client) in waiting.iter_mut().enumerate() {
        client.send(request("GET", "/v1/x", &[]));
        eventually("it waits", || held(&proxy) == (n + 1) as f64);
    }
    assert_eq!(proxy.get("/v1/x").status, 401, "there is no room for it");
    let h2 = h2::Client::to(&proxy.web());
    assert_eq!(h2.get("/v1/x").status.as_u16(), 401);
    assert_eq!(counted(&proxy, "let-go"), 2.0);
    drop(waiting.pop());
    eventually("who leaves makes room", || held(&proxy) == 1.0);
}

#[test]
fn a_stream_that_waits_holds_up_no_other_and_no_end_of_the_process() {
    let target = Target::echo("a");
    let mut proxy = Proxy::start(text(&target, "delay = \"5m\""));
    let h2 = h2::Client::to(&proxy.web());
    let mut good = h2::request(Method::GET, "/v1/x");
    good.headers_mut().insert("x-key", HeaderValue::from_static("key-of-acme"));
    let mut client = proxy.client();
    client.send(request("GET", "/v1/x", &[]));
    eventually("it waits", || held(&proxy) == 1.0);
    let mut frames = h2::Frames::to(&proxy.web());
    let head = [(":method", "GET"), (":scheme", "http"), (":authority", "site.test"), (":path", "/v1/x")];
    for stream in [1, 3] {
        frames.send(1, 5, stream, &h2::block(&head)).unwrap();
    }
    eventually("they wait", || held(&proxy) == 3.0);
    assert_eq!(h2.ask(good, b"").unwrap().status.as_u16(), 200);
    frames.send(3, 0, 1, &8u32.to_be_bytes()).unwrap();
    eventually("a stream that is reset makes room", || held(&proxy) == 2.0);
    drop((h2, frames));
    eventually("a connection that ends makes room", || held(&proxy) == 1.0);
    proxy.signal(libc::SIGTERM);
    assert_eq!(client.response().status, 401, "who waits is answered then");
    assert!(proxy.exit_within(PATIENCE).is_some());
}

#[test]
fn in_shadow_mode_nobody_waits() {
    let target = Target::echo("a");
    let proxy = Proxy::start(text(&target, "delay = \"5m\"\nmode = \"shadow\""));
    assert_eq!(proxy.get("/v1/x").status, 401);
    assert_eq!([counted(&proxy, "held"), counted(&proxy, "let-go")], [0.0, 1.0]);
    let told = faults(&text(&target, "delay = \"1s\""), "delay = \"1s\"", "delay = \"1h\"");
    assert!(told.contains("delay"), "{told}");
}
