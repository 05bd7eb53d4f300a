//! TLS that is passed on unopened.

use crate::support::client::request;
use crate::support::proxy::{Directory, Setup, ringway};
use crate::support::secure::{Secure, Speaks};
use crate::support::tls::{self, Authority, Dial, Kind};
use crate::support::toml::{http_with, pool, tcp_with};
use crate::support::wire::Wire;
use crate::support::{GLANCE, Proxy, Target};
use std::time::{Duration, Instant};

const JSON: &str = "\n[access_log]\npath = \"stdout\"\nformat = \"json\"\n";

/// An authority, and targets that end TLS for these names.
fn targets(names: &[&str]) -> (Authority, Vec<Secure>) {
    let authority = Authority::new("Test");
    let target = |name: &&str| {
        let made = authority.server(&[name, "other.test", "x.in.test", "y.x.in.test"], Kind::Ecdsa);
        Secure::echo(name, &Speaks { alpn: &["h2", "http/1.1", "x"], ..Speaks::with(&made) })
    };
    let targets = names.iter().map(target).collect();
    (authority, targets)
}

/// A route that passes TLS of "web" on to a pool of its own.
fn route(name: &str, keys: &str, target: &Secure, pool_lines: &str) -> String {
    format!("\n[routes.{name}]\nlisteners = [\"web\"]\npassthrough = true\npool = \"{name}\"\n{keys}\n")
        + &pool(name, &[target], pool_lines)
}

#[track_caller]
fn answers(dial: &Dial, proxy: &Proxy, name: &str) -> String {
    dial.to(&proxy.web(), name).get("/").target()
}

#[test]
fn the_name_that_is_asked_for_chooses_the_target() {
    let (authority, secure) = targets(&["a.test", "b.test", "c.test", "d.test"]);
    let [a, b, c, d] = &secure[..] else { unreachable!() };
    let config = tcp_with("", &[d], "")
        + &route("exact", "sni = [\"A.test.\"]", a, "")
        + &route("wild", "sni = [\"*.in.test\"]", b, "")
        + &route("wilder", "sni = [\"*.x.in.test\", \"b.test\"]", c, "")
        + JSON;
    let proxy = Proxy::start(config);
    let dial = Dial::trusting(authority.pem().as_bytes());
    for (name, target) in
        [("a.test", "a.test"), ("x.in.test", "b.test"), ("y.x.in.test", "c.test"), ("other.test", "d.test")]
    {
        assert_eq!(answers(&dial, &proxy, name), target, "{name}");
    }
    let record = proxy.out.wait(&["\"sni\":\"x.in.test\""]);
    for part in ["\"route\":\"wild\"", "\"pool\":\"wild\"", "\"protocol\":\"TCP\"", "\"listener\":\"web\""] {
        assert!(record.contains(part), "{record}");
    }
    assert!(!record.contains("tls_version"), "{record}");
    for (route, count) in [("exact", 1.0), ("wild", 1.0), ("wilder", 1.0)] {
        proxy.settles("ringway_route_connections_total", &[("route", route)], count);
    }
}

#[test]
fn what_is_offered_by_alpn_chooses_among_those_of_a_name() {
    let (authority, secure) = targets(&["a.test", "b.test", "c.test"]);
    let [a, b, c] = &secure[..] else { unreachable!() };
    let config = tcp_with("", &[c], "")
        + &route("one", "sni = [\"other.test\"]\nalpn = [\"x\"]", a, "")
        + &route("any", "alpn = [\"x\"]", b, "");
    let proxy = Proxy::start(config);
    let dial = |alpn: &[&str]| Dial::trusting(authority.pem().as_bytes()).alpn(alpn);
    assert_eq!(answers(&dial(&["http/1.1", "x"]), &proxy, "other.test"), "a.test");
    assert_eq!(answers(&dial(&["x"]), &proxy, "b.test"), "b.test");
    assert_eq!(answers(&dial(&["http/1.1"]), &proxy, "c.test"), "c.test");
    assert_eq!(answers(&dial(&[]), &proxy, "c.test"), "c.test");
}

#[test]
fn names_that_are_passed_on_stand_beside_those_for_which_tls_ends() {
    let (authority, secure) = targets(&["a.test"]);
    let own = Target::echo("own");
    let config = http_with("", &[&own], "") + &route("passed", "sni = [\"a.test\"]", &secure[0], "") + JSON;
    let setup = Setup::new(config + &tls::listener(&["site"], ""));
    authority.server(&["site.test", "a.test"], Kind::Ecdsa).write(setup.directory(), "site");
    let proxy = setup.start();
    let dial = Dial::trusting(authority.pem().as_bytes());
    assert_eq!(answers(&dial, &proxy, "a.test"), "a.test");
    let mut client = dial.to(&proxy.web(), "site.test");
    assert_eq!(client.get("/").target(), "own");
    // A browser may come for one name on the connection of another, if the certificate holds both.
    client.send("GET / HTTP/1.1\r\nHost: A.test\r\n\r\n");
    assert_eq!(client.response().status, 421);
    // What is no TLS is told so as ever.
    let mut clear = proxy.client();
    clear.send(request("GET", "/", &[]));
    assert_eq!(clear.response().status, 400);
    assert_eq!(secure[0].hellos().len(), 1);
    let record = proxy.out.wait(&["\"sni\":\"a.test\""]);
    assert!(record.contains("\"route\":\"passed\""), "{record}");
}

#[test]
fn a_first_message_may_come_in_pieces_and_behind_a_header() {
    let (authority, secure) = targets(&["a.test"]);
    let own = Target::echo("own");
    let pool = "send_proxy = \"v2\"";
    let told = Target::with("told", |peer| {
        let header = peer.exact(28).unwrap();
        let rest = peer.exact(usize::from(u16::from_be_bytes([header[14], header[15]])) - 12).unwrap();
        peer.send(rest);
        peer.finish_sending();
        let _ = peer.until_end();
    });
    let config = tcp_with("proxy_protocol = { from = [\"127.0.0.1\"] }", &[&own], "")
        + &route("passed", "sni = [\"a.test\"]", &secure[0], "")
        + "\n[routes.told]\nlisteners = [\"web\"]\npassthrough = true\npool = \"told\"\nsni = [\"told.test\"]\n"
        + &crate::support::toml::pool("told", &[&told], pool);
    let proxy = Proxy::start(config + JSON);
    let dial = Dial::trusting(authority.pem().as_bytes());
    let mut wire = Wire::connect(&proxy.web(), None).unwrap();
    wire.send("PROXY TCP4 203.0.113.7 127.0.0.1 1234 443\r\n");
    let mut client = tls::over(wire, &dial.config(), "a.test").unwrap();
    assert_eq!(client.get("/").target(), "a.test");
    drop(client);
    let record = proxy.out.wait(&["\"sni\":\"a.test\""]);
    assert!(record.contains("\"client\":\"203.0.113.7\""), "{record}");
    // A first message of 12 KiB in records of 1,000 bytes, a few bytes at a time.
    let long = hello("told.test", 12_000);
    let records: Vec<u8> = long.chunks(1000).flat_map(record_of).collect();
    let mut client = proxy.client().dribbled(&records, 700, Duration::from_millis(1));
    assert_eq!(client.until_end().unwrap(), b"\x02\0\x09told.test", "the target is told of the name");
}

/// A first message that asks for `name`, and is this long.
fn hello(name: &str, length: usize) -> Vec<u8> {
    let extension =
        |kind: u16, value: &[u8]| [&kind.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat();
    let host = [&[0][..], &(name.len() as u16).to_be_bytes(), name.as_bytes()].concat();
    let sni = extension(0, &[&(host.len() as u16).to_be_bytes()[..], &host].concat());
    // One that nobody knows (RFC 8701).
    let padding = extension(0x0a0a, &vec![7; length]);
    let extensions = [sni, padding].concat();
    let start = [&[3, 3][..], &[1; 32], &[0], &[0, 2, 0x13, 0x01], &[1, 0]].concat();
    let body = [&start[..], &(extensions.len() as u16).to_be_bytes(), &extensions].concat();
    [&[1][..], &(body.len() as u32).to_be_bytes()[1..], &body].concat()
}

fn record_of(part: &[u8]) -> Vec<u8> {
    [&[22, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat()
}

#[test]
fn what_no_route_takes_goes_to_the_listeners_pool() {
    let (_, secure) = targets(&["a.test"]);
    let own = Target::mirror("own");
    let passing = route("passed", "sni = [\"a.test\"]", &secure[0], "");
    let limit = "\n[listeners.web.timeouts]\nhandshake = \"300ms\"\n";
    let proxy = Proxy::start(tcp_with("", &[&own], "") + &passing);
    for bytes in [
        &b"SSH-2.0-x\r\n"[..],
        &record_of(&hello("other.test", 1)),
        &record_of(&[1, 0, 0, 1, 9]),
        &record_of(b"\x02\0\0\0"),
        &record_of(&hello("other.test", 20_000)[..16_000]).repeat(2),
        b"\x16\x03\x01\0\0\x16\x03\x01\0\0",
    ] {
        let began = Instant::now();
        let mut client = proxy.client();
        client.send(bytes);
        assert_eq!(client.exact(bytes.len()).unwrap(), bytes, "{bytes:?}");
        assert!(began.elapsed() < Duration::from_secs(4), "at once");
    }
    // Where servers speak first, clients wait.
    let first = Target::with("first", |peer| {
        peer.send("220 ready\r\n");
        let _ = peer.until_end();
    });
    let proxy = Proxy::start(tcp_with("", &[&first], "") + limit + &passing);
    let mut client = proxy.client();
    assert!(client.quiet(GLANCE / 2));
    assert_eq!(client.exact(11).unwrap(), b"220 ready\r\n");
}

#[test]
fn without_a_pool_nothing_else_gets_in() {
    let (authority, secure) = targets(&["a.test"]);
    let config =
        "[listeners.web]\nlisten = [\"127.0.0.1:0\"]\nprotocol = \"tcp\"\ntimeouts = { handshake = \"300ms\" }\n"
            .to_owned()
            + &route("passed", "sni = [\"a.test\"]", &secure[0], "")
            + JSON;
    let proxy = Proxy::start(config);
    let dial = Dial::trusting(authority.pem().as_bytes());
    assert_eq!(answers(&dial, &proxy, "a.test"), "a.test");
    assert!(dial.try_to(&proxy.web(), "other.test").is_err());
    let closed = |bytes: &[u8]| {
        let mut client = proxy.client();
        client.send(bytes);
        client.ending();
    };
    closed(b"SSH-2.0-x\r\n");
    closed(b"");
    closed(b"\x16\x03\x01\x02\x00\x01");
    for (reason, count) in [("unknown-name", 1.0), ("handshake", 1.0), ("handshake-timeout", 2.0)] {
        proxy.settles("ringway_refused_total", &[("reason", reason)], count);
    }
    assert!(proxy.out.wait(&["unknown-name"]).contains("\"listener\":\"web\""));
}

#[test]
fn a_route_is_changed_by_a_reload_and_those_who_came_stay() {
    let (authority, secure) = targets(&["a.test", "b.test"]);
    let own = Target::echo("own");
    let config = |target: &Secure| tcp_with("", &[&own], "") + &route("passed", "sni = [\"other.test\"]", target, "");
    let proxy = Setup::new(config(&secure[0])).start();
    let dial = Dial::trusting(authority.pem().as_bytes());
    let mut before = dial.to(&proxy.web(), "other.test");
    assert_eq!(before.get("/").target(), "a.test");
    let path = proxy.config_file();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(&secure[0].to_string(), &secure[1].to_string())).unwrap();
    proxy.signal(libc::SIGHUP);
    crate::support::eventually("the new target is asked", || answers(&dial, &proxy, "other.test") == "b.test");
    assert_eq!(before.get("/").target(), "a.test");
}

#[test]
fn explain_says_where_tls_is_passed_on() {
    let (_, secure) = targets(&["a.test"]);
    let own = Target::mirror("own");
    let config = tcp_with("listen = [\"127.0.0.1:9443\"]", &[&own], "")
        + &route("passed", "sni = [\"*.a.test\"]\nalpn = [\"h2\"]", &secure[0], "send_proxy = \"v2\"")
        + "\n[tests.passed]\nrequest = { url = \"https://x.a.test:9443/\" }\nexpect = { pool = \"site\", route = false }\n";
    let folder = Directory::new();
    let file = folder.path().join("explained.toml");
    std::fs::write(&file, config).unwrap();
    let file = file.display().to_string();
    let explain = |arguments: &[&str]| {
        let (code, out, err) = ringway(&[&["explain", "-c", &file, "--json"], arguments].concat());
        assert_eq!(code, Some(0), "{err}");
        serde_json::from_str::<serde_json::Value>(&out).unwrap()
    };
    let told = explain(&["--http2", "https://x.a.test:9443/"]);
    assert_eq!((&told["outcome"], &told["route"]), (&"passthrough".into(), &"passed".into()));
    assert_eq!(told["passthrough"]["pool"], "passed");
    assert_eq!(told["passthrough"]["send_proxy"], "v2");
    let told = explain(&["--sni", "y.a.test", "--alpn", "h2", "https://other.test:9443/"]);
    assert_eq!((&told["route"], &told["passthrough"]["sni"]), (&"passed".into(), &"y.a.test".into()));
    let told = explain(&["https://x.a.test:9443/"]);
    assert_eq!((&told["route"], &told["passthrough"]["pool"]), (&serde_json::Value::Null, &"site".into()));
    let (code, out, _) = ringway(&["explain", "-c", &file, "--http2", "https://x.a.test:9443/"]);
    assert!(code == Some(0) && out.contains("passed") && out.contains("unopened"), "{out}");
    let (code, out, err) = ringway(&["check", "-c", &file]);
    assert_eq!(code, Some(0), "{out}{err}");
}
