//! kong.yml.

use super::{Case, Imported, ask};
use crate::support::client::Response;
use crate::support::target::Target;
use crate::support::tls::{Authority, Kind};
use crate::support::{Client, eventually};

#[track_caller]
fn get(at: &str, path: &str, fields: &[&str]) -> Response {
    ask(at, "GET", path, "site.test", fields)
}

fn run(case: Case) -> Imported {
    case.run_on(&[(":8000", "127.0.0.1:0"), (":8443", "127.0.0.1:0")])
}

#[test]
fn services_and_upstreams_are_reached() {
    let all = ["users", "one", "two"].map(Target::echo);
    let imported = run(Case::new("kong/01-services.yml")
        .swap("10.1.0.1:8080", &all[0])
        .swap("10.1.0.2:80", &all[1])
        .swap("10.1.0.3:80", &all[2]));
    let at = imported.proxy.at("http");
    assert_eq!(get(&at, "/users/7?a=b", &[]).target(), "users");
    let seen = all[0].last();
    assert_eq!((seen.path.as_str(), seen.field("host")), ("/internal/7?a=b", Some(all[0].to_string())));
    assert_eq!(get(&at, "/v12/people/9", &[]).target(), "users");
    assert_eq!(all[0].last().path, "/internal/9");
    let orders = ask(&at, "GET", "/orders/1", "a.orders.test", &[]);
    let target = all.iter().find(|target| target.name() == orders.target()).unwrap();
    let seen = target.requests_for("/orders/1").pop().unwrap();
    assert_eq!(seen.field("host").as_deref(), Some("a.orders.test"), "`preserve_host`, and nothing is stripped");
    assert_eq!(ask(&at, "POST", "/orders/1", "orders.test", &["X-Team: Blue", "Content-Length: 0"]).status, 200);
    assert_eq!(get(&at, "/orders/1", &[]).status, 404);
    eventually("it is checked", || !all[1].requests_for("/ready").is_empty());
    assert_eq!(imported.unsupported(), [""; 0]);
}

#[test]
fn consumers_come_in_by_their_keys_and_groups() {
    let api = Target::echo("api");
    let imported = run(Case::new("kong/02-consumers.yml").swap("10.2.0.1:80", &api));
    let at = imported.proxy.at("http");
    let status = |fields: &[&str]| get(&at, "/api/x", fields).status;
    assert_eq!((status(&[]), status(&["X-Api-Key: nobodys-key"])), (401, 401));
    assert_eq!((status(&["X-Api-Key: acme-secret-key"]), status(&["X-Api-Key: other-secret-key"])), (200, 403));
    let seen = api.last();
    assert_eq!((seen.path.as_str(), seen.field("x-consumer-username").as_deref()), ("/x", Some("acme")));
    assert!(!imported.toml.contains("secret-key") && !format!("{:?}", imported.report).contains("secret-key"));
    assert_eq!(imported.unsupported(), ["- key: …"], "a key that is too short");
}

#[test]
fn limits_refuse_whom_they_refused() {
    let target = Target::echo("limited");
    let imported = run(Case::new("kong/03-limits.yml").swap("10.3.0.1:80", &target));
    let at = imported.proxy.at("http");
    let statuses: Vec<u16> = (0..6).map(|_| get(&at, "/few", &[]).status).collect();
    // The minute may end in between.
    assert!(statuses[0] == 200 && statuses.contains(&429), "{statuses:?}");
    let mut client = Client::to(&at);
    assert_eq!(client.post("/small", b"123").status, 200);
    let mut client = Client::to(&at);
    client.send("POST /small HTTP/1.1\r\nHost: site.test\r\nContent-Length: 11\r\n\r\n");
    assert_eq!(client.response().status, 413);
    assert_eq!((get(&at, "/inside", &[]).status, Client::from("127.0.0.9", &at).get("/inside").status), (200, 403));
    assert_eq!(get(&at, "/bots", &["User-Agent: A Scraper"]).status, 403);
    assert_eq!(imported.unsupported(), [""; 0]);
}

#[test]
fn requests_and_answers_are_changed() {
    let target = Target::with("changed", |peer| {
        while peer.request().is_some() {
            if peer.reply(200, &["X-Powered-By: x"], b"body").is_none() {
                return;
            }
        }
    });
    let imported = run(Case::new("kong/04-transforms.yml").swap("10.4.0.1:80", &target));
    let at = imported.proxy.at("http");
    let response = get(&at, "/changed?trace=1&a=b", &["X-Debug: 1", "X-Old: o", "X-More: 1"]);
    assert_eq!((response.field("x-powered-by"), response.field("x-served").as_deref()), (None, Some("kong")));
    let seen = target.last();
    assert_eq!(seen.path, "/changed?a=b");
    assert_eq!(
        (seen.field("x-debug"), seen.field("x-new").as_deref(), seen.field("x-added").as_deref()),
        (None, Some("o"), Some("1"))
    );
    assert_eq!(seen.head.lines("x-more"), ["1", "2"]);
    assert!(seen.field("x-request-id").is_some() && response.field("x-request-id") == seen.field("x-request-id"));
    let preflight =
        ask(&at, "OPTIONS", "/cors", "site.test", &["Origin: https://app.test", "Access-Control-Request-Method: POST"]);
    assert_eq!(
        (preflight.status, preflight.field("access-control-allow-origin").as_deref()),
        (204, Some("https://app.test"))
    );
    let closed = get(&at, "/closed", &[]);
    assert_eq!((closed.status, closed.text().as_str()), (503, r#"{"message":"down for now"}"#));
    assert_eq!(imported.unsupported(), [""; 0]);
    assert!(imported.line("prometheus").notes.contains("/metrics"));
}

#[test]
fn who_cannot_be_known_is_not_let_in_and_the_rest_is_named() {
    let target = Target::echo("secure");
    let authority = Authority::new("Test");
    let case = Case::new("kong/05-unsupported.yml");
    authority.server(&["secure.test"], Kind::Ecdsa).write(&case.folder().join("certs"), "secure.test");
    let imported = run(case.swap("10.5.0.1:80", &target));
    let at = imported.proxy.at("http");
    let moved = ask(&at, "GET", "/a", "secure.test", &[]);
    assert_eq!((moved.status, moved.field("location").as_deref()), (308, Some("https://secure.test/a")));
    let mut client = authority.dial().alpn(&["http/1.1"]).to(&imported.proxy.at("https"), "secure.test");
    client.send("GET /a HTTP/1.1\r\nHost: secure.test\r\n\r\n");
    assert_eq!(client.response().target(), "secure");
    assert_eq!((get(&at, "/tokens", &[]).status, get(&at, "/scripts", &[]).status), (403, 200));
    let unsupported = imported.unsupported();
    for line in ["- name: jwt", "claims_to_verify: [exp]", "- name: pre-function", "- name: env", "vaults:"] {
        assert!(unsupported.contains(&line), "{line} is not in {unsupported:?}");
    }
    assert!(!format!("{:?}{}", imported.report, imported.toml).contains("very-secret-text"));
}
