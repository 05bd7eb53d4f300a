//! Targets of HTTP/2 that refuse streams or end connections, beside limits and retries. Protects the case "GOAWAY crossing a request
//! that has a body" for what a target says in order; tests/blackbox/h2_goaway.rs has the rest.

use super::{config, limited, nothing_is_left, single};
use crate::support::streams::{Says, Streams};
use crate::support::{Proxy, Target, assert_same, h2, pattern};
use http::{HeaderMap, Method};
use std::collections::HashSet;
use std::time::Duration;

const MILLI: Duration = Duration::from_millis(1);

#[test]
fn streams_are_what_is_counted_not_connections() {
    let target = Streams::echo("a", 15 * MILLI);
    let proxy = Proxy::start(limited(&[&target], 3, "protocol = \"h2\"", ""));
    let client = h2::Client::to(&proxy.web());
    let answers = client.ask_all((0..30).map(|n| h2::request(Method::GET, &format!("/{n}"))).collect());
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 200)));
    assert_eq!(target.most(), 3, "one connection of a client has many at a time, and room is used");
    crate::support::load::run(&proxy.web(), 12, 60, |n| format!("/h1/{n}")).assert_clean();
    assert_eq!(target.most(), 3);
    let paths: HashSet<String> = target.seen().into_iter().map(|asked| asked.path).collect();
    assert_eq!((paths.len(), target.seen().len()), (90, 90));
    nothing_is_left(&proxy);
}

/// RFC 9113 §8.7: what was refused was not looked at, whatever its method.
#[test]
fn a_refused_stream_is_sent_again_and_keeps_its_place() {
    // Every second one is refused.
    let target = Streams::with("a", |_, before| if before % 2 == 0 { Says::Refuses } else { Says::Echo(5 * MILLI) });
    let proxy = Proxy::start(limited(&[&target], 1, "protocol = \"h2\"", "retry = { body = \"256KiB\" }"));
    let body = pattern(100_000);
    let client = h2::Client::to(&proxy.web());
    for (n, (method, length)) in
        [(Method::GET, 0), (Method::POST, 10), (Method::PATCH, 5_000), (Method::POST, 100_000)].into_iter().enumerate()
    {
        let path = format!("/h2/{n}");
        let answer = client.ask(h2::request(method.clone(), &path), &body[..length]).unwrap();
        assert_eq!(answer.status, 200, "{method} {length}");
        if length > 0 {
            assert_same(&answer.body, &body[..length]);
        }
        let answer = proxy.client().post(&format!("/h1/{n}"), &body[..length]);
        assert_eq!(answer.status, 200, "{length}");
        assert_eq!((target.seen_for(&path), target.seen_for(&format!("/h1/{n}"))), (1, 1), "once each");
    }
    assert_eq!(target.begun(), 16);
    proxy.settles("ringway_pool_retries_total", &[("reason", "unprocessed")], 8.0);
    assert_eq!(target.most(), 1);
    proxy.settles("ringway_worker_retry_bytes", &[], 0.0);
    nothing_is_left(&proxy);
}

#[test]
fn a_target_that_refuses_for_ever_is_not_asked_for_ever() {
    let (never, good) = (Streams::with("never", |_, _| Says::Refuses), Streams::echo("good", Duration::ZERO));
    let proxy = single(config(&[&never], "protocol = \"h2\"", ""));
    let answer = proxy.client().post("/", b"once");
    assert_eq!(answer.status, 503);
    assert!((2..=20).contains(&never.begun()), "{}", never.begun());
    let line = proxy.out.wait(&["\"reason\":\"unprocessed\""]);
    assert!(line.contains("\"status\":503"), "{line}");
    // Another one is asked in the end.
    let proxy = single(config(&[&never, &good], "protocol = \"h2\"", ""));
    for _ in 0..2 {
        assert_eq!(proxy.client().post("/", b"once").text(), "once");
    }
    assert_eq!(good.seen().len(), 2);
    nothing_is_left(&proxy);
}

/// A target that ends each of its connections in order, in two steps, after a few streams: nobody notices, and nothing is done twice.
#[test]
fn connections_that_end_in_two_steps_cost_nothing() {
    let target = Streams::with("a", |_, before| if before % 5 == 4 { Says::Farewell } else { Says::Echo(2 * MILLI) });
    let proxy = Proxy::start(config(&[&target], "protocol = \"h2\"", "retry = { body = \"64KiB\" }"));
    let client = h2::Client::to(&proxy.web());
    for round in 0..4 {
        let requests = (0..20).map(|n| h2::request(Method::POST, &format!("/{round}/{n}"))).collect();
        let answers = client.ask_all(requests);
        assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 200)));
        let answer = client.ask(h2::request(Method::POST, &format!("/{round}/body")), &pattern(30_000)).unwrap();
        assert_same(&answer.body, &pattern(30_000));
    }
    let paths: HashSet<String> = target.seen().into_iter().map(|asked| asked.path).collect();
    assert_eq!((paths.len(), target.seen().len()), (84, 84), "each once");
    assert!(target.connections() >= 4, "{}", target.connections());
    assert_eq!(proxy.metric("ringway_pool_errors_total", &[("kind", "reset")]), 0.0);
    nothing_is_left(&proxy);
}

/// Whatever may be tried again: an answer that has begun is not.
#[test]
fn an_answer_that_broke_off_behind_its_head_is_never_asked_for_again() {
    const ALL: &str = "retry = { attempts = 5, methods = \"all\", on = [\"connect\", \"reset\", \"timeout\", \"bad-response\", \"5xx\"] }";
    let broken = Streams::with("broken", |_, _| Says::BreaksOff);
    let proxy = single(config(&[&broken], "protocol = \"h2\"", ALL));
    assert!(h2::Client::to(&proxy.web()).ask(h2::request(Method::GET, "/"), b"").is_err());
    let mut client = proxy.client();
    client.send(crate::support::client::request("GET", "/", &[]));
    assert!(client.response_to("GET").is_err());
    assert_eq!(broken.begun(), 2);
    nothing_is_left(&proxy);
    for said in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nwrong\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
        "HTTP/1.1 2",
    ] {
        let target = Target::says_and_closes("a", said);
        let proxy = single(config(&[&target], "", &format!("hedge = {{ after = \"1s\" }}\n{ALL}")));
        let mut client = proxy.client();
        client.send(crate::support::client::request("GET", "/", &[]));
        let answer = client.response_to("GET");
        assert!(answer.as_ref().map_or(true, |answer| answer.status == 502), "{said:?}: {answer:?}");
        assert_eq!(target.requests(), 1, "{said:?}");
        nothing_is_left(&proxy);
    }
}

#[test]
fn heads_and_trailers_pass_over_retries() {
    let bad = Streams::with("bad", |_, _| Says::Status(503));
    let good = Streams::echo("good", Duration::ZERO);
    let route = "retry = { on = [\"503\"], body = \"64KiB\" }";
    let proxy = single(config(&[&bad, &good], "protocol = \"h2\"", route));
    let client = h2::Client::to(&proxy.web());
    for _ in 0..2 {
        let answer = client.ask(h2::request(Method::HEAD, "/head"), b"").unwrap();
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
        assert_eq!(answer.fields["content-length"], "4");
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "3".parse().unwrap());
        let answer = client.ask_with_trailers(h2::request(Method::PUT, "/trailers"), &pattern(20_000), trailers);
        assert_eq!(answer.status, 200);
        assert_same(&answer.body, &pattern(20_000));
    }
    assert!(bad.seen_for("/head") + bad.seen_for("/trailers") >= 2);
    assert_eq!((good.seen_for("/head"), good.seen_for("/trailers")), (2, 2));
    for asked in good.seen().into_iter().filter(|asked| asked.path == "/trailers") {
        assert_eq!(asked.trailers.get("x-sum").map(|sum| sum.as_bytes()), Some(&b"3"[..]));
    }
    assert_eq!((bad.connections(), good.connections()), (1, 1), "what was refused was whole");
    nothing_is_left(&proxy);
}

/// The case "GOAWAY crossing a request that has a body", on a body that is longer than what is held: a clear failure, and nothing mixed up.
#[test]
fn a_body_that_can_no_longer_be_sent_again_fails_clearly() {
    let bad = Target::with("bad", |peer| {
        if peer.head().is_some() {
            let _ = peer.exact(100_000);
            peer.leave(crate::support::target::Leave::Reset);
        }
    });
    let good = Target::echo("good");
    let proxy = single(config(&super::names(&[&bad, &good]), "", "retry = { body = \"32KiB\", methods = \"all\" }"));
    let (client, body, mut failed) = (h2::Client::to(&proxy.web()), pattern(400_000), 0);
    for _ in 0..4 {
        match client.ask(h2::request(Method::PUT, "/"), &body) {
            Ok(answer) if answer.status == 200 => assert_same(&answer.body, &body),
            Ok(answer) => {
                assert_eq!(answer.status, 502);
                failed += 1;
            }
            // Its upload was ended behind the answer.
            Err(_) => failed += 1,
        }
    }
    assert_eq!((failed, good.requests()), (2, 2));
    proxy.out.wait(&["\"status\":502", "\"reason\":\"reset\""]);
    proxy.settles("ringway_worker_retry_bytes", &[], 0.0);
    nothing_is_left(&proxy);
}
