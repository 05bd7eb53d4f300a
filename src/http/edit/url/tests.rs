use super::*;
use crate::config::model;
use crate::config::template::Captured;
use crate::http::edit::tests::facts;
use crate::http::h1::{self, Limits, Scan};
use crate::http::head::RequestHead;
use crate::plan::Step;
use regex::bytes::Regex;
use std::sync::Arc;

/// What a target gets for a request of `target`, or the word for its refusal.
fn sent(rewrite: &Rewrite, strip_prefix: Option<&str>, target: &str) -> Result<String, &'static str> {
    let text = format!("GET {target} HTTP/1.1\r\nHost: a.test\r\nX-Id: a/b&c\r\n\r\n").into_bytes();
    let mut head = RequestHead::default();
    let limits = Limits { head: 4096, fields: 16 };
    assert!(h1::parse_request(&text, &limits, &mut Scan::default(), &mut head).is_ok());
    let mut normal = Vec::new();
    let raw = head.path.of(&text);
    let verdict = path::normalise(raw, &mut normal);
    let forms = if let Verdict::Ambiguous(forms) = verdict { forms } else { Forms::NONE };
    let send = path::forward(forms, rewrite.allowed).map_err(Refusal::reason)?;
    let rule = Forward { strip_prefix: strip_prefix.map(str::to_owned), ..Forward::to(0) };
    let path = Path { plain: verdict == Verdict::Plain, send };
    let got = rewritten(rewrite, &rule, path, (raw, &normal), &facts(&head, &text, 0)).map_err(Refusal::reason)?;
    let query = got.query.unwrap_or_else(|| head.query.map_or(Vec::new(), |query| query.of(&text).to_vec()));
    let mark = if query.is_empty() { "" } else { "?" };
    Ok(format!("{}{mark}{}", String::from_utf8(got.path).unwrap(), String::from_utf8(query).unwrap()))
}

fn rewrite(pattern: &str, path: &str, add_prefix: &str) -> Rewrite {
    let template = |text: &str| text.parse::<Captured>().unwrap().0;
    let step = Step {
        pattern: Some(pattern).filter(|pattern| !pattern.is_empty()).map(|pattern| Regex::new(pattern).unwrap()),
        path: Some(path).filter(|path| !path.is_empty()).map(template),
        query: None,
    };
    Rewrite {
        steps: vec![Arc::new(step)],
        add_prefix: add_prefix.into(),
        secret: Vec::new(),
        allowed: Forms::NONE,
        first_path: false,
    }
}

#[test]
fn a_path_is_made_of_what_was_captured() {
    let users = rewrite("^/u/(?<id>[^/]+)/?(.*)$", "/users/{id}/{2}", "");
    for (target, expected) in [
        ("/u/7/a%20b?q=1", "/users/7/a%20b?q=1"),
        ("/u/%37", "/users/7/"),
        ("/u/x/..", "/u/"),
        ("/other?q", "/other?q"),
        ("/u/caf%c3%a9/x", "/users/caf%C3%A9/x"),
    ] {
        assert_eq!(sent(&users, None, target).as_deref(), Ok(expected), "{target}");
    }
    let fixed = rewrite("", "/all/{request.headers.x-id}", "");
    assert_eq!(sent(&fixed, None, "/x?y"), Err("path-encoded-slash"));
    let host = rewrite("", "/{request.host}/{request.method}", "");
    assert_eq!(sent(&host, None, "/x?y").as_deref(), Ok("/a.test/GET?y"));
}

#[test]
fn what_comes_out_is_read_by_all_targets_alike_or_refused() {
    for (pattern, path, target, expected) in [
        // An escape that is torn apart, and one that is put together.
        ("^/(%)(.*)$", "/{1}x{2}", "/%20", Err("path-bad-escape")),
        ("^/x/(.*)$", "/%{1}", "/x/2e2e", Ok("/.2e")),
        ("^/x/(.*)$", "/%2{1}", "/x/e./a", Err("path-hidden-dots")),
        ("^/x/(.*)$", "/%2{1}", "/x/Fa", Err("path-encoded-slash")),
        ("^/x/(.*)$", "/%5{1}", "/x/Ca", Err("path-encoded-backslash")),
        // Dots that come together are resolved here, as they would be had the client sent them.
        ("^/x(.*)$", "/a/.{1}", "/x./b", Ok("/b")),
        ("^/x(.*)$", "/a/{1}", "/x/b", Ok("/a/b")),
        ("^/(.*);(.*)$", "/{1}.{2}", "/a/.;/b", Err("path-hidden-dots")),
    ] {
        let got = sent(&rewrite(pattern, path, ""), None, target);
        assert_eq!(got.as_deref().map_err(|word| *word), expected, "{pattern} {path} {target}");
    }
}

#[test]
fn a_prefix_stands_before_the_bytes_that_were_sent_and_is_not_climbed_out_of() {
    let app = rewrite("", "", "/app");
    for (target, expected) in
        [("/a%2Bb//c?q", "/app/a%2Bb/c?q"), ("/", "/app/"), ("/../../x", "/app/x"), ("/caf%c3%a9", "/app/caf%c3%a9")]
    {
        assert_eq!(sent(&app, None, target).as_deref(), Ok(expected), "{target}");
    }
    assert_eq!(sent(&app, Some("/v1/"), "/v1/%7Ea").as_deref(), Ok("/app/%7Ea"));
    assert_eq!(sent(&app, Some("/v1"), "/v1").as_deref(), Ok("/app/"));
    let lax = Rewrite { allowed: Forms::ALL, ..app };
    assert_eq!(sent(&lax, None, "/a%2Fb").as_deref(), Ok("/app/a%2Fb"));
    for climbs in ["/..%2F..%2Fetc", "/a%2F..%2F..%2Fetc", "/%2e%2e%5c..%5cetc"] {
        let got = sent(&lax, None, climbs);
        assert!(got.as_ref().is_err() || got.as_ref().is_ok_and(|got| !got.contains("..")), "{climbs}: {got:?}");
    }
}

#[test]
fn queries_are_edited_by_decoded_names_and_what_is_filled_in_is_one_value() {
    let text = |text: &str| text.parse::<Captured>().unwrap();
    let edits = model::QueryEdits {
        remove: vec!["debug".into(), "api key".into()],
        set: [("id".to_owned(), text("{1}")), ("h".to_owned(), text("{request.headers.x-id}"))].into(),
        add: [("v".to_owned(), text("1"))].into(),
        append: [("tag".to_owned(), text("new"))].into(),
        rename: [("old".to_owned(), "b".to_owned())].into(),
        keep: None,
    };
    let route = |query: model::QueryEdits| model::Route {
        rewrite: model::Rewrite { query, pattern: Some("^/i/(.*)$".into()), ..Default::default() },
        ..Default::default()
    };
    let rewrite = Rewrite::compile(&route(edits), Vec::new(), Vec::new()).unwrap();
    for (target, expected) in [
        ("/i/7?a=1&debug=1&%64ebug=2&api+key=3&api%20key&b", "/i/7?a=1&b&h=a%2Fb%26c&id=7&v=1&tag=new"),
        ("/i/a&admin=1?id=9&v=2", "/i/a&admin=1?v=2&h=a%2Fb%26c&id=a%26admin%3D1&tag=new"),
        ("/i/7?b=1&%6fld=2&c=3", "/i/7?b=2&c=3&h=a%2Fb%26c&id=7&v=1&tag=new"),
        ("/i/a%26b", "/i/a%26b?h=a%2Fb%26c&id=a%26b&v=1&tag=new"),
        ("/j?debug=1", "/j?debug=1"),
    ] {
        let expected = expected.replace("h=a%2Fb", "h=a/b");
        assert_eq!(sent(&rewrite, None, target).as_deref(), Ok(expected.as_str()), "{target}");
    }
    let keep = model::QueryEdits { keep: Some(vec!["a".into()]), ..Default::default() };
    let rewrite = Rewrite::compile(&route(keep), Vec::new(), Vec::new()).unwrap();
    assert_eq!(sent(&rewrite, None, "/i/7?a=1&b=2&%61=3").as_deref(), Ok("/i/7?a=1&%61=3"));
    assert_eq!(sent(&rewrite, None, "/i/7?b=2").as_deref(), Ok("/i/7"));
}

#[test]
fn what_clients_prove_themselves_with_goes_no_further() {
    let secret = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for (query, expected) in [
        ("key=s", ""),
        ("a=1&key=s&b=2", "a=1&b=2"),
        ("%6Bey=s&a=1", "a=1"),
        ("key&key=&a=1", "a=1"),
        ("keys=1&KEY=2", "keys=1&KEY=2"),
    ] {
        assert_eq!(without(query.as_bytes(), &secret(&["key"])), expected.as_bytes(), "{query}");
    }
}

#[test]
fn each_step_sees_what_the_one_before_it_has_left() {
    let step = |pattern: &str, path: &str| {
        let path = path.parse::<Captured>().unwrap();
        Arc::new(Step { pattern: Some(Regex::new(pattern).unwrap()), path: Some(path.0), query: None })
    };
    let both =
        Rewrite { steps: vec![step("^/a/(.*)$", "/b/{1}"), step("^/b/(.*)$", "/c/{1}/x")], ..rewrite("", "", "") };
    for (target, expected) in [("/a/1", "/c/1/x"), ("/b/2?q", "/c/2/x?q"), ("/d", "/d")] {
        assert_eq!(sent(&both, None, target).as_deref(), Ok(expected), "{target}");
    }
    assert_eq!(sent(&both, Some("/v1"), "/v1/a/1").as_deref(), Ok("/c/1/x"), "without what is stripped");
}
