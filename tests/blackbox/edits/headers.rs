//! Headers that a route edits. Protects the complaint that headers set for all places get lost where one is set for a place.

use crate::support::h2;
use crate::support::toml::pool;
use crate::support::{Client, Proxy, Target};
use http::Method;

const ROUTES: &str = r#"
[listeners.web]
listen = ["127.0.0.1:0"]

[defaults.route.response.headers]
set = { "X-Frame-Options" = "DENY", "x-all" = "defaults" }
remove = ["x-powered-by"]

[defaults.route.request.headers]
set = { "x-real-ip" = "{client.ip}" }

[routes.plain]
paths = ["/"]
pool = "site"

[routes.own]
paths = ["/own/"]
pool = "site"
request.headers.set = { "x-forwarded-proto" = "https", "X-User" = "{request.headers.x-name}|{request.path}|{request.host}" }
request.headers.remove = ["x-secret", "x-forwarded-port"]
request.headers.rename = { "x-old" = "x-new" }
request.headers.append = { "x-many" = "last", "cookie" = "b=2" }
response.headers.set = { "x-own" = "{status} {response.headers.x-kind}", "x-ALL" = "" }
response.headers.remove = ["server"]
response.headers.add = { "x-kind" = "none", "x-added" = "{{braces}}" }
response.headers.append = { "set-cookie" = "b=2" }

[routes.fixed]
paths = ["=/fixed"]
respond = { status = 403, body = "no" }
response.headers.set = { "x-own" = "{route}" }

[routes.moved]
paths = ["=/moved"]
redirect = { path = "/" }
response.headers.set = { "x-own" = "{status}" }

[routes.down]
paths = ["/down/"]
pool = "down"
response.headers.set = { "x-own" = "{status}{target}" }
"#;

/// Behind them, one target, and nobody at another address.
fn start(target: &Target) -> Proxy {
    Proxy::start(ROUTES.to_owned() + &pool("site", &[target], "") + &pool("down", &[NOBODY], ""))
}

/// Where nobody listens.
const NOBODY: &str = "127.0.0.1:1";

fn rich() -> Target {
    Target::says(
        "rich",
        "HTTP/1.1 404 Not Found\r\nServer: s/1\r\nX-Powered-By: p\r\nX-Kind: k\r\nSet-Cookie: a=1\r\nX-All: target\r\n\
         Content-Length: 2\r\n\r\nno",
    )
}

#[test]
fn what_a_route_says_of_one_header_leaves_the_defaults_of_all_others() {
    let target = rich();
    let proxy = start(&target);
    let plain = proxy.get("/");
    assert_eq!((plain.status, plain.field("x-all").as_deref()), (404, Some("defaults")));
    assert_eq!(plain.field("x-powered-by"), None);
    for path in ["/", "/own/x", "/fixed", "/moved", "/down/x"] {
        let answer = proxy.get(path);
        assert_eq!(answer.head.lines("x-frame-options"), ["DENY"], "{path}: {}", answer.status);
        assert_eq!(answer.field("x-powered-by"), None, "{path}");
    }
    assert_eq!(proxy.get("/own/x").field("x-all"), None, "its own word goes before that of the defaults");
    assert_eq!(target.last().field("x-real-ip").as_deref(), Some("127.0.0.1"));
}

#[test]
fn answers_of_every_status_are_edited_and_our_own_as_well() {
    let target = rich();
    let proxy = start(&target);
    let answer = proxy.get("/own/x");
    assert_eq!(answer.text(), "no");
    assert_eq!(answer.head.lines("set-cookie"), ["a=1", "b=2"]);
    for (name, value) in
        [("x-own", Some("404 k")), ("x-kind", Some("k")), ("x-added", Some("{braces}")), ("server", None)]
    {
        assert_eq!(answer.field(name).as_deref(), value, "{name}");
    }
    for (path, status, own) in
        [("/fixed", 403, "fixed"), ("/moved", 302, "302"), ("/down/x", 502, &format!("502{NOBODY}"))]
    {
        let answer = proxy.get(path);
        assert_eq!((answer.status, answer.field("x-own").as_deref()), (status, Some(own)), "{path}");
    }
    let client = h2::Client::to(&proxy.web());
    for (path, status) in [("/own/x", 404), ("/fixed", 403), ("/down/x", 502)] {
        let answer = client.ask(h2::request(Method::GET, path), b"").unwrap();
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.fields["x-frame-options"], "DENY", "{path}");
        assert!(answer.fields.contains_key("x-own"), "{path}");
    }
}

#[test]
fn what_a_target_gets_is_edited_last_of_all() {
    let target = Target::echo("a");
    let proxy = start(&target);
    let fields = [
        "X-Name: ann",
        "X-User: forged",
        "x_user: forged",
        "X-Secret: s",
        "X-Old: o",
        "X-New: n",
        "X-Many: 1",
        "Cookie: a=1",
    ];
    let check = |seen: crate::support::target::Seen, host: &str| {
        for (name, values) in [
            ("x-user", &[format!("ann|/own/a%20b|{host}").as_str()][..]),
            ("x_user", &[]),
            ("x-secret", &[]),
            ("x-old", &[]),
            ("x-new", &["o"]),
            ("x-many", &["1", "last"]),
            ("cookie", &["a=1; b=2"]),
            ("x-forwarded-proto", &["https"]),
            ("x-forwarded-port", &[]),
            ("x-forwarded-for", &["127.0.0.1"]),
            ("x-real-ip", &["127.0.0.1"]),
        ] {
            assert_eq!(seen.head.lines(name), values, "{name}");
        }
        assert_eq!(seen.body, b"content");
    };
    let mut client = proxy.client();
    let length = [&fields[..], &["Content-Length: 7"]].concat();
    client.send(crate::support::client::request("POST", "/own/a%20b?q", &length));
    client.send("content");
    assert_eq!(client.response().text(), "content");
    check(target.last(), "site.test");
    let client = h2::Client::to(&proxy.web());
    let mut request = h2::request(Method::POST, "/own/a%20b");
    for (name, value) in fields.iter().map(|field| field.split_once(": ").unwrap()) {
        request.headers_mut().append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    let host = request.uri().authority().unwrap().to_string();
    assert_eq!(client.ask(request, b"content").unwrap().body, b"content");
    check(target.last(), &host);
}

#[test]
fn nothing_that_a_client_sends_makes_a_line_of_its_own() {
    let target = Target::echo("a");
    let proxy = start(&target);
    for path in ["/own/%0d%0aX-Evil:%201", "/own/%0D%0A%0D%0Ax", "/own/a%00b"] {
        let mut client = Client::to(&proxy.web());
        client.send(format!("GET {path} HTTP/1.1\r\nHost: site.test\r\nX-Name: a\u{85}b\r\n\r\n"));
        let status = client.response().status;
        if status == 200 {
            let seen = target.last();
            assert_eq!(seen.field("x-evil"), None, "{path}");
            assert_eq!(seen.head.lines("x-user").len(), 1, "{path}");
        } else {
            assert_eq!(status, 400, "{path}");
        }
    }
}
