//! Headers of proxies in front.

use super::{binary, line};
use crate::admin;
use crate::support::client::request;
use crate::support::proxy::Setup;
use crate::support::tls::{self, Authority, Kind};
use crate::support::toml::{http_with, tcp_with};
use crate::support::wire::Wire;
use crate::support::{Client, GLANCE, Proxy, Target, eventually, h2};
use std::time::{Duration, Instant};

const JSON: &str = "\n[access_log]\npath = \"stdout\"\nformat = \"json\"\n";
const NEAR: &str = "proxy_protocol = { from = [\"127.0.0.1\"] }";
const REQUIRED: &str = "proxy_protocol = { from = [\"127.0.0.1\"], require = true }";

const CLIENT: &str = "203.0.113.7:1234";
const DIALLED: &str = "198.51.100.1:8443";

/// A connection to "web" that begins with `header`.
fn announced(proxy: &Proxy, header: impl AsRef<[u8]>) -> Client {
    let mut client = proxy.client();
    client.send(header);
    client
}

#[track_caller]
fn assert_closed(client: &mut Client) {
    client.ending();
}

#[test]
fn the_client_that_a_header_names_is_the_client_everywhere() {
    let (target, other) = (Target::echo("a"), Target::echo("b"));
    let config = http_with(&format!("{NEAR}\nforwarded = \"both\""), &[&target], "")
        + &format!(
            "\n[pools.other]\ntargets = [\"{other}\"]\n[routes.net]\nclient_ip = [\"203.0.113.0/24\"]\npaths = [\"/net\"]\npool = \"other\"\n"
        )
        + JSON;
    let desk = admin::start(&config);
    for (ip, header) in [
        ("203.0.113.7", line(CLIENT, DIALLED).into_bytes()),
        ("203.0.113.7", binary(CLIENT, DIALLED, &[])),
        ("203.0.113.7", binary(CLIENT, DIALLED, &[1, 0, 2, b'h', b'2', 4, 0, 0])),
        ("2001:db8::7", binary("[2001:db8::7]:1234", "[2001:db8::1]:8443", &[])),
    ] {
        let mut client = announced(&desk.proxy, [&header[..], request("GET", "/first", &[]).as_bytes()].concat());
        assert_eq!(client.response().status, 200);
        // The next one on the same connection is the same client's.
        assert_eq!(client.get("/second").status, 200);
        for path in ["/first", "/second"] {
            let seen = target.requests_for(path).pop().unwrap();
            assert_eq!(seen.field("x-forwarded-for").as_deref(), Some(ip), "{path}");
            assert_eq!(seen.field("x-forwarded-port").as_deref(), Some("8443"), "{path}");
            let forwarded = seen.field("forwarded").unwrap();
            assert!(forwarded.contains(ip), "{forwarded}");
        }
        let listed = desk.operator.get("/v1/connections")["items"].to_string();
        assert!(listed.contains(ip) && listed.contains("1234"), "{listed}");
        assert_eq!(client.get("/net").target(), if ip == "203.0.113.7" { "b" } else { "a" });
    }
    for text in ["\"/first\"", "\"/second\""] {
        // Workers write their lines by themselves, in any order.
        desk.proxy.out.wait(&[text, "\"client\":\"203.0.113.7\",\"client_port\":1234"]);
        desk.proxy.out.wait(&[text, "\"client\":\"2001:db8::7\",\"client_port\":1234"]);
    }
}

#[test]
fn a_header_may_come_in_any_number_of_pieces() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http_with(REQUIRED, &[&target], ""));
    for header in [line(CLIENT, DIALLED).into_bytes(), binary(CLIENT, DIALLED, &[4, 0, 3, 0, 0, 0])] {
        let text = [&header[..], request("GET", "/", &[]).as_bytes()].concat();
        let mut client = proxy.client().dribbled(text, 3, Duration::from_millis(1));
        assert_eq!(client.response().status, 200);
        assert_eq!(target.last().field("x-forwarded-for").as_deref(), Some("203.0.113.7"));
    }
    // One that is longer than what is looked at at first.
    let long = binary(CLIENT, DIALLED, &[&[4, 0x1e, 0][..], &[0; 0x1e00]].concat());
    let mut client = proxy.client().dribbled(long, 2000, Duration::from_millis(2));
    assert_eq!(client.get("/").status, 200);
    assert_eq!(target.last().field("x-forwarded-for").as_deref(), Some("203.0.113.7"));
}

#[test]
fn a_header_precedes_tls_and_both_versions_of_http() {
    let authority = Authority::new("Test");
    let target = Target::echo("a");
    let setup = Setup::new(http_with(REQUIRED, &[&target], "") + &tls::listener(&["site"], ""));
    authority.server(&["site.test"], Kind::Ecdsa).write(setup.directory(), "site");
    let proxy = setup.start();
    for header in [line(CLIENT, DIALLED).into_bytes(), binary(CLIENT, DIALLED, &[])] {
        let mut wire = Wire::connect(&proxy.web(), None).unwrap();
        wire.send(&header);
        let dial = tls::Dial::trusting(authority.pem().as_bytes());
        let mut client = tls::over(wire, &dial.config(), "site.test").unwrap();
        assert_eq!(client.get("/").status, 200);
        let seen = target.last();
        assert_eq!(seen.field("x-forwarded-for").as_deref(), Some("203.0.113.7"));
        assert_eq!(seen.field("x-forwarded-proto").as_deref(), Some("https"));
    }
    let clear = Proxy::start(http_with(REQUIRED, &[&target], ""));
    let client = h2::Client::announced(&clear.web(), line(CLIENT, DIALLED).as_bytes());
    assert_eq!(client.get("/").status, 200);
    assert_eq!(target.last().field("x-forwarded-for").as_deref(), Some("203.0.113.7"));
}

#[test]
fn a_tcp_listener_takes_the_header_and_passes_on_what_is_behind() {
    let target = Target::mirror("a");
    let proxy = Proxy::start(tcp_with(NEAR, &[&target], "") + JSON);
    let mut client = announced(&proxy, [line(CLIENT, DIALLED).as_bytes(), b"hello"].concat());
    assert_eq!(client.exact(5).unwrap(), b"hello");
    client.finish_sending();
    assert_eq!(client.until_end().unwrap(), b"");
    let record = proxy.out.wait(&["\"TCP\""]);
    assert!(record.contains("\"client\":\"203.0.113.7\",\"client_port\":1234"), "{record}");
    // One that has none to send waits for nothing once it has sent something else.
    let mut client = announced(&proxy, "PRO");
    assert!(client.quiet(GLANCE / 3), "it may become a header");
    client.send("BE");
    assert_eq!(client.exact(5).unwrap(), b"PROBE");
}

#[test]
fn a_proxy_that_speaks_for_itself_keeps_its_address() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http_with(REQUIRED, &[&target], ""));
    let mut local = binary(CLIENT, DIALLED, &[]);
    local[12] = 0x20;
    let unix = [b"\r\n\r\n\0\r\nQUIT\n\x21\x31\x00\xd8", &[b'x'; 216][..]].concat();
    for header in [local, b"PROXY UNKNOWN\r\n".to_vec(), unix, b"\r\n\r\n\0\r\nQUIT\n\x21\x00\x00\x00".to_vec()] {
        assert_eq!(announced(&proxy, header).get("/").status, 200);
        assert_eq!(target.last().field("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    }
}

#[test]
fn headers_of_others_are_bytes_like_any() {
    let (target, mirror) = (Target::echo("a"), Target::mirror("b"));
    let far = "proxy_protocol = { from = [\"127.0.0.9\"] }";
    let proxy = Proxy::start(http_with(far, &[&target], ""));
    let mut client = announced(&proxy, line(CLIENT, DIALLED));
    client.send(request("GET", "/", &[]));
    assert_eq!(client.response().status, 400);
    assert_eq!(proxy.client().get("/").status, 200);
    assert_eq!(target.last().field("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    let proxy = Proxy::start(tcp_with(far, &[&mirror], ""));
    let mut client = announced(&proxy, line(CLIENT, DIALLED));
    assert_eq!(client.exact(10).unwrap(), b"PROXY TCP4");
}

#[test]
fn where_a_header_is_required_nobody_comes_in_without_a_good_one() {
    let target = Target::echo("a");
    let proxy = Proxy::start(
        http_with(REQUIRED, &[&target], "") + "\n[listeners.web.timeouts]\nhandshake = \"300ms\"\n" + JSON,
    );
    let count = |reason| proxy.metric("ringway_refused_total", &[("reason", reason)]);
    assert_closed(&mut announced(&proxy, request("GET", "/", &[])));
    proxy.settles("ringway_refused_total", &[("reason", "proxy-header")], 1.0);
    for bad in [
        "PROXY TCP4 999.1.1.1 127.0.0.1 1234 80\r\n".as_bytes(),
        b"PROXY TCP4 203.0.113.7 127.0.0.1 1234 80\n",
        &binary(CLIENT, DIALLED, &[1, 0, 9]),
        &binary(CLIENT, DIALLED, &[3, 0, 4, 1, 2, 3, 4]),
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
    ] {
        assert_closed(&mut announced(&proxy, [bad, request("GET", "/", &[]).as_bytes()].concat()));
    }
    proxy.settles("ringway_refused_total", &[("reason", "proxy-header")], 6.0);
    let mut far = Client::from("127.0.0.9", &proxy.web());
    let _ = far.try_send(line(CLIENT, DIALLED));
    assert_closed(&mut far);
    proxy.settles("ringway_refused_total", &[("reason", "proxy-address")], 1.0);
    let began = Instant::now();
    assert_closed(&mut announced(&proxy, "PROXY TCP4 203."));
    assert!(began.elapsed() >= Duration::from_millis(250), "it has its time");
    proxy.settles("ringway_refused_total", &[("reason", "handshake-timeout")], 1.0);
    // Who only looks whether the port is open is no fault.
    proxy.client().finish_sending();
    let mut left = announced(&proxy, "PROXY TCP4");
    left.finish_sending();
    assert_closed(&mut left);
    proxy.settles("ringway_refused_total", &[("reason", "proxy-header")], 7.0);
    assert_eq!((target.requests(), count("handshake")), (0, 0.0));
    let record = proxy.out.wait(&["proxy-address"]);
    assert!(record.contains("\"client\":\"127.0.0.9\""), "{record}");
}

#[test]
fn a_unix_socket_takes_everybodys_header() {
    let target = Target::echo("a");
    let setup = Setup::new("");
    let path = setup.directory().join("web.sock").display().to_string();
    let listener = format!("listen = [\"unix:{path}\"]\nproxy_protocol = {{}}");
    let proxy = setup.with(http_with(&listener, &[&target], "") + JSON).start();
    let mut client = Client::to(&format!("unix:{path}"));
    client.send([binary(CLIENT, DIALLED, &[]), request("GET", "/told", &[]).into_bytes()].concat());
    assert_eq!(client.response().status, 200);
    assert_eq!(target.last().field("x-forwarded-for").as_deref(), Some("203.0.113.7"));
    let record = proxy.out.wait(&["/told"]);
    assert!(record.contains("\"client\":\"203.0.113.7\",\"client_port\":1234"), "{record}");
    let mut client = Client::to(&format!("unix:{path}")).dribbled(line(CLIENT, DIALLED), 5, Duration::from_millis(1));
    assert_eq!(client.get("/").status, 200);
    assert_eq!(target.last().field("x-forwarded-for").as_deref(), Some("203.0.113.7"));
    assert_eq!(Client::to(&format!("unix:{path}")).get("/").status, 200, "without one, too");
}

#[test]
fn bans_are_of_the_client_that_a_header_names() {
    let target = Target::echo("a");
    let desk = admin::start(&http_with(NEAR, &[&target], ""));
    let mut before = announced(&desk.proxy, line("203.0.113.7:0", DIALLED));
    assert_eq!(before.get("/").status, 200);
    desk.operator.told("PUT", "/v1/bans/203.0.113.7", "{}", 200);
    assert_closed(&mut announced(&desk.proxy, line(CLIENT, DIALLED)));
    assert_eq!(before.get("/").status, 403, "also where its port is not told");
    assert_eq!(announced(&desk.proxy, line("203.0.113.8:1", DIALLED)).get("/").status, 200);
    eventually("the refusals are counted", || {
        desk.proxy.metric("ringway_refused_total", &[("reason", "banned")]) == 2.0
    });
}
