//! What spans say, and which exchanges have some.

use crate::support::client::request;
use crate::support::collector::{Collector, hex, parts, shown};
use crate::support::target::refused;
use crate::support::toml::{http, http_with, tcp};
use crate::support::{Client, Proxy, Target, eventually, load, rounds};
use std::time::{Duration, SystemTime};

const ROUTE: &str = "\n[routes.api]\npaths = [\"/api/\"]\npool = \"site\"\n";

#[test]
fn an_exchange_has_a_span_for_the_server_each_try_and_each_connection() {
    let (target, collector) = (Target::slow("a", Duration::from_millis(50)), Collector::start());
    let proxy = Proxy::start(http(&[&target]) + ROUTE + &collector.config("service_name = \"edge\""));
    let before = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let mut client = proxy.client();
    let port = client.socket.local_addr().unwrap().as_socket().unwrap().port();
    client.ask("GET", "/api/a%20b?secret=1", &["User-Agent: curl/8"]);
    let (server, inner) = collector.exchange("/api/a%20b");
    let [upstream, connect] = inner.try_into().expect("a try and a connection");
    let names = (server.name.as_str(), upstream.name.as_str(), connect.name.as_str());
    assert_eq!(names, ("GET api", "GET", "connect"));
    assert_eq!((server.kind, upstream.kind, connect.kind), (2, 3, 1));
    assert_eq!((&upstream.parent_span_id, &connect.parent_span_id), (&server.span_id, &upstream.span_id));
    assert!(server.parent_span_id.is_empty() && server.trace_id.len() == 16 && server.span_id.len() == 8);
    assert!(server.start_time_unix_nano >= before && server.end_time_unix_nano - before < 60_000_000_000);
    assert!(upstream.end_time_unix_nano - upstream.start_time_unix_nano >= 50_000_000, "{upstream:?}");
    let first_byte = &upstream.events[0];
    assert_eq!(first_byte.name, "first_byte");
    assert!(first_byte.time_unix_nano >= connect.end_time_unix_nano + 50_000_000);
    let web = proxy.web();
    let (own_port, target_port) = (web.rsplit_once(':').unwrap().1, target.address.port().to_string());
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.route", "api"),
        ("http.response.status_code", "200"),
        ("url.path", "/api/a%20b"),
        ("url.scheme", "http"),
        ("url.query", ""),
        ("server.address", "site.test"),
        ("server.port", ""),
        ("client.address", "127.0.0.1"),
        ("network.peer.port", &port.to_string()),
        ("network.protocol.version", "1.1"),
        ("user_agent.original", "curl/8"),
        ("ringway.listener", "web"),
        ("ringway.pool", "site"),
        ("error.type", ""),
    ] {
        assert_eq!(shown(&server.attributes, key), value, "{key}");
    }
    for (key, value) in [
        ("server.address", target.address.ip().to_string().as_str()),
        ("server.port", &target_port),
        ("http.response.status_code", "200"),
        ("http.request.resend_count", ""),
    ] {
        assert_eq!(shown(&upstream.attributes, key), value, "{key}");
    }
    for span in [&server, &upstream, &connect] {
        assert_eq!(span.status, None);
        assert!(!format!("{span:?}").contains("secret"), "no query: {span:?}");
    }
    let resource = collector.resource();
    assert_eq!(shown(&resource, "service.name"), "edge");
    assert_eq!(shown(&resource, "service.instance.id").len(), 36);
    assert!(!shown(&resource, "service.version").is_empty() && !shown(&resource, "host.name").is_empty());

    client.send(format!("GET /api/again HTTP/1.1\r\nHost: [::1]:{own_port}\r\n\r\n"));
    client.response();
    let (server, inner) = collector.exchange("/api/again");
    assert_eq!(inner.len(), 1, "a used connection is no new one");
    assert_eq!(shown(&server.attributes, "server.address"), "::1");
    assert_eq!(shown(&server.attributes, "server.port"), own_port);
}

#[test]
fn a_try_that_failed_is_beside_the_one_that_made_it_good() {
    let (target, collector, gone) = (Target::echo("a"), Collector::start(), refused());
    let balance = "balance = \"round-robin\"";
    let proxy = Proxy::start(http_with("", &[gone.to_string(), target.to_string()], balance) + &collector.config(""));
    let mut found = None;
    for n in 0..4 {
        assert_eq!(proxy.get(&format!("/{n}")).status, 200);
        let (server, inner) = collector.exchange(&format!("/{n}"));
        let tries: Vec<_> = inner.iter().filter(|span| span.kind == 3).cloned().collect();
        if tries.len() == 2 {
            found = Some((server, tries, inner));
        }
    }
    let (server, tries, inner) = found.expect("one of them met the dead target");
    assert_eq!(server.status, None, "all ended well");
    let failed = tries.iter().find(|span| shown(&span.attributes, "error.type") == "connect").unwrap();
    let good = tries.iter().find(|span| span.status.is_none()).unwrap();
    assert_eq!(shown(&failed.attributes, "server.address"), gone.ip().to_string());
    assert_eq!(failed.status.as_ref().unwrap().code, 2);
    assert_eq!(shown(&good.attributes, "http.request.resend_count"), "1");
    assert!(failed.end_time_unix_nano <= good.end_time_unix_nano);
    assert!(inner.iter().any(|span| span.parent_span_id == failed.span_id && span.name == "connect"));
    let told = target.requests_for(&shown(&server.attributes, "url.path"))[0].field("traceparent").unwrap();
    assert_eq!(parts(&told).1, hex(&good.span_id));
}

#[test]
fn errors_and_slow_requests_are_told_of_without_a_sample() {
    let collector = Collector::start();
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            match seen.path.as_str() {
                "/slow" => std::thread::sleep(Duration::from_millis(600)),
                "/cut" => {
                    let _ = peer.try_send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart");
                    return;
                }
                _ => {}
            }
            peer.reply(if seen.path == "/500" { 500 } else { 200 }, &[], b"x");
        }
    });
    let gone = "\n[routes.gone]\npaths = [\"=/gone\"]\npool = \"gone\"\n".to_owned()
        + &crate::support::toml::pool("gone", &[refused()], "");
    let lines = collector.config("sample = \"0%\"\nslow = \"500ms\"");
    let proxy = Proxy::start(http(&[&target]) + &gone + &lines);
    for (path, status) in [("/good", 200), ("/500", 500), ("/gone", 502), ("/slow", 200)] {
        assert_eq!(proxy.get(path).status, status, "{path}");
    }
    let mut client = proxy.client();
    client.send(request("GET", "/cut", &[]));
    assert!(client.response_to("GET").is_err());
    let mut client = proxy.client();
    client.send("GET /bad path HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().status, 400);
    for (path, error, tries) in [("/500", "500", 1), ("/gone", "connect", 1), ("/slow", "", 1), ("/cut", "reset", 1)] {
        let (server, inner) = collector.exchange(path);
        assert_eq!(shown(&server.attributes, "error.type"), error, "{path}");
        assert_eq!(inner.iter().filter(|span| span.kind == 3).count(), tries, "{path}");
    }
    assert!(
        !target.seen().iter().any(|seen| seen.field("traceparent").unwrap().ends_with("-03")),
        "none is in the sample"
    );
    std::thread::sleep(Duration::from_millis(1500));
    assert!(collector.servers("/good").is_empty(), "what was neither is not told of");
    assert_eq!(collector.spans().iter().filter(|span| span.kind == 2).count(), 4);
}

#[test]
fn answers_of_our_own_have_the_servers_span_alone() {
    let (target, collector) = (Target::echo("a"), Collector::start());
    let routes = "\n[routes.fixed]\npaths = [\"=/fixed\"]\nrespond = { status = 200, body = \"x\" }\n";
    let proxy = Proxy::start(http(&[&target]) + routes + &collector.config(""));
    proxy.get("/fixed");
    let mut client = proxy.client();
    client.send("GET /twice HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    assert_eq!(client.response().status, 400);
    let (server, inner) = collector.exchange("/fixed");
    assert_eq!((server.name.as_str(), inner.len()), ("GET fixed", 0));
    eventually("the refusal is told of", || {
        collector.spans().iter().any(|span| shown(&span.attributes, "http.response.status_code") == "400")
    });
    let spans = collector.spans();
    let refusal = spans.iter().find(|span| shown(&span.attributes, "http.response.status_code") == "400").unwrap();
    assert_eq!(refusal.status, None, "the client's fault is no error of the server");
    assert_eq!((refusal.name.as_str(), shown(&refusal.attributes, "error.type")), ("GET", String::new()));
    assert!(shown(&refusal.attributes, "ringway.reason").contains("host"));
}

#[test]
fn a_websocket_has_a_trace_and_is_never_slow() {
    for (sample, told) in [("100%", true), ("0%", false)] {
        let (target, collector) = (crate::upgrade::websocket(), Collector::start());
        let lines = collector.config(&format!("sample = \"{sample}\"\nslow = \"100ms\""));
        let proxy = Proxy::start(http(&[&target]) + &lines);
        let mut client = proxy.client();
        crate::upgrade::upgrade(&mut client);
        parts(&target.last().field("traceparent").unwrap());
        std::thread::sleep(Duration::from_millis(300));
        drop(client);
        if told {
            let (server, inner) = collector.exchange("/chat");
            assert_eq!(shown(&server.attributes, "http.response.status_code"), "101");
            assert!(server.end_time_unix_nano - server.start_time_unix_nano >= 300_000_000);
            assert_eq!(shown(&inner[0].attributes, "http.response.status_code"), "101");
        } else {
            std::thread::sleep(Duration::from_millis(1500));
            assert!(collector.spans().is_empty());
        }
    }
}

#[test]
fn connections_without_requests_have_no_spans() {
    let (mirror, collector) = (Target::mirror("m"), Collector::start());
    let proxy = Proxy::start(tcp(&[&mirror]) + &collector.config("slow = \"1ms\""));
    let mut client = proxy.client();
    client.send("12345");
    client.exact(5).unwrap();
    drop(client);
    let target = Target::echo("a");
    let checked = "health = { type = \"http\", path = \"/up\", interval = \"100ms\" }";
    let http = Proxy::start(http_with("", &[&target], checked) + &collector.config("slow = \"1ms\""));
    Client::to(&http.web()).send("GET / HT");
    eventually("checks are made", || target.requests_for("/up").len() > 3);
    std::thread::sleep(Duration::from_millis(1500));
    assert!(collector.spans().is_empty(), "{:#?}", collector.spans());
}

#[test]
fn every_exchange_of_a_whole_sample_is_told_of_once() {
    let (target, collector) = (Target::echo("a"), Collector::start());
    let proxy = Proxy::start(http(&[&target]) + &collector.config(""));
    let requests = rounds(3000, 500);
    load::run(&proxy.web(), 6, requests, |n| format!("/n{n}")).assert_clean();
    let servers = || collector.spans().iter().filter(|span| span.kind == 2).count();
    eventually("all came", || servers() == requests);
    let sent = proxy.metric("ringway_trace_spans_total", &[("result", "sent")]);
    assert_eq!(sent, collector.spans().len() as f64);
    assert_eq!(proxy.metric("ringway_trace_spans_total", &[]), sent, "and none was lost");
}
