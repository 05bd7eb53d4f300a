//! What is changed on the way is what `ringway explain` says.

use crate::support::proxy::{Directory, ringway};

const CONFIG: &str = r#"
[listeners.web]
listen = ["127.0.0.1:8080"]

[pools.site]
targets = ["127.0.0.1:9001"]

[routes.users]
paths = ["/u/"]
pool = "site"
rewrite = { match = "^/u/(.+)$", path = "/profile/{1}", add_prefix = "/app", query = { remove = ["debug"] } }
request.headers = { set = { "x-from" = "{client.ip} {pool} {target}" }, remove = ["x-forwarded-port"] }
response.headers.add = { "x-own" = "{status}" }
limits.request_body = "1KiB"
rules = ["json"]

[rules.json]
type = "transform"
request.method = "PUT"
request.headers.set = { "x-rule" = "{route}" }
response.body.remove = ["/a"]
response.body.set = { "/b" = [1, "{client.ip}"] }
"#;

#[test]
fn the_request_line_and_the_headers_are_those_that_a_target_gets() {
    let directory = Directory::new();
    let file = directory.write("ring.toml", CONFIG);
    let explain = |arguments: &[&str]| {
        let (code, out, err) = ringway(&[&["explain", "-c", &file], arguments].concat());
        assert_eq!(code, Some(0), "{err}");
        out
    };
    let out = explain(&["http://a.test:8080/u/7?debug=1&x=2"]);
    for line in [
        "PUT /app/profile/7?x=2 HTTP/1.1",
        "+ x-rule: users",
        "of the JSON body of an answer: remove /a; set /b: [1,\"{client.ip}\"]",
        "+ x-from: 127.0.0.1 site 127.0.0.1:9001",
        "of the answer's headers: add x-own: {status}",
        "Location, cookies and the like of the answer are put back into what the client knows",
    ] {
        assert!(out.contains(line), "{line}:\n{out}");
    }
    assert!(!out.contains("X-Forwarded-Port"), "{out}");
    let out = explain(&["-X", "POST", "-H", "Content-Length: 2000", "http://a.test:8080/u/7"]);
    assert!(out.contains("413") && out.contains("longer than the limits.request_body of its route"), "{out}");
}
