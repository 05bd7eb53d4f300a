//! Bodies that are held to be sent again. Protects the case "early refusal of an upload" on the side of retries.

use crate::support::h2;
use crate::support::proxy::Setup;
use crate::support::target::Leave;
use crate::support::toml::http_with;
use crate::support::{GLANCE, Proxy, Target, assert_same, eventually, pattern};
use http::Method;
use std::thread;

/// One worker in front of these two, in turn.
fn retrying(targets: &[&Target; 2], retry: &str) -> Proxy {
    let config = http_with("", targets, "balance = \"round-robin\"")
        + &format!("\n[routes.all]\npaths = [\"/\"]\npool = \"site\"\nretry = {{ {retry} }}\n");
    Setup::new(config).workers(1).start()
}

/// Reads all of a request and leaves without a word.
fn drops(leave: Leave) -> Target {
    Target::with("drops", move |peer| {
        peer.request();
        peer.leave(leave);
    })
}

#[test]
fn a_body_that_came_in_pieces_is_sent_again_whole() {
    let (bad, good) = (drops(Leave::Reset), Target::echo("good"));
    let proxy = retrying(&[&bad, &good], "");
    let body = pattern(12_000);
    for round in 0..2 {
        let mut client = proxy.client();
        client.send("PUT /length HTTP/1.1\r\nHost: site.test\r\nContent-Length: 12000\r\n\r\n");
        for piece in body.chunks(5000) {
            client.send(piece);
            thread::sleep(GLANCE / 10);
        }
        assert_same(&client.response().body, &body);
        let mut client = proxy.client();
        client.send("PUT /chunks HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        for piece in body.chunks(5000) {
            client.send(format!("{:x}\r\n", piece.len()));
            client.send(piece);
            client.send("\r\n");
            thread::sleep(GLANCE / 10);
        }
        client.send("0\r\n\r\n");
        assert_same(&client.response().body, &body);
        let client = h2::Client::to(&proxy.web());
        let answer = client.ask(h2::request(Method::PUT, "/h2"), &body).unwrap();
        assert_same(&answer.body, &body);
        assert!(round == 0 || bad.requests() >= 3, "each of them meets the bad one once");
    }
    assert!(bad.seen().iter().all(|seen| seen.whole));
    proxy.settles("ringway_pool_retries_total", &[("reason", "reset")], bad.requests() as f64);
    proxy.settles("ringway_worker_retry_bytes", &[], 0.0);
}

#[test]
fn a_body_that_is_longer_than_what_may_be_held_is_sent_once() {
    let (bad, good) = (drops(Leave::Close), Target::echo("good"));
    let proxy = retrying(&[&bad, &good], "body = \"8KiB\"");
    let (mut failed, body) = (0, pattern(40_000));
    for _ in 0..2 {
        let mut client = proxy.client();
        client.send("PUT / HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        thread::sleep(GLANCE / 10);
        client.send(format!("{:x}\r\n", body.len()));
        client.send(&body);
        client.send("\r\n0\r\n\r\n");
        let answer = client.response();
        match answer.status {
            502 => failed += 1,
            status => assert_eq!((status, answer.body.len()), (200, body.len())),
        }
    }
    assert_eq!(failed, 1, "the other one went to the good target at first");
    proxy.settles("ringway_worker_retry_bodies_dropped_total", &[], 2.0);
    proxy.settles("ringway_worker_retry_bytes", &[], 0.0);
}

/// Case "early refusal of an upload": not replayed once bytes of the body went out, unless all of it is held.
#[test]
fn an_early_refusal_of_an_upload_reaches_the_client_and_is_tried_nowhere_else() {
    let (refusing, good) = (Target::refuses_early("refusing", 503, Leave::Close), Target::echo("good"));
    let proxy = retrying(&[&refusing, &good], "on = [\"503\"]");
    let mut statuses = Vec::new();
    for _ in 0..2 {
        let mut client = proxy.client();
        let before = refusing.requests() + good.requests();
        client.send("PUT / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 20000000\r\n\r\n");
        client.send(vec![b'x'; 30_000]);
        eventually("it has begun", || refusing.requests() + good.requests() > before);
        if refusing.requests() > statuses.len() {
            statuses.push(client.response().status);
        }
    }
    assert_eq!(statuses, [503]);
    assert_eq!(good.requests_for("/").len(), 1, "that of the other request");
    proxy.settles("ringway_pool_retries_total", &[("reason", "status")], 0.0);
    // A small one that is wholly held is.
    for _ in 0..2 {
        let mut client = proxy.client();
        client.send("PUT /small HTTP/1.1\r\nHost: site.test\r\nContent-Length: 5\r\n\r\nsmall");
        assert_eq!(client.response().text(), "small");
    }
}
