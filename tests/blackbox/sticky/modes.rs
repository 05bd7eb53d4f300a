//! Cookies that targets set, and Ringway changes.

use super::{set, start};
use crate::support::Proxy;
use crate::support::Target;
use crate::support::client::Response;
use crate::support::toml::http_with;

/// A target whose application sets a cookie when it is asked for `/set`.
fn application(name: &str, line: &'static str) -> Target {
    Target::with(name, move |peer| {
        while let Some(seen) = peer.request() {
            let fields = if seen.path == "/set" { &[line, "Set-Cookie: other=1"][..] } else { &[] };
            peer.reply(200, fields, b"x");
        }
    })
}

fn two(line: &'static str) -> [Target; 2] {
    [application("t0", line), application("t1", line)]
}

fn last<'a>(targets: &'a [Target], response: &Response) -> &'a Target {
    super::named(targets, &response.target())
}

#[test]
fn a_cookie_that_the_target_sets_is_rewritten() {
    let targets = two("Set-Cookie: RWSRV=from the app; Path=/app; Secure");
    let proxy = start(&targets, "cookie = \"RWSRV\", mode = \"rewrite\"");
    let nothing = proxy.get("/");
    assert_eq!(nothing.field("set-cookie"), None, "the target decides who gets one");
    let first = proxy.get("/set");
    let value = set(&first).unwrap();
    let mut lines = first.head.lines("set-cookie");
    lines.sort_unstable();
    assert_eq!(lines, [&format!("RWSRV={value}; Path=/app; Secure"), "other=1"]);
    for _ in 0..4 {
        let response = proxy.client().ask("GET", "/", &[&format!("Cookie: a=1; RWSRV={value}")]);
        assert_eq!(response.target(), first.target());
        let seen = last(&targets, &response).last().field("cookie");
        assert_eq!(seen, Some(format!("a=1; RWSRV={value}")), "the target knows of it");
    }
}

#[test]
fn a_cookie_of_the_target_gets_a_prefix_that_the_target_does_not_see() {
    let targets = two("Set-Cookie: JSESSIONID=ab~cd==; Path=/; HttpOnly");
    let pool = "balance = \"round-robin\"\nsticky = { cookie = \"JSESSIONID\", mode = \"prefix\" }\n";
    let log = "[access_log]\nformat = \"haproxy\"\n";
    let proxy = Proxy::start(http_with("", &targets, pool) + log);
    let first = proxy.get("/set");
    let line = first.head.lines("set-cookie").into_iter().find(|line| line.starts_with("JSESSIONID=")).unwrap();
    let (name, rest) = line.strip_prefix("JSESSIONID=").unwrap().split_once('~').unwrap();
    assert_eq!((name.len(), rest), (12, "ab~cd==; Path=/; HttpOnly"));
    for _ in 0..4 {
        let response = proxy.client().ask("GET", "/", &[&format!("Cookie: JSESSIONID={name}~ab~cd==; a=1")]);
        assert_eq!((response.target(), response.field("set-cookie")), (first.target(), None));
        let seen = last(&targets, &response).last().field("cookie");
        assert_eq!(seen.as_deref(), Some("JSESSIONID=ab~cd==; a=1"));
    }
    let bare = proxy.client().ask("GET", "/", &["Cookie: JSESSIONID=from-before"]);
    assert_eq!(last(&targets, &bare).last().field("cookie").as_deref(), Some("JSESSIONID=from-before"));
    let strange = proxy.client().ask("GET", "/", &["Cookie: JSESSIONID=nobody~s"]);
    assert_eq!(last(&targets, &strange).last().field("cookie").as_deref(), Some("JSESSIONID=s"));
    for letters in ["--NR", "--VN", "--NN", "--IN"] {
        proxy.out.wait(&[&format!(" - - {letters} ")]);
    }
}

#[test]
fn what_the_target_sets_under_our_name_reaches_nobody() {
    let targets = two("Set-Cookie: RWSRV=mine; Path=/");
    let config = http_with("", &targets, "balance = \"round-robin\"\nsticky = { cookie = \"RWSRV\" }\n");
    let proxy = Proxy::start(config + "[access_log]\nformat = \"haproxy\"\n");
    let first = proxy.get("/set");
    let value = set(&first).unwrap();
    assert_eq!(first.head.lines("set-cookie").len(), 2, "ours, and the other one: {:?}", first.head);
    let second = proxy.client().ask("GET", "/set", &[&format!("Cookie: RWSRV={value}")]);
    assert_eq!(second.head.lines("set-cookie"), ["other=1"]);
    proxy.out.wait(&[" - - --VD "]);
}
