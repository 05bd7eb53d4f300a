//! Keys in queries and cookies, and several rules of which one is enough.

use super::{config, faults};
use crate::support::proxy::Proxy;
use crate::support::{Target, eventually, h2};
use http::{HeaderValue, Method};

/// A rule that looks for keys everywhere, one for another header, and one of which either is enough, or nothing at all.
const RULES: &str = "[rules.everywhere]\ntype = \"api-key\"\nheader = \"X-Key\"\nquery = \"key\"\ncookie = \"key\"\n\
                     [rules.other]\ntype = \"api-key\"\nheader = \"X-Other\"\n\
                     [rules.guest]\ntype = \"anonymous\"\nconsumer = \"guest\"\n\
                     [rules.both]\ntype = \"all-of\"\nrules = [\"everywhere\", \"gold\"]\n\
                     [rules.any]\ntype = \"any-of\"\nrules = [\"both\", \"other\", \"guest\"]\n[consumers.guest]\n";

fn start(target: &Target, rules: &str, more: &str) -> Proxy {
    // The log is the last table there is.
    Proxy::start(more.to_owned() + RULES + &config(target, rules, ""))
}

#[test]
fn a_key_in_a_query_or_a_cookie_goes_nowhere_else() {
    let target = Target::echo("a");
    let proxy = start(&target, "[\"everywhere\"]", "");
    let asks = |path: &str, cookies: &[&str]| proxy.client().ask("GET", path, cookies).status;
    assert_eq!(asks("/v1/x?a=1&key=key-of-acme&b=%2F", &[]), 200);
    assert_eq!(target.last().path, "/v1/x?a=1&b=%2F");
    assert_eq!(target.last().field("x-consumer-username").as_deref(), Some("acme"));
    assert_eq!(asks("/v1/x?%6Bey=key-of-acme", &[]), 200);
    assert_eq!(target.last().path, "/v1/x");
    assert_eq!(asks("/v1/x", &["Cookie: a=1; key=key-of-acme;b=2"]), 200);
    assert_eq!(target.last().field("cookie").as_deref(), Some("a=1; b=2"));
    assert_eq!(asks("/v1/x", &["Cookie: key=key-of-acme"]), 200);
    assert_eq!(target.last().field("cookie"), None);
    assert_eq!(asks("/v1/x?key=key-of-acme", &["X-Key: key-of-acme"]), 401, "two are one too many");
    assert_eq!(asks("/v1/x?key=key-of-acme&key=wrong-one", &[]), 401);
    let client = h2::Client::to(&proxy.web());
    let mut request = h2::request(Method::GET, "/v1/x?key=key-of-other&c=3");
    request.headers_mut().append("cookie", HeaderValue::from_static("d=4"));
    assert_eq!(client.ask(request, b"").unwrap().status, 200);
    assert_eq!(target.last().path, "/v1/x?c=3");
    eventually("the log has all of them", || proxy.out.all().len() >= 7);
    assert!(!proxy.out.all().iter().any(|line| line.contains("key-of")), "{:?}", proxy.out.all());
}

#[test]
fn a_cache_is_shared_by_those_who_prove_themselves_in_the_query() {
    let target =
        Target::says("a", "HTTP/1.1 200 OK\r\nCache-Control: public, max-age=60\r\nContent-Length: 2\r\n\r\nok");
    let text = "[caches.c]\nmemory = \"8MiB\"\n".to_owned()
        + RULES
        + &config(&target, "[\"everywhere\"]", "cache = { store = \"c\" }");
    let proxy = Proxy::start(text);
    for key in ["key-of-acme", "key-of-other"] {
        assert_eq!(proxy.get(&format!("/v1/x?key={key}")).status, 200);
    }
    assert_eq!(proxy.get("/v1/x?key=wrong-one").status, 401);
    assert_eq!(target.requests(), 1);
}

#[test]
fn one_of_several_rules_is_enough_and_a_wrong_key_makes_nobody_a_guest() {
    let target = Target::echo("a");
    let proxy = start(&target, "[\"any\"]", "");
    for (fields, status, consumer) in [
        (&["X-Key: key-of-acme"][..], 200, Some("acme")),
        (&["X-Other: key-of-other"], 200, Some("other")),
        (&["X-Key: key-of-other", "X-Other: key-of-other"], 200, Some("other")),
        (&["X-Key: key-of-other"], 403, None),
        (&["X-Other: wrong-one"], 401, None),
        (&[], 200, Some("guest")),
    ] {
        let answer = proxy.client().ask("GET", "/v1/x", fields);
        assert_eq!(answer.status, status, "{fields:?}");
        if let Some(consumer) = consumer {
            assert_eq!(target.last().field("x-consumer-username").as_deref(), Some(consumer), "{fields:?}");
        }
        if status == 401 {
            let challenges =
                answer.head.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate")).count();
            assert_eq!(challenges, 2, "whatever it may prove itself with: {}", answer.text());
        }
    }
    let results = |result: &str| proxy.metric("ringway_rule_requests_total", &[("rule", "any"), ("result", result)]);
    assert_eq!((results("passed"), results("denied")), (4.0, 2.0));
    assert_eq!(target.last().field("x-other"), None, "no key goes further");
}

#[test]
fn rules_of_rules_that_make_no_sense_are_told_where_they_stand() {
    let target = Target::echo("a");
    let text = RULES.to_owned() + &config(&target, "[\"any\"]", "");
    for (from, to, expected) in [
        ("rules = [\"both\", \"other\", \"guest\"]", "rules = [\"booth\"]", "no rule is named `booth`"),
        ("rules = [\"both\", \"other\", \"guest\"]", "rules = [\"any\"]", "rule `any` is made of itself"),
        ("rules = [\"everywhere\", \"gold\"]", "rules = [\"any\"]", "is made of itself"),
        ("rules = [\"both\", \"other\", \"guest\"]", "rules = []", "`rules` is empty"),
        ("consumer = \"guest\"", "consumer = \"gast\"", "no consumer is named `gast`"),
        ("header = \"X-Other\"", "header = \"X-Other\"\nmode = \"shadow\"", "lets all through"),
    ] {
        let told = faults(&text, from, to);
        assert!(told.contains(expected) && told.contains("ringway.toml:"), "{to}: {told}");
    }
}
