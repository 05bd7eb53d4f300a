//! Bytes through a session.

use super::Edge;
use crate::support::client::{request, status};
use crate::support::tls::listener;
use crate::support::toml::{http_with, tcp_with};
use crate::support::wire::Broken;
use crate::support::{PATIENCE, Target, assert_same, eventually, pattern};
use rustls::version::{TLS12, TLS13};
use std::time::Duration;

#[test]
fn a_connection_carries_many_requests_and_the_target_learns_that_they_came_by_tls() {
    let edge = Edge::new();
    let target = Target::echo("a");
    let config = http_with(&listener(&["site"], ""), &[&target], "") + "\n[access_log]\n";
    let proxy = edge.setup.with(config).start();
    for version in [&TLS12, &TLS13] {
        let mut client = edge.authority.dial().version(version).to(&proxy.web(), "site.test");
        for n in 0..50 {
            assert_eq!(client.get(&format!("/{n}")).target(), "a");
        }
        // Pipelined, in one record and in many.
        client.send([request("GET", "/1", &[]), request("GET", "/2", &[])].concat());
        assert_eq!((client.response().status, client.response().status), (200, 200));
        client.dribble(request("GET", "/3", &[]), 7, Duration::ZERO).unwrap();
        assert_eq!(client.response().status, 200);
        let seen = target.last();
        assert_eq!(seen.field("x-forwarded-proto").unwrap(), "https");
        assert_eq!(seen.field("x-forwarded-port").unwrap(), proxy.web().rsplit_once(':').unwrap().1);
    }
    let line = proxy.out.wait(&["\"tls_version\":\"1.3\""]);
    assert!(line.contains("\"tls_cipher\":\"TLS_AES_") && line.contains("\"sni\":\"site.test\""), "{line}");
    // Each worker writes its lines when it comes to it.
    proxy.out.wait(&["\"tls_version\":\"1.2\"", "TLS_ECDHE_ECDSA_WITH_"]);
    proxy.settles("ringway_tls_handshakes_total", &[("kind", "tls1.3")], 1.0);
}

#[test]
fn bodies_pass_both_ways_whole() {
    let edge = Edge::new();
    let target = Target::echo("a");
    let (proxy, authority) = edge.start(&[&target], &["site"], "");
    let body = pattern(1 << 20);
    for version in [&TLS12, &TLS13] {
        let mut client = authority.dial().version(version).to(&proxy.web(), "site.test");
        for size in [1, 16 << 10, (16 << 10) + 1, 64 << 10, 100_000, 1 << 20] {
            assert_eq!(client.post("/", &body[..size]).status, 200);
            assert_same(&target.last().body, &body[..size]);
        }
    }
    let big = Target::with("big", |peer| {
        while peer.request().is_some() {
            let body = pattern(3 << 20);
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
            peer.send(&body);
        }
    });
    let (proxy, authority) = Edge::new().start(&[&big], &["site"], "");
    let mut client = authority.dial().to(&proxy.web(), "site.test");
    for _ in 0..3 {
        assert_same(&client.get("/").body, &pattern(3 << 20));
    }
}

#[test]
fn a_slow_reader_holds_little_of_our_memory() {
    let big = Target::with("big", |peer| {
        while peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 268435456\r\n\r\n");
            let part = vec![7; 1 << 20];
            for _ in 0..256 {
                if peer.try_send(&part).is_err() {
                    return;
                }
            }
        }
    });
    let (proxy, authority) = Edge::new().start(&[&big], &["site"], "");
    let before = proxy.resident();
    let mut clients: Vec<_> = (0..8).map(|_| authority.dial().to(&proxy.web(), "site.test")).collect();
    for client in &mut clients {
        client.send(request("GET", "/", &[]));
        assert_eq!(status(&client.head(PATIENCE).unwrap()), Ok(200));
    }
    std::thread::sleep(Duration::from_millis(700));
    let grown = proxy.resident().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes for 8 stalled clients");
}

#[test]
fn an_answer_that_was_cut_is_not_made_to_look_complete() {
    let target = Target::with("a", |peer| {
        if peer.request().is_some() {
            // Without a length: its end is the connection's, and here that is a reset.
            peer.send("HTTP/1.1 200 OK\r\n\r\nhalf");
            std::thread::sleep(Duration::from_millis(200));
            peer.socket.set_linger(Some(Duration::ZERO)).unwrap();
        }
    });
    let (proxy, authority) = Edge::new().start(&[&target], &["site"], "");
    let mut client = authority.dial().to(&proxy.web(), "site.test");
    client.send("GET / HTTP/1.0\r\nHost: site.test\r\n\r\n");
    let head = client.head(PATIENCE).unwrap();
    assert_eq!(status(&head), Ok(200));
    assert!(matches!(client.until_end(), Err(Broken::Truncated | Broken::Reset)), "no word that this was all");

    let whole = Target::with("b", |peer| {
        if peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwhole");
        }
    });
    let (proxy, authority) = Edge::new().start(&[&whole], &["site"], "");
    let mut client = authority.dial().to(&proxy.web(), "site.test");
    client.send("GET / HTTP/1.0\r\nHost: site.test\r\n\r\n");
    client.head(PATIENCE).unwrap();
    assert_eq!(client.until_end().unwrap(), b"whole", "with the word");
}

#[test]
fn a_request_that_was_cut_is_not_made_to_look_complete() {
    let target = Target::echo("a");
    let (proxy, authority) = Edge::new().start(&[&target], &["site"], "");
    let mut client = authority.dial().to(&proxy.web(), "site.test");
    client.send("POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 10\r\n\r\nhalf");
    client.finish_sending();
    eventually("the target is let go", || target.open() == 0);
    assert!(target.seen().iter().all(|seen| !seen.whole));
}

#[test]
fn a_websocket_works_through_a_session() {
    let target = crate::upgrade::websocket();
    let (proxy, authority) = Edge::new().start(&[&target], &["site"], "");
    for version in [&TLS12, &TLS13] {
        let mut client = authority.dial().version(version).to(&proxy.web(), "site.test");
        crate::upgrade::upgrade(&mut client);
        for part in pattern(300_000).chunks(60_000) {
            client.send(part);
            assert_same(&client.exact(part.len()).unwrap(), part);
        }
    }
}

#[test]
fn a_tcp_listener_ends_tls_too() {
    let target = Target::mirror("a");
    let edge = Edge::new();
    let config = tcp_with(&listener(&["site"], "alpn = [\"postgresql\"]"), &[&target], "");
    let proxy = edge.setup.with(config).start();
    for version in [&TLS12, &TLS13] {
        let dial = edge.authority.dial().version(version).alpn(&["postgresql"]);
        let mut client = dial.to(&proxy.web(), "site.test");
        assert_eq!(client.tls.as_ref().unwrap().alpn_protocol(), Some(&b"postgresql"[..]));
        for part in pattern(1 << 20).chunks(100_000) {
            client.send(part);
            assert_same(&client.exact(part.len()).unwrap(), part);
        }
        let Some(tls) = client.tls.as_mut() else { return };
        tls.send_close_notify();
        client.send("");
        assert_eq!(client.until_end().unwrap(), b"", "an orderly end comes back as one");
    }
    // What speaks HTTP in clear here is no HTTP client of ours to talk to.
    let mut client = proxy.client();
    client.send(request("GET", "/", &[]));
    assert_eq!(client.until_end().unwrap_or_default(), b"");
}

#[test]
fn browsers_are_told_to_come_over_tls_only_and_redirects_lead_there() {
    let edge = Edge::new();
    let target = Target::with("a", |peer| {
        while peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=1\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let config =
        http_with(&listener(&["site"], "hsts = { max_age = \"30d\", include_subdomains = true }"), &[&target], "")
            + "[listeners.plain]\nlisten = [\"127.0.0.1:0\"]\nredirect = \"https\"\n\
           [routes.moved]\npaths = [\"/old\"]\nredirect = { path = \"/new\" }\n";
    let proxy = edge.setup.with(config).start();
    let mut client = edge.authority.dial().to(&proxy.web(), "site.test");
    let hsts = "max-age=2592000; includeSubDomains";
    for path in ["/", "/old", "/%zz"] {
        let response = client.get(path);
        assert_eq!(response.head.lines("strict-transport-security"), [hsts], "{path}");
        if path == "/old" {
            assert_eq!(response.field("location").unwrap(), "https://site.test/new");
        }
    }
    let response = crate::support::client::get(&proxy.at("plain"), "/a?b");
    assert_eq!((response.status, response.field("location").unwrap()), (308, "https://site.test/a?b".to_owned()));
    assert_eq!(response.field("strict-transport-security"), None, "RFC 6797 section 7.2: not in clear");
}

#[test]
fn a_connection_that_is_idle_ends_with_a_word() {
    let target = Target::echo("a");
    let edge = Edge::new();
    let config = http_with(&format!("timeouts = {{ idle = \"300ms\" }}\n{}", listener(&["site"], "")), &[&target], "");
    let proxy = edge.setup.with(config).start();
    let mut client = edge.authority.dial().to(&proxy.web(), "site.test");
    client.get("/");
    assert_eq!(client.ending(), Broken::Closed);
}

#[test]
fn an_idle_connection_holds_little_memory() {
    let target = Target::echo("a");
    let (proxy, authority) = Edge::new().start(&[&target], &["site"], "");
    let config = authority.dial().config();
    let open = |count: usize| -> Vec<_> {
        let opened = (0..count).map(|_| {
            let mut client = crate::support::tls::connect(&config, &proxy.web(), "site.test").unwrap();
            assert_eq!(client.get("/").status, 200);
            client
        });
        opened.collect()
    };
    // What the process needs once, and what its pools keep.
    let _first = open(100);
    let before = proxy.resident();
    let count = 600;
    let _idle = open(count);
    let each = proxy.resident().saturating_sub(before) / count;
    println!("{each} bytes each");
    assert!(each <= 6 << 10, "{each} bytes for an idle connection");
}
