//! How large requests' bodies may be.

use super::config;
use crate::support::client::request;
use crate::support::proxy::Proxy;
use crate::support::{Target, h2};
use http::Method;

#[test]
fn a_body_that_is_too_large_is_refused_by_what_its_head_says_or_as_it_comes() {
    let target = Target::echo("a");
    let rule = "[rules.small]\ntype = \"request-size\"\nmax = \"1KiB\"\n[rules.key]";
    let text =
        config(&target, "[\"small\", \"key\"]", "limits = { request_body = \"1MiB\" }").replace("[rules.key]", rule);
    let proxy = Proxy::start(text);
    let post = |length: usize| {
        let mut client = proxy.client();
        client.send(request("POST", "/v1/x", &["X-Key: key-of-acme", &format!("Content-Length: {length}")]));
        let _ = client.try_send(vec![b'x'; length]);
        client.response().status
    };
    assert_eq!([post(1024), post(1025)], [200, 413]);
    let mut client = proxy.client();
    client.send(request("POST", "/v1/x", &["Content-Length: 1025"]));
    assert_eq!(client.response().status, 413, "before anybody asks who it is, and before a byte of the body");
    let mut client = proxy.client();
    client.send(request("POST", "/v1/x", &["X-Key: key-of-acme", "Transfer-Encoding: chunked"]));
    let _ = client.try_send(format!("400\r\n{0}\r\n1\r\nx\r\n0\r\n\r\n", "x".repeat(1024)));
    assert_eq!(client.response().status, 413, "as it comes");
    let h2 = h2::Client::to(&proxy.web());
    let ask = |length: usize| {
        let mut request = h2::request(Method::POST, "/v1/x");
        request.headers_mut().insert("x-key", "key-of-acme".parse().unwrap());
        request.headers_mut().insert("content-length", length.into());
        h2.ask(request, &vec![b'x'; length]).map(|answer| answer.status.as_u16())
    };
    assert_eq!(ask(1024).unwrap(), 200);
    assert_eq!(ask(1025).unwrap_or(413), 413);
    assert_eq!(proxy.metric("ringway_rule_requests_total", &[("rule", "small"), ("result", "denied")]), 3.0);
    proxy.out.wait(&["\"reason\":\"request-size\"", "\"denied_by\":\"small\""]);
    assert_eq!(proxy.client().ask("POST", "/", &["Content-Length: 0"]).status, 200);
}

#[test]
fn in_shadow_mode_every_body_goes_on() {
    let target = Target::echo("a");
    let rule = "[rules.small]\ntype = \"request-size\"\nmax = \"4B\"\nmode = \"shadow\"\n[rules.key]";
    let proxy = Proxy::start(config(&target, "[\"small\"]", "").replace("[rules.key]", rule));
    assert_eq!(proxy.client().post("/v1/x", b"12345").status, 200);
    let mut client = proxy.client();
    client.send(request("POST", "/v1/x", &["Transfer-Encoding: chunked"]));
    client.send("5\r\n12345\r\n0\r\n\r\n");
    assert_eq!(client.response().status, 200);
    assert_eq!(proxy.metric("ringway_rule_requests_total", &[("rule", "small"), ("result", "shadow-denied")]), 1.0);
}
