//! Behaviours that any load balancer in HAProxy's place must show and that no other module is about. Each test names
//! the regression test of HAProxy whose sense it keeps.

use crate::support::client::request;
use crate::support::target::refused;
use crate::support::toml::{http, http_with};
use crate::support::{Proxy, Target, eventually};
use std::time::{Duration, Instant};

/// http-messaging/h1_host_normalization: Host and authority agree, userinfo is refused, ports are checked.
#[test]
fn host_must_be_one_and_well_formed() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    for head in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:port\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
        "GET http://user@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let mut client = proxy.client();
        client.send(head);
        assert_eq!(client.response().status, 400, "{head:?}");
    }
    for host in ["a.test", "a.test:8080", "127.0.0.1", "[::1]:80", "xn--bcher-kva.test", "a_b.test"] {
        let mut client = proxy.client();
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(client.response().status, 200, "{host}");
    }
    assert!(proxy.metric("ringway_refused_total", &[("reason", "bad-host")]) >= 5.0);
}

/// http-messaging/h1_authority_fragment_char: '#' does not belong into a request target.
#[test]
fn a_fragment_in_a_target_is_refused_or_kept_out_of_the_authority() {
    let target = Target::echo("a");
    let config = http(&[&target]) + "\n[routes.x]\nhosts = [\"evil.test\"]\nrespond = { status = 299 }\n";
    let proxy = Proxy::start(config);
    for start in ["http://a.test#.evil.test/", "http://evil.test#@a.test/", "/path#fragment"] {
        let mut client = proxy.client();
        client.send(format!("GET {start} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        assert_eq!(client.response().status, 400, "{start}");
    }
}

/// http-messaging/h1_to_h1: methods pass, names and values that are not HTTP are refused.
#[test]
fn heads_that_are_not_http_are_refused() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    for head in [
        "GET\r\n\r\n",
        "GET / HTTP/1.1 x\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nbad name: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nno-colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        "G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "get / http/1.1\r\nHost: a\r\n\r\n",
        "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03\r\n\r\n",
    ] {
        let mut client = proxy.client();
        client.send(head);
        assert_eq!(client.response().status, 400, "{head:?}");
    }
    for head in ["GET /\r\n\r\n", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "GET / HTTP/3.7\r\nHost: a\r\n\r\n"] {
        let mut client = proxy.client();
        client.send(head);
        let status = client.response().status;
        assert!(status == 505 || status == 400, "{head:?}: {status}");
    }
    assert_eq!(target.requests(), 0);
    let mut client = proxy.client();
    client.send("M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().status, 200, "an unknown but well-formed method passes");
}

/// http-messaging/http_transfer_encoding: `TE: trailers` alone passes; Transfer-Encoding in HTTP/1.0 is refused.
#[test]
fn transfer_codings_are_taken_by_the_letter() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    client.send(request("POST", "/", &["Transfer-Encoding: Chunked"]) + "2\r\nab\r\n0\r\n\r\n");
    assert_eq!(client.response().text(), "ab", "the coding's case does not matter");
    for head in [
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n",
    ] {
        let mut client = proxy.client();
        client.send(head);
        let status = client.response().status;
        assert!(status == 400 || status == 501, "{head:?}: {status}");
    }
    for chunks in [
        "x\r\nab\r\n0\r\n\r\n",
        "2\nab\r\n0\r\n\r\n",
        "2\r\nabc\r\n0\r\n\r\n",
        "-2\r\nab\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n",
    ] {
        let mut client = proxy.client();
        client.send(request("POST", "/", &["Transfer-Encoding: chunked"]) + chunks);
        let status = client.response().status;
        assert_eq!(status, 400, "{chunks:?}");
    }
    assert!(target.seen().iter().skip(1).all(|seen| !seen.whole));
}

/// http-messaging/http_bodyless_response: a target that sends a body where none may be does not shift the answers.
#[test]
fn a_body_where_none_may_be_is_not_taken_for_the_next_answer() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            let head = match seen.path.as_str() {
                "/204" => "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil",
                "/304" => "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil",
                "/head" => "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
                _ => "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood",
            };
            if peer.try_send(head).is_err() {
                return;
            }
        }
    });
    let proxy = Proxy::start(http(&[&target]));
    for (method, path) in [("GET", "/204"), ("GET", "/304"), ("HEAD", "/head")] {
        let mut client = proxy.client();
        client.send(request(method, path, &[]));
        client.send(request("GET", "/next", &[]));
        let first = client.response_to(method).unwrap();
        assert!([200, 204, 304, 502].contains(&first.status));
        if let Ok(second) = client.response_to("GET") {
            assert_eq!(second.text(), "good", "{method} {path}");
        }
        assert_eq!(proxy.client().get("/other").text(), "good");
    }
}

/// http-messaging/http_abortonclose: a client's abort is logged as such.
#[test]
fn an_abort_is_logged_as_the_clients() {
    let target = Target::mute("a");
    let proxy = Proxy::start(http(&[&target]) + "\n[access_log]\npath = \"stdout\"\nformat = \"haproxy\"\n");
    let mut client = proxy.client();
    client.send(request("GET", "/gone", &[]));
    target.wait_for(1);
    client.reset();
    let line = proxy.out.wait(&["/gone"]);
    assert!(line.contains(" CH-- ") || line.contains(" CD-- "), "{line}");
}

/// stream/set-retries: a bounded number of connection retries, over different targets.
#[test]
fn a_connect_failure_is_retried_on_another_target_and_not_for_ever() {
    let good = Target::echo("good");
    let lines = "balance = \"round-robin\"";
    let proxy = Proxy::start(http_with("", &[refused(), good.address], lines));
    for n in 0..6 {
        let response = proxy.client().post("/", format!("{n}").as_bytes());
        assert_eq!((response.status, response.text()), (200, format!("{n}")), "nothing was sent: a POST moves on too");
    }
    let gone = [refused(), refused(), refused(), refused(), refused(), refused()];
    let proxy = Proxy::start(http_with("", &gone, lines));
    let begun = Instant::now();
    let response = proxy.get("/");
    assert!([502, 503].contains(&response.status));
    assert!(begun.elapsed() < Duration::from_secs(10));
    let tries = proxy.metric("ringway_pool_errors_total", &[("kind", "connect")]);
    assert_eq!(tries, 3.0, "the first, and two beyond it, though there are more targets");
}

/// The number of tries and what they are for can be chosen.
#[test]
fn retries_can_be_switched_off() {
    let good = Target::echo("good");
    let config = http_with("", &[refused(), good.address], "balance = \"round-robin\"")
        + "\n[routes.all]\npaths = [\"/\"]\npool = \"site\"\nretry = { attempts = 0 }\n";
    let proxy = crate::support::proxy::Setup::new(config).workers(1).start();
    let mut statuses: Vec<u16> = (0..4).map(|_| proxy.get("/").status).collect();
    statuses.sort();
    assert!(statuses[3] >= 502 && statuses[0] == 200, "{statuses:?}");
}

/// A connect timeout in http: the next target answers.
#[test]
fn a_target_that_drops_packets_costs_its_connect_time_alone() {
    let (deaf, good) = (crate::support::target::Deaf::start(), Target::echo("good"));
    let lines = "balance = \"round-robin\"\ntimeouts = { connect = \"300ms\" }";
    let proxy = Proxy::start(http_with("", &[deaf.address, good.address], lines));
    for _ in 0..4 {
        assert_eq!(proxy.client().post("/", b"x").text(), "x");
    }
    assert!(proxy.metric("ringway_pool_errors_total", &[("kind", "connect-timeout")]) >= 1.0);
    let alone = Proxy::start(http_with("", &[deaf.address], lines));
    assert!([502, 503, 504].contains(&alone.get("/").status));
}

/// stream/test_content_switching: an ineligible backend is not chosen.
#[test]
fn a_route_to_a_pool_that_is_down_does_not_fall_to_another() {
    let open = Target::echo("open");
    let config = http(&[&open])
        + "\n[routes.api]\npaths = [\"/api/\"]\npool = \"api\"\n"
        + &crate::support::toml::pool(
            "api",
            &[refused()],
            "health = { type = \"tcp\", interval = \"100ms\", fall = 1 }",
        );
    let proxy = Proxy::start(config);
    eventually("the pool is down", || proxy.get("/api/").status == 503);
    assert_eq!(proxy.get("/").target(), "open");
    assert!(open.seen().iter().all(|seen| seen.path == "/"));
}

/// http-messaging/h1_to_h1: a lone expectation that is not 100-continue is refused or passed, never half-kept.
#[test]
fn an_unknown_expectation_is_417() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let response = proxy.client().ask("GET", "/", &["Expect: the-unexpected"]);
    assert!(response.status == 417 || response.status == 200, "{}", response.status);
}

/// Empty lines before a request are skipped, RFC 9112 section 2.2.
#[test]
fn stray_empty_lines_between_requests_are_skipped() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    client.send("\r\n");
    assert_eq!(client.get("/").status, 200);
    client.send(request("POST", "/", &["Content-Length: 2"]) + "ok\r\n");
    assert_eq!(client.response().text(), "ok");
    assert_eq!(client.get("/").status, 200);
}

/// Replies of our own to HEAD have no body, and the connection goes on.
#[test]
fn an_error_reply_to_head_has_no_body() {
    let config = "[listeners.web]\nlisten = [\"127.0.0.1:0\"]\nprotocol = \"http\"\n\
                  [routes.x]\npaths = [\"/x/\"]\nrespond = { status = 200 }\n";
    let proxy = Proxy::start(config);
    let mut client = proxy.client();
    for method in ["HEAD", "GET", "HEAD", "GET"] {
        assert_eq!(client.ask(method, "/", &[]).status, 404);
    }
}

/// A client that pipelines without reading fills neither memory nor its target.
#[test]
fn a_pipelining_client_that_does_not_read_is_held_back() {
    let body = vec![b'x'; 20_000];
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let target = Target::says("a", [head.into_bytes(), body].concat());
    let proxy = Proxy::start(http(&[&target]));
    let before = proxy.resident();
    let mut client = proxy.client();
    client.socket.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let many = request("GET", "/", &[]).repeat(1000);
    let _ = (0..100).all(|_| client.try_send(&many).is_ok());
    assert!(client.fill(crate::support::PATIENCE).is_ok(), "answers come");
    assert!(target.requests() < 5000, "{}", target.requests());
    let grown = proxy.resident().saturating_sub(before);
    assert!(grown < 16 << 20, "grew by {grown} bytes");
}

/// An upload that its target drops without an answer is a 502 and is not begun again.
#[test]
fn an_upload_dropped_without_an_answer_is_a_502() {
    let target = Target::with("a", |peer| {
        peer.head();
        let _ = peer.exact(1000);
    });
    let proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    client.send(request("PUT", "/", &["Content-Length: 3000000"]));
    let _ = client.try_send(crate::support::pattern(3_000_000));
    match client.response_to("PUT") {
        Ok(response) => assert_eq!(response.status, 502),
        Err(broken) => assert_ne!(broken, crate::support::wire::Broken::TimedOut),
    }
    assert_eq!(target.requests(), 1);
}
