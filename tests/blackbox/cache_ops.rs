//! What operators do with caches: purging, by every way and at once for every worker, and what metrics, logs, status and explain say of
//! them.

use crate::admin::{Desk, desk, setup, start};
use crate::support::client::Client;
use crate::support::target::Target;
use crate::support::toml::http;
use crate::support::{eventually, within};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Answers with the number of the request. What it says of it stands in the path: `/tag-NAME/`, `/stale/` (it may be given while it is
/// validated), `/private/`, `/revalidates/` (it stays as it is), `/old/` (it is stale at once), `/held/` (once `held` is taken
/// back), `/fails/` (from the second time on).
struct Origin {
    target: Target,
    held: Arc<AtomicBool>,
}

fn origin() -> Origin {
    let (count, held) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
    let holding = held.clone();
    let target = Target::with("origin", move |peer| {
        while let Some(seen) = peer.request() {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            while seen.path.contains("/held/") && holding.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(5));
            }
            let is = |what: &str| seen.path.contains(what);
            let control = match () {
                () if is("/stale/") => "Cache-Control: max-age=600, stale-while-revalidate=600",
                () if is("/private/") => "Cache-Control: private",
                () if is("/old/fails/") => "Cache-Control: max-age=0, stale-if-error=600",
                () if is("/old/revalidates/") => "Cache-Control: max-age=0",
                () if is("/old/") => "Cache-Control: max-age=0\r\nETag: \"old\"",
                () => "Cache-Control: max-age=600",
            };
            let tag = seen.path.split('/').find_map(|piece| piece.strip_prefix("tag-")).unwrap_or("none");
            let tags = format!("Surrogate-Key: every {tag}");
            let asks = seen.field("if-none-match").is_some();
            let sent = match () {
                () if is("/revalidates/") && asks => peer.reply(304, &[control, "ETag: \"e\""], b""),
                () if is("/revalidates/") => peer.reply(200, &[control, "ETag: \"e\""], number.to_string().as_bytes()),
                () if is("/fails/") && number > 1 => peer.reply(503, &[], b"down"),
                () => peer.reply(200, &[control, &tags], number.to_string().as_bytes()),
            };
            if sent.is_none() {
                return;
            }
        }
    });
    Origin { target, held }
}

/// Two caches; `key` is the key of the route below `/by-header/`.
fn config(origin: &Origin) -> String {
    http(&[&origin.target])
        + "[caches.main]\nmemory = \"8MiB\"\n[caches.other]\nmemory = \"8MiB\"\n\
           [routes.main]\npaths = [\"/\"]\npool = \"site\"\ncache = \"main\"\n\
           [routes.other]\npaths = [\"/other/\"]\npool = \"site\"\ncache = \"other\"\n\
           [routes.by-header]\npaths = [\"/by-header/\"]\npool = \"site\"\n\
           [routes.by-header.cache]\nstore = \"main\"\nkey = { headers = [\"x-kind\"], ignore_query = [\"utm_*\"], sort_query = true }\n"
}

/// Connections of which each worker has some.
fn on_both_workers(desk: &Desk) -> Vec<Client> {
    let mut clients = Vec::new();
    eventually("both workers have connections", || {
        clients.push(desk.proxy.client());
        clients.last_mut().unwrap().get("/warm");
        ["0", "1"].iter().all(|worker| desk.proxy.metric("ringway_worker_connections", &[("worker", worker)]) > 0.0)
    });
    clients
}

fn body(client: &mut Client, path: &str) -> String {
    let response = client.get(path);
    assert_eq!(response.status, 200, "{path}: {}", response.text());
    response.text()
}

#[track_caller]
fn purge(desk: &Desk, cache: &str, what: &Value) -> Value {
    let path = if cache.is_empty() { "/v1/purge".to_owned() } else { format!("/v1/caches/{cache}/purge") };
    desk.operator.told("POST", &path, &what.to_string(), 200)
}

#[test]
fn a_purge_by_any_way_is_in_force_at_once_on_all_workers_and_for_nothing_else() {
    let origin = origin();
    let desk = desk(setup(&config(&origin), "").workers(2).start());
    let mut clients = on_both_workers(&desk);
    let (purged, kept) = ("/a/tag-x/one?q=1", "/b/one");
    for (what, also) in [
        (json!({ "url": "HTTP://Site.Test:80/a/../a/tag-x//one?q=1" }), false),
        (json!({ "prefix": "http://site.test/a/" }), false),
        (json!({ "prefix": "http://site.test/a/tag-x/one?q" }), false),
        (json!({ "tag": "x" }), false),
        (json!({ "host": "SITE.test" }), true),
        (json!({ "all": true }), true),
    ] {
        let before = (body(&mut clients[0], purged), body(&mut clients[0], kept));
        for client in &mut clients {
            assert_eq!((body(client, purged), body(client, kept)), before, "{what}: it is stored");
        }
        let told = purge(&desk, "main", &what);
        // Of a cache for which a route makes keys of headers too it is not known how many that were.
        assert_eq!(told["caches"], json!([{ "cache": "main" }]), "{what}");
        let after = body(&mut clients[0], purged);
        assert_ne!(after, before.0, "{what}");
        for client in &mut clients {
            assert_eq!(body(client, purged), after, "{what}");
            assert_eq!(body(client, kept) != before.1, also, "{what}");
        }
    }
}

#[test]
fn a_purge_of_a_url_says_how_many_answers_that_were_and_other_caches_are_not_touched() {
    let origin = origin();
    let desk = start(&config(&origin));
    let mut client = desk.proxy.client();
    let other = body(&mut client, "/other/x");
    let main = body(&mut client, "/x");
    let url = json!({ "url": "http://site.test/other/x" });
    assert_eq!(purge(&desk, "other", &url), json!({ "caches": [{ "cache": "other", "answers": 1 }] }));
    assert_eq!(purge(&desk, "other", &url), json!({ "caches": [{ "cache": "other", "answers": 0 }] }));
    assert_ne!(body(&mut client, "/other/x"), other);
    let other = body(&mut client, "/other/x");
    purge(&desk, "main", &json!({ "all": true }));
    assert_eq!(body(&mut client, "/other/x"), other);
    assert_ne!(body(&mut client, "/x"), main);
    // All of them, without a name.
    let told = purge(&desk, "", &json!({ "all": true }));
    assert_eq!(told, json!({ "caches": [{ "cache": "main" }, { "cache": "other" }] }));
    assert_ne!(body(&mut client, "/other/x"), other);
}

#[test]
fn a_url_is_purged_with_all_that_its_key_has_besides_and_without_what_it_ignores() {
    let origin = origin();
    let desk = start(&config(&origin));
    let mut client = desk.proxy.client();
    let mut ask =
        |kind: &str| client.ask("GET", "/by-header/x?b=2&utm_source=y&a=1", &[&format!("X-Kind: {kind}")]).text();
    let before = (ask("one"), ask("two"));
    assert_eq!((ask("one"), ask("two")), before);
    purge(&desk, "", &json!({ "url": "http://site.test/by-header/x?utm_campaign=z&a=1&b=2" }));
    let after = (ask("one"), ask("two"));
    assert!(after.0 != before.0 && after.1 != before.1, "{before:?} {after:?}");
    purge(&desk, "", &json!({ "url": "http://site.test/by-header/x?a=2" }));
    assert_eq!((ask("one"), ask("two")), after);
}

#[test]
fn what_is_purged_softly_is_given_while_it_is_fetched_anew() {
    let origin = origin();
    let desk = start(&config(&origin));
    let mut client = desk.proxy.client();
    for what in [json!({ "url": "http://site.test/held/stale/x" }), json!({ "tag": "every" }), json!({ "all": true })] {
        let path = "/held/stale/x";
        let before = body(&mut client, path);
        origin.held.store(true, Ordering::SeqCst);
        let mut soft = what.clone();
        soft["soft"] = json!(true);
        purge(&desk, "main", &soft);
        let stale = client.get(path);
        assert_eq!(stale.text(), before, "{what}");
        let status = stale.field("cache-status").unwrap();
        assert!(status.contains("stale-while-revalidate"), "{what}: {status}");
        origin.held.store(false, Ordering::SeqCst);
        eventually("it is fetched anew", || body(&mut client, path) != before);
    }
    // What may not be given stale is validated, and not fetched anew.
    let before = body(&mut client, "/revalidates/x");
    purge(&desk, "", &json!({ "url": "http://site.test/revalidates/x", "soft": true }));
    let response = client.get("/revalidates/x");
    assert_eq!(response.text(), before);
    assert!(response.field("cache-status").unwrap().contains("fwd=stale"), "{:?}", response.head);
    assert!(client.get("/revalidates/x").field("cache-status").unwrap().contains("hit"));
}

#[test]
fn a_purge_while_an_answer_comes_in_is_not_lost_and_nobody_waits_for_what_it_concerns() {
    let origin = origin();
    let desk = start(&config(&origin));
    let path = "/held/tag-slow/x";
    for what in [
        json!({ "url": "http://site.test/held/tag-slow/x" }),
        json!({ "prefix": "http://site.test/held/" }),
        json!({ "tag": "slow" }),
        json!({ "all": true, "soft": true }),
    ] {
        let is_soft = what["soft"] == true;
        let asked = origin.target.requests();
        origin.held.store(true, Ordering::SeqCst);
        let web = desk.proxy.web();
        let first = thread::spawn(move || body(&mut Client::to(&web), path));
        eventually("the origin is asked", || origin.target.requests() > asked);
        purge(&desk, "main", &what);
        let web = desk.proxy.web();
        let second = thread::spawn(move || body(&mut Client::to(&web), path));
        if what.get("tag").is_none() && !is_soft {
            eventually("who comes after a purge asks anew", || origin.target.requests() > asked + 1);
        }
        origin.held.store(false, Ordering::SeqCst);
        let first = first.join().unwrap();
        let second = second.join().unwrap();
        assert!(is_soft || first != second, "{what}: {first}");
        assert_ne!(body(&mut desk.proxy.client(), path), first, "{what}: what was asked for before is not stored");
        purge(&desk, "main", &json!({ "all": true }));
    }
}

#[test]
fn what_was_purged_gives_its_memory_back() {
    let origin = origin();
    let desk = start(&config(&origin));
    let mut client = desk.proxy.client();
    (0..50).for_each(|number| drop(body(&mut client, &format!("/tag-many/{number}"))));
    body(&mut client, "/kept");
    desk.proxy.settles("ringway_cache_objects", &[("cache", "main"), ("tier", "memory")], 51.0);
    let bytes = desk.proxy.metric("ringway_cache_bytes", &[("cache", "main")]);
    assert!(bytes > 51.0 * 200.0, "{bytes}");
    purge(&desk, "", &json!({ "tag": "many" }));
    desk.proxy.settles("ringway_cache_objects", &[("cache", "main")], 1.0);
    assert!(desk.proxy.metric("ringway_cache_bytes", &[("cache", "main")]) < bytes / 10.0);
    assert_eq!(desk.proxy.metric("ringway_cache_purged_total", &[("cache", "main")]), 50.0);
    assert!(client.get("/kept").field("cache-status").unwrap().contains("hit"));
}

#[test]
fn what_cannot_be_purged_is_told_and_changes_nothing() {
    let origin = origin();
    let desk = start(&config(&origin));
    let mut client = desk.proxy.client();
    let before = body(&mut client, "/x");
    for (text, told) in [
        ("{}", "say what"),
        ("{\"all\":false}", "say what"),
        ("{\"all\":true,\"tag\":\"x\"}", "only one"),
        ("{\"url\":\"/x\"}", "no scheme"),
        ("{\"url\":\"ftp://site.test/x\"}", "`ftp` is no scheme"),
        ("{\"url\":\"http://site.test/%zz\"}", "no request has such a path"),
        ("{\"prefix\":\"http://u@site.test/\"}", "user name"),
        ("{\"host\":\"http://site.test\"}", "is no host"),
        ("{\"tag\":\"a,b\"}", "is no tag"),
        ("{\"all\":true,\"force\":1}", "unknown field"),
    ] {
        let detail = desk.operator.wrong("POST", "/v1/purge", text, 422);
        assert!(detail.contains(told), "{text}: {detail}");
    }
    assert!(desk.operator.wrong("POST", "/v1/caches/none/purge", "{\"all\":true}", 404).contains("`none`"));
    desk.operator.wrong("GET", "/v1/caches/none", "", 404);
    let refused = desk.remote().wrong("POST", "/v1/purge", "{\"all\":true}", 403);
    assert!(refused.contains("read only"), "{refused}");
    assert_eq!(body(&mut client, "/x"), before);
}

#[test]
fn the_command_purges_and_says_what() {
    let origin = origin();
    let desk = start(&config(&origin));
    let mut client = desk.proxy.client();
    let mut stored = || (body(&mut client, "/tag-x/x"), body(&mut client, "/other/x"));
    let before = stored();
    assert_eq!(desk.runs(&["purge", "--cache", "other", "http://site.test/other/x"]), "other: 1 answer is purged\n");
    assert_eq!(desk.runs(&["purge", "--cache", "other", "http://site.test/other/y"]), "other: 0 answers are purged\n");
    let after = stored();
    assert!(after.0 == before.0 && after.1 != before.1);
    for way in [&["--tag", "x"][..], &["--prefix", "http://site.test/"], &["--host", "site.test"], &["--all"]] {
        let before = stored();
        let out = desk.runs(&[&["purge"], way].concat());
        assert_eq!(out, "main: what it has of that is purged\nother: what it has of that is purged\n", "{way:?}");
        assert_ne!(stored().0, before.0, "{way:?}");
    }
    assert!(desk.runs(&["purge", "--soft", "--all"]).contains("main: what it has of that is stale from now on"));
    let (code, out, err) = desk.run(&["purge", "--cache", "none", "--all"]);
    assert_eq!((code, &*out), (Some(1), ""));
    assert!(err.contains("there is no cache `none`"), "{err}");
    let (code, _, err) = desk.run(&["purge", "site.test/x"]);
    assert!(code == Some(1) && err.contains("it has no scheme; write \"https://site.test/x\""), "{err}");
    for wrong in [&["purge"][..], &["purge", "--all", "--tag", "x"], &["purge", "http://a/", "--host", "a"]] {
        assert_eq!(desk.run(wrong).0, Some(2), "{wrong:?}");
    }
    let lines = desk.proxy.log.count(&["purged", "by=", "Tag"]);
    assert_eq!(lines, 2, "the log says who has purged what");
}

#[test]
fn metrics_log_and_status_say_what_a_cache_did_for_each_request() {
    let origin = origin();
    let log = "\n[access_log]\npath = \"stdout\"\nformat = \"json\"\n";
    let desk = start(&(config(&origin) + log));
    let mut client = desk.proxy.client();
    let mut ask = |method: &str, path: &str, fields: &[&str]| client.ask(method, path, fields);
    ask("GET", "/x", &[]);
    ask("GET", "/x", &[]);
    ask("GET", "/x", &["Cache-Control: no-cache"]);
    ask("GET", "/old/x", &[]);
    ask("GET", "/old/x", &["Cache-Control: max-stale=600"]);
    ask("GET", "/old/revalidates/x", &[]);
    ask("GET", "/old/revalidates/x", &[]);
    ask("GET", "/private/x", &[]);
    ask("GET", "/x", &["If-Match: \"x\""]);
    ask("POST", "/y", &[]);
    ask("GET", "/nothing", &["Cache-Control: only-if-cached"]);
    let count = |result: &str, reason: &str, expected: f64| {
        let mut labels = vec![("cache", "main"), ("result", result)];
        labels.extend((!reason.is_empty()).then_some(("reason", reason)));
        desk.proxy.settles("ringway_cache_requests_total", &labels, expected);
    };
    count("hit", "", 1.0);
    count("stale", "max-stale", 1.0);
    count("revalidated", "", 1.0);
    count("miss", "uri-miss", 5.0);
    count("miss", "request", 1.0);
    count("bypass", "request", 1.0);
    count("bypass", "method", 1.0);
    assert_eq!(desk.proxy.metric("ringway_cache_requests_total", &[("cache", "other")]), 0.0);
    let main = [("cache", "main")];
    assert_eq!(desk.proxy.metric("ringway_cache_not_stored_total", &[("cache", "main"), ("reason", "private")]), 1.0);
    desk.proxy.settles("ringway_cache_stored_total", &main, 4.0);
    assert_eq!(desk.proxy.metric("ringway_cache_validated_total", &main), 1.0);
    assert_eq!(desk.proxy.metric("ringway_cache_fills", &main), 0.0);
    assert_eq!(desk.proxy.metric("ringway_cache_sent_bytes_total", &main), 3.0);
    assert_eq!(desk.proxy.metric("ringway_cache_max_bytes", &main), f64::from(8 << 20));
    let record = |part: &str| -> Vec<Value> {
        let is = |line: &String| line.contains(part);
        desk.proxy.out.all().iter().filter(|line| is(line)).map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    eventually("all is logged", || record("\"uri\":\"/nothing\"").len() == 1);
    let words =
        |part: &str| record(part).iter().map(|line| line["cache"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(words("\"uri\":\"/x\""), ["miss", "hit", "miss", "bypass"]);
    assert_eq!(words("\"uri\":\"/old/x\""), ["miss", "stale"]);
    assert_eq!(words("\"uri\":\"/old/revalidates/x\""), ["miss", "revalidated"]);
    assert_eq!(words("\"uri\":\"/y\""), ["bypass"]);
    // Who was asked for a miss is known, and of a hit that nobody was.
    let lines = record("\"uri\":\"/x\"");
    assert_eq!((&lines[0]["target"], &lines[0]["tries"]), (&json!(origin.target.to_string()), &json!(1)));
    assert!(lines[0]["first_byte_ms"].is_number() && lines[1].get("target").is_none() && lines[1]["tries"] == 0);
    let shown = desk.operator.get("/v1/caches/main");
    assert_eq!((&shown["requests"]["hit"], &shown["requests"]["miss"]), (&json!(1), &json!(6)), "{shown}");
    assert_eq!((&shown["routes"], &shown["tiers"][0]["tier"]), (&json!(["by-header", "main"]), &json!("memory")));
    let text = desk.runs(&["status"]);
    let row = text.lines().find(|line| line.starts_with("main ")).unwrap_or_else(|| panic!("{text}"));
    assert!(row.contains(" of 8 MiB") && row.ends_with("22%"), "{text}");
}

#[test]
fn who_shares_anothers_question_is_logged_as_such_and_counted() {
    let origin = origin();
    let log = "\n[access_log]\npath = \"stdout\"\nformat = \"{request.uri} {cache} {target}\"\n";
    let desk = start(&(config(&origin) + log));
    origin.held.store(true, Ordering::SeqCst);
    let ask = |web: String| thread::spawn(move || body(&mut Client::to(&web), "/held/shared"));
    let first = ask(desk.proxy.web());
    desk.proxy.settles("ringway_cache_fills", &[("cache", "main")], 1.0);
    let second = ask(desk.proxy.web());
    // It waits, and asks for nothing.
    assert!(!within(Duration::from_millis(100), || origin.target.requests() > 1));
    origin.held.store(false, Ordering::SeqCst);
    assert_eq!(first.join().unwrap(), second.join().unwrap());
    desk.proxy.settles("ringway_cache_requests_total", &[("cache", "main"), ("result", "collapsed")], 1.0);
    desk.proxy.settles("ringway_cache_fills", &[("cache", "main")], 0.0);
    desk.proxy.out.wait(&[&format!("/held/shared miss {}", origin.target)]);
    desk.proxy.out.wait(&["/held/shared collapsed -"]);
}

#[test]
fn a_stale_answer_in_the_place_of_a_failing_origin_is_counted_and_what_counts_goes_on_over_a_reload() {
    let origin = origin();
    let desk = start(&config(&origin));
    let mut client = desk.proxy.client();
    let before = body(&mut client, "/old/fails/x");
    assert_eq!(body(&mut client, "/old/fails/x"), before);
    let labels = [("cache", "main"), ("result", "stale"), ("reason", "if-error")];
    desk.proxy.settles("ringway_cache_requests_total", &labels, 1.0);
    let kept = body(&mut client, "/fails-never");
    desk.rewrite(|text| text.replace("[caches.main]\nmemory = \"8MiB\"", "[caches.main]\nmemory = \"16MiB\""));
    desk.runs(&["reload"]);
    assert_eq!(desk.proxy.metric("ringway_cache_requests_total", &labels), 1.0);
    assert_eq!(desk.proxy.metric("ringway_cache_max_bytes", &[("cache", "main")]), f64::from(16 << 20));
    assert_eq!(body(&mut client, "/fails-never"), kept, "what is stored stays");
}

#[test]
fn explain_says_by_what_a_request_is_looked_up_or_why_it_is_not() {
    let origin = origin();
    let desk = start(&config(&origin));
    let explain = |arguments: &[&str]| {
        let url = format!("http://{}/by-header/../by-header/x?b=2&utm_source=y&a=1", desk.proxy.web());
        let listener = ["--listener", "web", "-H", "Host: Site.test"];
        desk.runs(&[&["explain"], &listener[..], arguments, &[&url]].concat())
    };
    let told = explain(&["--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    let expected = json!({
        "store": "main", "looked_up": true, "why": null, "uri": "http://site.test/by-header/x?a=1&b=2",
        "headers": ["x-kind"], "cookies": [], "forgets": false,
    });
    assert_eq!(told["forward"]["cache"], expected);
    let text = explain(&[]);
    assert!(text.contains("looked up by http://site.test/by-header/x?a=1&b=2, header x-kind"), "{text}");
    for (arguments, why) in [
        (&["-X", "POST"][..], "passed by: its method is neither GET nor HEAD"),
        (
            &["-X", "DELETE"],
            "an answer that is no error makes forgotten what is stored for http://site.test/by-header/x?a=1",
        ),
        (&["-H", "If-Match: \"x\""], "passed by: only the origin can judge"),
        (&["-H", "Content-Length: 3"], "passed by: it has a body"),
        (&["-H", "X-HTTP-Method-Override: PUT"], "passed by: a header of it says another method"),
    ] {
        let text = explain(arguments);
        assert!(text.contains(why), "{arguments:?}: {text}");
    }
}
