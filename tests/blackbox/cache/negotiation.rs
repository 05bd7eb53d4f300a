//! Answers that vary.

use super::{Answer, config, hit, lines, origin, says, start, told};
use crate::support::Proxy;

/// A target whose answers vary on these fields, and tell what each request said.
fn varying(fields: &'static str) -> crate::support::Target {
    origin(move |seen, nth| {
        let said: Vec<String> =
            fields.split(", ").map(|name| seen.field(&name.to_lowercase()).unwrap_or_else(|| "-".into())).collect();
        says(&["Cache-Control: max-age=60", &format!("Vary: {fields}")], &format!("{nth}:{}", said.join("|")))
    })
}

/// Asks in turn; each case says whether its answer comes from the store.
#[track_caller]
fn turns(fields: &'static str, cases: &[(&[&str], bool)]) {
    let target = varying(fields);
    let proxy = start(&target);
    let mut client = proxy.client();
    for (n, (asked, reused)) in cases.iter().enumerate() {
        let answer = client.ask("GET", "/a", asked);
        assert_eq!(hit(&answer), *reused, "{n}: {asked:?}: {} {}", told(&answer), answer.text());
    }
}

#[test]
fn each_variant_is_kept_and_found_again() {
    turns(
        "X-Kind",
        &[
            (&["X-Kind: 1"], false),
            (&["X-Kind: 2"], false),
            (&["X-Kind: 1"], true),
            (&["X-Kind: 2"], true),
            (&[], false),
            (&["X-Kind:"], false),
            (&[], true),
            (&["X-Kind:"], true),
            (&["x-kind:   1 "], true),
            (&["X-Kind: 1", "Other: 9"], true),
            (&["X-Kind: 1, 2"], false),
            (&["X-Kind: 1", "X-Kind: 2"], true),
            (&["X-Kind: 1,2"], true),
            (&["X-Kind: 2, 1"], false),
        ],
    );
}

#[test]
fn all_fields_that_it_varies_on_count() {
    turns(
        "X-A, X-B",
        &[
            (&["X-A: 1", "X-B: 1"], false),
            (&["X-B: 1", "X-A: 1"], true),
            (&["X-A: 1", "X-B: 2"], false),
            (&["X-A: 1"], false),
            (&["X-B: 1"], false),
            (&["X-A: 11"], false),
            (&["X-A: 1", "X-B: 1"], true),
        ],
    );
}

#[test]
fn codings_are_told_apart_by_what_they_come_to() {
    turns(
        "Accept-Encoding",
        &[
            (&["Accept-Encoding: gzip, br"], false),
            (&["Accept-Encoding: br,gzip"], true),
            (&["Accept-Encoding: br;q=1.0, gzip;q=1"], true),
            (&["Accept-Encoding: GZIP, BR"], true),
            (&["Accept-Encoding: gzip"], false),
            (&["Accept-Encoding: gzip, br;q=0"], true),
            (&[], false),
            (&["Accept-Encoding: identity"], false),
            (&["Accept-Encoding: x-unknown"], true),
            (&["Accept-Encoding: gzip, br"], true),
        ],
    );
}

#[test]
fn languages_are_told_apart_by_what_they_come_to() {
    turns(
        "Accept-Language",
        &[
            (&["Accept-Language: en, de"], false),
            (&["Accept-Language: EN, DE"], true),
            (&["Accept-Language: en,de"], true),
            (&["Accept-Language: de, en"], true),
            (&["Accept-Language: de, en;q=0.5"], false),
            (&["Accept-Language: fr"], false),
        ],
    );
}

#[test]
fn a_variant_is_validated_with_its_own_fields_and_validator() {
    let target = origin(|seen, _| {
        let kind = seen.field("x-kind").unwrap_or_default();
        let tag = format!("ETag: \"{kind}\"");
        if seen.field("if-none-match") == Some(format!("\"{kind}\"")) {
            return Answer {
                status: 304,
                fields: lines(&format!("{tag}\nCache-Control: max-age=60\nVary: X-Kind")),
                body: Vec::new(),
            };
        }
        says(&[&tag, "Cache-Control: max-age=1", "Age: 2", "Vary: X-Kind"], &kind)
    });
    let proxy = start(&target);
    let mut client = proxy.client();
    for kind in ["X-Kind: a", "X-Kind: b"] {
        client.ask("GET", "/", &[kind]);
    }
    for kind in ["a", "b"] {
        let answer = client.ask("GET", "/", &[&format!("X-Kind: {kind}")]);
        assert_eq!((answer.status, answer.text().as_str()), (200, kind));
        assert!(told(&answer).contains("fwd-status=304"), "{}", told(&answer));
        let asked = target.last();
        assert_eq!(asked.field("if-none-match"), Some(format!("\"{kind}\"")));
        assert!(hit(&client.ask("GET", "/", &[&format!("X-Kind: {kind}")])));
    }
}

#[test]
fn fields_and_cookies_of_the_route_are_part_of_the_key() {
    let target = origin(|seen, nth| super::fresh(&format!("{nth}{:?}", seen.field("x-tenant"))));
    let proxy = Proxy::start(config(&target, "key = { headers = [\"X-Tenant\"], cookies = [\"site\"] }"));
    let mut client = proxy.client();
    let mut ask = |fields: &[&str]| hit(&client.ask("GET", "/", fields));
    assert!(!ask(&["X-Tenant: a"]) && !ask(&["X-Tenant: b"]) && !ask(&[]) && !ask(&["X-Tenant: a", "Cookie: site=x"]));
    assert!(ask(&["X-Tenant: a"]) && ask(&["X-Tenant: b"]) && ask(&[]));
    assert!(ask(&["X-Tenant: a", "Cookie: other=1; site=x; more=2"]) && !ask(&["X-Tenant: a", "Cookie: site=y"]));
    // What is changed is forgotten for all of them.
    assert_eq!(client.ask("DELETE", "/", &[]).status, 200);
    for fields in [&["X-Tenant: a"][..], &["X-Tenant: b"], &[], &["X-Tenant: a", "Cookie: site=x"]] {
        assert!(!hit(&client.ask("GET", "/", fields)), "{fields:?}");
    }
}
