//! Requests that are divided among pools: by weight, by what stays, by a condition; and pools that are taken back for how they do.

use crate::admin::start;
use crate::reload::{reload, rewrite};
use crate::support::proxy::{Proxy, Setup};
use crate::support::toml::{http, pool};
use crate::support::{Target, eventually, h2};
use std::time::{Duration, Instant};

/// A route of these pools, `a` and `b`, with what else it has.
fn divided(a: &Target, b: &Target, split: &str, route: &str) -> String {
    let own = format!("\n[routes.all]\npaths = [\"/\"]\n{route}\nsplit = [{split}]\n");
    http(&[a]) + &pool("b", &[b], "") + &own
}

/// How many of so many requests the target `name` answers.
fn share(proxy: &Proxy, requests: usize, name: &str) -> usize {
    let mut client = proxy.client();
    (0..requests).filter(|_| client.get("/").target() == name).count()
}

#[test]
fn requests_are_divided_by_weight_over_both_versions_of_http() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let split = "{ pool = \"site\", weight = 75 }, { pool = \"b\", weight = 25 }";
    let proxy = Proxy::start(divided(&a, &b, split, ""));
    let of_b = share(&proxy, 400, "b");
    assert!((50..150).contains(&of_b), "{of_b} of 400");
    let client = h2::Client::to(&proxy.web());
    let of_b = (0..100).filter(|_| client.get("/").fields["x-target"] == "b").count();
    assert!((5..50).contains(&of_b), "{of_b} of 100");
    proxy.settles("ringway_split_weight", &[("route", "all"), ("pool", "b")], 25.0);
    eventually("all are counted", || proxy.metric("ringway_split_requests_total", &[("route", "all")]) == 500.0);
}

#[test]
fn a_condition_goes_before_weights_and_what_is_named_stays() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let split = "{ pool = \"site\" }, { pool = \"b\", weight = 0, when = 'request.headers[\"x-canary\"] == \"1\"' }";
    let proxy = Proxy::start(divided(&a, &b, split, ""));
    assert_eq!(share(&proxy, 20, "a"), 20);
    let mut client = proxy.client();
    assert_eq!(client.ask("GET", "/", &["X-Canary: 1"]).target(), "b");
    assert_eq!(client.ask("GET", "/", &["X-Canary: 2"]).target(), "a");

    let split = "{ pool = \"site\" }, { pool = \"b\" }";
    let proxy = Proxy::start(divided(&a, &b, split, "split_by = \"header:x-user\""));
    let mut client = proxy.client();
    let mut who = |user: usize| client.ask("GET", "/", &[&format!("X-User: {user}")]).target();
    let first: Vec<String> = (0..40).map(&mut who).collect();
    assert!(first.contains(&"a".to_owned()) && first.contains(&"b".to_owned()), "{first:?}");
    assert_eq!((0..40).map(&mut who).collect::<Vec<_>>(), first);
}

#[test]
fn weights_are_changed_by_one_call_which_outlives_reloads_until_they_are_reset() {
    let (blue, green) = (Target::echo("blue"), Target::echo("green"));
    let split =
        "{ pool = \"site\", weight = 1 }, { pool = \"b\", weight = 0, when = 'request.headers[\"x-new\"] == \"1\"' }";
    let desk = start(&divided(&blue, &green, split, ""));
    let out = desk.runs(&["split", "set", "all", "site=0", "b=1"]);
    assert_eq!(out, "+ routes.all.split[b].weight = 1\n+ routes.all.split[site].weight = 0\n");
    assert_eq!(share(&desk.proxy, 20, "green"), 20, "it is in force at once");
    let list = desk.runs(&["split", "list"]);
    assert!(list.contains("halted: gets nothing") && list.contains("1 (0)"), "{list}");
    desk.rewrite(|text| text.replace("[pools.b]", "[pools.b]\nbalance = \"least-conn\""));
    desk.runs(&["reload"]);
    assert_eq!(share(&desk.proxy, 20, "green"), 20, "a reload leaves it as it is");
    let (code, _, err) = desk.run(&["split", "set", "all", "b=0"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("nobody would get its requests"), "{err}");
    let (code, _, err) = desk.run(&["split", "set", "all", "c=1"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("pool `c` is not in the split of route `all`"), "{err}");
    desk.runs(&["split", "reset", "all"]);
    assert_eq!(share(&desk.proxy, 20, "blue"), 20);
    desk.runs(&["split", "set", "all", "b=0"]);
    assert_eq!(desk.proxy.client().ask("GET", "/", &["X-New: 1"]).target(), "blue", "who is halted gets nothing");
}

#[test]
fn a_canary_that_fails_one_request_in_twenty_is_taken_back_within_its_window_and_stays_so() {
    let (good, bad) = (
        Target::echo("good"),
        Target::with("bad", |peer| {
            let mut count = 0;
            while let Some(seen) = peer.request() {
                count += 1;
                let done = if count % 20 == 0 { peer.reply(500, &[], b"") } else { peer.echo(&seen) };
                if done.is_none() {
                    return;
                }
            }
        }),
    );
    let split =
        "{ pool = \"site\" }, { pool = \"b\", rollback = { errors = \"4%\", window = \"5s\", min_requests = 40 } }";
    let desk = start(&divided(&good, &bad, split, ""));
    let proxy = &desk.proxy;
    let taken_back = [("route", "all"), ("pool", "b")];
    let begun = Instant::now();
    eventually("it is taken back", || {
        share(proxy, 20, "bad");
        proxy.metric("ringway_split_rollbacks_total", &taken_back) == 1.0
    });
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "it took {took:?}");
    proxy.log.wait(&["a pool is taken back", "route=\"all\"", "pool=\"b\"", "why=\"errors\""]);
    assert_eq!(share(proxy, 50, "good"), 50);
    assert_eq!(proxy.metric("ringway_split_weight", &taken_back), 0.0);
    let reloads = desk.operator.told("GET", "/v1/reloads", "", 200).to_string();
    assert!(reloads.contains("\"by\":\"rollback\"") && reloads.contains("routes.all.split[b].weight"), "{reloads}");
    desk.runs(&["reload"]);
    assert_eq!(share(proxy, 50, "good"), 50, "a reload does not bring it back");
    let state = proxy.config_file().with_file_name("state").join("overrides.toml");
    let kept = std::fs::read_to_string(state).unwrap();
    assert!(kept.contains("[[split]]") && kept.contains("b = 0"), "{kept}");
    let diff = desk.runs(&["status", "--diff"]);
    assert!(diff.contains("~ route all split b weight: 1 → 0"), "{diff}");
    let status = desk.runs(&["status"]);
    assert!(status.contains("overrides 1"), "{status}");
    desk.runs(&["split", "reset", "all"]);
    assert!(desk.runs(&["status", "--diff"]).starts_with("nothing is overridden"));
    eventually("it is tried again", || share(proxy, 20, "bad") > 0);
}

#[test]
fn a_canary_that_lags_is_taken_back() {
    let (good, slow) = (Target::echo("good"), Target::slow("slow", Duration::from_millis(150)));
    let split =
        "{ pool = \"site\" }, { pool = \"b\", rollback = { latency = \"100ms\", window = \"3s\", min_requests = 3 } }";
    let proxy = Proxy::start(divided(&good, &slow, split, ""));
    eventually("it is taken back", || {
        share(&proxy, 4, "slow");
        proxy.metric("ringway_split_rollbacks_total", &[("pool", "b")]) == 1.0
    });
    proxy.log.wait(&["a pool is taken back", "why=\"latency\""]);
    assert_eq!(share(&proxy, 20, "good"), 20);
}

#[test]
fn a_pool_that_is_all_down_fails_its_share_and_is_taken_back() {
    let (good, dead) = (Target::echo("good"), Target::echo("dead"));
    dead.kill();
    let split =
        "{ pool = \"site\" }, { pool = \"b\", rollback = { errors = \"50%\", window = \"3s\", min_requests = 5 } }";
    let proxy = Setup::new(divided(&good, &dead, split, "")).workers(2).start();
    eventually("it is taken back", || {
        share(&proxy, 10, "good");
        proxy.metric("ringway_split_rollbacks_total", &[("pool", "b")]) == 1.0
    });
    assert_eq!(share(&proxy, 50, "good"), 50);
}

#[test]
fn a_cache_keeps_the_answers_of_pools_apart() {
    let says = |name: &str| {
        Target::says(
            name,
            format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {}\r\n\r\n{name}", name.len()),
        )
    };
    let (a, b) = (says("old"), says("new"));
    let split = "{ pool = \"site\" }, { pool = \"b\", weight = 0, when = 'request.headers[\"x-new\"] == \"1\"' }";
    let config = divided(&a, &b, split, "cache = \"kept\"") + "\n[caches.kept]\nmemory = \"1MiB\"\n";
    let proxy = Proxy::start(config);
    for _ in 0..3 {
        assert_eq!(proxy.get("/x").text(), "old");
        assert_eq!(proxy.client().ask("GET", "/x", &["X-New: 1"]).text(), "new");
    }
    assert_eq!((a.requests(), b.requests()), (1, 1), "both are kept");
}

#[test]
fn a_split_that_is_written_otherwise_takes_effect_with_a_reload() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let proxy = Proxy::start(divided(&a, &b, "{ pool = \"site\", weight = 1 }, { pool = \"b\", weight = 0 }", ""));
    assert_eq!(share(&proxy, 20, "a"), 20);
    rewrite(&proxy, |text| {
        text.replace("weight = 1 }, { pool = \"b\", weight = 0", "weight = 0 }, { pool = \"b\", weight = 1")
    });
    reload(&proxy, "applied");
    assert_eq!(share(&proxy, 20, "b"), 20);
}
