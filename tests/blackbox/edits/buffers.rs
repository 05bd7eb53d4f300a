//! Targets with few places and clients that are slow. Protects http-messaging/http_request_buffer and http_wait_for_body: a request
//! whose body does not come whole is no target's business; and the case "early refusal of an upload" with buffering.

use crate::support::client::request;
use crate::support::h2;
use crate::support::proxy::Setup;
use crate::support::target::Leave;
use crate::support::toml::pool;
use crate::support::{Client, GLANCE, Proxy, Target, assert_same, eventually, pattern};
use http::{HeaderMap, Method};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// One worker; all of a pool has one place, and nobody waits for it for long.
fn start(targets: &[&Target], limits: &str) -> Proxy {
    let routes = format!(
        "[limits]\n{limits}\n[listeners.web]\nlisten = [\"127.0.0.1:0\"]\ntimeouts.client_body = \"2s\"\n\
         [routes.plain]\npaths = [\"/\"]\npool = \"site\"\n\
         [routes.held]\npaths = [\"/held/\"]\npool = \"site\"\nbuffer = {{ request = \"256KiB\", response = \"16MiB\" }}\n\
         [routes.little]\npaths = [\"/little/\"]\npool = \"site\"\nbuffer = {{ response = \"1MiB\" }}\n"
    );
    let config =
        routes + &pool("site", targets, "max_in_flight = 1\nbalance = \"round-robin\"\ntimeouts.queue = \"100ms\"\n");
    Setup::new(config).workers(1).start()
}

#[test]
fn a_client_that_sends_slowly_keeps_no_target_from_others() {
    let target = Target::echo("a");
    let proxy = start(&[&target], "");
    let body = pattern(100_000);
    let mut slow = proxy.client();
    slow.send(request("PUT", "/held/slow", &["Transfer-Encoding: chunked"]));
    slow.send("c350\r\n");
    slow.send(&body[..50_000]);
    eventually("it is held", || proxy.metric("ringway_worker_buffered_bytes", &[]) > 0.0);
    assert_eq!((proxy.get("/other").status, target.requests_for("/held/slow").len()), (200, 0));
    slow.send("\r\nc350\r\n");
    slow.send(&body[50_000..]);
    slow.send("\r\n0\r\n\r\n");
    assert_same(&slow.response().body, &body);
    let seen = target.last();
    assert_eq!(seen.field("content-length").as_deref(), Some("100000"), "it is known by then");
    assert_eq!(seen.field("transfer-encoding"), None);
    // Without, the one place is taken.
    let mut slow = proxy.client();
    slow.send(request("PUT", "/slow", &["Content-Length: 100000"]));
    slow.send(&body[..50_000]);
    eventually("it has a place", || proxy.metric("ringway_pool_in_flight", &[("pool", "site")]) > 0.0);
    assert_eq!(proxy.get("/other").status, 503);
    slow.send(&body[50_000..]);
    assert_same(&slow.response().body, &body);
    proxy.settles("ringway_worker_buffered_bytes", &[], 0.0);
}

#[test]
fn a_body_that_does_not_come_whole_reaches_no_target() {
    let target = Target::echo("a");
    let proxy = start(&[&target], "");
    let begin = |method: &str| {
        let mut client = proxy.client();
        client.send(request(method, "/held/", &["Content-Length: 100000"]));
        client.send("begun");
        client
    };
    let silent = begin("PUT");
    begin("PUT").reset();
    let mut half = begin("PUT");
    half.finish_sending();
    assert_eq!(half.response().status, 400);
    let mut silent = silent;
    assert_eq!(silent.response().status, 408);
    let mut broken = proxy.client();
    broken.send(request("PUT", "/held/", &["Transfer-Encoding: chunked"]));
    broken.send("5\r\nbegunxx");
    assert_eq!(broken.response().status, 400);
    assert_eq!(target.connections(), 0);
    proxy.settles("ringway_worker_buffered_bytes", &[], 0.0);
    proxy.settles("ringway_refused_total", &[("reason", "body-timeout")], 1.0);
}

#[test]
fn a_client_that_waits_is_told_by_us_to_go_on_and_its_target_has_no_say() {
    let target = Target::refuses_early("refusing", 403, Leave::Close);
    let proxy = start(&[&target], "");
    let mut client = proxy.client();
    client.send(request("PUT", "/held/", &["Content-Length: 5", "Expect: 100-continue"]));
    let head = client.head(crate::support::PATIENCE).unwrap();
    assert_eq!((head.start.as_str(), target.connections()), ("HTTP/1.1 100 Continue", 0));
    client.send("whole");
    let answer = client.response();
    assert_eq!((answer.status, &answer.interim[..]), (403, &[][..]), "once is enough");
    assert_eq!(target.last().field("expect"), None);
}

#[test]
fn a_body_that_is_held_can_be_sent_again_whole() {
    let bad = Target::with("bad", |peer| {
        peer.request();
        peer.leave(Leave::Reset);
    });
    let good = Target::echo("good");
    let proxy = start(&[&bad, &good], "");
    let body = pattern(200_000);
    for round in 0..4 {
        let mut client = proxy.client();
        client.send(request("PUT", "/held/", &["Content-Length: 200000"]));
        client.send(&body[..7]);
        thread::sleep(GLANCE / 10);
        client.send(&body[7..]);
        let answer = client.response();
        assert_eq!(answer.status, 200, "round {round}");
        assert_same(&answer.body, &body);
    }
    assert!(bad.requests() >= 1 && bad.seen().iter().all(|seen| seen.whole));
    let answer = h2::Client::to(&proxy.web()).ask(h2::request(Method::PUT, "/held/"), &body).unwrap();
    assert_same(&answer.body, &body);
    proxy.settles("ringway_worker_buffered_bytes", &[], 0.0);
}

#[test]
fn a_connection_on_which_half_a_body_went_out_is_not_used_again() {
    // It says so before it has read the body, and keeps its connection; it reads on once another one is asked, so that half a body is
    // all that can have gone out until then.
    let asked = Arc::new(AtomicUsize::new(0));
    let (elsewhere, here) = (asked.clone(), asked);
    let busy = Target::with("busy", move |peer| {
        while let Some(mut seen) = peer.head() {
            let before = elsewhere.load(Ordering::SeqCst);
            if peer.reply(503, &[], b"busy").is_none() {
                return;
            }
            eventually("another one is asked", || elsewhere.load(Ordering::SeqCst) > before);
            if !peer.rest(&mut seen) {
                return;
            }
        }
    });
    let good = Target::with("good", move |peer| {
        while let Some(mut seen) = peer.head() {
            here.fetch_add(1, Ordering::SeqCst);
            if !peer.rest(&mut seen) || peer.echo(&seen).is_none() {
                return;
            }
        }
    });
    let config = format!(
        "[listeners.web]\nlisten = [\"127.0.0.1:0\"]\n[routes.held]\npaths = [\"/held/\"]\npool = \"site\"\n\
         retry.on = [\"503\"]\nbuffer.request = \"16MiB\"\n{}",
        pool("site", &[&busy, &good], "balance = \"round-robin\"\n")
    );
    let proxy = Setup::new(config).workers(1).start();
    let body = pattern(12 << 20);
    for _ in 0..4 {
        let mut client = proxy.client();
        client.send(request("PUT", "/held/", &[&format!("Content-Length: {}", body.len())]));
        client.send(&body);
        assert_same(&client.response().body, &body);
    }
    assert!(busy.connections() >= 2);
}

#[test]
fn what_is_too_long_or_finds_no_room_goes_on_as_it_comes_and_trailers_stay() {
    let target = Target::echo("a");
    let proxy = start(&[&target], "buffers = \"300KiB\"");
    let (long, short) = (pattern(600_000), pattern(100_000));
    let chunked = |body: &[u8], end: &str| {
        let mut client = proxy.client();
        client.send(request("PUT", "/held/", &["Transfer-Encoding: chunked", "Trailer: X-T"]));
        for piece in body.chunks(40_000) {
            client.send(format!("{:x}\r\n", piece.len()));
            client.send(piece);
            client.send("\r\n");
        }
        client.send(end);
        assert_same(&client.response().body, body);
    };
    chunked(&long, "0\r\n\r\n");
    assert_eq!(target.last().field("transfer-encoding").as_deref(), Some("chunked"));
    let full = || proxy.metric("ringway_worker_buffers_full_total", &[]);
    assert_eq!(full(), 1.0);
    assert_same(&proxy.client().post("/held/", &long).body, &long);
    assert_eq!(full(), 2.0);
    chunked(&short, "0\r\nX-T: 1\r\n\r\n");
    assert_eq!(target.last().trailers, [("x-t".to_owned(), "1".to_owned())]);
    let mut holds = proxy.client();
    holds.send(request("PUT", "/held/", &["Content-Length: 250000"]));
    holds.send(pattern(249_999));
    eventually("it is held", || proxy.metric("ringway_worker_buffered_bytes", &[]) > 249_000.0);
    let answer = proxy.client().post("/held/", &short);
    assert_same(&answer.body, &short);
    assert_eq!(full(), 3.0);
}

/// Answers with `length` bytes.
pub(super) fn bulky(length: usize) -> Target {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    Target::with("bulky", move |peer| {
        while let Some(seen) = peer.request() {
            let answer = match seen.path.as_str() {
                "/other" => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
                _ => [head.as_bytes(), &pattern(length)].concat(),
            };
            if peer.try_send(answer).is_err() {
                return;
            }
        }
    })
}

/// A client with little room that has asked and does not read.
pub(super) fn asks(proxy: &Proxy, path: &str) -> Client {
    let mut client = proxy.client();
    client.socket.set_recv_buffer_size(16 << 10).unwrap();
    client.send(request("GET", path, &[]));
    client
}

#[test]
fn a_client_that_reads_slowly_keeps_no_target_from_others() {
    const LENGTH: usize = 12 << 20;
    let target = bulky(LENGTH);
    let proxy = start(&[&target], "");
    let mut slow = asks(&proxy, "/held/");
    eventually("all is here", || proxy.metric("ringway_worker_buffered_bytes", &[]) > 4e6);
    eventually("the target is free", || proxy.metric("ringway_pool_in_flight", &[("pool", "site")]) == 0.0);
    assert_eq!(proxy.get("/other").status, 200);
    assert_same(&slow.response().body, &pattern(LENGTH));
    assert!(slow.alive(), "its connection goes on");
    // Without, the one place is taken.
    let other = asks(&proxy, "/");
    eventually("it has a place", || proxy.metric("ringway_pool_in_flight", &[("pool", "site")]) > 0.0);
    assert_eq!(proxy.get("/other").status, 503);
    drop(other);
    proxy.settles("ringway_pool_in_flight", &[("pool", "site")], 0.0);
    let gone = asks(&proxy, "/held/");
    eventually("all is here", || proxy.metric("ringway_worker_buffered_bytes", &[]) > 4e6);
    gone.reset();
    proxy.settles("ringway_worker_buffered_bytes", &[], 0.0);
}

#[test]
fn an_answer_is_held_no_further_than_it_may_be() {
    const LENGTH: usize = 12 << 20;
    let target = bulky(LENGTH);
    let proxy = start(&[&target], "");
    let mut slow = asks(&proxy, "/little/");
    eventually("it is full", || proxy.metric("ringway_worker_buffered_bytes", &[]) > 1e6);
    for _ in 0..5 {
        thread::sleep(GLANCE / 10);
        let held = proxy.metric("ringway_worker_buffered_bytes", &[]);
        assert!(held < 1.6e6, "{held} bytes");
    }
    assert_same(&slow.response().body, &pattern(LENGTH));
    proxy.settles("ringway_worker_buffered_bytes", &[], 0.0);
    let answer = h2::Client::to(&proxy.web()).get("/held/");
    assert_same(&answer.body, &pattern(LENGTH));
}

#[test]
fn answers_in_chunks_keep_their_trailers_and_what_breaks_off_is_seen_to() {
    let chunked = Target::says(
        "c",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n",
    );
    let proxy = start(&[&chunked], "");
    for _ in 0..2 {
        let answer = proxy.get("/held/");
        assert_eq!((answer.text().as_str(), &answer.trailers[..]), ("abc", &[("x-t".to_owned(), "1".to_owned())][..]));
    }
    let answer = h2::Client::to(&proxy.web()).get("/held/");
    let mut trailers = HeaderMap::new();
    trailers.insert("x-t", "1".parse().unwrap());
    assert_eq!((answer.body, answer.trailers), (b"abc".to_vec(), trailers));
    let short = Target::closes_after("short", 100_000, 200_000);
    let proxy = start(&[&short], "");
    let mut client = proxy.client();
    client.send(request("GET", "/held/", &[]));
    assert!(client.response_to("GET").is_err(), "no whole answer came");
    let ticks = Target::ticks("ticks", 3, GLANCE / 10);
    let proxy = start(&[&ticks], "");
    assert_eq!(proxy.get("/held/").text(), "data: 0\n\ndata: 1\n\ndata: 2\n\n");
}
