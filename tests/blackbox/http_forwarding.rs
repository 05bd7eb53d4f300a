//! What a target is told about the client, and what it is not. Protects http-rules/forwarded-header-7239,
//! except-forwardfor, ifnone-forwardfor, restrict_req_hdr_names and http-messaging/h1_to_h1.

use crate::support::client::request;
use crate::support::target::Seen;
use crate::support::toml::{http, http_with};
use crate::support::{Client, Proxy, Target};

/// What the target sees of a request with these fields.
#[track_caller]
fn seen(proxy: &Proxy, target: &Target, fields: &[&str]) -> Seen {
    assert_eq!(proxy.client().ask("GET", "/", fields).status, 200);
    target.last()
}

#[test]
fn hop_by_hop_fields_and_what_connection_names_stay_here() {
    let target = Target::with("a", |peer| {
        while peer.request().is_some() {
            let fields = &[
                "Connection: keep-alive, X-Mine",
                "Keep-Alive: timeout=60",
                "X-Mine: hidden",
                "Proxy-Connection: keep-alive",
                "Upgrade: h2c",
                "X-End: shown",
            ];
            if peer.reply(200, fields, b"ok").is_none() {
                return;
            }
        }
    });
    let proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    let response = client.ask(
        "GET",
        "/",
        &[
            "Connection: keep-alive, X-Secret , close-not, TE",
            "X-Secret: hop",
            "Keep-Alive: 300",
            "Proxy-Connection: keep-alive",
            "TE: trailers, deflate",
            "X-End: end",
        ],
    );
    let seen = target.last();
    for gone in ["x-secret", "keep-alive", "proxy-connection", "upgrade"] {
        assert_eq!(seen.field(gone), None, "{gone} reached the target");
    }
    assert!(!seen.head.names("connection", "x-secret"));
    assert!(seen.field("te").is_none_or(|te| te == "trailers"), "{:?}", seen.field("te"));
    assert_eq!(seen.field("x-end").as_deref(), Some("end"));
    for gone in ["keep-alive", "x-mine", "proxy-connection", "upgrade"] {
        assert_eq!(response.field(gone), None, "{gone} reached the client");
    }
    assert_eq!(response.field("x-end").as_deref(), Some("shown"));
}

#[test]
fn end_to_end_fields_pass_unchanged_and_in_order() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let fields = ["Accept: a", "X-Many: 1", "Cookie: a=b; c=d", "X-Many: 2", "Authorization: Basic eDp5", "X-Empty:"];
    let seen = seen(&proxy, &target, &fields);
    assert_eq!(seen.head.lines("x-many"), ["1", "2"]);
    assert_eq!(seen.field("cookie").as_deref(), Some("a=b; c=d"));
    assert_eq!(seen.field("authorization").as_deref(), Some("Basic eDp5"));
    assert_eq!(seen.field("x-empty").as_deref(), Some(""));
}

/// http-rules/ifnone-forwardfor: the client's address is told.
#[test]
fn the_target_learns_the_clients_address_scheme_and_host() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let mut client = Client::from("127.0.0.2", &proxy.web());
    client.ask("GET", "/", &[]);
    let seen = target.last();
    assert_eq!(seen.field("x-forwarded-for").as_deref(), Some("127.0.0.2"));
    assert_eq!(seen.field("x-forwarded-proto").as_deref(), Some("http"));
    assert_eq!(seen.field("forwarded"), None);
}

#[test]
fn an_untrusted_client_cannot_forge_where_it_comes_from() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let forged = [
        "X-Forwarded-For: 10.9.9.9",
        "X-Forwarded-For: 10.8.8.8",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil.test",
        "X-Forwarded-Port: 443",
        "Forwarded: for=10.9.9.9;proto=https",
    ];
    let seen = seen(&proxy, &target, &forged);
    let chain = seen.field("x-forwarded-for").unwrap();
    assert_eq!(chain.rsplit(',').next().unwrap().trim(), "127.0.0.1", "{chain}");
    assert_eq!(seen.field("x-forwarded-proto").as_deref(), Some("http"));
    assert!(!seen.field("x-forwarded-host").unwrap_or_default().contains("evil"), "{:?}", seen.head);
    assert_ne!(seen.field("x-forwarded-port").as_deref(), Some("443"));
    assert!(!seen.field("forwarded").unwrap_or_default().contains("10.9.9.9"), "{:?}", seen.head);
}

#[test]
fn connection_cannot_strip_what_we_say_of_the_client() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let named = "Connection: X-Forwarded-For, X-Forwarded-Proto, Host, Content-Length";
    let mut client = proxy.client();
    client.send(request("POST", "/", &[named, "Content-Length: 4"]) + "body");
    let status = client.response_to("POST").unwrap().status;
    if status == 200 {
        let seen = target.last();
        assert_eq!(seen.field("x-forwarded-for").as_deref(), Some("127.0.0.1"));
        assert_eq!(seen.field("x-forwarded-proto").as_deref(), Some("http"));
        assert_eq!((seen.field("host").as_deref(), seen.body.as_slice()), (Some("site.test"), &b"body"[..]));
    } else {
        assert_eq!(status, 400);
    }
}

#[test]
fn a_trusted_proxys_word_is_kept_and_extended() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http_with("trusted_proxies = [\"127.0.0.0/8\"]", &[&target], ""));
    let told = ["X-Forwarded-For: 192.0.2.7, 127.0.0.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: real.test"];
    let seen = seen(&proxy, &target, &told);
    let chain = seen.field("x-forwarded-for").unwrap().replace(' ', "");
    assert_eq!(chain, "192.0.2.7,127.0.0.9,127.0.0.1");
    assert_eq!(seen.field("x-forwarded-proto").as_deref(), Some("https"));
    assert_eq!(seen.field("x-forwarded-host").as_deref(), Some("real.test"));
}

/// http-rules/except-forwardfor: whom we trust decides whose address counts, from the right.
#[test]
fn the_client_is_the_last_address_that_is_not_a_trusted_proxy() {
    let target = Target::echo("a");
    let config = http_with("trusted_proxies = [\"127.0.0.1/32\", \"10.0.0.0/8\"]", &[&target], "")
        + "\n[routes.inside]\nclient_ip = [\"192.0.2.0/24\"]\nrespond = { status = 299 }\n";
    let proxy = Proxy::start(config);
    for (chain, status) in [
        ("192.0.2.7", 299),
        ("192.0.2.7, 10.1.1.1", 299),
        ("10.3.3.3, 192.0.2.7, 10.1.1.1, 10.2.2.2", 299),
        // The client may write what it likes to the left of its own address.
        ("192.0.2.7, 198.51.100.1", 200),
        ("192.0.2.7, nonsense", 200),
        ("198.51.100.1", 200),
    ] {
        let response = proxy.client().ask("GET", "/", &[&format!("X-Forwarded-For: {chain}")]);
        assert_eq!(response.status, status, "{chain}");
    }
    let mut stranger = Client::from("127.0.0.2", &proxy.web());
    let response = stranger.ask("GET", "/", &["X-Forwarded-For: 192.0.2.7"]);
    assert_eq!(response.status, 200, "an untrusted peer's word does not count");
}

#[test]
fn forwarded_is_written_as_rfc_7239_has_it() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http_with("listen = [\"[::1]:0\"]\nforwarded = \"rfc7239\"", &[&target], ""));
    let seen = seen(&proxy, &target, &["Forwarded: for=10.9.9.9;proto=https"]);
    let last = seen.field("forwarded").unwrap();
    let last = last.rsplit(',').next().unwrap().trim().to_ascii_lowercase();
    assert!(last.contains("for=\"[::1]\"") && last.contains("proto=http") && !last.contains("https"), "{last}");
    assert_eq!(seen.field("x-forwarded-for"), None);
}

#[test]
fn a_trusted_proxys_forwarded_is_extended() {
    let target = Target::echo("a");
    let listener = "forwarded = \"rfc7239\"\ntrusted_proxies = [\"127.0.0.1/32\"]";
    let proxy = Proxy::start(http_with(listener, &[&target], ""));
    let seen = seen(&proxy, &target, &["Forwarded: for=192.0.2.7;proto=https"]);
    let all = seen.field("forwarded").unwrap().replace(' ', "").to_ascii_lowercase();
    assert!(all.starts_with("for=192.0.2.7;proto=https,") && all.contains("for=127.0.0.1"), "{all}");
}

#[test]
fn both_and_none_are_what_they_say() {
    let target = Target::echo("a");
    let both = Proxy::start(http_with("forwarded = \"both\"", &[&target], ""));
    let told = seen(&both, &target, &[]);
    assert!(told.field("forwarded").is_some() && told.field("x-forwarded-for").is_some());
    let none = Proxy::start(http_with("forwarded = \"none\"", &[&target], ""));
    let forged = ["X-Forwarded-For: 10.9.9.9", "X-Forwarded-Proto: https", "Forwarded: for=10.9.9.9"];
    let told = seen(&none, &target, &forged);
    let all = String::from_utf8_lossy(&told.head.raw).to_ascii_lowercase();
    assert!(!all.contains("10.9.9.9") && !all.contains("127.0.0.1,"), "an untrusted client's word stays here: {all}");
}

/// http-rules/restrict_req_hdr_names: names that a CGI would fold into ours are not passed on.
#[test]
fn look_alikes_of_our_fields_are_not_passed_on() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let forged = ["X_Forwarded_For: 10.9.9.9", "X_Forwarded-Proto: https", "X.Forwarded.For: 10.9.9.9"];
    let mut client = proxy.client();
    if client.ask("GET", "/", &forged).status == 200 {
        let all = String::from_utf8_lossy(&target.last().head.raw).into_owned();
        assert!(!all.contains("10.9.9.9") && !all.contains("https"), "{all}");
    }
}

#[test]
fn host_is_the_clients_unless_the_route_says_else() {
    let target = Target::echo("a");
    let config = http(&[&target])
        + "\n[routes.target]\npaths = [\"/target\"]\nhost = \"target\"\npool = \"site\"\n\
           [routes.fixed]\npaths = [\"/fixed\"]\nhost = \"inner.test:8080\"\npool = \"site\"\n";
    let proxy = Proxy::start(config);
    let mut client = proxy.client();
    for (path, host) in [("/", "site.test"), ("/target", target.to_string().as_str()), ("/fixed", "inner.test:8080")] {
        client.ask("GET", path, &[]);
        assert_eq!(target.last().head.lines("host"), [host], "{path}");
    }
    client.send("GET / HTTP/1.1\r\nHost: Site.Test:8080\r\n\r\n");
    client.response();
    assert_eq!(target.last().field("host").unwrap().to_ascii_lowercase(), "site.test:8080");
}

#[test]
fn a_changed_host_is_told_in_x_forwarded_host() {
    let target = Target::echo("a");
    let config = http(&[&target]) + "\n[routes.fixed]\npaths = [\"/\"]\nhost = \"inner.test\"\npool = \"site\"\n";
    let proxy = Proxy::start(config);
    let seen = seen(&proxy, &target, &[]);
    assert_eq!(seen.field("x-forwarded-host").as_deref(), Some("site.test"));
}

/// http-messaging/h1_request_target_validation, h1_host_normalization: absolute form wins over Host.
#[test]
fn an_absolute_target_decides_the_host() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    client.send("GET http://real.test/x?y HTTP/1.1\r\nHost: real.test\r\n\r\n");
    assert_eq!(client.response().status, 200);
    let seen = target.last();
    assert_eq!((seen.path.as_str(), seen.field("host").as_deref()), ("/x?y", Some("real.test")));
    let mut client = proxy.client();
    client.send("GET http://real.test/x HTTP/1.1\r\nHost: other.test\r\n\r\n");
    let response = client.response();
    assert!(response.status == 400 || target.last().field("host").as_deref() == Some("real.test"));
}

#[test]
fn options_star_is_passed_on_and_connect_is_not() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    assert_eq!(proxy.client().ask("OPTIONS", "*", &[]).status, 200);
    assert_eq!(target.last().path, "*");
    let before = target.requests();
    for start in ["CONNECT site.test:443 HTTP/1.1", "GET * HTTP/1.1", "GET site.test HTTP/1.1", "CONNECT / HTTP/1.1"] {
        let mut client = proxy.client();
        client.send(format!("{start}\r\nHost: site.test\r\n\r\n"));
        let status = client.response().status;
        assert!((400..600).contains(&status), "{start}: {status}");
    }
    assert_eq!(target.requests(), before);
}

#[test]
fn the_query_goes_on_byte_by_byte() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let mut client = proxy.client();
    for path in
        ["/%7Euser/%41", "/a%20b?q=%2F..%2F&x=a;b", "/caf%C3%A9", "/?", "/a?b?c", "/a?//../%00\\", "/@:!$&'()*+,="]
    {
        assert_eq!(client.get(path).status, 200, "{path}");
        assert_eq!(target.last().path, path);
    }
}

/// The one table of paths: what a target gets of each, through the real binary.
#[test]
fn every_path_of_the_table_reaches_the_target_as_the_table_says() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let table = include_str!("../data/paths.txt");
    let mut wrong = Vec::new();
    for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let raw = unescape(columns[0]);
        let before = target.requests();
        let mut client = proxy.client();
        client.send([b"GET ", raw.as_slice(), b" HTTP/1.1\r\nHost: site.test\r\n\r\n"].concat());
        let status = client.response().status;
        let want = match columns[1] {
            // A question mark begins the query and is no part of a path.
            _ if columns[0].contains('?') => continue,
            "refuse" => None,
            "raw" => Some(raw),
            _ => Some(unescape(columns[2])),
        };
        let want = want.map(|path| String::from_utf8_lossy(&path).into_owned());
        let got = (target.requests() > before).then(|| target.last().path);
        if got != want || status != if want.is_some() { 200 } else { 400 } {
            wrong.push(format!("{line}: {status}, {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `\xHH` is a byte, `\\` a backslash.
fn unescape(text: &str) -> Vec<u8> {
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        let (byte, used) = match &bytes[at..] {
            [b'\\', b'x', ..] => (u8::from_str_radix(&text[at + 2..at + 4], 16).unwrap(), 4),
            [b'\\', b'\\', ..] => (b'\\', 2),
            [byte, ..] => (*byte, 1),
            [] => break,
        };
        out.push(byte);
        at += used;
    }
    out
}

#[test]
fn a_response_says_nothing_of_the_inside() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    let response = proxy.get("/");
    assert_eq!(response.field("server"), None, "the target named none");
    let text = String::from_utf8_lossy(&response.head.raw).to_ascii_lowercase();
    assert!(!text.contains("ringway") && !text.contains(&target.to_string()), "{text}");
}
