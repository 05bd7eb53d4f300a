//! Clients that are refused too often.

use super::faults;
use crate::admin::{self, Desk};
use crate::support::client::Client;
use crate::support::proxy::{Proxy, Setup};
use crate::support::tls::{self, Authority, Kind};
use crate::support::toml::{http_with, tcp_with};
use crate::support::{Target, eventually, h2};
use http::{HeaderValue, Method};

/// A listener of these rules in front of a target; `/v1/` wants a key; `abuse` bans after three refusals.
fn config(target: &Target, listener: &str, route: &str, ban: &str) -> String {
    http_with(listener, &[target], "")
        + &format!("\n[routes.api]\npaths = [\"/v1/\"]\npool = \"site\"\nrules = {route}\n")
        + "[consumers.acme]\nkeys = [\"key-of-acme\"]\n[rules.key]\ntype = \"api-key\"\n"
        + &format!("[rules.abuse]\ntype = \"ban\"\ndenials = 3\nwithin = \"10m\"\nfor = \"1h\"\n{ban}\n[access_log]\n")
}

fn banned(desk: &Desk) -> Vec<(String, String)> {
    let items = desk.operator.get("/v1/bans")["items"].as_array().unwrap().clone();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    items.iter().map(|ban| (text(&ban["client"]), text(&ban["rule"]))).collect()
}

/// Asks so often without a key.
fn refused(proxy: &Proxy, from: &str, times: usize) {
    let mut client = Client::from(from, &proxy.web());
    (0..times).for_each(|_| assert_eq!(client.get("/v1/x").status, 401));
}

#[test]
fn who_is_refused_too_often_is_banned_at_the_door_until_it_is_taken_back() {
    let target = Target::echo("a");
    let mut desk = admin::start(&config(&target, "rules = [\"abuse\"]", "[\"key\"]", ""));
    let mut open = Client::from("127.0.3.1", &desk.proxy.web());
    refused(&desk.proxy, "127.0.3.1", 2);
    refused(&desk.proxy, "127.0.3.2", 2);
    assert_eq!(open.ask("GET", "/v1/x", &["apikey: key-of-acme"]).status, 200, "two are not enough");
    refused(&desk.proxy, "127.0.3.1", 1);
    eventually("the third is", || banned(&desk) == [("127.0.3.1/32".to_owned(), "abuse".to_owned())]);
    Client::from("127.0.3.1", &desk.proxy.web()).ending();
    assert_eq!(open.ask("GET", "/v1/x", &["apikey: key-of-acme"]).status, 403, "who is in gets no further");
    assert_eq!(Client::from("127.0.3.2", &desk.proxy.web()).get("/").status, 200, "others do");
    desk.proxy.log.wait(&["banned", "abuse", "127.0.3.1/32", "3 refusals within 10m"]);
    assert_eq!(desk.proxy.metric("ringway_rule_bans_total", &[("rule", "abuse"), ("result", "banned")]), 1.0);
    assert_eq!(desk.proxy.metric("ringway_bans", &[("by", "rule")]), 1.0);
    let out = desk.runs(&["ban"]);
    assert!(out.contains("rule abuse") && out.contains("3 refusals"), "{out}");
    desk.rewrite(|text| text.replace("for = \"1h\"", "for = \"2h\""));
    desk.operator.told("POST", "/v1/reload", "", 200);
    refused(&desk.proxy, "127.0.3.2", 1);
    eventually("a reload counts on", || banned(&desk).len() == 2);
    desk.proxy.upgrade();
    assert_eq!(banned(&desk).len(), 2, "an upgrade hands them over");
    Client::from("127.0.3.1", &desk.proxy.web()).ending();
    assert_eq!(desk.runs(&["unban", "127.0.3.1/32"]), "127.0.3.1/32 is no longer banned\n");
    refused(&desk.proxy, "127.0.3.1", 2);
    assert_eq!(Client::from("127.0.3.1", &desk.proxy.web()).get("/").status, 200, "it is counted anew");
}

#[test]
fn a_ban_costs_no_handshake() {
    let authority = Authority::new("Test");
    let target = Target::echo("a");
    let text = config(&target, "rules = [\"abuse\"]", "[\"key\"]", "");
    let setup = Setup::new(text + &tls::listener(&["site"], ""));
    authority.server(&["site.test"], Kind::Ecdsa).write(setup.directory(), "site");
    let proxy = setup.start();
    let mut client = authority.dial().to(&proxy.web(), "site.test");
    (0..3).for_each(|_| assert_eq!(client.get("/v1/x").status, 401));
    eventually("it is banned", || proxy.metric("ringway_bans", &[("by", "rule")]) == 1.0);
    (0..3).for_each(|_| assert!(Client::is_refused(&proxy.web())));
    proxy.settles("ringway_refused_total", &[("listener", "web"), ("reason", "banned")], 3.0);
    assert_eq!(proxy.metric("ringway_tls_handshakes_total", &[]), 1.0);
}

#[test]
fn refusals_over_h2_count_and_a_route_may_count_its_own() {
    let target = Target::echo("a");
    let text = config(&target, "", "[\"key\", \"abuse\"]", "")
        + "[routes.other]\npaths = [\"/v2/\"]\npool = \"site\"\nrules = [\"key\"]\n";
    let proxy = Proxy::start(text);
    let h2 = h2::Client::to(&proxy.web());
    (0..9).for_each(|_| assert_eq!(h2.get("/v2/x").status.as_u16(), 401, "another route"));
    let answers = h2.ask_all((0..3).map(|_| h2::request(Method::GET, "/v1/x")).collect());
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().status.as_u16() == 401));
    eventually("they count", || proxy.metric("ringway_bans", &[("by", "rule")]) == 1.0);
    let mut request = h2::request(Method::GET, "/v1/x");
    request.headers_mut().insert("apikey", HeaderValue::from_static("key-of-acme"));
    assert_eq!(h2.ask(request, b"").unwrap().status.as_u16(), 403);
    assert!(Client::is_refused(&proxy.web()));
}

#[test]
fn who_is_named_by_a_proxy_is_banned_and_never_the_proxy() {
    let target = Target::echo("a");
    let listener = "rules = [\"abuse\"]\ntrusted_proxies = [\"127.0.0.1\"]";
    let proxy = Proxy::start(config(&target, listener, "[\"key\"]", "except = [\"192.0.2.0/28\"]"));
    let ask =
        |client: &str, path: &str| proxy.client().ask("GET", path, &[&format!("X-Forwarded-For: {client}")]).status;
    (0..3).for_each(|_| assert_eq!(ask("192.0.2.77", "/v1/x"), 401));
    eventually("it is banned", || ask("192.0.2.77", "/") == 403);
    (0..9).for_each(|_| assert_eq!(ask("192.0.2.7", "/v1/x"), 401, "it is excepted"));
    (0..9).for_each(|_| assert_eq!(proxy.get("/v1/x").status, 401, "the proxy itself"));
    (0..3).for_each(|n| assert_eq!(ask(&format!("2001:db8::{n}"), "/v1/x"), 401));
    eventually("a network of IPv6 is a client", || ask("2001:db8::ffff", "/") == 403);
    assert_eq!([ask("2001:db8:0:1::1", "/"), ask("192.0.2.7", "/"), proxy.get("/").status], [200; 3]);
    assert_eq!(proxy.metric("ringway_bans", &[("by", "rule")]), 2.0);
}

#[test]
fn in_shadow_mode_nobody_is_banned_and_it_is_told_who_would_be() {
    let target = Target::echo("a");
    let proxy = Proxy::start(config(&target, "rules = [\"abuse\"]", "[\"key\"]", "mode = \"shadow\""));
    refused(&proxy, "127.0.3.1", 7);
    proxy.settles("ringway_rule_bans_total", &[("rule", "abuse"), ("result", "shadow-banned")], 2.0);
    proxy.log.wait(&["would be banned", "127.0.3.1/32"]);
    assert_eq!(proxy.metric("ringway_bans", &[("by", "rule")]), 0.0);
    refused(&proxy, "127.0.3.1", 1);
}

#[test]
fn what_no_rule_refuses_counts_where_its_reason_is_named() {
    let target = Target::echo("a");
    let text = config(&target, "rules = [\"abuse\"]", "[\"key\"]", "reasons = [\"no-route\", \"bad-request\"]");
    let proxy = Proxy::start(text.replacen("pool = \"site\"\n", "", 1));
    refused(&proxy, "127.0.3.1", 5);
    let mut client = Client::from("127.0.3.1", &proxy.web());
    (0..2).for_each(|_| assert_eq!(client.get("/wp-login.php").status, 404));
    client.send("GET / HTTP/1.1\r\nHost: x\r\nBad Header: x\r\n\r\n");
    assert_eq!(client.response().status, 400);
    eventually("it is banned", || proxy.metric("ringway_bans", &[("by", "rule")]) == 1.0);
}

#[test]
fn who_connects_too_often_is_banned_on_a_tcp_listener() {
    let target = Target::mirror("a");
    let listener = "rules = [\"abuse\"]\nlimits = { rate = \"1/h\", burst = 1 }";
    let rule = "[rules.abuse]\ntype = \"ban\"\ndenials = 3\nreasons = [\"connection-rate\"]\n";
    let proxy = Proxy::start(tcp_with(listener, &[&target], "") + rule);
    (0..4).for_each(|_| drop(Client::try_to(&proxy.web())));
    eventually("it is banned", || proxy.metric("ringway_bans", &[("by", "rule")]) == 1.0);
    assert!(Client::is_refused(&proxy.web()));
    proxy.settles("ringway_refused_total", &[("reason", "banned")], 1.0);
}

#[test]
fn what_makes_no_sense_is_a_fault() {
    let target = Target::echo("a");
    let text = config(&target, "rules = [\"abuse\"]", "[\"key\"]", "rules = [\"key\"]");
    for (from, to, said) in [
        ("denials = 3", "denials = 0", "denials"),
        ("rules = [\"key\"]\n[access_log]", "rules = [\"kez\"]\n[access_log]", "no rule is named `kez`"),
        ("rules = [\"key\"]\n[access_log]", "rules = [\"abuse\"]\n[access_log]", "`abuse` refuses nothing"),
        ("rules = [\"key\"]\n[access_log]", "reasons = [\"banned\"]\n[access_log]", "reasons"),
        ("rules = [\"abuse\"]", "rules = [\"key\"]", "rule `key` cannot be on this listener"),
        ("rules = [\"abuse\"]", "rules = [\"abuse\", \"abuse\"]", "named twice"),
        ("rules = [\"abuse\"]", "rules = [\"abuze\"]", "no rule is named `abuze`"),
    ] {
        let told = faults(&text, from, to);
        assert!(told.contains(said), "{to}: {told}");
    }
    let rest = "\n[listeners.dns]\nlisten = [\"127.0.0.1:0\"]\nprotocol = \"udp\"\npool = \"site\"\nrules = [\"abuse\"]\n[access_log]";
    let told = faults(&text, "\n[access_log]", rest);
    assert!(told.contains("cannot be on this listener") && told.contains("addresses of others"), "{told}");
}
