//! A websocket becomes a tunnel, nothing else does. Protects http-messaging/websocket and protocol_upgrade.

use crate::support::client::{Response, request, status};
use crate::support::toml::{http, http_with};
use crate::support::wire::Broken;
use crate::support::{Client, GLANCE, PATIENCE, Proxy, Target, assert_same, eventually, pattern};
use base64::Engine as _;
use sha1::{Digest, Sha1};
use std::thread;
use std::time::{Duration, Instant};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const FIELDS: [&str; 4] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

/// What a target answers to a key, RFC 6455 section 4.2.2.
pub fn accept(key: &str) -> String {
    let sum = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    base64::engine::general_purpose::STANDARD.encode(sum)
}

/// A websocket server that greets at once and then mirrors bytes; other requests are echoed.
pub fn websocket() -> Target {
    Target::with("ws", |peer| {
        while let Some(seen) = peer.request() {
            let Some(key) = seen.field("sec-websocket-key").filter(|_| seen.head.names("connection", "upgrade")) else {
                peer.echo(&seen);
                continue;
            };
            peer.send(format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\nhi",
                accept(&key)
            ));
            loop {
                if !peer.buffer.is_empty() {
                    let bytes = std::mem::take(&mut peer.buffer);
                    if peer.try_send(bytes).is_err() {
                        return;
                    }
                }
                if !peer.fill(Duration::from_secs(600)).is_ok_and(|n| n > 0) {
                    return;
                }
            }
        }
    })
}

/// Asks for a websocket.
#[track_caller]
pub fn ask(client: &mut Client) -> Response {
    client.ask("GET", "/chat", &FIELDS)
}

pub fn upgrade(client: &mut Client) {
    client.send(request("GET", "/chat", &FIELDS));
    let head = client.head(PATIENCE).unwrap();
    assert_eq!(status(&head), Ok(101));
    assert_eq!(head.field("sec-websocket-accept").unwrap(), accept(KEY));
    assert!(head.names("connection", "upgrade") && head.names("upgrade", "websocket"));
    assert_eq!(client.exact(2).unwrap(), b"hi", "bytes that came with the 101 are not lost");
}

#[test]
fn the_sample_of_rfc_6455_holds() {
    assert_eq!(accept(KEY), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn a_websocket_carries_bytes_both_ways() {
    let target = websocket();
    let proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    upgrade(&mut client);
    let seen = target.last();
    assert!(seen.head.names("connection", "upgrade") && seen.head.names("upgrade", "websocket"));
    let bytes = pattern(1 << 20);
    let (mut writer, copy) = (client.socket.try_clone().unwrap(), bytes.clone());
    let writing = thread::spawn(move || std::io::Write::write_all(&mut writer, &copy).unwrap());
    assert_same(&client.exact(bytes.len()).unwrap(), &bytes);
    writing.join().unwrap();
    drop(client);
    eventually("the tunnel ends at the target", || target.open() == 0);
}

#[test]
fn bytes_sent_along_with_the_request_come_after_the_upgrade() {
    let target = websocket();
    let proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    client.send(request("GET", "/chat", &FIELDS) + "early");
    match client.response_to("GET").unwrap().status {
        101 => assert_eq!(client.exact(7).unwrap(), b"hiearly"),
        other => assert_eq!(other, 400, "bytes before the answer may be refused, never lost"),
    }
}

#[test]
fn one_side_closing_closes_the_other() {
    let target = websocket();
    let proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    upgrade(&mut client);
    target.hang_up();
    assert_ne!(client.ending(), Broken::TimedOut);
}

#[test]
fn a_websocket_outlives_the_requests_timeouts_and_ends_by_the_tunnels() {
    let target = websocket();
    let pool = "timeouts = { response_head = \"300ms\", response_idle = \"300ms\", tunnel = \"1500ms\" }\n\
                [listeners.web.timeouts]\nidle = \"300ms\"\nclient_body = \"300ms\"\nrequest_head = \"300ms\"";
    let proxy = Proxy::start(http_with("", &[&target], pool));
    let mut client = proxy.client();
    upgrade(&mut client);
    let begun = Instant::now();
    assert!(client.quiet(Duration::from_millis(900)));
    client.send("x");
    assert_eq!(client.exact(1).unwrap(), b"x");
    assert_ne!(client.ending(), Broken::TimedOut);
    assert!(begun.elapsed() > Duration::from_millis(1800), "{:?}", begun.elapsed());
    proxy.settles("ringway_pool_errors_total", &[("kind", "tunnel-timeout")], 1.0);
}

#[test]
fn a_target_that_declines_is_an_ordinary_exchange() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    client.send(request("GET", "/chat", &FIELDS));
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (200, "a"));
    assert!(client.alive());
}

/// A 101 that is no answer to the handshake makes no tunnel: an attacker could smuggle through one.
#[test]
fn a_101_that_is_no_websocket_is_a_502() {
    for answer in [
        "Upgrade: websocket\r\nConnection: Upgrade\r\n",
        "Upgrade: other\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
    ] {
        let target = Target::says("a", format!("HTTP/1.1 101 Switching Protocols\r\n{answer}\r\n"));
        let proxy = Proxy::start(http(&[&target]));
        let mut client = proxy.client();
        client.send(request("GET", "/chat", &FIELDS));
        assert_eq!(client.response().status, 502, "{answer}");
        proxy.settles("ringway_pool_errors_total", &[("kind", "bad-response")], 1.0);
    }
}

/// The client has to fail a handshake with a wrong Sec-WebSocket-Accept; the operator has to be told why it does.
#[test]
fn a_wrong_accept_is_told_and_counted() {
    let lines = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let target = Target::says("a", format!("HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n\r\n"));
    let proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    client.send(request("GET", "/chat", &FIELDS));
    let status = client.response().status;
    assert!(status == 101 || status == 502, "{status}");
    proxy.settles("ringway_pool_errors_total", &[("kind", "bad-response")], 1.0);
    proxy.log.wait(&["WARN", "Sec-WebSocket-Accept"]);
}

/// websocket: a missing key is refused, not passed on as a plain request.
#[test]
fn a_handshake_without_a_key_is_refused() {
    let target = websocket();
    let proxy = Proxy::start(http(&[&target]));
    for fields in [
        &["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"][..],
        &["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: short"][..],
    ] {
        let mut client = proxy.client();
        client.send(request("GET", "/chat", fields));
        assert_eq!(client.response().status, 400, "{fields:?}");
    }
    assert_eq!(target.requests(), 0);
}

#[test]
fn other_tokens_are_not_passed_on() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    for (connection, token) in [
        ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"),
        ("Connection: Upgrade", "Upgrade: TLS/1.0"),
        ("Connection: Upgrade", "Upgrade: foo, bar"),
        ("X-None: 1", "Upgrade: websocket"),
    ] {
        let mut client = proxy.client();
        let settings = "HTTP2-Settings: AAMAAABkAAQAAP__";
        client.send(request("GET", "/", &[connection, token, settings]));
        let status = client.response().status;
        assert!(status == 200 || (400..502).contains(&status), "{token}: {status}");
    }
    for seen in target.seen() {
        assert_eq!(seen.field("upgrade"), None);
        assert!(!seen.head.names("connection", "upgrade"));
        assert!(seen.field("http2-settings").is_none() || seen.field("connection").is_none());
    }
}

#[test]
fn an_upgrade_can_be_forbidden() {
    let target = websocket();
    let proxy = Proxy::start(http_with("upgrades = []", &[&target], ""));
    let mut client = proxy.client();
    client.send(request("GET", "/chat", &FIELDS));
    assert_ne!(client.response().status, 101);
    assert!(target.seen().iter().all(|s| s.field("upgrade").is_none()));
}

#[test]
fn an_upgrade_needs_get_and_no_body() {
    let target = websocket();
    let proxy = Proxy::start(http(&[&target]));
    for (method, extra) in [("POST", "Content-Length: 4"), ("GET", "Content-Length: 4")] {
        let mut client = proxy.client();
        let mut fields = FIELDS.to_vec();
        fields.push(extra);
        client.send(request(method, "/chat", &fields) + "body");
        assert_ne!(client.response().status, 101, "{method}");
    }
}

/// The http2 preface and CONNECT never reach a target.
#[test]
fn no_other_way_makes_a_tunnel() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http_with("timeouts = { request_head = \"2s\", idle = \"2s\" }", &[&target], ""));
    for start in ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n\r\n"] {
        let mut client = proxy.client();
        client.send(start);
        if let Ok(response) = client.response_to("GET") {
            assert!(response.status >= 400, "{start:?}");
        }
    }
    assert_eq!(target.requests(), 0);
}

#[test]
fn a_half_closed_tunnel_still_delivers() {
    let target = Target::with("a", |peer| {
        if let Some(seen) = peer.request() {
            let key = accept(&seen.field("sec-websocket-key").unwrap());
            let lines = "Upgrade: websocket\r\nConnection: Upgrade";
            peer.send(format!("HTTP/1.1 101 Switching Protocols\r\n{lines}\r\nSec-WebSocket-Accept: {key}\r\n\r\nhi"));
            let got = peer.until_end().unwrap_or_default();
            thread::sleep(GLANCE);
            let _ = peer.try_send(got);
        }
    });
    let proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    upgrade(&mut client);
    client.send("last words");
    client.finish_sending();
    assert_eq!(client.until_end().unwrap(), b"last words");
}
