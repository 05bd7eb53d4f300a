//! No peer holds a connection longer than its time: each deadline ends what it is for, with the right word.

use crate::support::client::request;
use crate::support::toml::{http, http_with};
use crate::support::wire::Broken;
use crate::support::{Client, Proxy, Target, eventually, pattern};
use std::thread;
use std::time::{Duration, Instant};

/// A listener and a pool with short times.
fn short(target: &Target, listener: &str, pool: &str) -> Proxy {
    Proxy::start(http_with("", &[target], pool) + &format!("\n[listeners.web.timeouts]\n{listener}\n"))
}

#[test]
fn a_client_that_says_nothing_is_closed_in_silence() {
    let target = Target::echo("a");
    let proxy = short(&target, "request_head = \"500ms\"\nidle = \"500ms\"", "");
    let begun = Instant::now();
    let mut client = proxy.client();
    assert_eq!(client.ending(), Broken::Closed);
    assert!(client.buffer.is_empty(), "nothing was asked, nothing is answered");
    assert!(begun.elapsed() >= Duration::from_millis(400), "{:?}", begun.elapsed());
}

#[test]
fn a_head_that_was_begun_and_not_finished_is_408() {
    let target = Target::echo("a");
    let proxy = short(&target, "request_head = \"500ms\"", "");
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: si");
    assert_eq!(client.response().status, 408);
    assert_eq!(client.ending(), Broken::Closed);
    proxy.settles("ringway_refused_total", &[("reason", "head-timeout")], 1.0);
    assert_eq!(target.requests(), 0);
}

#[test]
fn dribbling_does_not_stretch_the_heads_time() {
    let target = Target::echo("a");
    let proxy = short(&target, "request_head = \"1s\"", "");
    let begun = Instant::now();
    let head = "GET / HTTP/1.1\r\n".to_owned() + &"X-Slow: 1\r\n".repeat(100);
    let mut client = proxy.client();
    for part in head.as_bytes().chunks(5) {
        if client.try_send(part).is_err() || !client.quiet(Duration::from_millis(50)) {
            break;
        }
    }
    assert_eq!(client.response().status, 408);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(target.requests(), 0);
}

#[test]
fn a_slow_head_within_its_time_is_served() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client().dribbled(request("GET", "/", &[]), 1, Duration::from_millis(5));
    assert_eq!(client.response().status, 200);
}

#[test]
fn an_idle_keep_alive_connection_ends_after_its_time() {
    let target = Target::echo("a");
    let proxy = short(&target, "idle = \"500ms\"", "");
    let mut client = proxy.client();
    client.get("/");
    let begun = Instant::now();
    assert_eq!(client.ending(), Broken::Closed);
    assert!(client.buffer.is_empty());
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
}

#[test]
fn a_slow_but_steady_upload_is_not_cut() {
    let target = Target::echo("a");
    let proxy = short(&target, "client_body = \"1s\"", "");
    let mut client = proxy.client();
    client.send(request("PUT", "/", &["Content-Length: 20"]));
    client.dribble("01234567890123456789", 1, Duration::from_millis(100)).unwrap();
    assert_eq!(client.response().text(), "01234567890123456789");
}

#[test]
fn a_client_that_takes_nothing_is_cut() {
    let target = Target::with("a", |peer| {
        peer.request();
        let _ = peer.try_send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
        while peer.try_send(pattern(1 << 16)).is_ok() {}
    });
    let proxy = short(&target, "write_stall = \"500ms\"", "");
    let mut client = proxy.client();
    client.send(request("GET", "/", &[]));
    eventually("the target is freed of a client that reads nothing", || target.requests() == 1 && target.open() == 0);
    proxy.settles("ringway_refused_total", &[("reason", "write-stall")], 1.0);
    drop(client);
}

#[test]
fn a_client_that_reads_slowly_is_not_cut() {
    let target =
        Target::says("a", [&b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n"[..], &pattern(8_000_000)].concat());
    let proxy = short(&target, "write_stall = \"1s\"", "");
    let mut client = proxy.client();
    client.send(request("GET", "/", &[]));
    client.head(crate::support::PATIENCE).unwrap();
    let mut got = 0;
    while got < 8_000_000 {
        got += client.exact(400_000.min(8_000_000 - got)).unwrap().len();
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_target_that_never_answers_is_504() {
    let target = Target::mute("a");
    let proxy = short(&target, "", "timeouts = { response_head = \"500ms\" }");
    let mut client = proxy.client();
    assert_eq!(client.get("/").status, 504);
    assert_eq!(target.requests(), 1, "what was sent may be at work: it is not sent again");
    eventually("its connection is given up", || target.open() == 0);
    proxy.settles("ringway_pool_errors_total", &[("kind", "response-timeout")], 1.0);
    assert_eq!(client.get("/").status, 504, "the client's connection lives on");
}

#[test]
fn a_target_that_falls_silent_in_mid_answer_is_cut() {
    let target = Target::stalls_after_head("a");
    let proxy = short(&target, "", "timeouts = { response_idle = \"500ms\" }");
    let mut client = proxy.client();
    client.send(request("GET", "/", &[]));
    assert!(matches!(client.response_to("GET"), Err(Broken::Truncated | Broken::Reset)));
    eventually("its connection is given up", || target.open() == 0);
    proxy.settles("ringway_pool_errors_total", &[("kind", "idle-timeout")], 1.0);
}

#[test]
fn a_target_that_answers_slowly_but_steadily_is_not_cut() {
    let target = Target::ticks("a", 10, Duration::from_millis(200));
    let proxy = short(&target, "", "timeouts = { response_head = \"1s\", response_idle = \"1s\" }");
    assert!(proxy.client().get("/").text().ends_with("data: 9\n\n"));
}

/// Event streams count as tunnels: silence between events is their nature.
#[test]
fn an_event_stream_may_be_silent_as_long_as_a_tunnel() {
    let target = Target::ticks("a", 2, Duration::from_millis(1500));
    let proxy = short(&target, "", "timeouts = { response_idle = \"500ms\", tunnel = \"10s\" }");
    assert!(proxy.client().get("/").text().ends_with("data: 1\n\n"));
}

/// The response's time does not run while the client still sends its request.
#[test]
fn a_long_upload_does_not_use_up_the_responses_time() {
    let target = Target::echo("a");
    let proxy = short(&target, "", "timeouts = { response_head = \"1s\" }");
    let mut client = proxy.client();
    client.send(request("PUT", "/", &["Content-Length: 20"]));
    client.dribble("01234567890123456789", 1, Duration::from_millis(100)).unwrap();
    assert_eq!(client.response().status, 200);
}

#[test]
fn a_hundred_slow_clients_do_not_slow_the_others() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let mut slow: Vec<Client> = (0..100).map(|_| proxy.client()).collect();
    for client in &mut slow {
        client.send("GET / HTTP/1.1\r\nHos");
    }
    let count = crate::support::load::run(&proxy.web(), 2, 200, |n| format!("/{n}"));
    count.assert_clean();
    assert!(count.longest < Duration::from_secs(5), "{:?}", count.longest);
    for client in &mut slow {
        client.send("t: site.test\r\n\r\n");
        assert_eq!(client.response().status, 200);
    }
}
