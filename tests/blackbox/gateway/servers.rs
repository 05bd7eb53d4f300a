//! Servers that are asked who may come in.

use super::{config, faults};
use crate::support::client::Response;
use crate::support::proxy::Proxy;
use crate::support::target::refused;
use crate::support::{Target, h2};
use http::{HeaderValue, Method};
use serde_json::Value;

/// A rule `auth` that asks `server`.
fn auth(server: &impl std::fmt::Display, keys: &str) -> String {
    format!(
        "[rules.auth]\ntype = \"forward-auth\"\nurl = \"http://{server}/verify\"\nresponse_headers = [\"X-User\"]\n\
         consumer_header = \"X-Consumer\"\n{keys}\n"
    )
}

fn opa(server: &Target, keys: &str) -> String {
    format!("[rules.policy]\ntype = \"opa\"\nurl = \"http://{server}/v1/data/app/allow\"\n{keys}\n")
}

/// A server that lets in who says `Authorization: good`, sends others away, and fails for `broken`.
fn judge() -> Target {
    Target::with("judge", |peer| {
        while let Some(seen) = peer.request() {
            let done = match seen.field("authorization").as_deref() {
                Some("good") => peer.reply(200, &["X-User: u1", "X-Consumer: acme", "X-Secret: s"], b"fine"),
                Some("broken") => peer.reply(500, &["X-User: u1"], b""),
                _ => peer.reply(401, &["WWW-Authenticate: Bearer", "Set-Cookie: a=1", "X-Secret: s"], b"secret"),
            };
            if done.is_none() {
                return;
            }
        }
    })
}

/// An agent that says this of everything.
fn agent(result: &'static str) -> Target {
    let body = format!("{{\"result\":{result}}}");
    Target::says("agent", format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

fn ask(proxy: &Proxy, path: &str, fields: &[&str]) -> Response {
    proxy.client().ask("GET", path, fields)
}

#[test]
fn a_server_is_told_what_is_asked_for_and_says_who_comes_in() {
    let (target, judge) = (Target::echo("a"), judge());
    let proxy = Proxy::start(auth(&judge, "") + &config(&target, "[\"auth\", \"gold\"]", ""));
    let spoofed = ["Authorization: good", "X-User: admin", "Connection: x-user", "X-Consumer-Username: admin"];
    assert_eq!(ask(&proxy, "/v1/a/../x?q=1", &spoofed).status, 200);
    let told = judge.last();
    let names = ["x-forwarded-method", "x-forwarded-uri", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-for"];
    let said = names.map(|name| told.field(name).unwrap());
    assert_eq!(said, ["GET", "/v1/x?q=1", "site.test", "http", "127.0.0.1"]);
    let seen = target.last();
    let said = ["x-user", "x-consumer-username", "x-secret"].map(|name| seen.field(name));
    assert_eq!(said, [Some("u1".into()), Some("acme".into()), None]);
    let refused = ask(&proxy, "/v1/x", &["Authorization: bad", "X-User: admin"]);
    assert_eq!(refused.status, 401);
    let said = ["www-authenticate", "set-cookie", "x-secret"].map(|name| refused.field(name));
    assert_eq!(said, [Some("Bearer".into()), Some("a=1".into()), None]);
    assert!(!refused.text().contains("secret"), "what the server says is for us");
    assert_eq!((target.requests(), judge.requests()), (1, 2));
}

#[test]
fn over_http2_it_is_the_same() {
    let (target, judge) = (Target::echo("a"), judge());
    let proxy = Proxy::start(auth(&judge, "") + &config(&target, "[\"auth\"]", ""));
    let client = h2::Client::to(&proxy.web());
    let ask = |value: &'static str| {
        let mut request = h2::request(Method::GET, "/v1/x");
        request.headers_mut().append("authorization", HeaderValue::from_static(value));
        client.ask(request, b"").unwrap().status.as_u16()
    };
    assert_eq!([ask("good"), ask("bad"), ask("good")], [200, 401, 200]);
    assert_eq!(target.last().field("x-user").as_deref(), Some("u1"));
}

#[test]
fn a_server_that_is_away_or_fails_lets_nobody_in_unless_it_is_to() {
    let target = Target::echo("a");
    for (server, word) in [(refused().to_string(), "server-away"), (Target::mute("mute").to_string(), "server-timeout")]
    {
        for (keys, status) in [("", 503), ("when_away = \"let-in\"", 200)] {
            let text = auth(&server, &format!("timeout = \"300ms\"\n{keys}"));
            let proxy = Proxy::start(text + &config(&target, "[\"auth\"]", ""));
            assert_eq!(ask(&proxy, "/v1/x", &["X-User: admin"]).status, status, "{word} {keys}");
            assert_eq!(ask(&proxy, "/open", &[]).status, 200, "others are not in its hands");
            if status == 503 {
                proxy.settles("ringway_refused_total", &[("reason", "unanswered")], 1.0);
                proxy.out.wait(&[word]);
            } else {
                assert!(target.seen().iter().all(|seen| seen.path != "/v1/x" || seen.field("x-user").is_none()));
            }
        }
    }
    let judge = judge();
    let proxy = Proxy::start(auth(&judge, "") + &config(&target, "[\"auth\"]", ""));
    assert_eq!(ask(&proxy, "/v1/x", &["Authorization: broken"]).status, 503);
}

#[test]
fn what_was_said_counts_for_a_while_for_what_is_the_same() {
    let (target, judge) = (Target::echo("a"), judge());
    let proxy = Proxy::start(auth(&judge, "remember = \"1h\"") + &config(&target, "[\"auth\"]", ""));
    for _ in 0..3 {
        assert_eq!(ask(&proxy, "/v1/x", &["Authorization: good"]).status, 200);
        assert_eq!(target.last().field("x-user").as_deref(), Some("u1"));
        assert_eq!(ask(&proxy, "/v1/x", &["Authorization: bad"]).status, 401);
    }
    assert_eq!(judge.requests(), 2);
    assert_eq!(ask(&proxy, "/v1/y", &["Authorization: good"]).status, 200);
    assert_eq!(ask(&proxy, "/v1/x?a", &["Authorization: good"]).status, 200);
    assert_eq!(proxy.client().post("/v1/x", b"").status, 401);
    assert_eq!(judge.requests(), 5, "anything else is asked about");
}

#[test]
fn a_policy_decides_by_what_it_is_told_and_nothing_but_true_lets_in() {
    for (result, status) in [
        ("true", 200),
        ("{\"allow\":true}", 200),
        ("false", 403),
        ("null", 403),
        ("{\"allow\":false,\"status\":404,\"headers\":{\"X-Why\":\"no\"}}", 404),
        ("\"true\"", 503),
    ] {
        let (target, agent) = (Target::echo("a"), agent(result));
        let text = opa(&agent, "request_headers = [\"X-Tenant\"]") + &config(&target, "[\"policy\", \"key\"]", "");
        let proxy = Proxy::start(text);
        assert_eq!(ask(&proxy, "/v1/a?b=c", &[]).status, 401, "who asks is found out first");
        let answer = ask(&proxy, "/v1/a?b=c", &["X-Key: key-of-acme", "X-Tenant: t", "X-Other: o"]);
        assert_eq!(answer.status, status, "{result}");
        if status == 404 {
            assert_eq!(answer.field("x-why").as_deref(), Some("no"));
        }
        let told: Value = serde_json::from_slice(&agent.last().body).unwrap();
        let http = &told["input"]["request"]["http"];
        assert_eq!((&http["method"], &http["path"], &http["query"]), (&"GET".into(), &"/v1/a".into(), &"b=c".into()));
        assert_eq!(http["headers"], serde_json::json!({ "x-tenant": "t" }));
        assert_eq!(told["input"]["consumer"]["username"], "acme");
        assert_eq!(target.requests(), usize::from(status == 200), "{result}");
    }
}

#[test]
fn a_server_that_cannot_be_asked_is_told_where_it_stands() {
    let target = Target::echo("a");
    let text = auth(&target, "timeout = \"1s\"") + &config(&target, "[\"auth\"]", "");
    let url = format!("\"http://{target}/verify\"");
    for (from, to, expected) in [
        (url.as_str(), "\"ftp://a\"", "is not a URL"),
        (url.as_str(), "\"https://a/\"\nca = \"none.pem\"", "none.pem"),
        ("timeout = \"1s\"", "timeout = \"1h\"", "it may be 10ms to 1m"),
        ("timeout = \"1s\"", "timeuot = \"1s\"", "did you mean `timeout`?"),
    ] {
        let told = faults(&text, from, to);
        assert!(told.contains(expected) && told.contains("ringway.toml:"), "{to}: {told}");
    }
}
