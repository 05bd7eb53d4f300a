//! States, weights and targets that operators change: what traffic does, what outlives what, and what is refused.

use super::{Desk, Operator, desk, setup, start};
use crate::support::client::request;
use crate::support::load::Load;
use crate::support::proxy::{Proxy, Setup};
use crate::support::target::Target;
use crate::support::toml::{http, http_with, pool};
use crate::support::{eventually, rounds};
use serde_json::Value;
use std::time::Duration;

fn at(target: &Target) -> String {
    format!("/v1/pools/site/targets/{}", target.address)
}

#[track_caller]
fn set(operator: &Operator, target: &Target, body: &str) -> Value {
    operator.told("PATCH", &at(target), body, 200)
}

/// Who answers the next requests, each once.
#[track_caller]
fn who(proxy: &Proxy) -> Vec<String> {
    let mut names: Vec<String> = (0..20).map(|_| proxy.get("/").target()).collect();
    names.sort();
    names.dedup();
    names
}

fn state_file(proxy: &Proxy) -> std::path::PathBuf {
    proxy.config_file().with_file_name("state").join("overrides.toml")
}

/// Stops it and starts another one by the same configuration and state.
fn again(desk: &Desk) -> Desk {
    let text = std::fs::read_to_string(desk.proxy.config_file()).unwrap();
    let (runtime, rest) = text.split_once("[admin]").unwrap();
    let next = Setup::new("");
    let rest = rest.replace("admin.sock", "again.sock");
    let state = runtime.lines().find(|line| line.starts_with("state_dir")).unwrap().to_owned();
    let proxy = next.with(format!("[admin]{rest}")).runtime(&state).start();
    let socket = desk.proxy.config_file().with_file_name("again.sock");
    Desk { operator: Operator::at(format!("unix:{}", socket.display())), proxy }
}

#[test]
fn a_draining_target_gets_nothing_new_and_finishes_what_it_has() {
    let (slow, other) = (Target::slow("slow", Duration::from_millis(600)), Target::echo("other"));
    let desk = start(&http_with("", &[&slow], "balance = \"round-robin\""));
    let mut client = desk.proxy.client();
    client.send(request("GET", "/", &[]));
    slow.wait_for(1);
    desk.operator.told("POST", "/v1/pools/site/targets", &format!("{{\"address\":\"{}\"}}", other.address), 201);
    let told = set(&desk.operator, &slow, "{\"state\":\"drain\"}");
    assert_eq!(told["changes"][0]["to"], "drain");
    assert_eq!(who(&desk.proxy), ["other"]);
    assert_eq!(client.response().target(), "slow", "what it had goes on");
    let target = desk.operator.get(&at(&slow));
    assert_eq!((&target["state"], &target["origin"]), (&"drain".into(), &"override".into()));
    assert_eq!((&target["weight"]["configured"], &target["weight"]["in_force"]), (&1.into(), &0.into()));
    set(&desk.operator, &slow, "{\"state\":\"ready\"}");
    assert_eq!(who(&desk.proxy), ["other", "slow"]);
    assert_eq!(desk.operator.get(&at(&slow))["origin"], "config");
}

#[test]
fn maintenance_is_down_whatever_the_pool_does_without_targets() {
    let target = Target::echo("a");
    let desk = start(&http_with("", &[&target], "all_down = \"open\""));
    assert_eq!(desk.proxy.get("/").status, 200);
    assert_eq!(target.open(), 1, "an idle connection");
    set(&desk.operator, &target, "{\"state\":\"maintenance\"}");
    assert_eq!(desk.proxy.get("/").status, 503);
    eventually("its idle connections are closed", || target.open() == 0);
    assert_eq!(desk.operator.get("/v1/pools/site")["up"], 0);
    set(&desk.operator, &target, "{\"state\":\"ready\"}");
    assert_eq!(desk.proxy.get("/").status, 200);
}

#[test]
fn checks_go_on_while_an_operator_has_a_target() {
    let target = Target::echo("a");
    let desk =
        start(&http_with("", &[&target], "health = { type = \"tcp\", interval = \"100ms\", fall = 1, rise = 1 }"));
    for state in ["drain", "maintenance"] {
        set(&desk.operator, &target, &format!("{{\"state\":\"{state}\"}}"));
        let label = target.address.to_string();
        let passed = || desk.proxy.metric("ringway_target_checks_passed_total", &[("target", &label)]);
        let before = passed();
        eventually("checks go on", || passed() > before + 2.0);
    }
    target.kill();
    eventually("it is seen to be down", || desk.operator.get(&at(&target))["up"] == false);
}

#[test]
fn a_weight_is_in_force_at_once_and_can_be_given_back() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let desk = start(&http_with("", &[&a, &b], "balance = \"round-robin\""));
    set(&desk.operator, &a, "{\"weight\":0}");
    assert_eq!(who(&desk.proxy), ["b"]);
    set(&desk.operator, &a, "{\"weight\":19}");
    let to_a = (0..100).filter(|_| desk.proxy.get("/").target() == "a").count();
    assert!((88..=100).contains(&to_a), "{to_a}");
    let target = desk.operator.get(&at(&a));
    assert_eq!((&target["weight"]["configured"], &target["weight"]["in_force"]), (&1.into(), &19.into()));
    set(&desk.operator, &a, "{\"weight\":null}");
    assert_eq!(desk.operator.get("/v1/overrides")["items"].as_array().unwrap().len(), 0);
    for (body, told) in [
        ("{}", "nothing is to change"),
        ("{\"weight\":257}", "0 to 256"),
        ("{\"weight\":-1}", "invalid value"),
        ("{\"state\":\"drained\"}", "unknown variant `drained`"),
        ("{\"state\":\"drain\",\"untill\":\"restart\"}", "unknown field `untill`"),
    ] {
        let detail = desk.operator.wrong("PATCH", &at(&a), body, 422);
        assert!(detail.contains(told), "{body}: {detail}");
    }
}

#[test]
fn who_changes_what_somebody_else_has_changed_is_told() {
    let target = Target::echo("a");
    let desk = start(&http(&[&target]));
    let tag = || desk.operator.ask("GET", &at(&target), "").field("etag").unwrap();
    let first = tag();
    let with = |tag: &str| Operator::at(&desk.operator.at).with(format!("If-Match: {tag}"));
    with(&first).told("PATCH", &at(&target), "{\"weight\":2}", 200);
    let detail = with(&first).wrong("PATCH", &at(&target), "{\"weight\":3}", 412);
    assert!(detail.contains("read it again"), "{detail}");
    assert_eq!(desk.operator.get(&at(&target))["weight"]["in_force"], 2);
    with(&format!("\"other\", {}", tag())).told("PATCH", &at(&target), "{\"weight\":3}", 200);
    with("*").told("PATCH", &at(&target), "{\"weight\":4}", 200);
    let now = tag();
    set(&desk.operator, &target, "{\"weight\":4}");
    assert_eq!(tag(), now, "what changes nothing makes nothing stale");
    with(&first).wrong("DELETE", "/v1/overrides", "", 412);
    with(&first).wrong("PUT", "/v1/bans/192.0.2.1", "{}", 412);
}

#[test]
fn overrides_outlive_a_reload_a_restart_and_an_upgrade_as_far_as_they_are_to() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let mut desk = start(&http(&[&a, &b]));
    set(&desk.operator, &a, "{\"state\":\"drain\"}");
    set(&desk.operator, &b, "{\"weight\":7,\"until\":\"restart\"}");
    let file = std::fs::read_to_string(state_file(&desk.proxy)).unwrap();
    assert!(file.contains(&a.to_string()) && !file.contains(&b.to_string()), "{file}");
    let shown = |desk: &Desk| -> (Value, Value) {
        (desk.operator.get(&at(&a))["state"].clone(), desk.operator.get(&at(&b))["weight"]["in_force"].clone())
    };
    desk.rewrite(|text| text.replace("[pools.site]", "[pools.site]\nbalance = \"least-conn\""));
    desk.operator.told("POST", "/v1/reload", "", 200);
    assert_eq!(shown(&desk), ("drain".into(), 7.into()), "a reload");
    desk.operator.told("PUT", "/v1/bans/192.0.2.1", "{\"for\":\"1h\",\"reason\":\"probes\"}", 200);
    desk.proxy.upgrade();
    assert_eq!(shown(&desk), ("drain".into(), 7.into()), "an upgrade");
    assert_eq!(desk.operator.get("/v1/bans")["items"][0]["reason"], "probes");
    assert_eq!(who(&desk.proxy), ["b"]);
    let next = again(&desk);
    next.proxy.log.wait(&["what was overridden before is so still", "targets=1"]);
    assert_eq!(shown(&next), ("drain".into(), 1.into()), "a restart");
    assert_eq!(who(&next.proxy), ["b"], "from the first request on");
    next.operator.told("DELETE", "/v1/overrides", "", 200);
    assert_eq!(shown(&next), ("ready".into(), 1.into()));
}

#[test]
fn what_names_nothing_is_kept_and_counts_when_it_is_there_again() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let desk = start(&(http(&[&a, &b]) + &pool("spare", &[&a], "")));
    set(&desk.operator, &b, "{\"state\":\"maintenance\"}");
    let named = format!(", \"{b}\"");
    desk.rewrite(|text| text.replace(&named, ""));
    desk.operator.told("POST", "/v1/reload", "", 200);
    let row = &desk.operator.get("/v1/overrides")["items"][0];
    assert_eq!((&row["target"], &row["effect"]), (&b.to_string().into(), &false.into()));
    assert!(desk.runs(&["status", "--diff"]).contains("(without effect)"));
    desk.rewrite(|text| {
        text.replace(&format!("[\"{a}\"]\n\n\n[pools.spare]"), &format!("[\"{a}\"{named}]\n\n\n[pools.spare]"))
    });
    desk.operator.told("POST", "/v1/reload", "", 200);
    assert_eq!(desk.operator.get("/v1/overrides")["items"][0]["effect"], true);
    assert_eq!(who(&desk.proxy), ["a"]);
    desk.operator.told("DELETE", &format!("/v1/overrides/site/{b}"), "", 200);
    desk.operator.wrong("DELETE", &format!("/v1/overrides/site/{b}"), "", 404);
    assert_eq!(who(&desk.proxy), ["a", "b"]);
}

#[test]
fn targets_come_and_go_under_load_and_no_request_is_lost() {
    let (a, b, c) = (Target::echo("a"), Target::echo("b"), Target::echo("c"));
    let desk = start(&http(&[&a, &b]));
    let load = Load::start(&desk.proxy.web(), 8, Duration::from_millis(1));
    for _ in 0..rounds(40, 10) {
        let new = format!("{{\"address\":\"{}\",\"weight\":2,\"until\":\"restart\"}}", c.address);
        desk.operator.told("POST", "/v1/pools/site/targets", &new, 201);
        desk.operator.told("DELETE", &format!("{}?until=restart", at(&a)), "", 200);
        load.more(20);
        desk.operator.told("DELETE", &at(&c), "", 200);
        desk.operator.told("DELETE", &format!("/v1/overrides/site/{}", a.address), "", 200);
        load.more(20);
    }
    load.stop().assert_clean();
    assert!(a.requests() > 0 && b.requests() > 0 && c.requests() > 0);
    assert_eq!(desk.operator.get("/v1/overrides")["items"].as_array().unwrap().len(), 0);
    assert_eq!(desk.operator.get("/v1/pools/site")["targets"].as_array().unwrap().len(), 2);
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let target = Target::echo("a");
    let desk = start(&http(&[&target]));
    let add = |body: &str, status| desk.operator.wrong("POST", "/v1/pools/site/targets", body, status);
    assert!(add(&format!("{{\"address\":\"{target}\"}}"), 409).contains("already"));
    for (address, told) in [
        ("10.0.0.1", "the port is missing"),
        ("example.com:80", "names are not resolved"),
        ("10.0.0.1:0", "port 0"),
        ("unix:run/x", "must begin with `/`"),
    ] {
        let detail = add(&format!("{{\"address\":\"{address}\"}}"), 422);
        assert!(detail.contains(told), "{address}: {detail}");
    }
    assert!(desk.operator.wrong("DELETE", &at(&target), "", 409).contains("last target"));
    desk.operator.wrong("DELETE", "/v1/pools/site/targets/10.0.0.1:1", "", 404);
    desk.operator.wrong("PATCH", "/v1/pools/nosuch/targets/10.0.0.1:1", "{\"weight\":1}", 404);
    assert_eq!(desk.operator.get("/v1/status")["plan"], 1);
    assert!(!state_file(&desk.proxy).exists());
}

#[test]
fn a_change_that_cannot_be_kept_is_refused_and_changes_nothing() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let setup = setup(&http(&[&a]), "");
    // Whoever runs the test may be root, who may write everywhere: a file stands where the folder should be.
    std::fs::write(setup.directory().join("state"), "a file").unwrap();
    let desk = desk(setup.start());
    desk.proxy.log.wait(&["overrides.toml", "cannot be used"]);
    let detail = desk.operator.wrong("PATCH", &at(&a), "{\"state\":\"drain\"}", 500);
    assert!(detail.contains("nothing is changed") && detail.contains("runtime.state_dir"), "{detail}");
    desk.operator.wrong("POST", "/v1/pools/site/targets", &format!("{{\"address\":\"{b}\"}}"), 500);
    assert_eq!(desk.operator.get("/v1/pools/site")["targets"].as_array().unwrap().len(), 1);
    assert_eq!(who(&desk.proxy), ["a"]);
    set(&desk.operator, &a, "{\"state\":\"maintenance\",\"until\":\"restart\"}");
    assert_eq!(desk.proxy.get("/").status, 503, "what need not be kept can be done");
}

#[test]
fn a_damaged_file_is_told_loudly_set_aside_and_keeps_nobody_from_starting() {
    let target = Target::echo("a");
    let setup = setup(&http(&[&target]), "");
    let state = setup.directory().join("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::write(state.join("overrides.toml"), "version = 1\nrevision = 3\n[[override]]\npool").unwrap();
    let desk = desk(setup.start());
    desk.proxy.log.wait(&["ERROR", "overrides.toml", "help: mend it"]);
    assert_eq!(who(&desk.proxy), ["a"]);
    set(&desk.operator, &target, "{\"weight\":3}");
    assert!(std::fs::read_to_string(state.join("overrides.toml.damaged")).unwrap().ends_with("pool"));
}

#[test]
fn a_target_on_a_unix_socket_is_named_by_its_encoded_path() {
    let target = Target::echo("a");
    let desk = start(&http_with("", &[target.to_string(), "unix:/run/nosuch.sock".to_owned()], ""));
    let path = "/v1/pools/site/targets/unix%3A%2Frun%2Fnosuch.sock";
    assert_eq!(desk.operator.get(path)["address"], "unix:/run/nosuch.sock");
    desk.operator.told("DELETE", path, "", 200);
    assert_eq!(who(&desk.proxy), ["a"]);
}

/// HAProxy's `track`: what operators want of a target holds for those that follow it.
#[test]
fn who_follows_a_target_drains_and_rests_with_it() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let config = http_with("", &[&a, &b], "balance = \"round-robin\"\ntrack = \"lead\"")
        + "[routes.lead]\npaths = [\"/lead/\"]\npool = \"lead\"\n"
        + &pool("lead", &[&a, &b], "health = { type = \"tcp\", interval = \"100ms\" }");
    let desk = start(&config);
    let lead = format!("/v1/pools/lead/targets/{}", a.address);
    for (state, up) in [("drain", true), ("maintenance", false)] {
        desk.operator.told("PATCH", &lead, &format!("{{\"state\":\"{state}\"}}"), 200);
        assert_eq!(who(&desk.proxy), ["b"], "{state}");
        assert_eq!(desk.operator.get(&at(&a))["up"], up, "{state}");
        desk.operator.told("PATCH", &lead, "{\"state\":\"ready\"}", 200);
        assert_eq!(who(&desk.proxy), ["a", "b"]);
    }
}
