//! How often requests may be made, and what clients are told of that.

use super::{config, faults};
use crate::reload::{reload, rewrite};
use crate::support::client::{Client, Response};
use crate::support::proxy::Proxy;
use crate::support::{Target, eventually, h2, rounds};
use http::Method;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A rule `limit` of these keys.
fn limit(keys: &str) -> String {
    format!("[rules.limit]\ntype = \"rate-limit\"\n{keys}\n")
}

fn start(target: &Target, rules: &str, keys: &str) -> Proxy {
    Proxy::start(limit(keys) + &config(target, rules, ""))
}

fn statuses(client: &mut Client, count: usize, fields: &[&str]) -> Vec<u16> {
    (0..count).map(|_| client.ask("GET", "/v1/x", fields).status).collect()
}

fn fields(answer: &Response, names: &[&str]) -> Vec<Option<String>> {
    names.iter().map(|name| answer.field(name)).collect()
}

#[test]
fn who_asks_too_often_is_told_when_to_come_again() {
    let target = Target::echo("a");
    let proxy = start(&target, "[\"limit\"]", "rate = \"2/h\"\nburst = 3");
    let mut client = proxy.client();
    let first = client.ask("GET", "/v1/x", &[]);
    assert_eq!(first.field("ratelimit-policy").as_deref(), Some("\"limit\";q=3;w=5400"));
    let told = first.field("ratelimit").unwrap();
    assert!(told.starts_with("\"limit\";r=2;t="), "{told}");
    assert_eq!(statuses(&mut client, 3, &[]), [200, 200, 429]);
    let refused = client.ask("GET", "/v1/x", &[]);
    let after: u64 = refused.field("retry-after").unwrap().parse().unwrap();
    assert!((1700..=1800).contains(&after), "{after}");
    assert!(refused.field("ratelimit").unwrap().starts_with("\"limit\";r=0;t="));
    assert_eq!(target.requests(), 3);
    assert_eq!(proxy.get("/open").status, 200, "elsewhere nobody counts");
    proxy.settles("ringway_refused_total", &[("reason", "rate-limit")], 2.0);
    let results = |result: &str| proxy.metric("ringway_rule_requests_total", &[("rule", "limit"), ("result", result)]);
    assert_eq!((results("passed"), results("denied")), (3.0, 2.0));
    assert_eq!(proxy.metric("ringway_rule_keys", &[("rule", "limit")]), 1.0);
    eventually("it is in the log", || proxy.out.all().iter().any(|line| line.contains("\"denied_by\":\"limit\"")));
}

#[test]
fn over_http2_it_is_the_same() {
    let target = Target::echo("a");
    let proxy = start(&target, "[\"limit\"]", "rate = \"2/h\"\nburst = 2\nheaders = \"both\"");
    let client = h2::Client::to(&proxy.web());
    let ask = || client.ask(h2::request(Method::GET, "/v1/x"), b"").unwrap();
    assert_eq!([ask().status, ask().status], [200, 200]);
    let refused = ask();
    assert_eq!(refused.status, 429);
    for (name, value) in [("x-ratelimit-limit", "2"), ("x-ratelimit-remaining", "0")] {
        assert_eq!(refused.fields[name], value);
    }
    assert!(refused.fields.contains_key("retry-after") && refused.fields.contains_key("ratelimit"));
}

#[test]
fn each_key_has_an_allowance_of_its_own() {
    for (key, one, other) in [
        ("header:x-tenant", "X-Tenant: a", "X-Tenant: b"),
        ("cookie:sid", "Cookie: sid=a", "Cookie: x=1; sid=b"),
        ("consumer", "X-Key: key-of-acme", "X-Key: key-of-other"),
        ("{consumer.name} {request.headers.x-tenant}", "X-Key: key-of-acme", "X-Key: key-of-other"),
    ] {
        let target = Target::echo("a");
        let rules = if key.contains("consumer") { "[\"limit\", \"key\"]" } else { "[\"limit\"]" };
        let proxy = start(&target, rules, &format!("rate = \"1/h\"\nburst = 2\nkey = \"{key}\""));
        let mut client = proxy.client();
        assert_eq!(statuses(&mut client, 3, &[one]), [200, 200, 429], "{key}");
        assert_eq!(statuses(&mut client, 3, &[other]), [200, 200, 429], "{key}");
        if key == "consumer" {
            assert_eq!(statuses(&mut client, 1, &[]), [401], "who is nobody is counted nowhere");
            assert_eq!(proxy.metric("ringway_rule_keys", &[("rule", "limit")]), 2.0);
        }
    }
}

#[test]
fn what_one_limit_denies_another_does_not_count() {
    let target = Target::echo("a");
    let text = limit("rate = \"1/h\"\nburst = 4\nheaders = \"x-ratelimit\"")
        + "[rules.tenant]\ntype = \"rate-limit\"\nrate = \"1/h\"\nburst = 1\nkey = \"header:x-tenant\"\nheaders = \"none\"\n"
        + &config(&target, "[\"limit\", \"tenant\"]", "");
    let proxy = Proxy::start(text);
    let mut client = proxy.client();
    assert_eq!(statuses(&mut client, 3, &["X-Tenant: a"]), [200, 429, 429]);
    let answer = client.ask("GET", "/v1/x", &["X-Tenant: b"]);
    let told = fields(&answer, &["x-ratelimit-limit", "x-ratelimit-remaining", "ratelimit"]);
    assert_eq!(told, [Some("4".into()), Some("2".into()), None]);
}

#[test]
fn a_limit_in_shadow_lets_through_and_tells_clients_nothing() {
    let target = Target::echo("a");
    let proxy = start(&target, "[\"limit\"]", "rate = \"1/h\"\nburst = 1\nmode = \"shadow\"");
    let answers: Vec<Response> = (0..3).map(|_| proxy.client().ask("GET", "/v1/x", &[])).collect();
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.field("ratelimit").is_none()));
    proxy.settles("ringway_rule_requests_total", &[("rule", "limit"), ("result", "shadow-denied")], 2.0);
}

#[test]
fn a_window_that_slides_lets_in_what_it_says_and_who_is_excepted_is_not_counted() {
    let target = Target::echo("a");
    let keys = "rate = \"3/d\"\nalgorithm = \"sliding-window\"\nexcept = [\"127.0.0.9/32\"]";
    let proxy = start(&target, "[\"limit\"]", keys);
    assert_eq!(statuses(&mut proxy.client(), 4, &[]), [200, 200, 200, 429]);
    assert_eq!(statuses(&mut Client::from("127.0.0.9", &proxy.web()), 5, &[]), [200; 5]);
}

#[test]
fn what_was_counted_counts_on_over_a_reload_and_an_upgrade() {
    let target = Target::echo("a");
    let mut proxy = start(&target, "[\"limit\"]", "rate = \"1/h\"\nburst = 5");
    assert_eq!(statuses(&mut proxy.client(), 2, &[]), [200, 200]);
    rewrite(&proxy, |text| {
        text.replace("[access_log]", "[routes.more]\npaths = [\"/more\"]\npool = \"site\"\n[access_log]")
    });
    reload(&proxy, "applied");
    assert_eq!(statuses(&mut proxy.client(), 2, &[]), [200, 200]);
    proxy.upgrade();
    assert_eq!(statuses(&mut proxy.client(), 2, &[]), [200, 429]);
}

#[test]
fn explaining_a_request_counts_nothing() {
    let target = Target::echo("a");
    let proxy = start(&target, "[\"limit\"]", "rate = \"1/h\"\nburst = 1");
    for _ in 0..3 {
        let (code, out, err) = crate::support::proxy::ringway(&[
            "explain",
            "-c",
            proxy.config_file().to_str().unwrap(),
            "http://site.test/v1/x",
        ]);
        assert_eq!(code, Some(0), "{out}{err}");
        assert!(!out.contains(" 429"), "{out}");
    }
    assert_eq!(statuses(&mut proxy.client(), 2, &[]), [200, 429]);
}

#[test]
fn limits_that_make_no_sense_are_told_where_they_stand() {
    let target = Target::echo("a");
    let text = limit("rate = \"10/s\"\nkey = \"client-ip\"") + &config(&target, "[\"limit\"]", "");
    for (from, to, expected) in [
        ("rate = \"10/s\"\n", "", "has no `rate`"),
        ("\"10/s\"", "\"10\"", "write \"10/s\""),
        ("\"10/s\"", "\"99999999/s\"", "it is more than 10000000/s"),
        ("\"client-ip\"", "\"clientip\"", "did you mean \"client-ip\"?"),
        ("\"client-ip\"", "\"{target}\"", "the fields here are client.ip"),
        ("rate = \"10/s\"", "rate = \"10/s\"\nalgorithm = \"sliding-window\"\nburst = 3", "has no burst"),
        ("rate = \"10/s\"", "rate = \"99999999/m\"\nalgorithm = \"sliding-window\"", "a window has at most"),
    ] {
        let told = faults(&text, from, to);
        assert!(told.contains(expected) && told.contains("ringway.toml:"), "{to}: {told}");
    }
}

/// Clients that ask all the time, far beyond the rate: neither more are let in than the limit says, nor noticeably fewer.
#[test]
fn at_many_times_the_rate_no_more_and_no_fewer_come_in_than_may() {
    const RATE: f64 = 300.0;
    const BURST: f64 = 300.0;
    let (clients, seconds) = (rounds(500, 50), rounds(20, 4) as u64);
    let target = Target::echo("a");
    let text = limit(&format!("rate = \"{RATE}/s\"\nburst = {BURST}\nheaders = \"none\""))
        + &config(&target, "[\"limit\"]", "");
    let proxy = Proxy::start(text);
    let (stop, admitted, asked) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    // All are connected before the first one asks.
    let connected: Vec<Client> = (0..clients).map(|_| proxy.client()).collect();
    let begun = Instant::now();
    let threads: Vec<_> = connected
        .into_iter()
        .map(|mut client| {
            let (stop, admitted, asked) = (stop.clone(), admitted.clone(), asked.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let status = client.ask("GET", "/v1/x", &[]).status;
                    assert!(status == 200 || status == 429, "{status}");
                    admitted.fetch_add(u64::from(status == 200), Ordering::Relaxed);
                    asked.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(if clients > 50 { 120 } else { 10 }));
                }
            })
        })
        .collect();
    std::thread::sleep(Duration::from_secs(seconds));
    stop.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let lasted = begun.elapsed().as_secs_f64();
    let (admitted, asked) = (admitted.load(Ordering::Relaxed) as f64, asked.load(Ordering::Relaxed) as f64);
    let may = RATE * lasted + BURST;
    println!("{admitted} of {asked} were let in, {:.3} of what may be, in {lasted:.1} s", admitted / may);
    assert!(asked > 3.0 * may, "the load was no load: {asked} asked, {may} may");
    assert!(admitted <= may, "{admitted} came in, {may} may");
    assert!(admitted >= 0.9 * may, "{admitted} came in, {may} may");
}
