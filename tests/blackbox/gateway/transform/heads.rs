//! Headers, queries, paths, methods and statuses.

use super::*;

const RULES: &str = r#"
[rules.one]
type = "transform"
request.headers.remove = ["x-secret"]
request.headers.rename = { "x-old" = "x-new" }
request.headers.set = { "x-who" = "{consumer.name}", "x-consumer-username" = "mine" }
request.headers.add = { "x-there" = "no", "x-path" = "{request.path}" }
request.headers.append = { "x-many" = "2" }
request.match = "^/v1/users/(?<id>[0-9]+)$"
request.path = "/people/{id}"
request.query.remove = ["debug"]
request.query.rename = { "old" = "new" }
request.query.set = { "by" = "{request.headers.x-agent}" }
request.query.add = { "page" = "1" }
request.query.append = { "tag" = "b" }
response.headers.set = { "x-served" = "{status}", "x-twice" = "rule" }
response.headers.remove = ["server"]

[rules.two]
type = "transform"
request.match = "^/people/(.*)$"
request.path = "/final/{1}"
request.query.set = { "two" = "2" }
request.headers.set = { "x-there" = "two", "x-own" = "two" }
"#;

#[test]
fn edits_of_rules_come_behind_identity_and_before_those_of_the_route() {
    let target = Target::echo("a");
    let more = "request.headers.set = { \"x-own\" = \"route\" }\nresponse.headers.set = { \"x-twice\" = \"route\" }\n\
                rewrite.add_prefix = \"/app\"";
    let proxy = start_with(
        &target,
        "[\"two\", \"key\", \"one\"]",
        &RULES
            .replace("rules.two", "rules.unused")
            .replace("rules.one", "rules.two")
            .replace("rules.unused", "rules.one"),
        more,
    );
    let sent = [
        "X-Key: key-of-acme",
        "X-Secret: s",
        "X-Old: o",
        "X-New: n",
        "X-Who: forged",
        "x_who: forged",
        "X-Consumer-Username: forged",
        "X-There: yes",
        "X-Many: 1",
        "X-Agent: a&b",
    ];
    let check = |status: u16, served: Option<&str>, twice: Option<&str>| {
        assert_eq!((status, served, twice), (200, Some("200"), Some("route")));
        let seen = target.last();
        assert_eq!(seen.path, "/app/final/7?new=3&x=1&by=a%26b&page=1&tag=b&two=2");
        for (name, values) in [
            ("x-secret", &[][..]),
            ("x-key", &[]),
            ("x-old", &[]),
            ("x-new", &["o"]),
            ("x-who", &["acme"]),
            ("x_who", &[]),
            ("x-consumer-username", &["mine"]),
            ("x-consumer-groups", &["gold,eu"]),
            ("x-there", &["two"]),
            ("x-path", &["/v1/users/7"]),
            ("x-many", &["1", "2"]),
            ("x-own", &["route"]),
        ] {
            assert_eq!(seen.head.lines(name), values, "{name}");
        }
    };
    let path = "/v1/users/7?debug=1&%6fld=3&new=9&x=1";
    let answer = proxy.client().ask("GET", path, &sent);
    check(answer.status, answer.field("x-served").as_deref(), answer.field("x-twice").as_deref());
    let fields: Vec<(&str, &str)> = sent.iter().map(|field| field.split_once(": ").unwrap()).collect();
    let lower: Vec<(String, &str)> = fields.iter().map(|(name, value)| (name.to_ascii_lowercase(), *value)).collect();
    let lower: Vec<(&str, &str)> = lower.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let answer = send2(&h2::Client::to(&proxy.web()), Method::GET, path, &lower, "");
    let told = |name: &str| answer.fields.get(name).map(|value| value.to_str().unwrap());
    check(answer.status.as_u16(), told("x-served"), told("x-twice"));
    let other = proxy.client().ask("GET", "/v1/other?debug=1", &["X-Key: key-of-acme"]);
    assert_eq!((other.status, target.last().path.as_str()), (200, "/app/v1/other?debug=1"), "nothing matches");
    assert_eq!(proxy.get("/v1/users/7").status, 401);
}

#[test]
fn targets_are_asked_by_another_method_but_for_head() {
    let target = Target::echo("a");
    let proxy = start(&target, "[\"post\"]", "[rules.post]\ntype = \"transform\"\nrequest.method = \"POST\"\n");
    assert_eq!(proxy.get("/v1/x").status, 200);
    let seen = target.last();
    assert_eq!((seen.method.as_str(), seen.field("content-length").as_deref()), ("POST", Some("0")));
    assert_eq!(send(&mut proxy.client(), "PUT", "/v1/x", "{}").text(), "{}");
    assert_eq!((target.last().method.as_str(), target.last().field("content-length").as_deref()), ("POST", Some("2")));
    let answer = send2(&h2::Client::to(&proxy.web()), Method::GET, "/v1/x", &[], "");
    assert_eq!((answer.status.as_u16(), target.last().method.as_str()), (200, "POST"));
    let answer = proxy.client().ask("HEAD", "/v1/x", &[]);
    assert_eq!((answer.status, target.last().method.as_str()), (200, "HEAD"));
}

#[test]
fn what_goes_out_by_a_method_that_is_not_idempotent_is_not_sent_twice() {
    let dying = Target::with("dying", |peer| drop(peer.request()));
    let rule = |method: &str| format!("[rules.post]\ntype = \"transform\"\nrequest.method = \"{method}\"\n");
    for (method, tries) in [("PUT", 2), ("POST", 1)] {
        let before = dying.requests();
        let proxy = start_with(
            &dying,
            "[\"post\"]",
            &rule(method),
            "retry = { attempts = 1, on = [\"reset\"], backoff = \"10ms\" }",
        );
        assert_eq!(proxy.get("/v1/x").status, 502);
        assert_eq!(dying.requests() - before, tries, "{method}");
    }
}

#[test]
fn statuses_are_told_otherwise_and_counted_for_targets_as_they_came() {
    let target = Target::says("a", "HTTP/1.1 404 Gone Away\r\nContent-Length: 2\r\nX-Kind: k\r\n\r\nno");
    let rule = "[rules.status]\ntype = \"transform\"\nresponse.if_status = \"404, 500-599\"\nresponse.status = 410\n\
                response.headers.set = { \"x-was\" = \"{status}\" }\n\
                [rules.good]\ntype = \"transform\"\nresponse.if_status = \"200-299\"\nresponse.headers.set = { \"x-good\" = \"1\" }\n";
    let proxy = start(&target, "[\"status\", \"good\"]", rule);
    let mut client = proxy.client();
    client.send(request("GET", "/v1/x", &[]));
    let answer = client.response();
    assert_eq!((answer.status, answer.head.start.as_str(), answer.text().as_str()), (410, "HTTP/1.1 410 Gone", "no"));
    assert_eq!((answer.field("x-was").as_deref(), answer.field("x-good")), (Some("404"), None));
    let answer = send2(&h2::Client::to(&proxy.web()), Method::GET, "/v1/x", &[], "");
    assert_eq!((answer.status.as_u16(), answer.fields["x-was"].to_str().unwrap()), (410, "404"));
    let denied = start(&target, "[\"status\", \"key\"]", &rule.replace("404, 500-599", "401"));
    let answer = denied.get("/v1/x");
    assert_eq!((answer.status, answer.field("x-was").as_deref()), (401, Some("401")), "what we refuse stays refused");
}
