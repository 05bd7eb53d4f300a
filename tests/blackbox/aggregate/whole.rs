//! What is put together where nothing fails.

use super::{config, json, says};
use crate::support::proxy::Setup;
use crate::support::{PATIENCE, Proxy, Target, eventually, h2, within};
use ::http::Method;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[test]
fn parts_stand_in_the_order_of_the_configuration_with_their_own_bytes() {
    let user = json("user", " {\"id\": 12345678901234567890.10, \"name\":\"\\u00e9\"}\n");
    let orders = says(
        "orders",
        "200 OK",
        "Content-Type: application/hal+json; charset=utf-8\r\nSet-Cookie: a=b\r\n",
        "[1e2, 2]",
    );
    let more = json("more", "{\"b\" : 1, \"user\":\"not this one\", \"c\":[{}]}");
    let parts: [(&str, &dyn std::fmt::Display, &str); 3] =
        [("user", &user, ""), ("orders", &orders, "into = \"all orders\""), ("more", &more, "merge = true")];
    let proxy = Proxy::start(config("", "", &parts));
    let mut client = proxy.client();
    for _ in 0..3 {
        let answer = client.get("/whole/7");
        assert_eq!(answer.status, 200);
        let expected = "{\"user\":{\"id\": 12345678901234567890.10, \"name\":\"\\u00e9\"},\"all orders\":[1e2, 2],\"b\" : 1,\"c\":[{}]}";
        assert_eq!(answer.text(), expected);
        assert_eq!(answer.field("content-type").as_deref(), Some("application/json"));
        assert_eq!(answer.field("cache-control").as_deref(), Some("no-store"));
        assert_eq!(answer.field("content-length"), Some(expected.len().to_string()));
        assert!(answer.field("date").is_some() && answer.field("set-cookie").is_none());
        assert_eq!(answer.field("ringway-partial"), None);
    }
    for part in ["user", "orders", "more"] {
        proxy.settles("ringway_aggregate_parts_total", &[("part", part), ("result", "good")], 3.0);
        proxy.settles("ringway_pool_requests_total", &[("pool", part)], 3.0);
    }
    assert_eq!(user.connections(), 1, "its connection is used again");
}

#[test]
fn parts_are_asked_at_the_same_time() {
    let arrived = Arc::new(AtomicUsize::new(0));
    let together = |name: &str| {
        let arrived = arrived.clone();
        Target::with(name, move |peer| {
            while peer.request().is_some() {
                arrived.fetch_add(1, Ordering::SeqCst);
                // None answers before all three are asked.
                let all = within(PATIENCE, || arrived.load(Ordering::SeqCst) >= 3);
                let body = if all { "true" } else { "false" };
                peer.reply(200, &["Content-Type: application/json"], body.as_bytes());
            }
        })
    };
    let (a, b, c) = (together("a"), together("b"), together("c"));
    let proxy = Proxy::start(config("", "timeout = \"10m\"", &[("a", &a, ""), ("b", &b, ""), ("c", &c, "")]));
    assert_eq!(proxy.get("/whole/7").text(), "{\"a\":true,\"b\":true,\"c\":true}");
}

#[test]
fn a_part_gets_its_own_path_and_query_and_nothing_that_asks_for_less_than_the_whole() {
    let (user, orders) = (json("user", "{}"), json("orders", "[]"));
    let parts: [(&str, &dyn std::fmt::Display, &str); 2] = [
        ("user", &user, "path = \"/users/{id}/card\""),
        ("orders", &orders, "path = \"/orders\"\nquery = { set = { user = \"{id}\" }, remove = [\"secret\"] }"),
    ];
    let proxy = Proxy::start(config("request.headers.set = { \"X-Route\" = \"{route}\" }", "", &parts));
    let fields = [
        "Range: bytes=0-1",
        "If-None-Match: \"x\"",
        "If-Match: \"y\"",
        "If-Modified-Since: Wed, 21 Oct 2015 07:28:00 GMT",
        "Accept-Encoding: br, gzip",
        "Accept: text/html",
        "Connection: X-Hop",
        "X-Hop: 1",
        "X-Own: 2",
        "Authorization: Bearer of-the-client",
        "Content-Length: 0",
    ];
    let answer = proxy.client().ask("GET", "/whole/a%20b%2Dc?secret=1&q=2", &fields);
    assert_eq!((answer.status, answer.text().as_str()), (200, "{\"user\":{},\"orders\":[]}"));
    assert_eq!(user.last().path, "/users/a%20b-c/card?secret=1&q=2");
    assert_eq!(orders.last().path, "/orders?q=2&user=a%20b-c");
    for seen in [user.last(), orders.last()] {
        let field = |name: &str| seen.field(name);
        for name in ["range", "if-none-match", "if-match", "if-modified-since", "x-hop", "content-length"] {
            assert_eq!(field(name), None, "{name}");
        }
        assert_eq!(field("accept-encoding").as_deref(), Some("identity"));
        assert_eq!(field("accept").as_deref(), Some("application/json"));
        assert_eq!(field("x-own").as_deref(), Some("2"));
        assert_eq!(field("authorization").as_deref(), Some("Bearer of-the-client"));
        assert_eq!(field("x-route").as_deref(), Some("whole"));
        assert_eq!(field("x-forwarded-for").as_deref(), Some("127.0.0.1"));
        assert_eq!(field("host").as_deref(), Some("site.test"));
    }
    assert_eq!(proxy.client().get("/whole/a%2Fb").status, 400, "what could be read as another path reaches nobody");
    assert_eq!(user.requests(), 1);
}

#[test]
fn head_gives_the_headers_alone_and_connections_go_on() {
    let (a, b) = (json("a", "{\"x\":1}"), json("b", "[true]"));
    let proxy = Proxy::start(config("", "cache_control = \"max-age=5\"", &[("a", &a, ""), ("b", &b, "")]));
    let whole = "{\"a\":{\"x\":1},\"b\":[true]}";
    let mut client = proxy.client();
    let head = client.ask("HEAD", "/whole/7", &[]);
    assert_eq!((head.status, head.field("content-length")), (200, Some(whole.len().to_string())));
    assert_eq!(head.field("cache-control").as_deref(), Some("max-age=5"));
    assert_eq!(a.last().method, "GET");
    assert_eq!(client.get("/whole/7").text(), whole);
    // Three requests at once are answered in their order.
    let one = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: site.test\r\n\r\n");
    client.send(one("/whole/1") + &one("/none") + &one("/whole/2"));
    assert_eq!(client.response().text(), whole);
    assert_eq!(client.response().status, 404);
    assert_eq!(client.response().text(), whole);
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = client.ask(method, "/whole/7", &[]);
        assert_eq!((answer.status, answer.field("allow").as_deref()), (405, Some("GET, HEAD")), "{method}");
    }
    let old = proxy.client().ask("GET", "/whole/7", &["Connection: close"]);
    assert_eq!((old.status, old.text().as_str()), (200, whole));
    let h2 = h2::Client::to(&proxy.web());
    let answers = h2.ask_all((0..8).map(|n| h2::request(Method::GET, &format!("/whole/{n}"))).collect());
    for answer in answers {
        let answer = answer.unwrap();
        assert_eq!((answer.status.as_u16(), answer.body.as_slice()), (200, whole.as_bytes()));
    }
    let head = h2.ask(h2::request(Method::HEAD, "/whole/7"), b"").unwrap();
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    assert_eq!(head.fields["content-length"], whole.len().to_string().as_str());
}

#[test]
fn the_whole_is_held_once_for_clients_that_take_little_of_it() {
    // More than what sockets take of an answer that nobody reads.
    const LARGE: usize = 15 << 20;
    const CLIENTS: usize = 4;
    let large = json("large", &format!("\"{}\"", "x".repeat(LARGE)));
    let parts: [(&str, &dyn std::fmt::Display, &str); 1] = [("large", &large, "")];
    let keys = "max_body = \"16MiB\"\nmax_total = \"16MiB\"";
    let text = config("", keys, &parts) + "\n[limits]\nbuffers = \"1GiB\"\n";
    // What is given back is to be seen at once.
    let proxy = Setup::new(text).env("MIMALLOC_PURGE_DELAY", "0").start();
    let before = proxy.resident();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| proxy.client()).collect();
    clients.iter_mut().for_each(|client| client.send("GET /whole/7 HTTP/1.1\r\nHost: site.test\r\n\r\n"));
    for client in &mut clients {
        eventually("the first bytes are there", || {
            client.buffer.len() > 1000 || client.fill(Duration::from_secs(1)).is_ok()
        });
    }
    eventually("nothing of it is held twice", || proxy.resident().saturating_sub(before) < CLIENTS * LARGE * 3 / 2);
    for mut client in clients {
        assert_eq!(client.response().body.len(), LARGE + "{\"large\":\"\"}".len());
    }
}

#[test]
fn the_whole_is_edited_compressed_and_logged_as_any_answer() {
    let many = format!("[{}]", vec!["\"the same text again\""; 500].join(","));
    let (a, b) = (json("a", &many), json("b", "{\"secret\":1,\"open\":2}"));
    let route = "rules = [\"cors\", \"change\"]\ncompress = true\nresponse.headers.set = { \"X-Whole\" = \"{route}\" }\n\
                 security_headers = true";
    let text = config(route, "", &[("a", &a, ""), ("b", &b, "")])
        + "\n[rules.cors]\ntype = \"cors\"\norigins = [\"https://app.test\"]\n\
           [rules.change]\ntype = \"transform\"\nresponse.body.remove = [\"/b/secret\"]\n[access_log]\n";
    let proxy = Proxy::start(text);
    let mut client = proxy.client();
    let plain = client.ask("GET", "/whole/7", &["Origin: https://app.test"]);
    let expected = format!("{{\"a\":{many},\"b\":{{\"open\":2}}}}");
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(value(&plain.text()), value(&expected));
    assert_eq!(plain.field("x-whole").as_deref(), Some("whole"));
    assert_eq!(plain.field("access-control-allow-origin").as_deref(), Some("https://app.test"));
    assert_eq!(plain.field("x-content-type-options").as_deref(), Some("nosniff"));
    let coded = client.ask("GET", "/whole/7", &["Accept-Encoding: gzip"]);
    assert_eq!(coded.field("content-encoding").as_deref(), Some("gzip"));
    assert!(coded.body.len() < expected.len() / 10, "{}", coded.body.len());
    let mut text = String::new();
    flate2::read::GzDecoder::new(&coded.body[..]).read_to_string(&mut text).unwrap();
    assert_eq!(value(&text), value(&expected));
    let line = proxy.out.wait(&["\"uri\":\"/whole/7\"", "\"status\":200"]);
    assert!(
        line.contains("\"tries\":2") && line.contains("\"route\":\"whole\"") && !line.contains("missing"),
        "{line}"
    );
    proxy.settles("ringway_route_requests_total", &[("route", "whole")], 2.0);
}

#[test]
fn what_a_client_has_already_or_wants_a_part_of_is_answered_whole() {
    let a = json("a", "{\"x\":1}");
    let proxy = Proxy::start(config("", "", &[("a", &a, "")]));
    let mut client = proxy.client();
    for field in
        ["Range: bytes=0-1", "If-None-Match: *", "If-Modified-Since: Wed, 21 Oct 2099 07:28:00 GMT", "If-Match: \"x\""]
    {
        let answer = client.ask("GET", "/whole/7", &[field]);
        assert_eq!((answer.status, answer.text().as_str()), (200, "{\"a\":{\"x\":1}}"), "{field}");
    }
}
