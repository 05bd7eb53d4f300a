//! What heads of HTTP/2 may say. Protects http-messaging/h2_desync_attacks, h2_to_h1 and scheme_based_normalize: nothing in
//! them becomes a second request, another path or another host on the way to a target of HTTP/1.1.

use crate::support::h2::{Client, DATA, Ended, Frames, HEADERS, block, request};
use crate::support::proxy::Setup;
use crate::support::target::Seen;
use crate::support::toml::http;
use crate::support::{Proxy, Target};
use http::{HeaderMap, Method};

type Field = (&'static str, &'static str);

const GOOD: [Field; 4] = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "site.test")];

/// A good head with these fields instead of, or behind, those that it has.
fn with(fields: &[Field]) -> Vec<Field> {
    let mut all = GOOD.to_vec();
    for &field in fields {
        match all.iter_mut().find(|(name, _)| *name == field.0 && name.starts_with(':')) {
            Some(place) => *place = field,
            None => all.push(field),
        }
    }
    all
}

fn without(name: &str) -> Vec<Field> {
    GOOD.into_iter().filter(|field| field.0 != name).collect()
}

/// Sends a head that ends its stream, and says how that ends. What follows on the connection is served if it stands.
#[track_caller]
fn ending(proxy: &Proxy, fields: &[Field]) -> Ended {
    let mut frames = Frames::to(&proxy.web());
    frames.send(HEADERS, 0x5, 1, &block(fields)).unwrap();
    let ended = frames.ending(1);
    if ended != Ended::Gone {
        frames.send(HEADERS, 0x5, 3, &block(&with(&[(":path", "/next")]))).unwrap();
        assert_eq!(frames.ending(3), Ended::Answer { good: true }, "after {fields:?}");
    }
    ended
}

#[track_caller]
fn assert_refused(heads: &[Vec<Field>]) {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    for head in heads {
        assert_ne!(ending(&proxy, head), Ended::Answer { good: true }, "{head:?}");
    }
    let seen: Vec<_> = target.seen().into_iter().filter(|seen| seen.path != "/next").map(|seen| seen.head).collect();
    assert!(seen.is_empty(), "{seen:?}");
    assert_eq!(proxy.get("/").status, 200);
}

#[test]
fn pseudo_fields_are_there_once_and_first() {
    let twice = |field: Field| [&GOOD[..], &[field]].concat();
    let early = [&[("x", "y")], &GOOD[..]].concat();
    let mut heads: Vec<_> = GOOD.into_iter().map(twice).collect();
    heads.extend([":method", ":scheme", ":path", ":authority"].map(without));
    heads.extend([twice((":authority", "b.test")), twice((":path", "/b")), early]);
    heads.extend([(":foo", "x"), (":", "x"), (":status", "200"), (":protocol", "websocket")].map(twice));
    assert_refused(&heads);
}

#[test]
fn pseudo_fields_say_one_thing_and_no_more() {
    let split = "GET / HTTP/1.1\r\nHost: b.test\r\n\r\n";
    let mut heads = Vec::new();
    for (name, values) in [
        (":method", &["", "GE T", "GET\t", "GET\r\nx: y", split, "G\0T", "CONNECT"][..]),
        (":path", &["", "x", "*", "?a", "@b.test/", "http://b.test/", "/a#b", "/#@b.test/"]),
        (":path", &["/a b", "/a\tb", "/\0", "/\u{e9}"]),
        (":path", &["/ HTTP/1.1\r\nHost: b.test\r\n\r\nGET /b", "/\r\nx: y", "/\n"]),
        (":scheme", &["", "ht tp", "1http", "http\r\nx: y", "http://b.test/?", "http:"]),
        (
            ":authority",
            &["", "a b", "a,b", "user@site.test", "site.test/b", "site.test#b", "site.test?b", "site%2etest"],
        ),
        (":authority", &["site.test:99999", "site.test:x", "[::1", "site.test\r\nx: y", "site.test\0"]),
    ] {
        heads.extend(values.iter().map(|value| with(&[(name, value)])));
    }
    // A tunnel to anywhere has neither a scheme nor a path.
    heads.push(vec![(":method", "CONNECT"), (":authority", "b.test:443")]);
    heads.push(with(&[(":method", "CONNECT"), (":protocol", "connect-udp")]));
    assert_refused(&heads);
}

#[test]
fn fields_are_names_and_values_and_none_of_a_connection() {
    let names = ["X-Upper", "x y", "x:", "", "x\r\ny", "x\0", "x\u{e9}"].map(|name| with(&[(name, "y")]));
    let values = ["a\r\nb: c", "a\nb", "a\rb", "a\0b", " a", "a\t", "a\r\n\r\nGET /b HTTP/1.1\r\n\r\n"]
        .map(|value| with(&[("x", value)]));
    let hops = [
        ("connection", "close"),
        ("connection", "x"),
        ("keep-alive", "1"),
        ("proxy-connection", "close"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        ("expect", "something"),
    ]
    .map(|field| with(&[field]));
    assert_refused(&[&names[..], &values[..], &hops[..]].concat());
}

#[test]
fn host_is_the_authority_or_refused() {
    let other = |host| with(&[("host", host)]);
    let alone = |hosts: &[Field]| [&without(":authority")[..], hosts].concat();
    assert_refused(&[
        other("b.test"),
        other("site.test.b.test"),
        other(""),
        with(&[("host", "site.test"), ("host", "b.test")]),
        with(&[("host", "site.test"), ("host", "site.test")]),
        alone(&[("host", "site.test"), ("host", "b.test")]),
        alone(&[("host", "a b")]),
        alone(&[("host", "user@site.test")]),
    ]);
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    for head in [GOOD.to_vec(), other("site.test"), other("SITE.test"), alone(&[("host", "site.test")])] {
        let before = target.requests();
        assert_eq!(ending(&proxy, &head), Ended::Answer { good: true }, "{head:?}");
        let seen = target.seen().swap_remove(before);
        let hosts = seen.head.lines("host");
        assert!(hosts.len() == 1 && hosts[0].eq_ignore_ascii_case("site.test"), "{hosts:?} of {head:?}");
    }
}

/// http-messaging/scheme_based_normalize
#[test]
fn the_port_of_the_scheme_is_no_part_of_the_authority() {
    let rules = "\n[routes.moved]\nhosts = [\"moved.test\"]\nredirect = { path = \"/new\" }\n";
    let target = Target::echo("a");
    let clear = Proxy::start(http(&[&target]) + rules);
    let edge = crate::tls::Edge::new();
    let tls = crate::support::tls::listener(&["site"], "");
    let config = crate::support::toml::http_with(&tls, &[&target], "") + rules;
    let secure = Setup::start(edge.setup.with(config));
    for (proxy, dial, scheme, own) in [(&clear, None, "http", 80), (&secure, Some(edge.authority.dial()), "https", 443)]
    {
        let client = match dial {
            Some(dial) => Client::secure(dial.alpn(&["h2"]).config(), &proxy.web(), "site.test"),
            None => Client::to(&proxy.web()),
        };
        for (authority, place) in [
            ("moved.test".to_owned(), "moved.test".to_owned()),
            (format!("moved.test:{own}"), "moved.test".to_owned()),
            (format!("MOVED.test.:{own}"), "moved.test".to_owned()),
            ("moved.test:8443".to_owned(), "moved.test:8443".to_owned()),
        ] {
            let mut asked = request(Method::GET, "/old");
            *asked.uri_mut() = format!("{scheme}://{authority}/old").parse().unwrap();
            let answer = client.ask(asked, b"").unwrap();
            assert_eq!(answer.fields["location"], format!("{scheme}://{place}/new"), "{authority}");
        }
    }
}

#[test]
fn a_length_that_is_not_the_contents_is_refused() {
    let end = |fields: &[Field]| with(&[&[(":method", "POST")], fields].concat());
    assert_refused(&[
        end(&[("content-length", "1")]),
        end(&[("content-length", "x")]),
        end(&[("content-length", "")]),
        end(&[("content-length", "-0")]),
        end(&[("content-length", "+0")]),
        end(&[("content-length", "0, 0")]),
        end(&[("content-length", "0"), ("content-length", "1")]),
        end(&[("content-length", "18446744073709551616")]),
    ]);
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    for (length, parts) in [("4", &["abc"][..]), ("4", &["ab", "cde"]), ("0", &["GET /b HTTP/1.1\r\n\r\n"])] {
        let mut frames = Frames::to(&proxy.web());
        frames.send(HEADERS, 0x4, 1, &block(&end(&[("content-length", length)]))).unwrap();
        for (n, part) in parts.iter().enumerate() {
            frames.send(DATA, u8::from(n + 1 == parts.len()), 1, part.as_bytes()).unwrap();
        }
        // With a length of 0 the request may be over before it turns out to be wrong.
        let good = frames.ending(1) == Ended::Answer { good: true };
        assert!(!good || length == "0", "{length} {parts:?}");
    }
    let bad = |seen: &Seen| seen.path != "/" || seen.whole && seen.head.length() != Some(0);
    assert!(!target.seen().iter().any(bad), "{:?}", target.seen());
}

#[test]
fn trailers_are_fields_and_change_nothing_that_a_head_has_said() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let ending = |trailer: Field| {
        let mut frames = Frames::to(&proxy.web());
        frames.send(HEADERS, 0x4, 1, &block(&with(&[(":method", "POST")]))).unwrap();
        frames.send(DATA, 0, 1, b"abc").unwrap();
        frames.send(HEADERS, 0x5, 1, &block(&[trailer])).unwrap();
        frames.ending(1)
    };
    for trailer in
        [("x", "a\r\nb: c"), ("X", "y"), ("x y", "z"), (":path", "/b"), (":status", "200"), (":authority", "b.test")]
    {
        assert_ne!(ending(trailer), Ended::Answer { good: true }, "{trailer:?}");
    }
    assert!(target.seen().iter().all(|seen| !seen.whole && seen.path == "/"), "{:?}", target.seen());
    let mut trailers = HeaderMap::new();
    for name in ["content-length", "host", "authorization", "x-sum"] {
        trailers.insert(name, "1".parse().unwrap());
    }
    let answer = Client::to(&proxy.web()).ask_with_trailers(request(Method::POST, "/"), b"abc", trailers);
    assert_eq!(answer.status, 200);
    // Those that broke off may be noted after it.
    let whole: Vec<Seen> = target.seen().into_iter().filter(|seen| seen.whole).collect();
    assert_eq!(whole.len(), 1, "{whole:?}");
    assert_eq!(whole[0].trailers, [("x-sum".to_owned(), "1".to_owned())]);
}

#[test]
fn an_answer_loses_what_belonged_to_its_connection_alone() {
    let head = "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\n\
                X-Hop: 1\r\nUpgrade: h2c\r\nX-Kept: a\r\nX-Kept: b\r\n";
    let target = Target::with("a", move |peer| {
        while let Some(seen) = peer.request() {
            let (chunks, length) =
                ("Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", "Content-Length: 2\r\n\r\nab");
            peer.send(format!("{head}{}", if seen.path == "/chunks" { chunks } else { length }));
        }
    });
    let proxy = Proxy::start(http(&[&target]));
    for path in ["/chunks", "/length"] {
        let answer = Client::to(&proxy.web()).get(path);
        for gone in ["connection", "keep-alive", "proxy-connection", "x-hop", "upgrade", "transfer-encoding"] {
            assert!(!answer.fields.contains_key(gone), "{gone}");
        }
        let kept: Vec<_> = answer.fields.get_all("x-kept").iter().map(|value| value.as_bytes()).collect();
        assert_eq!((kept, &answer.body[..]), (vec![&b"a"[..], b"b"], &b"ab"[..]));
    }
}

#[test]
fn an_answer_that_is_no_http_is_a_502() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nbad name: x\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 2 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        let target = Target::says_and_closes("a", answer);
        let proxy = Proxy::start(http(&[&target]));
        assert_eq!(Client::to(&proxy.web()).get("/").status, 502, "{answer:?}");
    }
}

#[test]
fn an_answer_without_content_has_none_whatever_its_target_says() {
    let target = Target::with("a", |peer| {
        while let Some(seen) = peer.request() {
            let status = seen.path[1..].to_owned();
            // With HEAD, too, there is nothing behind the head.
            peer.send(format!("HTTP/1.1 {status} Status\r\nContent-Length: 4\r\n\r\n"));
        }
    });
    let proxy = Proxy::start(http(&[&target]));
    let client = Client::to(&proxy.web());
    for (method, path) in [(Method::HEAD, "/200"), (Method::HEAD, "/404"), (Method::GET, "/304")] {
        let answer = client.ask(request(method, path), b"").unwrap();
        assert_eq!((answer.status.as_str(), answer.body.len()), (&path[1..], 0));
    }
}
