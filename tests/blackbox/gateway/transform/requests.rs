//! JSON bodies of requests.

use super::*;
use crate::support::eventually;

const RULE: &str = r#"
[rules.body]
type = "transform"
request.max_body = "4KiB"
[rules.body.request.body]
remove = ["/debug", "/user/ssn", "/items/*/secret"]
rename = { "/user/mail" = "email" }
set = { "/user/role" = "guest {consumer.name}", "/meta" = { "from" = "{request.headers.x-from}", "n" = [1, 2.5, true] } }
add = { "/kind" = "new" }
append = { "/tags" = "last" }
"#;

const SENT: &str = r#"{ "user": {"mail":"a@b", "ssn":1, "role":"admin", "id":12345678901234567890.10}, "debug":[{}],
  "items":[{"secret":1,"a":2},{"a":3}], "kind":"old", "tags":["x"] }"#;
const GOT: &str = r#"{ "user": {"email":"a@b", "role":"guest acme", "id":12345678901234567890.10}, "items":[{"a":2},{"a":3}], "kind":"old", "tags":["x","last"],"meta":{"from":"\"q\"\\","n":[1,2.5,true]} }"#;

#[test]
fn a_body_is_edited_however_it_comes() {
    let target = Target::echo("a");
    let proxy = start(&target, "[\"key\", \"body\"]", RULE);
    let fields = [
        "Content-Type: application/vnd.x+json; charset=utf-8",
        "X-Key: key-of-acme",
        "X-From: \"q\"\\",
        "Content-MD5: x",
        "Digest: y",
    ];
    let whole = |client: &mut Client| {
        let length = format!("Content-Length: {}", SENT.len());
        client.send(request("POST", "/v1/x", &[&fields[..], &[&length]].concat()));
        client.send(SENT);
        client.response()
    };
    let mut client = proxy.client();
    assert_eq!(whole(&mut client).text(), GOT);
    let seen = target.last();
    assert_eq!(seen.field("content-length"), Some(GOT.len().to_string()));
    assert_eq!((seen.field("content-md5"), seen.field("digest")), (None, None));
    assert_eq!(whole(&mut client).text(), GOT, "the connection goes on");
    // Byte by byte, in chunks, with a trailer.
    client.send(request("POST", "/v1/x", &[&fields[..], &["Transfer-Encoding: chunked"]].concat()));
    for byte in SENT.bytes() {
        client.send([b"1\r\n".as_slice(), &[byte], b"\r\n"].concat());
    }
    client.send("0\r\nX-Last: 1\r\n\r\n");
    assert_eq!(client.response().text(), GOT);
    client.send(request("POST", "/v1/x", &[&fields[..], &["Content-Length: 2", "Expect: 100-continue"]].concat()));
    let head = client.head(crate::support::PATIENCE).unwrap();
    assert_eq!(head.start, "HTTP/1.1 100 Continue");
    client.send("{}");
    let made =
        r#"{"user":{"role":"guest acme"},"meta":{"from":"\"q\"\\","n":[1,2.5,true]},"kind":"new","tags":["last"]}"#;
    assert_eq!(sorted(&client.response().text()), sorted(made));
    let client = h2::Client::to(&proxy.web());
    let fields = [JSON, ("x-key", "key-of-acme"), ("x-from", "\"q\"\\")];
    assert_eq!(String::from_utf8_lossy(&send2(&client, Method::POST, "/v1/x", &fields, SENT).body), GOT);
    eventually("it is counted", || {
        proxy.metric("ringway_rule_requests_total", &[("rule", "body"), ("result", "passed")]) == 5.0
    });
    proxy.settles("ringway_worker_buffered_bytes", &[], 0.0);
}

fn sorted(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn rules_edit_one_after_the_other() {
    let target = Target::echo("a");
    let rules = "[rules.a]\ntype = \"transform\"\nrequest.body.rename = { \"/a\" = \"b\" }\n\
                 [rules.b]\ntype = \"transform\"\nrequest.body.set = { \"/b/x\" = 1 }\nrequest.body.remove = [\"/b/y\"]\n";
    let proxy = start(&target, "[\"a\", \"b\"]", rules);
    let mut client = proxy.client();
    assert_eq!(send(&mut client, "POST", "/v1/x", r#"{"a":{"y":1,"z":2}}"#).text(), r#"{"b":{"z":2,"x":1}}"#);
    let proxy = start(&target, "[\"b\", \"a\"]", rules);
    let mut client = proxy.client();
    assert_eq!(
        send(&mut client, "POST", "/v1/x", r#"{"a":{"y":1}}"#).status,
        400,
        "b is made, and a would take its name"
    );
}

#[test]
fn what_cannot_be_edited_reaches_no_target() {
    let target = Target::echo("a");
    let proxy = start(&target, "[\"body\"]", &RULE.replace("{consumer.name}", ""));
    let big = format!("{{\"a\":\"{}\"}}", "x".repeat(5000));
    let deep = "[".repeat(65) + &"]".repeat(65);
    for (body, status, word) in [
        ("{\"a\":1,}", 400, "bad-json"),
        ("{\"a\":1", 400, "json-truncated"),
        ("{\"debug\":1}{\"debug\":1}", 400, "bad-json"),
        ("{\"user\":{\"ssn\":1},\"user\":{\"ssn\":2}}", 400, "json-duplicate"),
        ("{\"user\":{\"mail\":1,\"email\":2}}", 400, "json-name-taken"),
        (&deep, 400, "json-depth"),
        (&big, 413, "body-too-large"),
    ] {
        let answer = send(&mut proxy.client(), "POST", "/v1/x", body);
        assert_eq!(answer.status, status, "{word}");
        proxy.out.wait(&[word, "\"denied_by\":\"body\""]);
        let answer = send2(&h2::Client::to(&proxy.web()), Method::POST, "/v1/x", &[JSON], body);
        assert_eq!(answer.status.as_u16(), status, "{word}");
    }
    let mut client = proxy.client();
    client.send(request("POST", "/v1/x", &["Content-Type: application/json", "Content-Length: 3"]));
    client.send(b"\"\xff\"");
    assert_eq!(client.response().status, 400);
    let mut client = proxy.client();
    client.send(request("POST", "/v1/x", &["Content-Type: application/json", "Transfer-Encoding: chunked"]));
    client.send(format!("{:x}\r\n{{\"debug\":\"{}\r\n", 5010, "x".repeat(5000)));
    assert_eq!(client.response().status, 413, "what would be removed counts as well");
    let mut client = proxy.client();
    let coded = ["Content-Type: application/json", "Content-Encoding: gzip", "Content-Length: 2"];
    client.send(request("POST", "/v1/x", &coded));
    client.send("{}");
    let answer = client.response();
    assert_eq!((answer.status, answer.field("accept-encoding").as_deref()), (415, Some("identity")));
    assert_eq!(target.connections(), 0);
    proxy.settles("ringway_refused_total", &[("reason", "bad-body")], 13.0);
    proxy.settles("ringway_worker_buffered_bytes", &[], 0.0);
}

#[test]
fn five_megabytes_are_edited_where_that_is_allowed() {
    let target = Target::echo("a");
    let rule = "[rules.body]\ntype = \"transform\"\nrequest.max_body = \"8MiB\"\nrequest.body.remove = [\"/*/x\"]\n";
    let proxy = start(&target, "[\"body\"]", rule);
    let item = |x: &str| format!("{{{x}\"text\":\"{}\"}}", "y".repeat(990));
    let list = |x: &str| format!("[{}]", vec![item(x); 5000].join(","));
    let body = list("\"x\":1,");
    let mut client = proxy.client();
    let answer = send(&mut client, "POST", "/v1/x", &body);
    assert_eq!((answer.status, answer.body.len(), answer.text() == list("")), (200, list("").len(), true));
    let proxy = start(&target, "[\"body\"]", &rule.replace("8MiB", "1MiB"));
    assert_eq!(send2(&h2::Client::to(&proxy.web()), Method::POST, "/v1/x", &[JSON], &body).status.as_u16(), 413);
}

#[test]
fn other_bodies_pass_as_they_are_unless_they_may_not() {
    let target = Target::echo("a");
    let rule = "[rules.body]\ntype = \"transform\"\nrequest.body.remove = [\"/a\"]\n";
    let post = |proxy: &Proxy, kinds: &[&str]| {
        let mut client = proxy.client();
        client.send(request("POST", "/v1/x", &[kinds, &["Content-Length: 7"]].concat()));
        client.send("{\"a\":1}");
        let answer = client.response();
        (answer.status, answer.text())
    };
    let proxy = start(&target, "[\"body\"]", rule);
    let text = &["Content-Type: text/plain"][..];
    assert_eq!(post(&proxy, text), (200, "{\"a\":1}".to_owned()));
    assert_eq!(post(&proxy, &["Content-Type: text/plain", "Content-Type: application/json"]), (200, "{}".to_owned()));
    assert_eq!(proxy.get("/v1/x").status, 200);
    let proxy = start(&target, "[\"body\"]", &(rule.to_owned() + "request.only_json = true\n"));
    assert_eq!((post(&proxy, text).0, post(&proxy, &[]).0, proxy.get("/v1/x").status), (415, 415, 200));
}

#[test]
fn an_edited_body_is_sent_again_edited() {
    let dying = Target::with("dying", |peer| drop(peer.request()));
    let echo = Target::echo("echo");
    let rule = "[rules.body]\ntype = \"transform\"\nrequest.body.set = { \"/a\" = \"{request.id}\" }\n";
    let text = config(&dying, "[\"body\"]", "retry = { attempts = 2, on = [\"reset\"], methods = \"all\" }") + rule;
    let both = format!("targets = [\"{}\", \"{}\"]\nbalance = \"round-robin\"", dying.address, echo.address);
    let one = text.lines().find(|line| line.starts_with("targets")).unwrap().to_owned();
    let proxy = Proxy::start(text.replacen(&one, &both, 1));
    let mut lost = 0;
    for _ in 0..4 {
        let answer = send(&mut proxy.client(), "POST", "/v1/x", "{\"b\":1}");
        assert_eq!(answer.status, 200);
        assert!(answer.text().starts_with("{\"b\":1,\"a\":\""), "{}", answer.text());
        lost = dying.requests();
    }
    assert!(lost > 0);
    assert!(dying.last().body.starts_with(b"{\"b\":1,\"a\":\""));
}
