//! Requests with an Idempotency-Key: carried out once, however often and by however many they are sent, and whoever leaves.

use super::{config, faults};
use crate::reload::{reload, rewrite};
use crate::support::client::{Client, Response, request};
use crate::support::proxy::{Directory, Proxy, Setup, ringway};
use crate::support::{Target, eventually, h2, rounds};
use http::{HeaderValue, Method};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

/// More than what sockets take of an answer that nobody reads.
const HUGE: usize = 15 << 20;

/// Whether a target's answers may come.
pub type Gate = Arc<AtomicBool>;

/// A rule `once` of these keys.
fn once(keys: &str) -> String {
    format!("[rules.once]\ntype = \"idempotency\"\n{keys}\n")
}

fn start(target: &Target, rules: &str, keys: &str) -> Proxy {
    Proxy::start(once(keys) + &config(target, rules, ""))
}

/// Answers 201 with a number of its own to each request; what else it does depends on the path.
pub fn counting(gate: &Gate) -> Target {
    let (gate, count) = (gate.clone(), Arc::new(AtomicUsize::new(0)));
    Target::with("a", move |peer| {
        while let Some(seen) = peer.request() {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            let body = format!("number {number}");
            match seen.path.split('?').next().unwrap_or_default().trim_start_matches("/v1/") {
                "held" => eventually("the gate is open", || gate.load(Ordering::Relaxed)),
                "dies" if number == 1 => return,
                "breaks" if number == 1 => {
                    let _ = peer.try_send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
                    return;
                }
                "fails" if number == 1 => {
                    peer.reply(500, &[], b"no");
                    continue;
                }
                "large" => {
                    peer.reply(200, &[], &vec![b'x'; 3_000_000]);
                    continue;
                }
                "huge" => {
                    peer.reply(200, &[], &vec![b'x'; HUGE]);
                    continue;
                }
                "some" => {
                    peer.reply(200, &[], &vec![b'x'; 900_000]);
                    continue;
                }
                "chunked" => {
                    let _ = peer.try_send(
                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
                    );
                    continue;
                }
                "empty" => {
                    let _ = peer.try_send("HTTP/1.1 204 No Content\r\nX-Number: 1\r\n\r\n");
                    continue;
                }
                _ => {}
            }
            if peer.reply(201, &["Set-Cookie: a=b", "Location: /v1/made"], body.as_bytes()).is_none() {
                return;
            }
        }
    })
}

pub fn open() -> Gate {
    Arc::new(AtomicBool::new(true))
}

/// A request with a body, and with this key.
pub fn text(path: &str, key: &str, fields: &[&str], body: &str) -> String {
    let (key, length) = (format!("Idempotency-Key: {key}"), format!("Content-Length: {}", body.len()));
    request("POST", path, &[&[key.as_str(), &length], fields].concat()) + body
}

#[track_caller]
pub fn post(proxy: &Proxy, path: &str, key: &str, fields: &[&str], body: &str) -> Response {
    let mut client = proxy.client();
    client.send(text(path, key, fields, body));
    client.response()
}

#[track_caller]
pub fn refused(response: &Response, status: u16, word: &str) {
    let problem: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    assert_eq!((response.status, &problem["reason"]), (status, &word.into()), "{}", response.text());
    assert_eq!(response.field("content-type").as_deref(), Some("application/problem+json"));
}

pub fn requests(proxy: &Proxy, result: &str) -> f64 {
    proxy.metric("ringway_idempotency_requests_total", &[("rule", "once"), ("result", result)])
}

#[test]
fn what_is_sent_again_gets_the_answer_of_the_first() {
    let target = counting(&open());
    let proxy = start(&target, "[\"once\"]", "");
    let first = post(&proxy, "/v1/x", "k", &[], "body");
    let again = post(&proxy, "/v1/x", "\"k\"", &[], "body");
    assert_eq!((first.status, first.text()), (201, "number 1".to_owned()));
    assert_eq!((again.status, again.text()), (201, "number 1".to_owned()));
    assert_eq!(
        (first.field("idempotency-replayed"), again.field("idempotency-replayed").as_deref()),
        (None, Some("true"))
    );
    for name in ["location", "set-cookie", "x-target", "x-connection"] {
        assert_eq!(first.field(name), again.field(name), "{name}");
    }
    assert_eq!(target.requests(), 1);
    assert_eq!(target.last().field("idempotency-key").as_deref(), Some("k"), "the target is told");
    assert_eq!([requests(&proxy, "executed"), requests(&proxy, "replayed")], [1.0, 1.0]);
    let line = proxy.out.wait(&["\"idempotency\":\"replayed\"", "\"status\":201"]);
    assert!(line.contains("\"termination\":\"LR") && !line.contains("\"reason\""), "{line}");
    assert_eq!(post(&proxy, "/v1/x", "l", &[], "body").text(), "number 2", "another key");
    assert_eq!(post(&proxy, "/v1/y", "k", &[], "body").text(), "number 3", "another path");
    assert_eq!(proxy.client().post("/v1/x", b"body").text(), "number 4", "no key");
    let results = |result: &str| proxy.metric("ringway_rule_requests_total", &[("rule", "once"), ("result", result)]);
    eventually("all are counted", || results("passed") == 5.0);
    assert_eq!(proxy.metric("ringway_idempotency_keys", &[("rule", "once")]), 3.0);
}

#[test]
fn answers_of_every_framing_are_given_again_on_one_connection() {
    let target = counting(&open());
    let proxy = start(&target, "[\"once\"]", "");
    let mut client = proxy.client();
    for (path, body) in [("/v1/chunked", "abcde"), ("/v1/empty", ""), ("/v1/x", "number 3")] {
        for turn in 0..3 {
            client.send(text(path, "k", &[], "body"));
            let answer = client.response();
            assert_eq!(answer.text(), body, "{path}");
            assert_eq!(answer.field("idempotency-replayed").is_some(), turn > 0, "{path}");
        }
    }
    assert_eq!(target.requests(), 3);
    client.send(
        request("POST", "/v1/y", &["Idempotency-Key: k", "Transfer-Encoding: chunked"]) + "4\r\nbody\r\n0\r\n\r\n",
    );
    assert_eq!(client.response().text(), "number 4");
    client.send(text("/v1/y", "k", &[], "body"));
    assert_eq!(client.response().text(), "number 4", "however its body was framed");
    client.send(text("/v1/y", "k", &["Expect: 100-continue"], "body"));
    assert_eq!(client.response().text(), "number 4");
    client.send(text("/v1/z", "k", &[], "body") + &text("/v1/z", "k", &[], "body") + &request("GET", "/v1/z", &[]));
    let answers: Vec<String> = (0..3).map(|_| client.response().text()).collect();
    assert_eq!(answers, ["number 5", "number 5", "number 6"], "sent at once, on one connection");
}

#[test]
fn the_key_of_another_request_is_refused() {
    let target = counting(&open());
    let proxy = start(&target, "[\"once\"]", "");
    post(&proxy, "/v1/x?a=1", "k", &[], "body");
    refused(&post(&proxy, "/v1/x?a=1", "k", &[], "other"), 422, "idempotency-mismatch");
    refused(&post(&proxy, "/v1/x?a=2", "k", &[], "body"), 422, "idempotency-mismatch");
    refused(&post(&proxy, "/v1/x", "k", &[], "body"), 422, "idempotency-mismatch");
    assert_eq!((target.requests(), requests(&proxy, "mismatch")), (1, 3.0));
    proxy.settles("ringway_refused_total", &[("reason", "idempotency")], 3.0);
    proxy.out.wait(&["\"reason\":\"idempotency-mismatch\"", "\"denied_by\":\"once\""]);
}

#[test]
fn a_key_that_is_missing_or_none_is_refused() {
    let target = counting(&open());
    let proxy = start(&target, "[\"once\"]", "required = true\nmax_request_body = \"10B\"");
    let ask = |fields: &[&str]| proxy.client().ask("POST", "/v1/x", fields);
    refused(&ask(&[]), 400, "idempotency-missing");
    refused(&ask(&["Idempotency-Key: a b"]), 400, "idempotency-bad-key");
    refused(&ask(&["Idempotency-Key: a", "Idempotency-Key: a"]), 400, "idempotency-bad-key");
    refused(&ask(&[&format!("Idempotency-Key: {}", "k".repeat(256))]), 400, "idempotency-bad-key");
    refused(&post(&proxy, "/v1/x", "k", &[], "more than 10 bytes"), 413, "idempotency-body-too-large");
    let mut client = proxy.client();
    client.send(
        request("POST", "/v1/x", &["Idempotency-Key: k", "Transfer-Encoding: chunked"]) + "c\r\n123456789012\r\n",
    );
    refused(&client.response(), 413, "idempotency-body-too-large");
    assert_eq!(target.requests(), 0);
    assert_eq!(proxy.get("/v1/x").status, 201, "a GET needs none");
    assert_eq!(ask(&["Idempotency-Key: k"]).status, 201, "without a body");
    assert_eq!(proxy.client().ask("PUT", "/v1/x", &[]).status, 201);
}

/// Clients of both protocols, on both workers.
#[test]
fn many_at_once_are_carried_out_once_and_all_get_the_same_answer() {
    let gate = Gate::default();
    let target = counting(&gate);
    let proxy = start(&target, "[\"once\"]", "wait = \"60s\"");
    let count = rounds(200, 200);
    let barrier = Arc::new(Barrier::new(count + 1));
    let threads: Vec<_> = (0..count)
        .map(|number| {
            let (address, barrier) = (proxy.web(), barrier.clone());
            thread::spawn(move || {
                if number % 20 == 0 {
                    let client = h2::Client::to(&address);
                    let mut asked = h2::request(Method::POST, "/v1/held");
                    asked.headers_mut().insert("idempotency-key", HeaderValue::from_static("k"));
                    barrier.wait();
                    let answer = client.ask(asked, b"body").unwrap();
                    (answer.status.as_u16(), String::from_utf8(answer.body).unwrap())
                } else {
                    let mut client = Client::to(&address);
                    barrier.wait();
                    client.send(text("/v1/held", "k", &[], "body"));
                    let answer = client.response();
                    (answer.status, answer.text())
                }
            })
        })
        .collect();
    barrier.wait();
    target.wait_for(1);
    gate.store(true, Ordering::Relaxed);
    for thread in threads {
        assert_eq!(thread.join().unwrap(), (201, "number 1".to_owned()));
    }
    assert_eq!(target.requests(), 1);
    let (collapsed, replayed) = (requests(&proxy, "collapsed"), requests(&proxy, "replayed"));
    assert_eq!((requests(&proxy, "executed"), collapsed + replayed), (1.0, count as f64 - 1.0));
    let h2 = h2::Client::to(&proxy.web());
    let mut asked = h2::request(Method::POST, "/v1/held");
    asked.headers_mut().insert("idempotency-key", HeaderValue::from_static("\"k\""));
    let answer = h2.ask(asked, b"body").unwrap();
    assert_eq!((&answer.body[..], answer.fields["idempotency-replayed"].as_bytes()), (&b"number 1"[..], &b"true"[..]));
}

#[test]
fn who_waits_too_long_is_told_to_come_again() {
    let gate = Gate::default();
    let target = counting(&gate);
    let proxy = start(&target, "[\"once\"]", "wait = \"0s\"");
    let mut first = proxy.client();
    first.send(text("/v1/held", "k", &[], "body"));
    target.wait_for(1);
    let second = post(&proxy, "/v1/held", "k", &[], "body");
    refused(&second, 409, "idempotency-conflict");
    assert_eq!(second.field("retry-after").as_deref(), Some("1"));
    refused(&post(&proxy, "/v1/held", "k", &[], "other"), 422, "idempotency-mismatch");
    gate.store(true, Ordering::Relaxed);
    assert_eq!(first.response().text(), "number 1");
    assert_eq!(post(&proxy, "/v1/held", "k", &[], "body").text(), "number 1");
    assert_eq!((target.requests(), requests(&proxy, "conflict")), (1, 1.0));
}

#[test]
fn each_consumer_has_keys_of_their_own() {
    let target = counting(&open());
    let proxy = start(&target, "[\"key\", \"once\"]", "");
    let ask = |key: &str| post(&proxy, "/v1/x", "k", &[key], "body");
    assert_eq!(ask("X-Key: key-of-acme").text(), "number 1");
    assert_eq!(ask("X-Key: key-of-other").text(), "number 2");
    assert_eq!(ask("X-Key: key-of-acme").text(), "number 1");
    assert_eq!(ask("X-Key: key-of-other").text(), "number 2");
    let stranger = ask("X-Key: of-nobody");
    assert_eq!((stranger.status, stranger.field("idempotency-replayed")), (401, None), "rules are asked first");
    assert_eq!(target.requests(), 2);
}

#[test]
fn where_nobody_is_known_a_key_is_whose_credentials_come_with_it() {
    let target = counting(&open());
    let proxy = start(&target, "[\"once\"]", "");
    let ask = |field: &str| post(&proxy, "/v1/x", "k", &[field], "body").text();
    assert_eq!(ask("Authorization: Bearer a"), "number 1");
    assert_eq!(ask("Authorization: Bearer b"), "number 2");
    assert_eq!(ask("Cookie: sid=a"), "number 3");
    assert_eq!(ask("Authorization: Bearer a"), "number 1");
    let proxy = start(&target, "[\"once\"]", "by = \"header:x-tenant\"");
    let ask = |fields: &[&str]| post(&proxy, "/v1/x", "k", fields, "body").text();
    assert_eq!(ask(&["X-Tenant: one", "Cookie: sid=a"]), "number 4");
    assert_eq!(ask(&["X-Tenant: one", "Cookie: sid=b"]), "number 4");
    assert_eq!(ask(&["X-Tenant: two", "Cookie: sid=a"]), "number 5");
}

#[test]
fn what_came_to_no_answer_leaves_the_key_free() {
    for (path, status) in [("/v1/dies", 502), ("/v1/fails", 500)] {
        let target = counting(&open());
        let proxy = start(&target, "[\"once\"]", "");
        let first = post(&proxy, path, "k", &[], "body");
        assert_eq!(first.status, status, "{path}");
        assert_eq!(post(&proxy, path, "k", &[], "body").text(), "number 2", "{path}");
        assert_eq!(post(&proxy, path, "k", &[], "body").text(), "number 2", "{path}");
        assert_eq!(proxy.metric("ringway_idempotency_answers_total", &[("result", "freed")]), 1.0);
    }
    let target = counting(&open());
    let proxy = start(&target, "[\"once\"]", "");
    target.kill();
    assert_eq!(post(&proxy, "/v1/x", "l", &[], "body").status, 502);
    proxy.out.wait(&["\"reason\":\"connect\"", "\"status\":502"]);
}

#[test]
fn what_breaks_off_once_it_has_begun_is_not_carried_out_again_unless_the_target_knows_keys() {
    for (more, status) in [("", 409), ("retry = true", 201)] {
        let target = counting(&open());
        let proxy = start(&target, "[\"once\"]", more);
        let mut client = proxy.client();
        client.send(text("/v1/breaks", "k", &[], "body"));
        assert!(client.response_to("POST").is_err(), "it is not made to look complete");
        assert_eq!(post(&proxy, "/v1/breaks", "k", &[], "body").status, status, "{more}");
        let broken = proxy.metric("ringway_idempotency_answers_total", &[("result", "broken")]);
        assert_eq!(broken, f64::from(u8::from(status == 409)), "{more}");
    }
}

#[test]
fn who_waits_for_one_that_dies_gets_its_failure() {
    let gate = Gate::default();
    let target = counting(&gate);
    let proxy = start(&target, "[\"once\"]", "wait = \"60s\"");
    let mut first = proxy.client();
    first.send(text("/v1/held", "k", &[], "body"));
    target.wait_for(1);
    let mut second = proxy.client();
    second.send(text("/v1/held", "k", &[], "body"));
    // It is on its way, or about to be: either way it is not carried out beside the first.
    target.hang_up();
    assert_eq!(first.response().status, 502);
    gate.store(true, Ordering::Relaxed);
    let second = second.response();
    assert!(second.status == 502 || second.text() == "number 2", "{} {}", second.status, second.text());
}

#[test]
fn a_client_that_leaves_finds_its_answer_when_it_comes_again() {
    let gate = Gate::default();
    let target = counting(&gate);
    let proxy = start(&target, "[\"once\"]", "");
    let mut client = proxy.client();
    client.send(text("/v1/held", "k", &[], "body"));
    target.wait_for(1);
    client.reset();
    proxy.out.wait(&["\"reason\":\"client-abort\""]);
    let mut waits = proxy.client();
    waits.send(text("/v1/held", "k", &[], "body"));
    gate.store(true, Ordering::Relaxed);
    assert_eq!(waits.response().text(), "number 1");
    eventually("it is stored", || post(&proxy, "/v1/held", "k", &[], "body").text() == "number 1");
    assert_eq!(target.requests(), 1);
}

#[test]
fn what_is_too_large_to_be_stored_is_not_carried_out_again() {
    let target = counting(&open());
    let proxy = start(&target, "[\"once\"]", "max_body = \"1KiB\"");
    let first = post(&proxy, "/v1/large", "k", &[], "body");
    assert_eq!((first.status, first.body.len()), (200, 3_000_000), "its client gets all of it");
    refused(&post(&proxy, "/v1/large", "k", &[], "body"), 409, "idempotency-unkept");
    assert_eq!(target.requests(), 1);
    assert_eq!(proxy.metric("ringway_idempotency_answers_total", &[("result", "too-large")]), 1.0);
    let proxy = start(&target, "[\"once\"]", "max_body = \"4MiB\"\nmemory = \"4MiB\"");
    for key in ["k", "l"] {
        for _ in 0..2 {
            assert_eq!(post(&proxy, "/v1/large", key, &[], "body").body.len(), 3_000_000);
        }
    }
    refused(&post(&proxy, "/v1/large", "k", &[], "body"), 409, "idempotency-unkept");
    assert_eq!(target.requests(), 3);
    assert_eq!(proxy.metric("ringway_idempotency_evicted_total", &[("what", "answer")]), 1.0);
}

#[test]
fn keys_have_their_time_and_their_number() {
    let target = counting(&open());
    let proxy = start(&target, "[\"once\"]", "ttl = \"1s\"");
    let first = post(&proxy, "/v1/x", "k", &[], "body").text();
    assert_eq!(first, "number 1");
    eventually("its time is over", || post(&proxy, "/v1/x", "k", &[], "body").text() == "number 2");
    let proxy = start(&target, "[\"once\"]", "max_keys = 2");
    let ask = |key: &str| post(&proxy, "/v1/x", key, &[], "body").text();
    assert_eq!([ask("a"), ask("b"), ask("c")], ["number 3", "number 4", "number 5"]);
    assert_eq!([ask("b"), ask("c"), ask("a")], ["number 4", "number 5", "number 6"]);
    assert_eq!(proxy.metric("ringway_idempotency_evicted_total", &[("what", "key")]), 2.0);
    let proxy = start(&target, "[\"once\"]", "max_keys = 1\nwhen_full = \"refuse\"");
    assert_eq!(post(&proxy, "/v1/x", "a", &[], "body").text(), "number 7");
    refused(&post(&proxy, "/v1/x", "b", &[], "body"), 503, "idempotency-full");
    assert_eq!(post(&proxy, "/v1/x", "a", &[], "body").text(), "number 7");
}

#[test]
fn in_shadow_mode_all_are_carried_out_and_what_would_be_refused_is_counted() {
    let target = counting(&open());
    let proxy = start(&target, "[\"once\"]", "mode = \"shadow\"\nrequired = true");
    for (number, (key, body)) in [("k", "body"), ("k", "body"), ("k", "other"), ("l", "x")].into_iter().enumerate() {
        let answer = post(&proxy, "/v1/x", key, &[], body);
        assert_eq!((answer.text(), answer.field("idempotency-replayed")), (format!("number {}", number + 1), None));
    }
    assert_eq!(proxy.client().ask("POST", "/v1/x", &[]).text(), "number 5");
    let counted = |result: &str, count| {
        proxy.settles("ringway_rule_requests_total", &[("rule", "once"), ("result", result)], count);
    };
    counted("shadow-denied", 2.0);
    counted("passed", 3.0);
    let mut client = proxy.client();
    client.send(text("/v1/x", "m", &[], "body") + &request("GET", "/v1/x", &[]));
    assert_eq!([client.response().text(), client.response().text()], ["number 6", "number 7"]);
}

#[test]
fn in_shadow_mode_bodies_that_would_be_too_large_reach_the_target() {
    let target = counting(&open());
    let proxy = start(&target, "[\"once\"]", "mode = \"shadow\"");
    let body = "x".repeat(3 << 20);
    let chunked = request("POST", "/v1/x", &["Idempotency-Key: k", "Transfer-Encoding: chunked"])
        + &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let small = text("/v1/x", "k", &[], "body");
    let mut client = proxy.client();
    for (number, sent) in [text("/v1/x", "k", &[], &body), chunked, small].into_iter().enumerate() {
        client.send(sent);
        assert_eq!(client.response().text(), format!("number {}", number + 1));
        assert_eq!(target.last().body.len(), if number < 2 { body.len() } else { 4 });
    }
    for (result, count) in [("shadow-denied", 2.0), ("passed", 1.0)] {
        proxy.settles("ringway_rule_requests_total", &[("rule", "once"), ("result", result)], count);
    }
}

#[test]
fn clients_that_take_little_of_what_is_given_again_hold_no_copies_of_it() {
    let target = counting(&open());
    let proxy = start(&target, "[\"once\"]", "max_body = \"16MiB\"");
    assert_eq!(post(&proxy, "/v1/huge", "k", &[], "body").body.len(), HUGE);
    let before = proxy.resident();
    let mut clients: Vec<Client> = (0..8).map(|_| proxy.client()).collect();
    clients.iter_mut().for_each(|client| client.send(text("/v1/huge", "k", &[], "body")));
    for client in &mut clients {
        eventually("the first bytes are there", || {
            client.buffer.len() > 1000 || client.fill(Duration::from_secs(1)).is_ok()
        });
    }
    let grown = proxy.resident().saturating_sub(before);
    assert!(grown < 3 * HUGE, "{grown} bytes more for {} clients", clients.len());
    for mut client in clients {
        assert_eq!(client.response().body.len(), HUGE);
    }
}

#[test]
fn a_client_that_leaves_within_what_is_given_again_is_said_to_have_left() {
    let target = counting(&open());
    let proxy = start(&target, "[\"once\"]", "max_body = \"16MiB\"");
    assert_eq!(post(&proxy, "/v1/huge", "k", &[], "body").body.len(), HUGE);
    let mut client = proxy.client();
    client.send(text("/v1/huge", "k", &[], "body"));
    eventually("it is given again", || requests(&proxy, "replayed") == 1.0);
    drop(client);
    proxy.out.wait(&["\"reason\":\"client-abort\"", "\"idempotency\":\"replayed\"", "\"termination\":\"CD"]);
}

#[test]
fn a_reload_keeps_what_is_known_and_what_is_under_way() {
    let gate = Gate::default();
    let target = counting(&gate);
    let proxy = start(&target, "[\"once\"]", "");
    assert_eq!(post(&proxy, "/v1/x", "k", &[], "body").text(), "number 1");
    let mut held = proxy.client();
    held.send(text("/v1/held", "k", &[], "body"));
    target.wait_for(2);
    rewrite(&proxy, |text| text.replace("type = \"idempotency\"", "type = \"idempotency\"\nttl = \"2h\""));
    reload(&proxy, "applied");
    assert_eq!(post(&proxy, "/v1/x", "k", &[], "body").text(), "number 1");
    let mut waits = proxy.client();
    waits.send(text("/v1/held", "k", &[], "body"));
    gate.store(true, Ordering::Relaxed);
    assert_eq!([held.response().text(), waits.response().text()], ["number 2", "number 2"]);
    assert_eq!(target.requests(), 2);
}

#[test]
fn an_upgrade_hands_over_what_was_carried_out() {
    let gate = Gate::default();
    let target = counting(&gate);
    let mut proxy = start(&target, "[\"once\"]", "");
    let first = post(&proxy, "/v1/x", "k", &[], "body");
    let mut held = proxy.client();
    held.send(text("/v1/held", "k", &[], "body"));
    target.wait_for(2);
    proxy.upgrade();
    let again = post(&proxy, "/v1/x", "k", &[], "body");
    assert_eq!((again.text(), again.field("idempotency-replayed").as_deref()), (first.text(), Some("true")));
    refused(&post(&proxy, "/v1/held", "k", &[], "body"), 409, "idempotency-unkept");
    gate.store(true, Ordering::Relaxed);
    assert_eq!(held.response().text(), "number 2", "the process before answers what it has begun");
    assert_eq!(target.requests(), 2);
}

#[test]
fn rules_and_edits_of_the_route_hold_for_what_is_carried_out_once() {
    let target = counting(&open());
    let more =
        "[routes.api.response.headers]\nset = { \"X-Edited\" = \"yes\" }\n[routes.api.rewrite]\nadd_prefix = \"/v2\"\n";
    let limit = "[rules.limit]\ntype = \"rate-limit\"\nrate = \"1/h\"\nburst = 3\n";
    let text = once("") + limit + &config(&target, "[\"key\", \"limit\", \"once\"]", more);
    let proxy = Setup::new(text).workers(1).start();
    let ask = || post(&proxy, "/v1/x", "k", &["X-Key: key-of-acme"], "body");
    let answers = [ask(), ask(), ask()];
    for answer in &answers {
        assert_eq!((answer.status, answer.field("x-edited").as_deref()), (201, Some("yes")));
    }
    assert_eq!(ask().status, 429, "limits count what is given again");
    let seen = target.last();
    assert_eq!((seen.path.as_str(), seen.field("x-consumer-username").as_deref()), ("/v2/v1/x", Some("acme")));
    assert_eq!((target.requests(), seen.body), (1, b"body".to_vec()));
}

#[test]
fn a_request_is_sent_to_a_second_target_only_if_targets_know_keys() {
    let lost = Target::with("lost", |peer| drop(peer.request()));
    for (keys, retried) in [("", false), ("retry = true", true)] {
        let target = counting(&open());
        let pool = "[routes.api.retry]\non = [\"connect\", \"reset\"]\n";
        let text = once(keys) + &config(&target, "[\"once\"]", pool);
        let both = format!("targets = [\"{}\", \"{}\"]", lost.address, target.address);
        let proxy = Proxy::start(text.replace(&format!("targets = [\"{target}\"]"), &both));
        let statuses: Vec<u16> =
            (0..12).map(|key| post(&proxy, "/v1/x", &format!("k{key}"), &[], "body").status).collect();
        let failed = statuses.iter().filter(|status| **status == 502).count();
        assert_eq!(failed == 0, retried, "{statuses:?}");
        assert_eq!(target.requests(), 12 - failed, "no more than once");
    }
}

#[test]
fn what_a_request_changes_is_forgotten_by_the_cache() {
    let count = Arc::new(AtomicUsize::new(0));
    let target = Target::with("a", move |peer| {
        while peer.request().is_some() {
            let body = format!("number {}", count.fetch_add(1, Ordering::SeqCst) + 1);
            peer.reply(200, &["Cache-Control: max-age=60"], body.as_bytes());
        }
    });
    let store = "[routes.api.cache]\nstore = \"c\"\n[caches.c]\nmemory = \"8MiB\"\n";
    let proxy = Proxy::start(once("") + &config(&target, "[\"once\"]", store));
    assert_eq!([proxy.get("/v1/x").text(), proxy.get("/v1/x").text()], ["number 1", "number 1"]);
    assert_eq!(post(&proxy, "/v1/x", "k", &[], "body").text(), "number 2");
    assert_eq!([proxy.get("/v1/x").text(), proxy.get("/v1/x").text()], ["number 3", "number 3"]);
    assert_eq!(post(&proxy, "/v1/x", "k", &[], "body").text(), "number 2");
    assert_eq!(proxy.get("/v1/x").text(), "number 3", "nothing was changed by what was given again");
}

#[test]
fn what_becomes_of_a_request_is_explained() {
    let target = Target::echo("a");
    let folder = Directory::new();
    let text = once("required = true") + &config(&target, "[\"once\"]", "").replace("127.0.0.1:0", "127.0.0.1:8080");
    let file = folder.write("ringway.toml", &text);
    let explain = |more: &[&str]| {
        let (_, out, err) = ringway(&[&["explain", "-c", &file, "http://127.0.0.1:8080/v1/x"], more].concat());
        out + &err
    };
    let told = explain(&["-X", "POST", "-H", "Idempotency-Key: k"]);
    assert!(told.contains("rule `once`: of POST and PATCH with the same Idempotency-Key one is carried out"), "{told}");
    let shared = folder.write(
        "shared.toml",
        &(text.replace("required", "scope = \"cluster\"\nrequired") + "[store.redis]\nurl = \"redis://127.0.0.1\"\n"),
    );
    let told =
        ringway(&["explain", "-c", &shared, "http://127.0.0.1:8080/v1/x", "-X", "POST", "-H", "Idempotency-Key: k"]);
    assert!(told.1.contains("is carried out over all hosts of"), "{told:?}");
    let told = explain(&["-X", "POST"]);
    assert!(told.contains("400") && told.contains("idempotency-missing"), "{told}");
}

#[test]
fn a_configuration_that_cannot_be_meant_is_told_so() {
    let target = Target::echo("a");
    let text = once("max_body = \"1MiB\"") + &config(&target, "[\"once\"]", "");
    let told = |from: &str, to: &str| faults(&text, from, to);
    assert!(told("max_body = ", "methods = [\"GET\"]\nmax_body = ").contains("GET changes nothing"));
    assert!(told("max_body = ", "memory = \"64KiB\"\nmax_body = ").contains("does not fit"));
    let second = "rules = [\"once\", \"twice\"]\n[rules.twice]\ntype = \"idempotency\"\n";
    assert!(told("rules = [\"once\"]\n", second).contains("second rule of type idempotency"));
    let within = "rules = [\"any\"]\n[rules.any]\ntype = \"any-of\"\nrules = [\"once\"]\n";
    assert!(told("rules = [\"once\"]\n", within).contains("cannot be one of several"));
}
