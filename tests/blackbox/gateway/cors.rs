//! Whose scripts browsers let read answers.

use super::{config, faults};
use crate::support::client::{Client, Response};
use crate::support::proxy::Proxy;
use crate::support::{Target, h2};
use http::{HeaderValue, Method};

const RULE: &str = "[rules.share]\ntype = \"cors\"\norigins = [\"https://app.test\", \"https://*.apps.test\"]\n\
                    expose_headers = [\"X-Total\"]\ncredentials = true\nmax_age = \"5m\"\n";

fn start(target: &Target, rules: &str, rule: &str) -> Proxy {
    let text =
        config(target, rules, "methods = [\"GET\", \"PUT\"]").replace("[rules.key]", &format!("{rule}[rules.key]"));
    Proxy::start(text)
}

/// Asks beforehand, as a browser does.
fn beforehand(client: &mut Client, origin: &str, method: &str, more: &[&str]) -> Response {
    let fields = [format!("Origin: {origin}"), format!("Access-Control-Request-Method: {method}")];
    let fields: Vec<&str> = fields.iter().map(String::as_str).chain(more.iter().copied()).collect();
    client.ask("OPTIONS", "/v1/x", &fields)
}

fn shared(answer: &Response) -> Vec<(String, String)> {
    let is_told = |name: &str| name.to_ascii_lowercase().starts_with("access-control-");
    let mut all: Vec<_> = answer.head.fields.iter().filter(|(name, _)| is_told(name)).cloned().collect();
    all.sort();
    all
}

#[test]
fn a_browser_that_asks_beforehand_is_answered_before_methods_and_keys_are_looked_at() {
    let target = Target::echo("a");
    let proxy = start(&target, "[\"key\", \"share\"]", RULE);
    let mut client = proxy.client();
    for origin in ["https://app.test", "https://one.apps.test"] {
        let answer = beforehand(&mut client, origin, "PUT", &["Access-Control-Request-Headers: x-key, content-type"]);
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{origin}");
        let told = |name: &str| answer.field(name).unwrap_or_default();
        assert_eq!(told("access-control-allow-origin"), origin);
        assert_eq!(told("access-control-allow-methods"), "GET, HEAD, POST, PUT, PATCH, DELETE");
        assert_eq!(told("access-control-allow-headers"), "x-key, content-type");
        assert_eq!(
            (told("access-control-allow-credentials"), told("access-control-max-age")),
            ("true".into(), "300".into())
        );
        assert!(told("vary").contains("Origin"));
    }
    for origin in ["https://app.test.evil.test", "https://evil.test", "null", "http://app.test", "https://apps.test"] {
        let answer = beforehand(&mut client, origin, "PUT", &[]);
        assert_eq!((answer.status, shared(&answer)), (403, vec![]), "{origin}");
    }
    assert_eq!(
        beforehand(&mut client, "https://app.test", "DELETE", &[]).status,
        200,
        "no route takes DELETE: the pool behind all has it"
    );
    assert_eq!(target.requests(), 1);
    assert_eq!(
        client.ask("OPTIONS", "/v1/x", &["Origin: https://app.test"]).status,
        200,
        "it asks for nothing beforehand"
    );
    let count = |result: &str| proxy.metric("ringway_rule_requests_total", &[("rule", "share"), ("result", result)]);
    assert_eq!([count("passed"), count("denied")], [2.0, 5.0]);
    assert_eq!(proxy.metric("ringway_refused_total", &[("reason", "origin")]), 5.0);
    let h2 = h2::Client::to(&proxy.web());
    let mut request = h2::request(Method::OPTIONS, "/v1/x");
    request.headers_mut().insert("origin", HeaderValue::from_static("https://app.test"));
    request.headers_mut().insert("access-control-request-method", HeaderValue::from_static("GET"));
    assert_eq!(h2.ask(request, b"").unwrap().status.as_u16(), 204);
}

#[test]
fn answers_say_whose_scripts_may_read_them_whatever_targets_say_of_it() {
    let target = Target::with("a", |peer| {
        while peer.request().is_some() {
            let fields = [
                "Access-Control-Allow-Origin: *",
                "Access-Control-Allow-Methods: DELETE",
                "X-Total: 7",
                "Vary: Accept",
            ];
            if peer.reply(200, &fields, b"x").is_none() {
                return;
            }
        }
    });
    let proxy = start(&target, "[\"share\", \"key\"]", RULE);
    let ask = |fields: &[&str]| proxy.client().ask("GET", "/v1/x", fields);
    let own = ask(&["Origin: https://app.test", "X-Key: key-of-acme"]);
    let told = [
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Allow-Origin", "https://app.test"),
        ("Access-Control-Expose-Headers", "x-total"),
    ];
    let lower = |told: &[(String, String)]| {
        told.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_ascii_lowercase())).collect::<Vec<_>>()
    };
    let expected: Vec<_> = told.iter().map(|(name, value)| (name.to_ascii_lowercase(), (*value).to_owned())).collect();
    assert_eq!((own.status, lower(&shared(&own))), (200, expected.clone()));
    let vary: Vec<_> = own
        .head
        .fields
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("vary"))
        .map(|(_, value)| &value[..])
        .collect();
    assert_eq!(vary, ["Accept", "Origin"]);
    let refused = ask(&["Origin: https://app.test"]);
    assert_eq!((refused.status, lower(&shared(&refused))), (401, expected), "a script sees why");
    for fields in [
        &["X-Key: key-of-acme"][..],
        &["X-Key: key-of-acme", "Origin: https://evil.test"],
        &["X-Key: key-of-acme", "Origin: https://app.test", "Origin: https://evil.test"],
    ] {
        let answer = ask(fields);
        assert_eq!((answer.status, shared(&answer)), (200, vec![]), "{fields:?}");
        assert!(answer.head.fields.iter().any(|(name, value)| name.eq_ignore_ascii_case("vary") && value == "Origin"));
    }
}

#[test]
fn what_is_for_all_names_nobody() {
    let target = Target::echo("a");
    let proxy =
        start(&target, "[\"share\"]", "[rules.share]\ntype = \"cors\"\norigins = [\"*\"]\nheaders = [\"x-one\"]\n");
    let answer = beforehand(&mut proxy.client(), "https://any.test", "GET", &["Access-Control-Request-Headers: x-two"]);
    assert_eq!(answer.field("access-control-allow-origin").as_deref(), Some("*"));
    assert_eq!(answer.field("access-control-allow-headers").as_deref(), Some("x-one"));
    let answer = proxy.client().ask("GET", "/v1/x", &["Origin: https://any.test"]);
    assert_eq!((answer.field("access-control-allow-origin").as_deref(), answer.field("vary")), (Some("*"), None));
}

#[test]
fn what_would_let_every_site_read_what_is_private_is_refused() {
    let target = Target::echo("a");
    for (from, to, said) in [
        ("origins = [\"https://app.test\"", "origins = [\"*\"", "with credentials every site could read"),
        ("\"https://app.test\"", "\"https://app.test/path\"", "it has no host, or something behind it"),
        ("\"https://app.test\"", "\"app.test\"", "it does not begin with https:// or http://"),
        ("type = \"cors\"", "type = \"cors\"\nmode = \"shadow\"", "refuses nothing that could be let through"),
    ] {
        let text = config(&target, "[\"share\"]", "").replace("[rules.key]", &format!("{RULE}[rules.key]"));
        let told = faults(&text, from, to);
        assert!(told.contains(said), "{to}: {told}");
    }
}
