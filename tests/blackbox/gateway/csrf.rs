//! What pages of other sites have browsers do.

use super::{config, faults};
use crate::support::proxy::Proxy;
use crate::support::{Target, h2};
use http::{HeaderName, HeaderValue, Method, Request};

const RULE: &str = "[rules.own]\ntype = \"csrf\"\norigins = [\"https://app.test\"]\n[rules.key]";

fn with(request: Request<()>, fields: &[(&'static str, &'static str)]) -> Request<()> {
    let (mut parts, ()) = request.into_parts();
    for (name, value) in fields {
        parts.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    Request::from_parts(parts, ())
}

#[test]
fn a_page_of_another_site_changes_nothing_and_opens_no_websocket() {
    let target = Target::echo("a");
    let proxy = Proxy::start(config(&target, "[\"own\"]", "").replace("[rules.key]", RULE));
    let h2 = h2::Client::to(&proxy.web());
    let mut reached = 0;
    for (fields, status) in [
        (&[][..], 200),
        (&[("origin", "http://site.test")], 200),
        (&[("origin", "https://app.test")], 200),
        (&[("sec-fetch-site", "same-origin"), ("origin", "http://site.test")], 200),
        (&[("origin", "http://evil.test")], 403),
        (&[("origin", "null")], 403),
        (&[("sec-fetch-site", "cross-site")], 403),
        (&[("sec-fetch-site", "same-site"), ("origin", "http://www.site.test")], 403),
    ] {
        let lines: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        for method in [Method::POST, Method::DELETE] {
            assert_eq!(proxy.client().ask(method.as_str(), "/v1/x", &lines).status, status, "{method} {fields:?}");
            let asked = h2.ask(with(h2::request(method.clone(), "/v1/x"), fields), b"").unwrap();
            assert_eq!(asked.status.as_u16(), status, "h2: {method} {fields:?}");
        }
        reached += if status == 200 { 4 } else { 0 };
        assert_eq!(proxy.client().ask("GET", "/v1/x", &lines).status, 200, "{fields:?}");
        assert_eq!(h2.ask(with(h2::request(Method::GET, "/v1/x"), fields), b"").unwrap().status.as_u16(), 200);
        reached += 2;
    }
    assert_eq!(target.requests(), reached, "what is refused reaches nobody");
    let socket = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Origin: https://evil.test",
    ];
    assert_eq!(proxy.client().ask("GET", "/v1/x", &socket).status, 403);
    assert_eq!(target.requests(), reached);
    assert_eq!(proxy.metric("ringway_refused_total", &[("reason", "origin")]), 17.0);
    proxy.out.wait(&["cross-site", "\"denied_by\":\"own\""]);
    proxy.out.wait(&["cross-origin", "\"denied_by\":\"own\""]);
}

#[test]
fn who_says_nothing_may_be_refused_and_not_all_origins_trusted() {
    let target = Target::echo("a");
    let text = config(&target, "[\"own\"]", "").replace("[rules.key]", RULE);
    let proxy = Proxy::start(text.replace("type = \"csrf\"", "type = \"csrf\"\nrequire = true"));
    assert_eq!(proxy.client().post("/v1/x", b"").status, 403);
    assert_eq!(proxy.client().ask("POST", "/v1/x", &["Origin: http://site.test"]).status, 200);
    proxy.out.wait(&["no-origin"]);
    let told = faults(&text, "\"https://app.test\"", "\"*\"");
    assert!(told.contains("no page would be kept out") && told.contains("name the origins"), "{told}");
}
