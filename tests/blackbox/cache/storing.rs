//! What is stored and what never is.

use super::{Answer, assert_reused, config, fresh, hit, lines, origin, says, start, told};
use crate::support::target::Target;
use crate::support::tls::{Authority, Kind, listener};
use crate::support::toml::http_with;
use crate::support::{Proxy, proxy::Setup};

#[test]
fn what_must_not_be_shared_is_not_stored() {
    assert_reused(
        "",
        &[
            (200, "Cache-Control: no-store, max-age=60", false),
            (200, "Cache-Control: max-age=60, NO-STORE", false),
            (200, "Cache-Control: private, max-age=60", false),
            (200, "Cache-Control: PRIVATE\nExpires: {60}", false),
            (200, "Cache-Control: no-cache, max-age=60", false),
            (200, "Cache-Control: max-age=60\nVary: *", false),
            (200, "Cache-Control: max-age=60\nVary: foo, *", false),
            (200, "Cache-Control: max-age=60\nVary: *, foo", false),
            (200, "Cache-Control: max-age=60\nVary:\nVary: *", false),
            (200, "Cache-Control: max-age=60\nVary: *, *", false),
            (599, "Cache-Control: max-age=60, must-understand", false),
            (200, "Cache-Control: max-age=60, must-understand, no-store", true),
            (200, "Cache-Control: max-age=60, private=\"x\"", true),
            (200, "Cache-Control: max-age=60, no-cache=\"x\"", true),
            (200, "Cache-Control: max-age=60, a=\"no-store, private\"", true),
            (412, "Cache-Control: max-age=60", false),
            (416, "Cache-Control: max-age=60", false),
        ],
    );
}

#[test]
fn an_answer_to_a_client_with_credentials_is_nobody_elses_unless_it_says_so() {
    let cases = [
        ("max-age=60", false),
        ("max-age=60, public", true),
        ("s-maxage=60", true),
        ("max-age=60, must-revalidate", true),
    ];
    let target = origin(move |seen, nth| {
        let place: usize = seen.path[1..].parse().unwrap();
        says(&[&format!("Cache-Control: {}", cases[place].0)], &format!("{nth}{:?}", seen.field("authorization")))
    });
    let proxy = start(&target);
    let mut client = proxy.client();
    for (n, (control, shared)) in cases.iter().enumerate() {
        let path = format!("/{n}");
        let own = client.ask("GET", &path, &["Authorization: Basic eDp5"]);
        assert!(own.text().contains("eDp5"));
        let other = client.get(&path);
        assert_eq!((hit(&other), other.text().contains("eDp5")), (*shared, *shared), "{control}");
        let told = told(&own);
        assert_eq!(told.contains("detail=authorization"), !shared, "{told}");
    }
}

#[test]
fn cookies_are_stored_only_as_the_route_says() {
    let act = |seen: &crate::support::target::Seen, nth: usize| {
        let fields = match seen.path.as_str() {
            "/shared" => "Cache-Control: max-age=60, public\nSet-Cookie: a=1\nX: y",
            "/explicit" => "Cache-Control: max-age=60\nSet-Cookie: a=1\nX: y",
            _ => "Set-Cookie: a=1\nX: y",
        };
        Answer { status: 200, fields: lines(fields), body: nth.to_string().into() }
    };
    // Whether it is reused where the origin says that it is for many, for how long, and nothing; and whether the cookie goes with it.
    for (way, shared, explicit, guessed, cookie) in [
        ("explicit", true, false, false, true),
        ("strip", true, true, true, false),
        ("never", false, false, false, true),
        ("store", true, true, true, true),
    ] {
        let target = origin(act);
        let proxy =
            Proxy::start(config(&target, &format!("set_cookie = \"{way}\"\ndefault_ttl = {{ \"200\" = \"1m\" }}")));
        let mut client = proxy.client();
        let mut again = |path: &str| {
            client.get(path);
            client.get(path)
        };
        let (many, said, unsaid) = (again("/shared"), again("/explicit"), again("/guessed"));
        assert_eq!((hit(&many), hit(&said)), (shared, explicit), "{way}");
        assert_eq!(many.field("set-cookie").is_some(), cookie, "{way}");
        assert_eq!(hit(&unsaid), guessed, "{way}");
        assert_eq!(said.field("x").as_deref(), Some("y"));
    }
}

#[test]
fn what_is_for_one_connection_is_not_stored() {
    let target = origin(|_, _| {
        says(
            &[
                "Cache-Control: max-age=60, no-cache=\"x-listed\"",
                "Connection: keep-alive, x-hop",
                "X-Hop: 1",
                "X-Listed: 1",
                "Keep-Alive: timeout=5",
                "Proxy-Authenticate: Basic",
                "Proxy-Authentication-Info: a",
                "Proxy-Connection: keep-alive",
                "TE: trailers",
                "Upgrade: x",
                "X-Kept: 1",
                "Server: origin",
                "Content-Foo: 1",
            ],
            "x",
        )
    });
    let proxy = start(&target);
    let mut client = proxy.client();
    client.get("/a");
    let again = client.get("/a");
    assert!(hit(&again));
    for name in [
        "x-hop",
        "x-listed",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-connection",
        "te",
        "upgrade",
    ] {
        assert_eq!(again.field(name), None, "{name}");
    }
    for name in ["x-kept", "server", "content-foo"] {
        assert!(again.field(name).is_some(), "{name}");
    }
}

#[test]
fn an_early_hint_is_passed_on_and_not_given_again() {
    let target = Target::with("hints", |peer| {
        while peer.request().is_some() {
            let _ = peer.try_send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n");
            let _ = peer.try_send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1\r\n\r\nx");
        }
    });
    let proxy = start(&target);
    let mut client = proxy.client();
    assert_eq!(client.get("/a").interim, [103]);
    let again = client.get("/a");
    assert_eq!((hit(&again), again.interim), (true, vec![]));
    assert_eq!(target.requests(), 1);
}

#[test]
fn http_and_https_are_two_keys() {
    let authority = Authority::new("Test");
    let setup = Setup::new("");
    authority.server(&["site.test"], Kind::Ecdsa).write(setup.directory(), "site");
    let target = origin(|_, nth| fresh(&nth.to_string()));
    let config = http_with(&listener(&["site"], ""), &[&target], "")
        + "[listeners.clear]\nlisten = [\"127.0.0.1:0\"]\nprotocol = \"http\"\npool = \"site\"\n[caches.c]\n\
           [routes.all]\npaths = [\"/\"]\nlisteners = [\"web\", \"clear\"]\npool = \"site\"\ncache = \"c\"\n";
    let proxy = setup.with(config).start();
    let clear = || crate::support::client::get(&proxy.at("clear"), "/a");
    let mut secure = authority.dial().to(&proxy.web(), "site.test");
    assert_eq!(
        (clear().text(), secure.get("/a").text(), clear().text(), secure.get("/a").text()),
        ("1".into(), "2".into(), "1".into(), "2".into())
    );
    assert_eq!(target.requests(), 2);
}

#[test]
fn routes_with_one_cache_share_it_and_routes_without_one_have_none() {
    let target = origin(|_, nth| fresh(&nth.to_string()));
    let proxy = Proxy::start(config(&target, "") + &super::beside(&target));
    let mut client = proxy.client();
    for n in 1..=3 {
        let other = client.get("/other/x");
        assert_eq!((other.text(), other.field("cache-status")), (n.to_string(), None));
    }
    client.get("/x");
    assert!(hit(&client.get("/x")));
}

#[test]
fn answers_in_chunks_are_stored_with_their_trailers_and_given_with_their_length() {
    let target = Target::with("chunks", |peer| {
        while let Some(seen) = peer.request() {
            let control = if seen.path == "/own" { "no-store" } else { "max-age=60" };
            let head = format!("HTTP/1.1 200 OK\r\nCache-Control: {control}\r\nTransfer-Encoding: chunked\r\n\r\n");
            if peer.try_send(head + "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n").is_err() {
                return;
            }
        }
    });
    let proxy = start(&target);
    let mut client = proxy.client();
    assert_eq!(client.get("/kept").text(), "abcdef");
    let again = client.get("/kept");
    assert_eq!((hit(&again), again.text(), again.head.length()), (true, "abcdef".to_owned(), Some(6)));
    // What is not kept comes whole too, and its connection is used again.
    for _ in 0..20 {
        let own = client.get("/own");
        assert_eq!((own.status, own.text(), hit(&own)), (200, "abcdef".to_owned(), false));
    }
    assert!(target.connections() <= 2, "{} connections", target.connections());
}
