//! Limits that consumers get by the groups that they are in.

use super::{config, faults};
use crate::reload::{reload, rewrite};
use crate::support::client::{Client, Response, request};
use crate::support::proxy::{Directory, Proxy, ringway};
use crate::support::{Target, eventually, h2};
use http::Method;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// `acme` is in `gold` and `eu`, `other` in no group; the route names `rules`.
fn text(target: &Target, rules: &str, plans: &str) -> String {
    let limits = "[rules.fast]\ntype = \"rate-limit\"\nrate = \"1/h\"\nburst = 3\nkey = \"consumer\"\n\
                  [rules.day]\ntype = \"quota\"\nlimit = 2\nperiod = \"month\"\nkey = \"consumer\"\n";
    limits.to_owned() + plans + &config(target, rules, "")
}

const GOLD: &str = "[plans.gold]\ngroups = [\"gold\"]\nrules = [\"fast\"]\n";

fn ask(client: &mut Client, key: &str) -> Response {
    client.ask("GET", "/v1/x", &[&format!("X-Key: {key}")])
}

fn statuses(client: &mut Client, count: usize, key: &str) -> Vec<u16> {
    (0..count).map(|_| ask(client, key).status).collect()
}

#[test]
fn a_group_has_the_limits_of_its_plan_and_others_have_none() {
    let target = Target::echo("a");
    let proxy = Proxy::start(text(&target, "[\"key\"]", GOLD));
    let mut client = proxy.client();
    let first = ask(&mut client, "key-of-acme");
    assert_eq!(first.field("ratelimit-policy").as_deref(), Some("\"fast\";q=3;w=10800"));
    assert!(first.field("ratelimit").unwrap().starts_with("\"fast\";r=2;t="));
    assert_eq!(statuses(&mut client, 3, "key-of-acme"), [200, 200, 429]);
    assert_eq!(statuses(&mut client, 6, "key-of-other"), [200; 6]);
    let free = ask(&mut client, "key-of-other");
    assert_eq!(free.field("ratelimit"), None, "who has no plan is told of none");
    assert_eq!(proxy.get("/open").status, 200, "where nobody asks who it is there is no plan");
    let results = |result: &str| proxy.metric("ringway_rule_requests_total", &[("rule", "fast"), ("result", result)]);
    assert_eq!((results("passed"), results("denied")), (3.0, 1.0));
}

#[test]
fn over_http2_it_is_the_same() {
    let target = Target::echo("a");
    let proxy = Proxy::start(text(&target, "[\"key\"]", GOLD));
    let client = h2::Client::to(&proxy.web());
    let ask = |key: &str| {
        let mut request = h2::request(Method::GET, "/v1/x");
        request.headers_mut().insert("x-key", key.parse().unwrap());
        client.ask(request, b"").unwrap().status
    };
    assert_eq!([0; 4].map(|_| ask("key-of-acme")), [200, 200, 200, 429]);
    assert_eq!([0; 5].map(|_| ask("key-of-other")), [200; 5]);
}

#[test]
fn what_a_plan_denies_the_route_does_not_count_and_the_other_way_round() {
    let target = Target::echo("a");
    let route = "[rules.tenant]\ntype = \"rate-limit\"\nrate = \"1/h\"\nburst = 1\nkey = \"{consumer.name} {request.headers.x-tenant}\"\nheaders = \"none\"\n";
    let proxy = Proxy::start(text(&target, "[\"key\", \"tenant\"]", GOLD) + route);
    let mut client = proxy.client();
    let mut of =
        |tenant: &str| client.ask("GET", "/v1/x", &["X-Key: key-of-acme", &format!("X-Tenant: {tenant}")]).status;
    // Had the plan counted what the route denied, it would be used up here.
    assert_eq!(["a", "a", "a", "a", "b", "c", "d"].map(&mut of), [200, 429, 429, 429, 200, 200, 429]);
    let denied = |rule: &str| proxy.metric("ringway_rule_requests_total", &[("rule", rule), ("result", "denied")]);
    assert_eq!((denied("tenant"), denied("fast")), (3.0, 1.0));
}

#[test]
fn who_has_two_plans_is_put_to_both_and_to_a_limit_of_both_once() {
    let target = Target::echo("a");
    let plans = GOLD.to_owned() + "[plans.eu]\ngroups = [\"eu\"]\nrules = [\"fast\", \"day\"]\n";
    let proxy = Proxy::start(text(&target, "[\"key\"]", &plans));
    let mut client = proxy.client();
    let first = ask(&mut client, "key-of-acme");
    assert!(first.field("ratelimit").unwrap().contains("\"fast\";r=2;"), "{:?}", first.field("ratelimit"));
    assert_eq!(statuses(&mut client, 2, "key-of-acme"), [200, 429], "the quota of the other plan");
}

#[test]
fn a_limit_of_the_route_that_is_one_of_the_plan_counts_once() {
    let target = Target::echo("a");
    let proxy = Proxy::start(text(&target, "[\"key\", \"fast\"]", GOLD));
    let mut client = proxy.client();
    assert_eq!(statuses(&mut client, 4, "key-of-acme"), [200, 200, 200, 429]);
    assert_eq!(statuses(&mut client, 4, "key-of-other"), [200, 200, 200, 429]);
}

#[test]
fn a_plan_in_shadow_lets_through_and_one_that_is_off_is_not_there() {
    for (mode, would) in [("shadow", 2.0), ("off", 0.0)] {
        let target = Target::echo("a");
        let config = text(&target, "[\"key\"]", GOLD).replace("burst = 3", &format!("burst = 3\nmode = \"{mode}\""));
        let proxy = Proxy::start(config);
        assert_eq!(statuses(&mut proxy.client(), 5, "key-of-acme"), [200; 5]);
        proxy.settles("ringway_rule_requests_total", &[("rule", "fast"), ("result", "shadow-denied")], would);
    }
}

#[test]
fn groups_change_plans_on_a_reload_and_what_was_counted_stays() {
    let target = Target::echo("a");
    let (member, without) = ("groups = [\"gold\", \"eu\"]\nkeys", "groups = [\"eu\"]\nkeys");
    let proxy = Proxy::start(text(&target, "[\"key\"]", GOLD));
    let mut client = proxy.client();
    assert_eq!(statuses(&mut client, 2, "key-of-acme"), [200, 200]);
    rewrite(&proxy, |text| text.replace(member, without));
    reload(&proxy, "applied");
    assert_eq!(statuses(&mut client, 5, "key-of-acme"), [200; 5], "it has no plan");
    rewrite(&proxy, |text| text.replace(without, member));
    reload(&proxy, "applied");
    assert_eq!(statuses(&mut client, 2, "key-of-acme"), [200, 429]);
}

#[test]
fn a_plan_that_makes_no_sense_is_told() {
    let target = Target::echo("a");
    let good = text(&target, "[\"key\"]", GOLD);
    for (from, to, what) in [
        ("rules = [\"fast\"]", "rules = [\"fats\"]", "no rule is named `fats`"),
        ("rules = [\"fast\"]", "rules = [\"fast\", \"key\"]", "rule `key` is no limit"),
        ("rules = [\"fast\"]", "rules = [\"fast\", \"fast\"]", "rule `fast` is named twice"),
        ("rules = [\"fast\"]", "rules = []", "`rules`"),
    ] {
        let said = faults(&good, from, to);
        assert!(said.contains(what), "{to}: {said}");
    }
}

#[test]
fn a_plan_that_nobody_can_have_is_told() {
    let target = Target::echo("a");
    let good = text(&target, "[\"key\"]", GOLD);
    for (from, to, what) in [
        ("groups = [\"gold\"]\nrules", "groups = [\"godl\"]\nrules", "no consumer is in group `godl`"),
        ("rules = [\"key\"]", "rules = []", "no route finds out who asks, so that nobody has a plan"),
    ] {
        let folder = Directory::new();
        assert!(good.contains(from), "{from}");
        let file = folder.write("ringway.toml", &good.replacen(from, to, 1));
        let (code, out, err) = ringway(&["check", "-c", &file]);
        assert!(code == Some(0) && (out.clone() + &err).contains(what), "{to}: {out}{err}");
    }
}

#[test]
fn a_plan_may_bound_what_is_under_way() {
    let open = Arc::new(AtomicBool::new(false));
    let gate = open.clone();
    let target = Target::with("a", move |peer| {
        while let Some(seen) = peer.request() {
            while seen.path == "/v1/hold" && !gate.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
            if peer.echo(&seen).is_none() {
                return;
            }
        }
    });
    let few = "[rules.few]\ntype = \"concurrency\"\nmax = 1\nkey = \"consumer\"\n\
               [plans.gold]\ngroups = [\"gold\"]\nrules = [\"few\", \"fast\"]\n";
    let proxy = Proxy::start(text(&target, "[\"key\"]", few));
    let mut held = proxy.client();
    held.send(request("GET", "/v1/hold", &["X-Key: key-of-acme"]));
    eventually("it is held", || target.requests() == 1);
    let mut client = proxy.client();
    let refused = ask(&mut client, "key-of-acme");
    assert_eq!((refused.status, refused.field("retry-after").as_deref()), (429, Some("1")));
    assert_eq!(statuses(&mut client, 2, "key-of-other"), [200; 2], "who has no plan is not bound by it");
    open.store(true, Ordering::SeqCst);
    assert_eq!(held.response().status, 200);
    // What was refused took nothing of the rate.
    eventually("there is room", || ask(&mut client, "key-of-acme").status == 200);
    let passed = |rule: &str| proxy.metric("ringway_rule_requests_total", &[("rule", rule), ("result", "passed")]);
    assert_eq!((passed("few"), passed("fast")), (2.0, 2.0));
}
