//! What else a route has beside the parts of its answers: rules, reloads, pages of errors, and what `ringway explain` says.

use super::{config, json, says};
use crate::reload::{reload, rewrite};
use crate::support::collector::{Collector, hex, parts as parts_of, shown};
use crate::support::proxy::{Setup, ringway};
use crate::support::target::refused;
use crate::support::toml::http;
use crate::support::{Proxy, Target, eventually};
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn rules_decide_before_any_part_is_asked() {
    let (a, b) = (json("a", "1"), json("b", "2"));
    let rules = "\n[rules.key]\ntype = \"api-key\"\nheader = \"X-Key\"\n[rules.limit]\ntype = \"rate-limit\"\n\
                 key = \"consumer\"\nrate = \"1/m\"\nburst = 3\n[consumers.ann]\nkeys = [\"key-of-ann\"]\n";
    let parts: [(&str, &dyn Display, &str); 2] = [("a", &a, "query.keep = []"), ("b", &b, "")];
    let route = "rules = [\"key\", \"limit\"]\nrequest.headers.set = { \"X-Who\" = \"{consumer.name}\" }";
    let proxy = Proxy::start(config(route, "", &parts) + rules);
    let mut client = proxy.client();
    assert_eq!(client.get("/whole/7").status, 401);
    assert_eq!((a.requests(), b.requests()), (0, 0));
    for _ in 0..3 {
        assert_eq!(client.ask("GET", "/whole/7?q=1", &["X-Key: key-of-ann"]).text(), "{\"a\":1,\"b\":2}");
    }
    assert_eq!(client.ask("GET", "/whole/7", &["X-Key: key-of-ann"]).status, 429, "a request counts once");
    assert_eq!((a.requests(), b.requests()), (3, 3));
    assert_eq!((a.last().field("x-who").as_deref(), a.last().field("x-key")), (Some("ann"), None));
    assert_eq!((a.last().path.as_str(), b.last().path.as_str()), ("/whole/7", "/whole/7?q=1"));
}

#[test]
fn a_request_under_way_ends_by_the_plan_that_it_began_with() {
    let go_on = Arc::new(AtomicBool::new(false));
    let waits = go_on.clone();
    let slow = Target::with("slow", move |peer| {
        while peer.request().is_some() {
            eventually("it may answer", || waits.load(Ordering::SeqCst));
            peer.reply(200, &["Content-Type: application/json"], b"\"old\"");
        }
    });
    let fast = json("fast", "\"new\"");
    let proxy = Proxy::start(config("", "timeout = \"1m\"", &[("a", &slow, ""), ("b", &fast, "")]));
    let mut client = proxy.client();
    client.send("GET /whole/7 HTTP/1.1\r\nHost: site.test\r\n\r\n");
    slow.wait_for(1);
    rewrite(&proxy, |text| text.replacen("pool = \"a\"", "pool = \"b\"", 1));
    reload(&proxy, "applied");
    go_on.store(true, Ordering::SeqCst);
    assert_eq!(client.response().text(), "{\"a\":\"old\",\"b\":\"new\"}");
    assert_eq!(client.get("/whole/7").text(), "{\"a\":\"new\",\"b\":\"new\"}");
    let good = [("part", "b"), ("result", "good")];
    proxy.settles("ringway_aggregate_parts_total", &good, 2.0);
}

#[test]
fn each_part_has_the_tries_of_its_pool_and_errors_their_page() {
    let (bad, good) = (refused(), json("good", "1"));
    let route = "error_pages = { \"502\" = \"sorry.html\" }";
    let text = config(route, "", &[("a", &bad, "")]);
    let start = |text: String| {
        let setup = Setup::new(text);
        std::fs::write(setup.directory().join("sorry.html"), "sorry").unwrap();
        setup.start()
    };
    let answer = start(text.clone()).get("/whole/7");
    assert_eq!((answer.status, answer.text().as_str()), (502, "sorry"));
    let both = text.replace(&format!("[\"{bad}\"]"), &format!("[\"{bad}\", \"{good}\"]"));
    let proxy = start(both);
    for _ in 0..10 {
        assert_eq!(proxy.get("/whole/7").text(), "{\"a\":1}");
    }
    assert_eq!(good.requests(), 10);
}

#[test]
fn parts_come_by_http2_where_their_pool_speaks_it_and_are_missing_while_it_is_down() {
    let (far, dead) = (json("far", "{\"n\":1.0}"), refused());
    let behind = Proxy::start(http(&[&far]));
    let parts: [(&str, &dyn Display, &str); 2] = [("far", &behind.web(), ""), ("dead", &dead, "required = false")];
    let text = config("", "", &parts)
        .replace("[pools.far]\n", "[pools.far]\nprotocol = \"h2\"\n")
        .replace("[pools.dead]\n", "[pools.dead]\nhealth = { type = \"tcp\", interval = \"100ms\", fall = 1 }\n");
    let proxy = Proxy::start(text.clone() + "[access_log]\n");
    proxy.settles("ringway_target_up", &[("pool", "dead")], 0.0);
    let mut client = proxy.client();
    for _ in 0..3 {
        let answer = client.get("/whole/7");
        assert_eq!((answer.status, answer.text().as_str()), (200, "{\"far\":{\"n\":1.0},\"dead\":null}"));
    }
    proxy.out.wait(&["\"missing\":\"dead=no-target\""]);
    assert!(proxy.metric("ringway_pool_h2_streams_total", &[("pool", "far")]) >= 3.0);
    rewrite(&proxy, |text| text.replace("required = false", "required = true"));
    reload(&proxy, "applied");
    assert_eq!(client.get("/whole/7").status, 503);
}

#[test]
fn each_part_has_a_span_of_its_own_in_which_its_tries_are() {
    let (a, b, collector) = (json("a", "1"), says("b", "500 Oops", "", ""), Collector::start());
    let parts: [(&str, &dyn Display, &str); 2] = [("a", &a, ""), ("b", &b, "required = false")];
    let proxy = Proxy::start(config("", "", &parts) + &collector.config(""));
    assert_eq!(proxy.get("/whole/7").text(), "{\"a\":1,\"b\":null}");
    eventually("the whole is told of", || !collector.servers("/whole/7").is_empty());
    let server = collector.servers("/whole/7").remove(0);
    let named = |name: &str| collector.spans().into_iter().find(|span| span.name == name);
    for (name, target, wrong) in [("part a", &a, false), ("part b", &b, true)] {
        eventually(name, || named(name).is_some());
        let part = named(name).unwrap();
        assert_eq!((part.kind, &part.parent_span_id, &part.trace_id), (1, &server.span_id, &server.trace_id));
        assert_eq!(part.status.is_some(), wrong, "{part:?}");
        let (trace, parent, _) = parts_of(&target.last().field("traceparent").unwrap());
        assert_eq!(trace, hex(&server.trace_id));
        let all = collector.spans();
        let tried = all.iter().find(|span| hex(&span.span_id) == parent).expect("the try is told of");
        assert_eq!((tried.kind, &tried.parent_span_id), (3, &part.span_id));
        assert_eq!(shown(&tried.attributes, "ringway.pool"), shown(&part.attributes, "ringway.part"));
    }
}

#[test]
fn explain_says_what_an_answer_is_made_of() {
    let (user, orders) = (says("user", "200 OK", "", ""), json("orders", "[]"));
    let parts: [(&str, &dyn Display, &str); 3] = [
        ("user", &user, "path = \"/users/{id}\""),
        ("orders", &orders, "required = false\ndefault = \"[]\"\ninto = \"their orders\""),
        ("more", &orders, "merge = true\nquery.set = { id = \"{id}\" }"),
    ];
    let proxy = Proxy::start(config("", "", &parts));
    let file = proxy.config_file();
    let file = file.to_str().unwrap();
    let (code, out, err) = ringway(&["explain", "-c", file, "http://site.test/whole/7?q=1"]);
    assert_eq!(code, Some(0), "{err}");
    for told in [
        "user  pool user: GET /users/7?q=1 HTTP/1.1",
        "becomes `user`; without it there is no answer",
        "becomes `their orders`; where it fails, [] stands for it",
        "more  pool more: GET /whole/7?q=1&id=7 HTTP/1.1",
        "its members become those of the whole",
        "5s for all parts",
    ] {
        assert!(out.contains(told), "{told}: {out}");
    }
    let (_, out, _) = ringway(&["explain", "-c", file, "--json", "http://site.test/whole/7"]);
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    let told = if told.is_array() { told[0].clone() } else { told };
    assert_eq!(told["outcome"], "aggregate");
    assert_eq!(told["aggregate"]["parts"][1]["member"], "their orders");
    assert_eq!(told["aggregate"]["parts"][0]["forward"]["target_path"], "/users/7");
    let (_, out, _) = ringway(&["explain", "-c", file, "-X", "POST", "http://site.test/whole/7"]);
    assert!(out.contains("405"), "{out}");
    assert_eq!((user.requests(), orders.requests()), (0, 0));
}
