//! Nobody decides what others are given: what a key does not hold does not reach the origin, and no two spellings that could be
//! different things are one key.

use super::{config, fresh, hit, origin, raw, says, start, told};
use crate::support::target::Seen;
use crate::support::toml::pool;
use crate::support::{Client, Proxy, Target};

/// Answers with all that it was told.
fn mirror() -> Target {
    origin(|seen, nth| {
        let fields: Vec<String> = seen.head.fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        fresh(&format!("{nth} {} {}", seen.path, fields.join("; ")))
    })
}

fn get(client: &mut Client, host: &str, target: &str, fields: &str) -> crate::support::client::Response {
    raw(client, "GET", &format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"))
}

#[test]
fn a_parameter_that_does_not_count_does_not_reach_the_origin() {
    let target = mirror();
    let proxy = Proxy::start(config(&target, "key = { ignore_query = [\"utm_*\", \"cb\"] }"));
    let mut client = proxy.client();
    let evil = client.get("/a?x=1&utm_source=%22%3E%3Cscript%3E&cb=1&utm_=2");
    assert_eq!(target.last().path, "/a?x=1");
    assert!(!evil.text().contains("utm_") && !evil.text().contains("cb="), "{}", evil.text());
    for same in ["/a?x=1", "/a?utm_medium=x&x=1", "/a?x=1&cb"] {
        assert!(hit(&client.get(same)), "{same}");
    }
    for other in ["/a", "/a?x=2", "/a?x=1&xutm_a=1", "/a?x=1&utm=1", "/a?x=1&CB=1"] {
        assert!(!hit(&client.get(other)), "{other}");
    }
    assert!(hit(&client.get("/a?cb=2")), "none at all is none");
    // Past the cache the same is sent: what is asked for is one thing.
    client.ask("GET", "/a?x=1&cb=3", &["Cache-Control: no-store, no-cache"]);
    assert!(!target.last().path.contains("utm_"));
}

#[test]
fn the_order_of_parameters_counts_unless_the_route_says_otherwise() {
    let target = mirror();
    let proxy = start(&target);
    let mut client = proxy.client();
    client.get("/a?b=1&a=2");
    assert!(!hit(&client.get("/a?a=2&b=1")) && hit(&client.get("/a?b=1&a=2")));
    let target = mirror();
    let proxy = Proxy::start(config(&target, "key = { sort_query = true, only_query = [\"a\", \"b\"] }"));
    let mut client = proxy.client();
    client.get("/a?b=1&z=9&a=2&b=0");
    assert_eq!(target.last().path, "/a?a=2&b=1&b=0");
    assert!(
        hit(&client.get("/a?a=2&b=1&b=0")) && !hit(&client.get("/a?a=2&b=0&b=1")),
        "those of one name keep their order"
    );
}

#[test]
fn what_a_client_says_of_itself_is_not_what_others_are_given() {
    let target = mirror();
    let proxy = start(&target);
    let mut client = proxy.client();
    let fields = "X-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-Port: 1\r\nX-Forwarded-For: 9.9.9.9\r\n\
                  Forwarded: host=evil.test\r\nX-Real-IP: 9.9.9.9\r\nX-Forwarded-Prefix: /evil\r\nX-Forwarded-Server: evil\r\n";
    let first = get(&mut client, "site.test", "/a", fields);
    assert!(!first.text().contains("evil") && !first.text().contains("gopher"), "{}", first.text());
    let second = get(&mut client, "site.test", "/a", "");
    assert!(hit(&second) && second.text() == first.text());
}

#[test]
fn what_a_trusted_proxy_says_of_its_client_tells_answers_apart() {
    let target = mirror();
    let trusting = "protocol = \"http\"\ntrusted_proxies = [\"127.0.0.1\"]\n";
    let proxy = Proxy::start(config(&target, "").replace("protocol = \"http\"\n", trusting));
    let mut client = proxy.client();
    let said = [
        "",
        "X-Forwarded-Proto: https\r\n",
        "X-Forwarded-Host: other.test\r\n",
        "X-Forwarded-Port: 8443\r\n",
        "X-Forwarded-Prefix: /app\r\n",
        "Forwarded: for=1.2.3.4;host=third.test;proto=https\r\n",
    ];
    for _ in 0..2 {
        for (nth, fields) in said.iter().enumerate() {
            let answer = get(&mut client, "site.test", "/a", fields);
            let others = said.iter().filter(|other| !other.is_empty() && *other != fields);
            for line in others.map(|other| other.trim_end().split(';').next_back().unwrap_or_default()) {
                assert!(!answer.text().to_lowercase().contains(&line.to_lowercase()), "{nth}: {}", answer.text());
            }
        }
    }
    assert_eq!(target.requests(), said.len(), "each is stored");
    // What they say besides, and say again of what is known, makes no difference.
    let same = "X-Forwarded-Host: SITE.test\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\nX-Forwarded-For: 9.9.9.9\r\n";
    assert!(hit(&get(&mut client, "site.test", "/a", same)));
    // A change is one of all of them, but for those of another scheme.
    client.ask("DELETE", "/a", &[]);
    for fields in said.into_iter().filter(|fields| !fields.contains("Proto")) {
        assert!(!hit(&get(&mut client, "site.test", "/a", fields)), "{fields}");
    }
}

#[test]
fn what_one_pool_has_answered_nobody_gets_who_is_for_another() {
    let (inside, outside) = (mirror(), mirror());
    let text = config(&outside, "")
        + &pool("inside", &[&inside], "")
        + "[routes.inside]\nheaders = { x-inside = \"1\" }\npool = \"inside\"\ncache = \"c\"\n";
    let proxy = Proxy::start(text);
    let mut client = proxy.client();
    for _ in 0..2 {
        let within = client.ask("GET", "/a", &["X-Inside: 1"]);
        assert!(within.text().contains("x-inside: 1") || within.text().contains("X-Inside: 1"), "{}", within.text());
        assert!(!client.get("/a").text().to_lowercase().contains("x-inside"));
    }
    assert_eq!((inside.requests(), outside.requests()), (1, 1));
    // What changes it for the one has changed it for the other: both have the same name.
    client.ask("POST", "/a", &["X-Inside: 1", "Content-Length: 0"]);
    assert!(!hit(&client.get("/a")) && !hit(&client.ask("GET", "/a", &["X-Inside: 1"])));
}

#[test]
fn a_request_that_says_it_is_another_is_neither_stored_nor_answered_from_the_store() {
    let target = mirror();
    let proxy = start(&target);
    let mut client = proxy.client();
    for (n, field) in [
        "X-HTTP-Method-Override: DELETE",
        "X-HTTP-Method: PUT",
        "X-Method-Override: POST",
        "X-Original-URL: /admin",
        "X-Rewrite-URL: /admin",
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{n}");
        let evil = get(&mut client, "site.test", &path, &format!("{field}\r\n"));
        assert!(!hit(&evil) && !told(&evil).contains("stored"), "{field}: {}", told(&evil));
        let first = get(&mut client, "site.test", &path, "");
        assert!(!hit(&first), "{field}");
        assert!(hit(&get(&mut client, "site.test", &path, "")), "{field}");
        assert!(!hit(&get(&mut client, "site.test", &path, &format!("{field}\r\n"))), "{field}");
    }
    let body = raw(&mut client, "GET", "GET /body HTTP/1.1\r\nHost: site.test\r\nContent-Length: 1\r\n\r\nx");
    assert!(!hit(&body) && !hit(&get(&mut client, "site.test", "/body", "")), "a GET with a body is not stored");
    let body = raw(&mut client, "GET", "GET /body HTTP/1.1\r\nHost: site.test\r\nContent-Length: 1\r\n\r\nx");
    assert!(!hit(&body), "nor answered for");
}

#[test]
fn spellings_of_one_path_are_one_key_and_of_others_are_not() {
    let target = mirror();
    let proxy = start(&target);
    let mut client = proxy.client();
    client.get("/a/b");
    for same in ["/a/../a/b", "/a/./b", "//a//b", "/%61/b", "/a/%62"] {
        let answer = client.get(same);
        // Whatever cannot be sent as it is refused; nothing may be stored a second time under another name.
        assert!(answer.status == 400 || hit(&answer), "{same}: {} {}", answer.status, told(&answer));
    }
    for other in [
        "/a%2Fb",
        "/a/b/",
        "/a/b;x.css",
        "/a/b/x.css",
        "/a/b%3Fx",
        "/A/b",
        "/a/b?",
        "/a/b%00",
        "/a/b%5Cx",
        "/a/b?x.css",
        "/a/b%23x",
    ] {
        let answer = client.get(other);
        assert!(!hit(&answer), "{other}");
        assert!(answer.status == 400 || !answer.text().starts_with("1 /a/b "), "{other}: {}", answer.text());
    }
    assert!(hit(&client.get("/a/b")));
}

#[test]
fn a_private_page_under_a_static_name_is_not_stored() {
    let target = origin(|seen: &Seen, nth| match seen.field("cookie") {
        Some(cookie) => says(&["Cache-Control: private"], &cookie),
        None => fresh(&nth.to_string()),
    });
    let proxy = start(&target);
    let mut client = proxy.client();
    for path in ["/account/x.css", "/account%2Fx.css", "/account;x.css", "/account/%2e%2e/x.css"] {
        get(&mut client, "site.test", path, "Cookie: secret\r\n");
        assert!(!get(&mut client, "site.test", path, "").text().contains("secret"), "{path}");
    }
}

#[test]
fn a_host_has_one_key_however_it_is_written_and_no_other_hosts() {
    let target = mirror();
    let proxy = start(&target);
    let port = proxy.web().rsplit(':').next().unwrap().to_owned();
    let mut client = proxy.client();
    get(&mut client, "site.test", "/a", "");
    for same in ["SITE.test", "Site.Test.", "site.test:80"] {
        assert!(hit(&get(&mut client, same, "/a", "")), "{same}");
    }
    let absolute = get(&mut client, "other.test", "http://site.test/a", "");
    assert!(absolute.status == 400 || hit(&absolute), "the absolute form goes before Host: {}", told(&absolute));
    let mut client = proxy.client();
    for other in ["site.test:8080", "sub.site.test", "site.testx", "127.0.0.1", &format!("site.test:{port}9")] {
        let answer = get(&mut client, other, "/a", "");
        assert!(answer.status == 400 || !hit(&answer), "{other}");
    }
    let evil = get(&mut proxy.client(), "site.test", "http://evil.test/b", "");
    let good = get(&mut proxy.client(), "site.test", "/b", "");
    assert!(!hit(&good), "{} {}", evil.status, told(&good));
    let h2 = crate::support::h2::Client::to(&proxy.web()).get("/a");
    assert!(h2.fields["cache-status"].to_str().unwrap().starts_with("Ringway; hit"), "{h2:?}");
}

#[test]
fn what_would_break_out_of_a_header_reaches_neither_store_nor_clients() {
    let target = mirror();
    let proxy = start(&target);
    for target in ["/a%0d%0aX:%201", "/a%0aX"] {
        let answer = get(&mut proxy.client(), "site.test", target, "");
        assert_eq!(answer.field("x"), None);
    }
    // A stored head is given as it was stored, and nothing of a request is in it.
    let mut client = proxy.client();
    get(&mut client, "site.test", "/c", "Range: bytes=0-0\r\nCookie: secret\r\n");
    let other = get(&mut client, "site.test", "/c", "");
    assert_eq!(other.status, 200);
}
