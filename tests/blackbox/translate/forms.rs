//! Forms as JSON, and JSON as forms.

use super::{json, problem, send, setup};
use crate::support::{Proxy, Target};

const FORM: &str = "application/x-www-form-urlencoded";

fn start(target: &Target, keys: &str) -> Proxy {
    // The one with descriptors is another one here.
    let more = "type = \"rest-to-grpc\"\nunmatched = \"pass\"\n[translations.form]\n".to_owned() + keys;
    let text = setup(target, "", "[\"form\"]", &more);
    text.start()
}

#[test]
fn a_form_comes_to_its_target_as_json() {
    let target = Target::echo("a");
    let proxy = start(&target, "type = \"form-to-json\"\nbrackets = true\nmax_fields = 5\nmax_body = \"1KiB\"\n");
    let got = send(&proxy, "POST", "/a?b=c", &format!("{FORM}; charset=utf-8"), "a=1&b=x+y%26&a=2&c[d]=e&f[]=");
    assert_eq!(got.text(), r#"{"a":["1","2"],"b":"x y&","c":{"d":"e"},"f":[""]}"#);
    let seen = target.last();
    assert_eq!((seen.path.as_str(), seen.field("content-type").as_deref()), ("/a?b=c", Some("application/json")));
    assert_eq!(send(&proxy, "POST", "/a", "text/plain", "a=1").text(), "a=1");
    assert_eq!(proxy.get("/a").text(), "a");
    let requests = target.requests();
    for bad in ["a=%ff", "a=1&a[b]=2", "a=1&a=2&a=3&a=4&a=5&a=6"] {
        problem(&send(&proxy, "POST", "/a", FORM, bad), 400, "INVALID_ARGUMENT");
    }
    assert_eq!(send(&proxy, "POST", "/a", FORM, "a".repeat(2000)).status, 413);
    assert_eq!(target.requests(), requests);
}

#[test]
fn json_comes_to_its_target_as_a_form_and_its_answer_back_as_json() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            let kind = if seen.path == "/text" { "text/plain" } else { FORM };
            peer.reply(201, &[&format!("Content-Type: {kind}"), "ETag: \"x\"", "X-A: b"], &seen.body);
        }
    });
    let proxy = start(&target, "type = \"json-to-form\"\nanswers = true\n");
    let got = send(&proxy, "POST", "/a", "application/json", r#"{"a":[1,"x y"],"b":true,"c":null}"#);
    assert_eq!(json(&got, 201).to_string(), r#"{"a":["1","x y"],"b":"true"}"#);
    assert_eq!(
        (got.field("content-type").as_deref(), got.field("x-a").as_deref()),
        (Some("application/json"), Some("b"))
    );
    assert_eq!(got.field("etag"), None);
    assert_eq!(target.last().body, b"a=1&a=x%20y&b=true");
    assert_eq!(send(&proxy, "POST", "/text", "application/json", r#"{"a":1}"#).text(), "a=1");
    problem(&send(&proxy, "POST", "/a", "application/json", r#"{"a":{"b":1}}"#), 400, "INVALID_ARGUMENT");
}
