//! Which lines the access log has, what is in them, and what must never be. Protects log/log_uri and the choice of an
//! operator of HAProxy, NGINX or Kong.

use crate::support::client::request;
use crate::support::proxy::{Proxy, Setup};
use crate::support::target::{Leave, refused};
use crate::support::toml::{http, http_with, pool, tcp_with};
use crate::support::{GLANCE, Target, eventually, within};
use serde_json::Value;
use std::time::Duration;

/// A proxy in front of a target, with a route of its own for `/health`.
fn proxy(target: &Target, log: &str) -> Proxy {
    let health = "\n[routes.health]\npaths = [\"/health\"]\npool = \"site\"\n";
    Proxy::start(http(&[target]) + health + "\n[access_log]\n" + log)
}

fn uris(proxy: &Proxy) -> Vec<String> {
    let uri = |line: &String| serde_json::from_str::<Value>(line).unwrap()["uri"].as_str().unwrap().to_owned();
    proxy.out.all().iter().map(uri).collect()
}

#[test]
fn errors_and_slow_ones_are_kept_when_nothing_is_sampled() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            if seen.path == "/slow" {
                std::thread::sleep(Duration::from_millis(400));
            }
            peer.reply(if seen.path == "/bad" { 500 } else { 200 }, &[], b"x");
        }
    });
    let log = "sample = \"0%\"\nkeep = [\"errors\", \"slow\"]\nslow = \"250ms\"\n";
    let proxy = proxy(&target, log);
    for path in ["/fine", "/slow", "/bad", "/other"] {
        proxy.get(path);
    }
    eventually("two lines", || proxy.out.all().len() == 2);
    assert!(!within(GLANCE, || proxy.out.all().len() > 2));
    let mut found = uris(&proxy);
    found.sort();
    assert_eq!(found, ["/bad", "/slow"]);
}

#[test]
fn filters_leave_out_what_they_do_not_name() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            peer.reply(seen.path.rsplit('/').next().and_then(|s| s.parse().ok()).unwrap_or(200), &[], b"x");
        }
    });
    for (log, expected) in [
        ("except_routes = [\"health\"]\n", &["/a/200", "/a/404", "/a/503"][..]),
        ("routes = [\"health\"]\n", &["/health/200", "/health/404"]),
        ("status = [\"400-599\"]\n", &["/a/404", "/a/503", "/health/404"]),
        ("status = [404]\nexcept_routes = [\"health\"]\n", &["/a/404"]),
    ] {
        let proxy = proxy(&target, log);
        for path in ["/a/200", "/a/404", "/a/503", "/health/200", "/health/404"] {
            proxy.get(path);
        }
        eventually("the lines came", || proxy.out.all().len() >= expected.len());
        assert!(!within(GLANCE, || proxy.out.all().len() > expected.len()), "{log}: {:?}", proxy.out);
        let mut found = uris(&proxy);
        found.sort();
        assert_eq!(found, expected, "{log}");
    }
}

#[test]
fn a_listener_may_go_unrecorded() {
    let target = Target::echo("a");
    let other = "\n[listeners.other]\nlisten = [\"127.0.0.1:0\"]\npool = \"site\"\n";
    let proxy = Proxy::start(http(&[&target]) + other + "\n[access_log]\nlisteners = [\"other\"]\n");
    proxy.get("/web");
    crate::support::client::get(&proxy.at("other"), "/other");
    proxy.out.wait(&["/other"]);
    assert!(!within(GLANCE, || proxy.out.contains(&["/web"])));
}

/// Of both sides, and of answers that are ours.
#[test]
fn headers_that_are_asked_for_are_in_the_line() {
    let target = Target::with("a", |peer| {
        while peer.request().is_some() {
            peer.reply(200, &["X-Cache: hit", "Set-Cookie: s3cret=1", "X-Cache: old"], b"x");
        }
    });
    let moved = "\n[routes.moved]\npaths = [\"/moved\"]\nredirect = { host = \"b.test\" }\n";
    let log = "\n[access_log]\nheaders = [\"X-Tenant\", \"cookie\", \"x-none\"]\n\
               response_headers = [\"x-cache\", \"set-cookie\", \"location\"]\nredact = { query = [\"token\"] }\n";
    let proxy = Proxy::start(http(&[&target]) + moved + log);
    proxy.client().ask("GET", "/a?token=s3cret", &["x-tenant: acme", "X-TENANT: two", "Cookie: s3cret"]);
    let line = proxy.out.wait(&["/a?token"]);
    let record: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(record["headers"]["x-tenant"], "acme, two", "{line}");
    assert_eq!(record["headers"]["cookie"], "[redacted]", "{line}");
    assert!(record["headers"].get("x-none").is_none(), "{line}");
    assert_eq!(record["response_headers"]["x-cache"], "hit, old", "{line}");
    assert_eq!(record["response_headers"]["set-cookie"], "[redacted]", "{line}");
    assert_eq!(record["uri"], "/a?token=[redacted]", "{line}");
    proxy.get("/moved?TOKEN=s3cret");
    let line = proxy.out.wait(&["/moved"]);
    let record: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(record["response_headers"]["location"], "http://b.test/moved?TOKEN=[redacted]", "{line}");
    assert!(!proxy.out.contains(&["s3cret"]), "{:?}", proxy.out);
}

#[test]
fn no_line_of_any_format_shows_what_is_redacted() {
    let target = Target::with("a", |peer| {
        while peer.request().is_some() {
            peer.reply(200, &["Location: /x?%54oken=s3cret#s3cret"], b"x");
        }
    });
    let template = r#"'{request.uri} {request.query} "{request.headers.referer}" {request.headers.x-api-key} {response.headers.location}'"#;
    let captured = "headers = [\"x-api-key\", \"referer\"]\nresponse_headers = [\"location\"]\n";
    for (format, more) in
        [("\"json\"", captured), ("\"combined\"", captured), ("\"haproxy\"", captured), (template, "")]
    {
        let log = format!("format = {format}\n{more}redact = {{ query = [\"token\", \"api_key\"] }}\n");
        let proxy = proxy(&target, &log);
        for (number, uri) in [
            "/0?token=s3cret",
            "/1?a=1&ToKeN=s3cret&b=2",
            "/2?%74oken=s3cret",
            "/3?%2574oken=s3cret",
            "/4?next=%2Fp%3Ftoken%3Ds3cret%26x",
            "/5?token[]=s3cret&api.key=s3cret",
            "/6?token=a;s3cret",
            "/7?a=1;token=s3cret",
            "/8?token%3Ds3cret",
            "/9?token=a%26s3cret",
        ]
        .into_iter()
        .enumerate()
        {
            let referer = format!("Referer: http://r.test{uri}");
            proxy.client().ask(
                "GET",
                uri,
                &[&referer, "X-Api-Key: s3cret", "User-Agent: bot (http://b/?token=s3cret)"],
            );
            let line = proxy.out.wait(&[&format!("/{number}?")]);
            assert!(!line.contains("s3cret"), "{line}");
            assert!(line.contains("[redacted]"), "{line}");
        }
    }
}

#[test]
fn a_template_makes_the_line_and_no_value_leaves_its_quotes() {
    let target = Target::echo("a");
    let template = r#"'{client.ip} "{request.method} {request.uri}" {status} {total_ms} "{request.headers.user-agent}" {{{route}}} {reason}'"#;
    let proxy = proxy(&target, &format!("format = {template}\n"));
    proxy.client().ask("GET", "/health?q", &["User-Agent: a\" 200 \\evil\t[2J{x}\u{e9}"]);
    let line = proxy.out.wait(&["/health?q"]);
    let expected =
        r#"^127\.0\.0\.1 "GET /health\?q" 200 \d+\.\d{3} "a\\x22 200 \\x5Cevil\\x09\[2J\{x\}\\xC3\\xA9" \{health\} -$"#;
    assert!(regex::Regex::new(expected).unwrap().is_match(&line), "{line}");
}
/// The first letter says who ended it, the second when, as HAProxy's manual has it; the reason says it in words.
#[test]
fn every_end_has_its_letters_and_its_word() {
    let short = "timeouts = { request_head = \"300ms\", client_body = \"300ms\" }";
    let quick = "timeouts = { response_head = \"400ms\", response_idle = \"400ms\", connect = \"300ms\" }";
    let log = "\n[access_log]\n";
    let fixed = "\n[routes.fixed]\npaths = [\"/fixed\"]\nrespond = { status = 200, body = \"x\" }\n";
    let ends = |target: &dyn std::fmt::Display, ask: &dyn Fn(&Proxy), letters: &str, reason: Option<&str>| {
        // Who leaves is to do so before any time is up, also on a busy machine.
        let (short, quick) = if reason == Some("client-abort") { ("", "") } else { (short, quick) };
        let proxy = Proxy::start(http_with(short, &[target], quick) + fixed + log);
        ask(&proxy);
        eventually(&format!("a line with {letters}"), || !proxy.out.all().is_empty());
        let line = proxy.out.all().remove(0);
        let record: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(record["termination"], letters, "{line}");
        assert_eq!(record["reason"].as_str(), reason, "{line}");
    };
    let gets = |path: &'static str| {
        move |proxy: &Proxy| {
            let mut client = proxy.client();
            client.send(request("GET", path, &[]));
            let _ = client.response_to("GET");
        }
    };
    let sends = |bytes: &'static str| {
        move |proxy: &Proxy| {
            let mut client = proxy.client();
            client.send(bytes);
            let _ = client.response_to("GET");
        }
    };
    let leaves = |bytes: &'static str| {
        move |proxy: &Proxy| {
            let mut client = proxy.client();
            client.send(bytes);
            std::thread::sleep(Duration::from_millis(100));
            client.reset();
        }
    };
    let echo = Target::echo("a");
    ends(&echo, &gets("/"), "----", None);
    // Ringway answers itself, or refuses.
    ends(&echo, &gets("/fixed"), "LR--", None);
    ends(&echo, &sends("GET /bad path HTTP/1.1\r\nHost: a\r\n\r\n"), "PR--", Some("space-in-target"));
    ends(&echo, &gets("/a%2fb"), "PR--", Some("path-encoded-slash"));
    // The client is too slow, or leaves.
    ends(&echo, &sends("GET / HTTP/1.1\r\nHost:"), "cR--", Some("head-timeout"));
    ends(&echo, &leaves("GET / HTTP/1.1\r\nHost:"), "CR--", Some("client-abort"));
    ends(&echo, &sends("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"), "cH--", Some("body-timeout"));
    ends(&echo, &leaves("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"), "CH--", Some("client-abort"));
    let mute = Target::mute("mute");
    ends(&mute, &leaves("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "CH--", Some("client-abort"));
    let stalls = Target::stalls_after_head("stalls");
    ends(&stalls, &leaves("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "CD--", Some("client-abort"));
    // So is the target.
    ends(&mute, &gets("/"), "sH--", Some("response-timeout"));
    ends(&stalls, &gets("/"), "sD--", Some("idle-timeout"));
    ends(&refused(), &gets("/"), "SC--", Some("connect"));
    ends(&crate::support::target::Deaf::start().address, &gets("/"), "sC--", Some("connect-timeout"));
    ends(&Target::says_and_closes("none", ""), &gets("/"), "SH--", Some("reset"));
    ends(&Target::closes_after("cut", 3, 9), &gets("/"), "SD--", Some("reset"));
    ends(&Target::says("junk", "what?\r\n\r\n"), &gets("/"), "PH--", Some("bad-response"));
}

#[test]
fn the_ends_of_a_tcp_connection_have_theirs() {
    let log = "\n[access_log]\nformat = \"{termination} {reason} {bytes_in} {bytes_out}\"\n";
    let ends = |target: &dyn std::fmt::Display, ask: &dyn Fn(&mut crate::support::Client), expected: &str| {
        let proxy =
            Proxy::start(tcp_with("", &[target], "timeouts = { connect = \"300ms\", tunnel = \"400ms\" }") + log);
        // One that is refused may be reset before it knows that it was connected.
        let mut client = crate::support::Client::try_to(&proxy.web());
        if let Ok(client) = &mut client {
            ask(client);
        }
        proxy.out.wait(&[expected]);
    };
    let mirror = Target::mirror("m");
    let talks = |client: &mut crate::support::Client| {
        client.send("12345");
        client.exact(5).unwrap();
    };
    let finishes = |client: &mut crate::support::Client| {
        talks(client);
        client.finish_sending();
    };
    ends(&mirror, &finishes, "-- - 5 5");
    ends(&mirror, &talks, "sD tunnel-timeout 5 5");
    ends(&refused(), &|_| {}, "SC connect 0 0");
    ends(&crate::support::target::Deaf::start().address, &|_| {}, "sC connect-timeout 0 0");
    let resets = Target::with("r", |peer| {
        peer.head();
        peer.leave(Leave::Reset);
    });
    ends(&resets, &|client| client.send(request("GET", "/", &[])), "SD reset 35 0");
}

/// What a shutdown cuts is logged like anything else, with what it had come to.
#[test]
fn what_the_operator_cuts_is_logged() {
    let (mute, mirror, stalls) = (Target::mute("mute"), Target::mirror("m"), Target::stalls_after_head("s"));
    let more = pool("part", &[&stalls], "")
        + &pool("tcp", &[&mirror], "")
        + "[routes.part]\npaths = [\"/part\"]\npool = \"part\"\n\
           [listeners.tcp]\nlisten = [\"127.0.0.1:0\"]\nprotocol = \"tcp\"\npool = \"tcp\"\n\
           [access_log]\nformat = \"{request.uri} {termination} {reason} {status} {bytes_in} {bytes_out}\"\n";
    let setup = Setup::new(http(&[&mute]) + &more).runtime("shutdown_timeout = \"300ms\"");
    let mut proxy = setup.start();
    let mut waiting = proxy.client();
    waiting.send(request("GET", "/waiting", &[]));
    mute.wait_for(1);
    let mut part = proxy.client();
    part.send(request("GET", "/part", &[]));
    part.head(crate::support::PATIENCE).unwrap();
    let mut tunnel = crate::support::Client::to(&proxy.at("tcp"));
    tunnel.send("12345");
    tunnel.exact(5).unwrap();
    proxy.signal(libc::SIGTERM);
    assert_eq!(proxy.exit().code(), Some(0));
    let line = proxy.out.wait(&["/waiting"]);
    assert!(line.starts_with("/waiting KH-- draining - "), "{line}");
    let line = proxy.out.wait(&["/part"]);
    assert!(line.starts_with("/part KD-- draining 200 "), "{line}");
    proxy.out.wait(&["- KD draining - 5 5"]);
}

#[test]
fn the_phases_of_an_exchange_are_measured() {
    let target = Target::slow("a", Duration::from_millis(120));
    let log = "\n[access_log]\n";
    let proxy = Proxy::start(http(&[&target]) + log);
    let text = request("GET", "/x", &[]);
    let (first, second) = text.split_at(20);
    let mut client = proxy.client();
    client.send(first);
    std::thread::sleep(Duration::from_millis(150));
    client.send(second);
    assert_eq!(client.response().status, 200);
    client.get("/at-once");
    let phases = |uri: &str| {
        let record: Value = serde_json::from_str(&proxy.out.wait(&[uri])).unwrap();
        ["request_head_ms", "queue_ms", "connect_ms", "first_byte_ms", "total_ms"]
            .map(|key| record[key].as_f64().unwrap())
    };
    let [head, queue, connect, first, total] = phases("\"/x\"");
    assert!((20.0..5_000.0).contains(&head) && queue == 0.0 && connect > 0.0, "{head} {queue} {connect}");
    assert!(first >= 60.0 && total >= head + first, "{first} {total}");
    let [head, _, connect, first, total] = phases("/at-once");
    assert!(head == 0.0 && connect == 0.0 && first >= 60.0 && total >= first, "{head} {connect} {first} {total}");
}
