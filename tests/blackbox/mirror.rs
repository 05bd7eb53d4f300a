//! Requests that another pool gets as well: clients notice nothing of it, whatever it does, and how its answers differ is told.

use crate::admin::start;
use crate::reload::{reload, rewrite};
use crate::support::proxy::{Proxy, Setup};
use crate::support::target::{Deaf, refused};
use crate::support::toml::{http, pool};
use crate::support::{Target, eventually, h2, load};
use ::http::Method;
use std::fmt::Display;

/// A route to `main` whose mirror is at `address`; `mirror` and `route` have what else is said.
fn mirrored(main: &Target, address: impl Display, mirror: &str, route: &str) -> String {
    let route = format!("\n[routes.all]\npaths = [\"/\"]\npool = \"site\"\n{route}\n");
    http(&[main])
        + &pool("next", &[address], "protocol = \"h1\"\n")
        + &format!("{route}[routes.all.mirror]\npool = \"next\"\n{mirror}\n")
}

/// How many requests that the mirror was to get have come to this.
fn counted(proxy: &Proxy, outcome: &str) -> f64 {
    proxy.metric("ringway_mirror_requests_total", &[("route", "all"), ("outcome", outcome)])
}

/// A target that answers with this JSON.
fn says(name: &str, status: &str, fields: &str, body: &str) -> Target {
    let length = body.len();
    Target::says(
        name,
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
        ),
    )
}

/// A target that reads a request and ends the connection.
fn leaves(name: &str) -> Target {
    Target::with(name, |peer| drop(peer.request()))
}

#[test]
fn the_share_of_requests_is_met_and_a_copy_says_that_it_is_one() {
    let (main, next) = (Target::echo("main"), Target::echo("next"));
    let proxy = Setup::new(mirrored(&main, &next, "share = \"10%\"", "")).workers(2).start();
    let count = load::run(&proxy.web(), 4, 1000, |n| format!("/{n}?q={n}"));
    count.assert_clean();
    assert_eq!(count.of("main"), 1000, "clients get the answers of their pool");
    eventually("copies are answered", || counted(&proxy, "answered") >= 97.0);
    let copies = next.requests();
    assert!((97..=103).contains(&copies), "{copies} of 1000");
    let copy = next.last();
    let own = &main.requests_for(&copy.path)[0];
    assert_eq!(copy.field("ringway-mirrored").as_deref(), Some("all"));
    assert_eq!(own.field("ringway-mirrored"), None);
    for name in ["host", "x-forwarded-for", "x-forwarded-proto"] {
        assert_eq!(copy.field(name), own.field(name), "{name}");
    }
    proxy.settles("ringway_mirror_in_flight", &[("route", "all")], 0.0);
}

#[test]
fn clients_notice_nothing_of_a_mirror_that_is_dead_deaf_mute_or_breaks_off() {
    let main = Target::echo("main");
    let (deaf, mute, silent) = (Deaf::start(), Target::mute("mute"), leaves("silent"));
    let cut = Target::closes_after("cut", 10, 1000);
    let slow = "timeout = \"300ms\"";
    for (what, address, outcome) in [
        ("dead", refused(), "failed"),
        ("deaf", deaf.address, "timeout"),
        ("mute", mute.address, "timeout"),
        ("silent", silent.address, "failed"),
        ("cut", cut.address, "failed"),
    ] {
        let proxy = Proxy::start(mirrored(&main, address, slow, ""));
        let mut client = proxy.client();
        for n in 0..20 {
            // The connection goes on from one request to the next, whatever becomes of the copy.
            assert_eq!(client.get(&format!("/{n}")).target(), "main", "{what}");
        }
        eventually(what, || counted(&proxy, outcome) == 20.0);
        assert_eq!(counted(&proxy, "answered"), 0.0, "{what}");
    }
}

#[test]
fn an_answer_does_not_wait_for_a_copy_of_its_request() {
    let (main, mute) = (Target::echo("main"), Target::mute("mute"));
    let proxy = Proxy::start(mirrored(&main, &mute, "timeout = \"10m\"\nmax_in_flight = 3", ""));
    let mut client = proxy.client();
    // Would one of them wait for the mirror, that would be for ten minutes.
    (0..20).for_each(|_| assert_eq!(client.get("/").target(), "main"));
    proxy.settles("ringway_mirror_in_flight", &[("route", "all")], 3.0);
    assert_eq!((counted(&proxy, "busy"), mute.wait_for(3).path), (17.0, "/".to_owned()));
    let mut proxy = proxy;
    proxy.signal(libc::SIGTERM);
    assert!(proxy.exit().success(), "who ends does not wait for copies");
}

#[test]
fn only_methods_that_change_nothing_are_mirrored_unless_others_are_named() {
    let (main, next) = (Target::echo("main"), Target::echo("next"));
    let proxy = Proxy::start(mirrored(&main, &next, "", ""));
    let mut client = proxy.client();
    client.post("/write", b"x");
    client.ask("DELETE", "/gone", &[]);
    client.get("/read");
    client.ask("HEAD", "/head", &[]);
    eventually("what is safe comes", || counted(&proxy, "answered") == 2.0);
    let mut seen: Vec<String> = next.seen().into_iter().map(|seen| seen.path).collect();
    seen.sort();
    assert_eq!(seen, ["/head", "/read"]);
    rewrite(&proxy, |text| text.replace("[routes.all.mirror]", "[routes.all.mirror]\nmethods = [\"DELETE\"]"));
    reload(&proxy, "applied");
    client.get("/read");
    client.ask("DELETE", "/gone", &[]);
    eventually("what is named comes", || counted(&proxy, "answered") == 3.0);
    assert_eq!(next.last().method, "DELETE", "figures live over a reload");
}

#[test]
fn bodies_are_copied_up_to_a_bound_however_they_come() {
    let (main, next) = (Target::echo("main"), Target::echo("next"));
    let proxy = Proxy::start(mirrored(&main, &next, "methods = \"all\"\nbody = \"1KiB\"", ""));
    let mut client = proxy.client();
    let (small, large) = (vec![b'a'; 1024], vec![b'b'; 1025]);
    assert_eq!(client.post("/small", &small).body, small);
    assert_eq!(client.post("/large", &large).body, large);
    for (path, body) in [("/chunks", &small), ("/many", &large)] {
        client.send(format!("POST {path} HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n"));
        for piece in body.chunks(300) {
            client.send(format!("{:x}\r\n{}\r\n", piece.len(), String::from_utf8_lossy(piece)));
        }
        client.send("0\r\n\r\n");
        assert_eq!(&client.response().body, body);
    }
    client.send("POST /expects HTTP/1.1\r\nHost: site.test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    client.send("abc");
    assert_eq!(client.response().body, b"abc");
    let h2 = h2::Client::to(&proxy.web());
    assert_eq!(h2.ask(h2::request(Method::POST, "/h2"), b"two").unwrap().body, b"two");
    eventually("what fits is copied", || counted(&proxy, "answered") == 4.0);
    assert_eq!(counted(&proxy, "too-large"), 2.0);
    let copied = |path: &str| next.requests_for(path).into_iter().map(|seen| seen.body).collect::<Vec<_>>();
    assert_eq!(copied("/small"), std::slice::from_ref(&small));
    assert_eq!(copied("/chunks"), std::slice::from_ref(&small));
    assert_eq!((copied("/expects"), copied("/h2")), (vec![b"abc".to_vec()], vec![b"two".to_vec()]));
    assert_eq!(next.requests_for("/expects")[0].field("expect"), None, "nobody is there to be told to go on");
}

#[test]
fn a_request_that_is_tried_again_is_mirrored_once() {
    let (bad, good, next) = (leaves("bad"), Target::echo("good"), Target::echo("next"));
    let config = http(&[&bad, &good])
        + &pool("next", &[&next], "")
        + "\n[routes.all]\npaths = [\"/\"]\npool = \"site\"\nmirror = { pool = \"next\" }\n";
    let proxy = Proxy::start(config);
    load::run(&proxy.web(), 1, 40, |n| format!("/{n}")).assert_clean();
    assert!(bad.requests() > 0, "some were tried twice");
    eventually("all are mirrored", || counted(&proxy, "answered") == 40.0);
    assert_eq!(next.requests(), 40);
}

#[test]
fn what_a_cache_answers_is_not_mirrored() {
    let fields = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nok";
    let (main, next) = (Target::says("main", fields), Target::echo("next"));
    let config = mirrored(&main, &next, "compare = {}", "cache = \"kept\"") + "\n[caches.kept]\nmemory = \"1MiB\"\n";
    let proxy = Proxy::start(config);
    let mut client = proxy.client();
    (0..10).for_each(|_| assert_eq!(client.get("/x").text(), "ok"));
    eventually("the first is mirrored", || counted(&proxy, "answered") == 1.0);
    assert_eq!((main.requests(), next.requests()), (1, 1));
    let compared = [("route", "all"), ("result", "different")];
    proxy.settles("ringway_mirror_compared_total", &compared, 1.0);
}

#[test]
fn what_rules_hide_and_change_is_so_for_the_mirror_too() {
    let (main, next) = (Target::echo("main"), Target::echo("next"));
    let route = "strip_prefix = \"/v1\"\nrules = [\"key\"]\nrequest.headers.set = { \"X-Who\" = \"{consumer.name}\" }";
    let config = mirrored(&main, &next, "", route)
        + "\n[rules.key]\ntype = \"api-key\"\nheader = \"apikey\"\n[consumers.ann]\nkeys = [\"secret-of-ann\"]\n";
    let proxy = Proxy::start(config.replace("paths = [\"/\"]", "paths = [\"/v1/\"]"));
    assert_eq!(proxy.client().ask("GET", "/v1/x", &["apikey: secret-of-ann"]).target(), "main");
    let copy = next.wait_for(1);
    assert_eq!((copy.path.as_str(), copy.field("x-who").as_deref()), ("/x", Some("ann")));
    assert_eq!(copy.field("apikey"), None);
}

#[test]
fn how_answers_differ_is_told_by_api_command_and_metrics() {
    let main = says("main", "200 OK", "X-Build: 1\r\n", r#"{"id":1,"who":{"name":"ann"},"list":[{"n":1},{"n":2}]}"#);
    let next = says("next", "200 OK", "X-Build: 2\r\n", r#"{"id":1,"who":{"name":"bob"},"list":[{"n":1},{"n":"2"}]}"#);
    let desk = start(&mirrored(&main, &next, "compare = { ignore_headers = [\"x-target\"], examples = 2 }", ""));
    let proxy = &desk.proxy;
    let mut client = proxy.client();
    for n in 0..5 {
        client.get(&format!("/users/{n}?token=hidden"));
        // So that the last one is compared last.
        let compared = [("route", "all"), ("result", "different")];
        proxy.settles("ringway_mirror_compared_total", &compared, f64::from(n + 1));
    }
    let of = |name: &str, labels: &[(&str, &str)]| proxy.settles(name, labels, 5.0);
    of("ringway_mirror_differences_total", &[("route", "all"), ("kind", "json")]);
    of("ringway_mirror_differences_total", &[("route", "all"), ("kind", "header")]);
    let told = desk.operator.get("/v1/mirrors/all");
    let report = &told["report"];
    let places: Vec<String> = report["places"]
        .as_array()
        .unwrap()
        .iter()
        .map(|place| format!("{} {} {} {}", place["kind"], place["at"], place["main"], place["mirrored"]))
        .collect();
    let wanted = [
        r#""header" "x-build" "present" "present""#,
        r#""json" "/list/*/n" "number" "string""#,
        r#""json" "/who/name" "string" "string""#,
    ];
    assert_eq!(places, wanted);
    assert_eq!(report["examples"].as_array().unwrap().len(), 2);
    assert_eq!(report["examples"][0]["path"], "/users/4");
    let text = told.to_string();
    assert!(!text.contains("ann") && !text.contains("bob") && !text.contains("hidden"), "no value is shown: {text}");
    let shown = desk.runs(&["mirror", "show", "all"]);
    assert!(shown.contains("/list/*/n") && shown.contains("GET /users/4: header x-build"), "{shown}");
    assert!(desk.runs(&["mirror", "list"]).contains("next"));
    assert_eq!(desk.operator.get("/v1/mirrors")["items"][0]["requests"]["answered"], 5);
    desk.runs(&["mirror", "reset", "all"]);
    assert_eq!(desk.operator.get("/v1/mirrors/all")["report"]["compared"], 0);
    let (code, _, err) = desk.run(&["mirror", "show", "other"]);
    assert!(code == Some(1) && err.contains("there is no route `other` with a mirror"), "{err}");
}

#[test]
fn answers_that_are_the_same_but_for_what_is_ignored_do_not_differ_and_values_are_shown_if_asked_for() {
    let main = says("main", "200 OK", "X-Build: 1\r\n", r#"{"id":1,"at":"now","n":1}"#);
    let same = says("same", "200 OK", "X-Build: 2\r\n", r#"{"at":"then", "n":1, "id":1}"#);
    let compare = "compare = { ignore_headers = [\"X-Build\"], ignore_fields = [\"/at\"], values = true }";
    let desk = start(&mirrored(&main, &same, compare, ""));
    desk.proxy.get("/");
    desk.proxy.settles("ringway_mirror_compared_total", &[("route", "all"), ("result", "same")], 1.0);
    assert!(desk.runs(&["mirror", "show", "all"]).contains("no difference"));
    desk.rewrite(|text| text.replace("[\"/at\"]", "[]"));
    desk.runs(&["reload"]);
    desk.proxy.get("/");
    desk.proxy.settles("ringway_mirror_compared_total", &[("route", "all"), ("result", "different")], 1.0);
    let place = &desk.operator.get("/v1/mirrors/all")["report"]["places"][0];
    assert_eq!((place["at"].as_str(), place["mirrored"].as_str()), (Some("/at"), Some("\"then\"")));
}

#[test]
fn an_error_of_a_mirror_is_a_difference_of_status() {
    let (main, next) = (says("main", "200 OK", "", "{}"), says("next", "500 Oops", "", "{}"));
    let proxy = Proxy::start(mirrored(&main, &next, "compare = {}", ""));
    assert_eq!(proxy.get("/").status, 200);
    proxy.settles("ringway_mirror_differences_total", &[("route", "all"), ("kind", "status")], 1.0);
    assert_eq!(counted(&proxy, "answered"), 1.0);
}

#[test]
fn explain_says_who_gets_a_copy() {
    let (main, next) = (Target::echo("main"), Target::echo("next"));
    let desk = start(&mirrored(&main, &next, "share = \"10%\"", ""));
    let config = desk.proxy.config_file();
    let (_, out, _) =
        crate::support::proxy::ringway(&["explain", "-c", config.to_str().unwrap(), "http://site.test/x"]);
    assert!(out.contains("pool `next` gets a copy of 10% of requests by GET, HEAD and OPTIONS"), "{out}");
}
