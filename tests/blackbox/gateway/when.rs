//! Conditions in CEL: on routes, on rules, and as rules.

use super::{config, faults};
use crate::reload::{reload, rewrite};
use crate::support::proxy::{Directory, Proxy, ringway};
use crate::support::toml::http;
use crate::support::{Target, eventually, h2};
use http::{HeaderName, HeaderValue, Method};
use serde_json::Value;

/// A route for each of these conditions that answers with the route's place from 1 on, and one for all others.
fn routed(conditions: &[&str]) -> String {
    let route = |(place, when): (usize, &&str)| {
        format!(
            "[routes.r{0}]\npaths = [\"/x/\"]\npriority = {0}\nwhen = '''{when}'''\nrespond = {{ status = 200, body = \"{0}\" }}\n",
            place + 1
        )
    };
    let routes: String = conditions.iter().enumerate().map(route).collect();
    http::<&str>(&["127.0.0.1:1"])
        + "\n[routes.other]\npaths = [\"/x/\"]\nrespond = { status = 200, body = \"other\" }\n"
        + &routes
        + "[access_log]\n"
}

fn by_h1(proxy: &Proxy, method: &str, path: &str, fields: &[&str]) -> (u16, String) {
    let answer = proxy.client().ask(method, path, fields);
    (answer.status, answer.text())
}

fn by_h2(proxy: &Proxy, method: &str, path: &str, fields: &[&str], body: &[u8]) -> (u16, String) {
    let mut request = h2::request(Method::from_bytes(method.as_bytes()).unwrap(), path);
    for (name, value) in fields.iter().filter_map(|field| field.split_once(": ")) {
        let name = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()).unwrap();
        request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
    }
    let answer = h2::Client::to(&proxy.web()).ask(request, body).unwrap();
    (answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned())
}

#[test]
fn routes_are_chosen_by_what_conditions_say_of_requests_over_both_protocols() {
    let conditions = [
        "request.headers[\"x-beta\"] == \"1\" || tls.enabled",
        "request.method in ['PUT', 'PATCH'] && !has(request.headers.none)",
        "request.query.v == 'a b' || request.cookies.c == '2'",
        "request.path.matches('^/x/[0-9]+$')",
        "request.host.endsWith('.internal.test') && request.scheme == 'http'",
        "has(request.size) && request.size > 2",
        "!has(request.size)",
        "request.headers.exists(name, name.startsWith('x-debug-')) && request.headers['x-all'] == 'a, b'",
        "listener.name == 'web' && client.ip.in_cidr('127.0.0.0/8') && request.path == '/x/mine'",
    ];
    let proxy = Proxy::start(routed(&conditions));
    for (method, path, fields, taken) in [
        ("GET", "/x/", &[][..], "other"),
        ("GET", "/x/", &["X-Beta: 1"], "1"),
        ("GET", "/x/", &["X-Beta: 2"], "other"),
        ("PUT", "/x/", &["Content-Length: 0"], "2"),
        ("GET", "/x/?v=a%20b", &[], "3"),
        ("GET", "/x/?w=1&v=a+b&v=c", &[], "3"),
        ("GET", "/x/?v=c&v=a+b", &[], "other"),
        ("GET", "/x/", &["Cookie: b=1; c=2"], "3"),
        ("GET", "/x/../x/7%37", &[], "4"),
        ("GET", "/x/", &["X-Debug-One: 1", "X-All: a", "X-All: b"], "8"),
        ("GET", "/x/mine", &[], "9"),
    ] {
        assert_eq!(by_h1(&proxy, method, path, fields), (200, taken.to_owned()), "{method} {path} {fields:?}");
        assert_eq!(by_h2(&proxy, method, path, fields, b""), (200, taken.to_owned()), "h2 {method} {path} {fields:?}");
    }
    let host = proxy.client().ask("GET", "http://A.Internal.Test:80/x/", &[]);
    assert_eq!(host.text(), "5");
    let posted = |fields: &[&str], body: &str| {
        let mut client = proxy.client();
        client.send(format!("POST /x/ HTTP/1.1\r\nHost: site.test\r\n{}\r\n\r\n{body}", fields.join("\r\n")));
        client.response().text()
    };
    assert_eq!(posted(&["Content-Length: 3"], "abc"), "6");
    assert_eq!(posted(&["Content-Length: 2"], "ab"), "other");
    assert_eq!(posted(&["Transfer-Encoding: chunked"], "0\r\n\r\n"), "7");
    assert_eq!(by_h2(&proxy, "POST", "/x/", &[], b"abc").1, "7", "nobody has said how long it is");
    assert_eq!(by_h2(&proxy, "POST", "/x/", &["content-length: 3"], b"abc").1, "6");
}

#[test]
fn what_a_condition_cannot_say_is_not_met_counted_and_told() {
    let proxy = Proxy::start(routed(&["int(request.headers['x-n']) > 5"]));
    let ask = |fields: &[&str]| by_h1(&proxy, "GET", "/x/", fields).1;
    assert_eq!([ask(&["X-N: 6"]), ask(&["X-N: 5"]), ask(&["X-N: six"]), ask(&[])], ["1", "other", "other", "other"]);
    let labels = [("of", "route"), ("name", "r1")];
    eventually("both are counted", || proxy.metric("ringway_condition_errors_total", &labels) == 2.0);
    proxy.log.wait(&["a condition cannot say anything", "a value cannot be made one of another kind", "r1"]);
}

#[test]
fn a_reload_changes_what_conditions_say() {
    let proxy = Proxy::start(routed(&["request.headers.a == '1'"]));
    let ask = || by_h1(&proxy, "GET", "/x/", &["A: 2"]).1;
    assert_eq!(ask(), "other");
    rewrite(&proxy, |_| routed(&["request.headers.a == '2'"]));
    reload(&proxy, "applied");
    assert_eq!(ask(), "1");
    rewrite(&proxy, |_| routed(&["request.headers.a = '3'"]));
    reload(&proxy, "failed");
    assert_eq!(ask(), "1", "what is wrong changes nothing");
}

#[test]
fn a_rule_whose_condition_does_not_hold_is_not_there() {
    let target = Target::echo("a");
    let text = config(&target, "[\"key\", \"gold\"]", "")
        .replace("type = \"api-key\"", "type = \"api-key\"\nwhen = '!request.path.startsWith(\"/v1/open/\")'")
        .replace("type = \"groups\"", "type = \"groups\"\nwhen = 'request.method != \"GET\" && has(consumer.name)'");
    let proxy = Proxy::start(text);
    for (method, path, fields, status) in [
        ("GET", "/v1/x", &[][..], 401),
        ("GET", "/v1/open/x", &[], 200),
        ("GET", "/v1/open/../x", &[], 401),
        ("GET", "/v1/x", &["X-Key: key-of-other"], 200),
        ("PUT", "/v1/x", &["X-Key: key-of-other", "Content-Length: 0"], 403),
        ("PUT", "/v1/x", &["X-Key: key-of-acme", "Content-Length: 0"], 200),
    ] {
        assert_eq!(by_h1(&proxy, method, path, fields).0, status, "{method} {path} {fields:?}");
        assert_eq!(by_h2(&proxy, method, path, fields, b"").0, status, "h2 {method} {path} {fields:?}");
    }
    let count = |rule: &str| {
        ["passed", "denied"]
            .map(|result| proxy.metric("ringway_rule_requests_total", &[("rule", rule), ("result", result)]))
    };
    eventually("all are counted", || count("key") == [6.0, 4.0]);
    assert_eq!(count("gold"), [2.0, 2.0], "where it is not there it lets nobody pass");
}

#[test]
fn a_rule_is_there_where_its_condition_cannot_say() {
    let target = Target::echo("a");
    let when = "type = \"api-key\"\nwhen = 'int(request.headers[\"x-n\"]) == 1'";
    let proxy = Proxy::start(config(&target, "[\"key\"]", "").replace("type = \"api-key\"", when));
    let ask = |fields: &[&str]| by_h1(&proxy, "GET", "/v1/x", fields).0;
    assert_eq!([ask(&["X-N: 2"]), ask(&["X-N: 1"]), ask(&["X-N: no"]), ask(&[])], [200, 401, 401, 401]);
    eventually("it is counted", || {
        proxy.metric("ringway_condition_errors_total", &[("of", "rule"), ("name", "key")]) == 2.0
    });
}

/// A rule `allow` of type cel behind keys and a guest.
fn allowing(target: &Target, allow: &str) -> String {
    config(target, "[\"key\", \"allow\"]", "")
        .replace("type = \"api-key\"", "type = \"api-key\"\nwhen = 'has(request.headers[\"x-key\"])'")
        + &format!("[rules.allow]\ntype = \"cel\"\nallow = '''{allow}'''\n")
}

#[test]
fn a_condition_decides_who_comes_in() {
    let target = Target::echo("a");
    let allow =
        "'gold' in consumer.groups && request.method == 'GET' || consumer.name == 'other' && int(request.query.n) < 5";
    let proxy = Proxy::start(allowing(&target, allow));
    let mut expected = Vec::new();
    for (path, fields, status, word) in [
        ("/v1/x", &["X-Key: key-of-acme"][..], 200, ""),
        ("/v1/x?n=4", &["X-Key: key-of-other"], 200, ""),
        ("/v1/x?n=5", &["X-Key: key-of-other"], 403, "cel"),
        ("/v1/x?n=five", &["X-Key: key-of-other"], 403, "cel-conversion"),
        ("/v1/x", &[], 401, "nobody"),
    ] {
        let answer = proxy.client().ask("GET", path, fields);
        assert_eq!(answer.status, status, "{path} {fields:?}");
        assert_eq!(answer.field("www-authenticate").is_some(), status == 401, "{path} {fields:?}");
        assert_eq!(by_h2(&proxy, "GET", path, fields, b"").0, status, "h2 {path} {fields:?}");
        expected.extend([word, word]);
    }
    eventually("the log has all of them", || proxy.out.all().len() == expected.len());
    let word = |line: &String| {
        let line = serde_json::from_str::<Value>(line).unwrap();
        line["reason"].as_str().unwrap_or_default().to_owned()
    };
    let mut words: Vec<String> = proxy.out.all().iter().map(word).collect();
    words.sort();
    expected.sort_unstable();
    assert_eq!(words, expected);
    assert_eq!(target.requests(), 4);
}

#[test]
fn who_asks_is_not_a_question_where_no_condition_asks_it() {
    let target = Target::echo("a");
    let proxy = Proxy::start(allowing(&target, "request.headers['x-office'] == 'yes'"));
    let ask = |fields: &[&str]| by_h1(&proxy, "GET", "/v1/x", fields).0;
    assert_eq!([ask(&["X-Office: yes"]), ask(&["X-Office: no"]), ask(&[])], [200, 403, 403]);
}

#[test]
fn explanations_tell_which_condition_a_request_does_not_meet() {
    let folder = Directory::new();
    let file = folder.write("ringway.toml", &routed(&["request.headers.a == '1'"]));
    let explain = |more: &[&str]| {
        let (code, out, err) = ringway(&[&["explain", "-c", &file, "http://site.test/x/"], more].concat());
        assert_eq!(code, Some(0), "{out}{err}");
        out
    };
    assert!(explain(&["-H", "A: 1"]).contains("`request.headers.a == '1'` holds"));
    assert!(explain(&[]).contains("`request.headers.a == '1'` does not hold"));
}

#[test]
fn what_is_wrong_with_a_condition_is_told_with_its_place() {
    let target = Target::echo("a");
    let text = config(&target, "[\"key\", \"gold\", \"allow\"]", "when = 'tls.enabled'")
        + "[rules.allow]\ntype = \"cel\"\nallow = 'tls.enabled'\n[rules.two]\ntype = \"all-of\"\nrules = [\"inner\"]\n\
           [rules.inner]\ntype = \"api-key\"\nheader = \"x-inner\"\n\
           [rules.share]\ntype = \"cors\"\norigins = [\"https://app.test\"]\n";
    for (from, to, said) in [
        ("when = 'tls.enabled'", "when = 'reqest.path == \"/\"'", ["ringway.toml:", "did you mean `request.path`?"]),
        ("when = 'tls.enabled'", "when = 'request.path'", ["ringway.toml:", "it comes to a text"]),
        ("when = 'tls.enabled'", "when = 'tls.enabled &&'", ["ringway.toml:", "at character 15 of the condition"]),
        ("when = 'tls.enabled'", "when = 'consumer.name == \"a\"'", ["ringway.toml:", "give a rule the condition"]),
        ("when = 'tls.enabled'", "when = 7", ["ringway.toml:", "string"]),
        (
            "type = \"api-key\"",
            "type = \"api-key\"\nwhen = 'has(consumer.name)'",
            ["ringway.toml:", "is not known here"],
        ),
        ("type = \"groups\"", "type = \"groups\"\nwhen = '1 + 1'", ["ringway.toml:", "it comes to an int"]),
        (
            "allow = 'tls.enabled'",
            "allow = 'consumer.role == 1'",
            ["ringway.toml:", "nothing is named `consumer.role`"],
        ),
        (
            "header = \"x-inner\"",
            "header = \"x-inner\"\nwhen = 'tls.enabled'",
            ["ringway.toml:", "it cannot be one of several"],
        ),
        (
            "type = \"cors\"",
            "type = \"cors\"\nwhen = 'tls.enabled'",
            ["ringway.toml:", "for all requests of its routes"],
        ),
    ] {
        let told = faults(&text, from, to);
        let line = to.lines().last().unwrap();
        assert!(told.contains(line) || line.contains("tls.enabled"), "{to}: {told}");
        assert!(said.iter().all(|said| told.contains(said)), "{to}: {told}");
    }
}
