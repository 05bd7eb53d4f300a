//! Consumers by their keys, and who comes in by that.

use super::{config, faults};
use crate::reload::{reload, rewrite};
use crate::support::client::Response;
use crate::support::proxy::{Directory, Proxy, ringway};
use crate::support::target::Seen;
use crate::support::{Target, eventually, h2};
use ::h2::Reason;
use http::{HeaderValue, Method};
use serde_json::Value;

fn ask(proxy: &Proxy, path: &str, fields: &[&str]) -> Response {
    proxy.client().ask("GET", path, fields)
}

fn told(seen: &Seen) -> [Option<String>; 3] {
    ["x-consumer-username", "x-consumer-groups", "x-key"].map(|name| seen.field(name))
}

fn lines(proxy: &Proxy, count: usize) -> Vec<Value> {
    eventually("the log has all of them", || proxy.out.all().len() >= count);
    proxy.out.all().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_key_names_its_consumer_and_stays_here() {
    let target = Target::echo("a");
    let proxy = Proxy::start(config(&target, "[\"key\"]", ""));
    assert_eq!(ask(&proxy, "/v1/x", &["x-kEy: key-of-acme"]).status, 200);
    assert_eq!(told(&target.last()), [Some("acme".into()), Some("gold,eu".into()), None]);
    assert_eq!(ask(&proxy, "/v1/x", &["X-Key: key-of-other"]).status, 200);
    assert_eq!(told(&target.last()), [Some("other".into()), None, None]);
    assert_eq!(ask(&proxy, "/open", &[]).status, 200, "elsewhere nobody asks");
    // Workers write their lines by themselves.
    let mut consumers: Vec<String> = lines(&proxy, 3).iter().map(|line| line["consumer"].to_string()).collect();
    consumers.sort();
    assert_eq!(consumers, ["\"acme\"", "\"other\"", "null"]);
    assert_eq!(proxy.metric("ringway_rule_requests_total", &[("rule", "key"), ("result", "passed")]), 2.0);
}

#[test]
fn who_has_no_key_comes_to_nothing_behind_the_route_whatever_that_is() {
    let target = Target::echo("a");
    let more = "[routes.fixed]\npaths = [\"/fixed/\"]\nrespond = { status = 200, body = \"secret\" }\nrules = [\"key\"]\n\
                [routes.away]\npaths = [\"/away/\"]\nredirect = { host = \"secret.test\" }\nrules = [\"key\"]\n\
                [routes.files]\npaths = [\"/files/\"]\nfiles = { root = \"/etc\" }\nrules = [\"key\"]\n";
    let proxy = Proxy::start(config(&target, "[\"key\"]", more));
    for (fields, word) in [
        (&[][..], "no-key"),
        (&["X-Key: "], "unknown-key"),
        (&["X-Key: key-of-acme "], ""),
        (&["X-Key: key-of-acmf"], "unknown-key"),
        (&["X-Key: KEY-OF-ACME"], "unknown-key"),
        (&["X_Key: key-of-acme"], "no-key"),
        (&["X-Key: key-of-acme", "X-Key: key-of-acme"], "several-keys"),
        (&["X-Key: wrong-key-1", "X-Key: key-of-acme"], "several-keys"),
        (&["Connection: x-key", "X-Key: key-of-acmf"], "unknown-key"),
        (&["X-Consumer-Username: acme"], "no-key"),
    ] {
        let (before, logged) = (target.requests(), proxy.out.all().len());
        let answer = ask(&proxy, "/v1/x", fields);
        let expected = if word.is_empty() { 200 } else { 401 };
        assert_eq!(answer.status, expected, "{fields:?}");
        let challenge = answer.field("www-authenticate");
        assert_eq!(challenge.is_some(), expected == 401, "{fields:?}");
        assert_eq!(target.requests() - before, usize::from(word.is_empty()), "{fields:?}");
        let line = lines(&proxy, logged + 1).pop().unwrap();
        assert_eq!(line["reason"].as_str().unwrap_or_default(), word, "{fields:?}");
        assert!(!line.to_string().contains("key-of-acme"), "a key is no log's");
    }
    let before = target.requests();
    let same = [
        "/v1/",
        "//v1/x",
        "/v1/../v1/x",
        "/%76%31/x",
        "/a/../v1/x",
        "/./v1/x",
        "/v1/x?a=/open",
        "http://site.test/v1/x",
    ];
    for path in same.into_iter().chain(["/fixed/x", "/away/x", "/files/hostname"]) {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "FOO"] {
            let fields: &[&str] = if method == "GET" || method == "HEAD" { &[] } else { &["Content-Length: 0"] };
            let answer = proxy.client().ask(method, path, fields);
            assert_eq!((answer.status, answer.text().contains("secret")), (401, false), "{method} {path}");
        }
    }
    assert_eq!(target.requests(), before, "nobody asked the target");
    assert_eq!(ask(&proxy, "/fixed/x", &["X-Key: key-of-other"]).text(), "secret");
    assert_eq!(ask(&proxy, "/away/x", &["X-Key: key-of-other"]).status, 302);
}

#[test]
fn targets_hear_of_consumers_from_nobody_but_here() {
    let target = Target::echo("a");
    let proxy = Proxy::start(config(&target, "[\"key\"]", ""));
    let forged = [
        "X-Consumer-Username: root",
        "X-Consumer-Groups: admin",
        "X_Consumer_Username: root",
        "X-Consumer_Groups: admin",
        "x-consumer-id: 1",
        "X-Consumer-Custom-ID: 1",
        "X-Credential-Identifier: 1",
        "X-Anonymous-Consumer: true",
        "X-Authenticated-Groups: admin",
    ];
    for more in [&[][..], &["Connection: X-Consumer-Username"], &["Connection: close, x-consumer-groups"]] {
        let fields = [&["X-Key: key-of-acme"], &forged[..], more].concat();
        assert_eq!(ask(&proxy, "/v1/x", &fields).status, 200);
        let seen = target.last();
        assert_eq!(told(&seen), [Some("acme".into()), Some("gold,eu".into()), None], "{more:?}");
        let wrong: Vec<_> = ["root", "admin", "1", "true"]
            .into_iter()
            .filter(|said| seen.head.fields.iter().any(|(_, value)| value == said))
            .collect();
        assert!(wrong.is_empty(), "{more:?}: {wrong:?} in {:?}", seen.head);
    }
}

#[test]
fn over_http2_it_is_the_same() {
    let target = Target::echo("a");
    let proxy = Proxy::start(config(&target, "[\"key\", \"gold\"]", ""));
    let client = h2::Client::to(&proxy.web());
    let ask = |keys: &[&'static str]| {
        let mut request = h2::request(Method::GET, "/v1/x");
        for key in keys {
            request.headers_mut().append("x-key", HeaderValue::from_static(key));
        }
        client
            .ask(request, b"")
            .map_err(|error| error.reason().unwrap_or(Reason::INTERNAL_ERROR))
            .unwrap()
            .status
            .as_u16()
    };
    assert_eq!([ask(&[]), ask(&["key-of-other"]), ask(&["key-of-acme"])], [401, 403, 200]);
    assert_eq!(ask(&["key-of-acme", "key-of-acme"]), 401);
    assert_eq!(told(&target.last()), [Some("acme".into()), Some("gold,eu".into()), None]);
    assert_eq!(target.requests(), 1);
}

#[test]
fn groups_decide_after_identity_however_a_route_names_them() {
    let target = Target::echo("a");
    let proxy = Proxy::start(config(&target, "[\"gold\", \"key\"]", ""));
    for (fields, status, word) in
        [(&["X-Key: key-of-acme"][..], 200, ""), (&["X-Key: key-of-other"], 403, "group"), (&[], 401, "no-key")]
    {
        let logged = proxy.out.all().len();
        assert_eq!(ask(&proxy, "/v1/x", fields).status, status, "{fields:?}");
        let line = lines(&proxy, logged + 1).pop().unwrap();
        assert_eq!(line["reason"].as_str().unwrap_or_default(), word);
        let by = ["group", "no-key"].iter().position(|known| *known == word).map(|place| ["gold", "key"][place]);
        assert_eq!(line["denied_by"].as_str(), by);
    }
    let count =
        |rule: &str, result: &str| proxy.metric("ringway_rule_requests_total", &[("rule", rule), ("result", result)]);
    assert_eq!([count("key", "passed"), count("key", "denied")], [2.0, 1.0]);
    assert_eq!([count("gold", "passed"), count("gold", "denied"), count("gold", "shadow-denied")], [1.0, 1.0, 0.0]);
    assert_eq!(proxy.metric("ringway_refused_total", &[("reason", "forbidden")]), 1.0);
    assert_eq!(proxy.metric("ringway_refused_total", &[("reason", "unauthenticated")]), 1.0);
}

#[test]
fn a_rule_in_shadow_lets_through_what_it_counts_and_one_that_is_off_is_not_there() {
    let target = Target::echo("a");
    let text = config(&target, "[\"key\", \"gold\"]", "").replace("type = \"", "mode = \"shadow\"\ntype = \"");
    let proxy = Proxy::start(text);
    let shadowed =
        |rule: &str| proxy.metric("ringway_rule_requests_total", &[("rule", rule), ("result", "shadow-denied")]);
    assert_eq!(ask(&proxy, "/v1/x", &[]).status, 200);
    assert_eq!(ask(&proxy, "/v1/x", &["X-Key: key-of-other"]).status, 200);
    assert_eq!(told(&target.last()), [Some("other".into()), None, None]);
    assert_eq!([shadowed("key"), shadowed("gold")], [1.0, 2.0]);
    let mut by: Vec<String> = lines(&proxy, 2).iter().map(|line| line["shadow_denied_by"].to_string()).collect();
    by.sort();
    assert_eq!(by, ["\"gold\"", "\"key\""]);
    rewrite(&proxy, |text| text.replace("mode = \"shadow\"", "mode = \"off\""));
    reload(&proxy, "applied");
    assert_eq!(ask(&proxy, "/v1/x", &["X-Key: of-the-application"]).status, 200);
    assert_eq!(told(&target.last()), [None, None, Some("of-the-application".into())], "it is the target's own then");
    assert_eq!([shadowed("key"), shadowed("gold")], [1.0, 2.0]);
}

#[test]
fn a_key_is_replaced_without_a_request_refused() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    let file = folder.write("keys", "# of acme\n\nfirst-key-of-acme\n");
    let text = config(&target, "[\"key\"]", "").replace("keys = [\"key-of-acme\"]", &format!("keys_file = \"{file}\""));
    let proxy = Proxy::start(text);
    let with = |key: &str| ask(&proxy, "/v1/x", &[&format!("X-Key: {key}")]).status;
    // SHA-256 of "second-key-of-acme".
    let hash = "sha256:HASH";
    let second = sha256("second-key-of-acme");
    for (keys, expected) in [
        (format!("first-key-of-acme\n{}\n", hash.replace("HASH", &second)), [200, 200]),
        (format!("{}\n", hash.replace("HASH", &second)), [401, 200]),
    ] {
        std::fs::write(&file, keys).unwrap();
        reload(&proxy, "applied");
        assert_eq!([with("first-key-of-acme"), with("second-key-of-acme")], expected);
    }
    std::fs::write(&file, "short\n").unwrap();
    reload(&proxy, "failed");
    assert_eq!(with("second-key-of-acme"), 200, "a file that is wrong changes nothing");
    proxy.log.wait(&["line 1: it is shorter than 8 bytes"]);
    assert!(proxy.log.count(&["second-key-of-acme"]) == 0);
}

fn sha256(text: &str) -> String {
    use aws_lc_rs::digest::{SHA256, digest};
    digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_cache_gives_nobody_what_was_for_somebody() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            let control = if seen.path.contains("public") {
                "Cache-Control: public, max-age=60"
            } else {
                "Cache-Control: max-age=60"
            };
            let body = seen.field("x-consumer-username").unwrap_or_else(|| "nobody".into());
            if peer.reply(200, &[control], body.as_bytes()).is_none() {
                return;
            }
        }
    });
    let text = config(&target, "[\"key\"]", "cache = \"c\"\n") + "[caches.c]\nmemory = \"4MiB\"\n";
    let proxy = Proxy::start(text);
    let get = |path: &str, key: &str| ask(&proxy, path, &[&format!("X-Key: {key}")]).text();
    assert_eq!([get("/v1/own", "key-of-acme"), get("/v1/own", "key-of-other")], ["acme", "other"], "each has asked");
    assert_eq!(
        [get("/v1/public", "key-of-acme"), get("/v1/public", "key-of-other")],
        ["acme", "acme"],
        "it is for all"
    );
    assert_eq!(ask(&proxy, "/v1/public", &[]).status, 401, "who is nobody gets nothing of what is stored");
    assert_eq!(target.requests(), 3);
}

#[test]
fn what_would_become_of_a_request_is_explained_with_its_rules() {
    let target = Target::echo("a");
    let folder = Directory::new();
    let file = folder
        .write("ringway.toml", &config(&target, "[\"key\", \"gold\"]", "").replace("127.0.0.1:0", "127.0.0.1:8080"));
    let explain = |more: &[&str]| {
        let (_, out, err) = ringway(&[&["explain", "-c", &file, "http://127.0.0.1:8080/v1/x"], more].concat());
        out + &err
    };
    let refused = explain(&[]);
    assert!(
        refused.contains("401") && refused.contains("no-key") && refused.contains("rule `key` refuses it"),
        "{refused}"
    );
    let refused = explain(&["-H", "X-Key: key-of-other"]);
    assert!(refused.contains("403") && refused.contains("rule `gold` refuses it"), "{refused}");
    let passed = explain(&["-H", "X-Key: key-of-acme"]);
    assert!(passed.contains("+ X-Consumer-Username: acme") && passed.contains("- X-Key: "), "{passed}");
    let line =
        |text: &str, part: &str| text.lines().any(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") == part);
    assert!(
        line(&passed, "rules key passes") && line(&passed, "gold passes") && line(&passed, "consumer acme"),
        "{passed}"
    );
    assert!(line(&refused, "rules key passes") && line(&refused, "consumer other"), "{refused}");
    assert!(refused.lines().any(|line| line.trim_start().starts_with("gold  refuses: ")), "{refused}");
    let (_, json, _) = ringway(&["explain", "-c", &file, "--json", "http://127.0.0.1:8080/v1/x"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["rules"], serde_json::json!([{ "name": "key", "verdict": "refuses", "word": "no-key" }]));
}

#[test]
fn rules_that_make_no_sense_are_told_where_they_stand() {
    let target = Target::echo("a");
    for (from, to, said) in [
        ("rules = [\"key\"]", "rules = [\"kye\"]", "no rule is named `kye`"),
        ("rules = [\"key\"]", "rules = [\"gold\"]", "rule `gold` lets nobody in"),
        ("rules = [\"key\"]", "rules = [\"key\", \"key\"]", "rule `key` is named twice"),
        ("type = \"api-key\"", "type = \"api-kye\"", "did you mean \"api-key\"?"),
        ("type = \"api-key\"\n", "", "`rules.key` has no `type`"),
        ("header = \"X-Key\"", "haeder = \"X-Key\"", "did you mean `header`?"),
        ("header = \"X-Key\"", "allow = [\"gold\"]", "unknown key `allow` in `rules.key`"),
        ("keys = [\"key-of-other\"]", "keys = [\"key-of-acme\"]", "key 1: consumer `acme` has it as well"),
        ("keys = [\"key-of-other\"]", "keys = [\"short\"]", "key 1: it is shorter than 8 bytes"),
        ("keys = [\"key-of-other\"]", "keys_file = \"/nowhere\"", "`/nowhere` cannot be read"),
        ("keys = [\"key-of-acme\"]", "keyz = [\"key-of-acme\"]", "did you mean `keys`?"),
        ("keys = [\"key-of-acme\"]", "keys = \"key-of-acme\"", "write it in brackets"),
        ("keys = [\"key-of-acme\"]", "keys = [\"key-of-acme\", 1]", "must be a string"),
        ("keys = [\"key-of-acme\"]", "keys = [\"key-of-acme", "missing comma"),
    ] {
        let told = faults(&config(&target, "[\"key\"]", ""), from, to);
        assert!(told.contains(said), "{to}: {told}");
        assert!(!told.contains("key-of-acme"), "no key is shown: {told}");
    }
}

#[test]
fn a_log_of_headers_shows_no_key() {
    let target = Target::echo("a");
    let proxy = Proxy::start(config(&target, "[\"key\"]", "") + "headers = [\"X-Key\", \"X-Other\"]\n");
    assert_eq!(ask(&proxy, "/v1/x", &["X-Key: key-of-acme", "X-Other: seen"]).status, 200);
    let line = lines(&proxy, 1).pop().unwrap().to_string();
    assert!(line.contains("seen") && !line.contains("key-of-acme"), "{line}");
}
