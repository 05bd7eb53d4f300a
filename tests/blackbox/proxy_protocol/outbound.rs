//! Headers that targets get.

use super::{binary, line};
use crate::support::client::request;
use crate::support::proxy::Setup;
use crate::support::target::Peer;
use crate::support::tls::{self, Authority, Dial, Kind};
use crate::support::toml::{http_with, tcp_with};
use crate::support::{Client, Proxy, Target, eventually, h2};
use std::sync::{Arc, Mutex};

/// What targets were told, in the order of their connections.
type Told = Arc<Mutex<Vec<Vec<u8>>>>;

/// A target that expects a header on each connection, and then does `act`.
fn expecting(name: &str, act: impl Fn(&mut Peer) + Send + Sync + 'static) -> (Target, Told) {
    let told = Told::default();
    let heard = told.clone();
    let target = Target::with(name, move |peer| {
        let Some(header) = header(peer) else { return };
        heard.lock().unwrap().push(header);
        act(peer);
    });
    (target, told)
}

/// Takes a header of either version.
fn header(peer: &mut Peer) -> Option<Vec<u8>> {
    let mut header = peer.exact(8).ok()?;
    if header.starts_with(b"PROXY ") {
        while !header.ends_with(b"\r\n") {
            header.extend(peer.exact(1).ok()?);
        }
    } else {
        header.extend(peer.exact(8).ok()?);
        let rest = u16::from_be_bytes([header[14], header[15]]);
        header.extend(peer.exact(rest.into()).ok()?);
    }
    Some(header)
}

fn echo(peer: &mut Peer) {
    while let Some(seen) = peer.request() {
        if peer.echo(&seen).is_none() {
            return;
        }
    }
}

fn own(client: &Client) -> String {
    client.socket.local_addr().unwrap().as_socket().unwrap().to_string()
}

fn told(told: &Told) -> Vec<Vec<u8>> {
    told.lock().unwrap().clone()
}

/// The values behind the addresses of IPv4 in a header of version 2, by type.
fn extensions(header: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut rest = &header[28..];
    let mut all = Vec::new();
    while let [kind, high, low, more @ ..] = rest {
        let (value, behind) = more.split_at(u16::from_be_bytes([*high, *low]).into());
        all.push((*kind, value.to_vec()));
        rest = behind;
    }
    all
}

#[test]
fn a_tcp_target_is_told_whose_connection_it_is() {
    for (version, expected) in [
        ("v1", (|from: &str, to: &str| line(from, to).into_bytes()) as fn(&str, &str) -> Vec<u8>),
        ("v2", |from, to| binary(from, to, &[])),
    ] {
        let (target, heard) = expecting("a", |peer| {
            let bytes = peer.exact(5).unwrap();
            peer.send(bytes);
        });
        let proxy = Proxy::start(tcp_with("", &[&target], &format!("send_proxy = \"{version}\"")));
        let mut client = Client::from("127.0.0.5", &proxy.web());
        client.send("hello");
        assert_eq!(client.exact(5).unwrap(), b"hello");
        assert_eq!(told(&heard), [expected(&own(&client), &proxy.web())], "{version}");
    }
}

#[test]
fn a_target_of_tcp_that_speaks_first_is_told_before_it_does() {
    let (target, heard) = expecting("a", |peer| peer.send("220 ready\r\n"));
    let proxy = Proxy::start(tcp_with("", &[&target], "send_proxy = \"v1\""));
    let mut client = proxy.client();
    assert_eq!(client.until_end().unwrap(), b"220 ready\r\n");
    assert_eq!(told(&heard), [line(&own(&client), &proxy.web()).as_bytes()]);
}

#[test]
fn connections_are_used_again_for_the_same_client_alone() {
    let (target, heard) = expecting("a", echo);
    let proxy = Setup::new(http_with("", &[&target], "send_proxy = \"v2\"")).workers(1).start();
    let (mut first, mut second) = (proxy.client(), proxy.client());
    for _ in 0..3 {
        assert_eq!(first.get("/first").status, 200);
        assert_eq!(second.get("/second").status, 200);
    }
    let expected = [&first, &second].map(|client| binary(&own(client), &proxy.web(), &[]));
    assert_eq!(told(&heard), expected);
    let by_path = |path: &str| target.requests_for(path).iter().map(|seen| seen.connection).collect::<Vec<_>>();
    assert_eq!((by_path("/first"), by_path("/second")), (vec![0; 3], vec![1; 3]));
    drop(first);
    assert_eq!(proxy.client().get("/third").status, 200);
    assert_eq!(by_path("/third"), [2], "what another client left is not used");
    eventually("what was left is closed", || target.open() <= 1);
}

#[test]
fn a_target_over_http2_has_a_connection_for_each_client() {
    let target = Target::echo("a");
    let taking = "proxy_protocol = { from = [\"127.0.0.0/8\"], require = true }";
    let behind = Proxy::start(http_with(taking, &[&target], ""));
    let pool = "protocol = \"h2\"\nsend_proxy = \"v2\"";
    let proxy = Setup::new(http_with("", &[behind.web()], pool)).workers(1).start();
    let (mut first, mut second) = (Client::from("127.0.0.5", &proxy.web()), Client::from("127.0.0.6", &proxy.web()));
    let many = h2::Client::to(&proxy.web());
    for _ in 0..2 {
        for (client, ip) in [(&mut first, "127.0.0.5"), (&mut second, "127.0.0.6")] {
            assert_eq!(client.get("/").status, 200);
            assert_eq!(target.last().field("x-forwarded-for").as_deref(), Some(ip));
        }
        let answers = many.ask_all((0..20).map(|_| h2::request(http::Method::GET, "/")).collect());
        assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 200)));
    }
    assert_eq!(behind.metric("ringway_h2_connections_total", &[("listener", "web")]), 3.0);
}

#[test]
fn a_target_is_told_what_tls_with_the_client_came_to() {
    let authority = Authority::new("Test");
    let clients = Authority::new("Clients");
    let (target, heard) = expecting("a", echo);
    let auth = "client_auth = { mode = \"optional\", ca = \"clients.pem\" }";
    let setup = Setup::new(http_with("", &[&target], "send_proxy = \"v2-crc32c\"") + &tls::listener(&["site"], auth));
    authority.server(&["site.test"], Kind::Ecdsa).write(setup.directory(), "site");
    std::fs::write(setup.directory().join("clients.pem"), clients.pem()).unwrap();
    let proxy = setup.start();
    let dial = || Dial::trusting(authority.pem().as_bytes()).alpn(&["http/1.1"]);
    let mut client = dial().showing(&clients.client("ann", 6)).to(&proxy.web(), "site.test");
    assert_eq!(client.get("/").status, 200);
    let mut other = dial().to(&proxy.web(), "site.test");
    assert_eq!(other.get("/").status, 200);
    let told = told(&heard);
    assert!(told[0].starts_with(&binary(&own(&client), &proxy.web(), &[])[..14]), "{:?}", told[0]);
    let expected = |flags: &[u8], name: &[u8]| {
        let tls = [flags, b"\x21\0\x07TLSv1.3", name, b"\x23\0\x16TLS_AES_256_GCM_SHA384"].concat();
        [(1, b"http/1.1".to_vec()), (2, b"site.test".to_vec()), (0x20, tls)]
    };
    for (header, tls) in
        told.iter().zip([expected(b"\x07\0\0\0\0", b"\x22\0\x03ann"), expected(b"\x01\0\0\0\x01", b"")])
    {
        let all = extensions(header);
        assert_eq!(all[..3], tls);
        assert_eq!((all.len(), all[3].0, all[3].1.len()), (4, 3, 4), "the checksum is the last");
    }
}

#[test]
fn addresses_come_through_several_proxies_unchanged() {
    let target = Target::echo("c");
    let taking = "proxy_protocol = { from = [\"127.0.0.0/8\"], require = true }";
    let last = Proxy::start(http_with(taking, &[&target], ""));
    let middle = Proxy::start(tcp_with(taking, &[last.web()], "send_proxy = \"v1\""));
    let first = Proxy::start(tcp_with("", &[middle.web()], "send_proxy = \"v2-crc32c\""));
    let mut client = Client::from("127.0.0.77", &first.web());
    assert_eq!(client.get("/").status, 200);
    let seen = target.last();
    assert_eq!(seen.field("x-forwarded-for").as_deref(), Some("127.0.0.77"));
    assert_eq!(seen.field("x-forwarded-port").as_deref(), first.web().rsplit(':').next());
    let (v6, dialled) = ("[2001:db8::7]:1234", "[2001:db8::1]:443");
    let mut client = Client::to(&middle.web());
    client.send([line(v6, dialled), request("GET", "/", &[])].concat());
    assert_eq!(client.response().status, 200);
    let seen = target.last();
    assert_eq!(seen.field("x-forwarded-for").as_deref(), Some("2001:db8::7"));
    assert_eq!(seen.field("x-forwarded-port").as_deref(), Some("443"));
}

#[test]
fn a_client_without_an_address_is_told_as_such() {
    let (target, heard) = expecting("a", echo);
    let setup = Setup::new("");
    let path = setup.directory().join("web.sock").display().to_string();
    let listen = format!("listen = [\"unix:{path}\"]");
    let pools = crate::support::toml::pool("lines", &[&target], "send_proxy = \"v1\"")
        + "[routes.lines]\npaths = [\"/line\"]\npool = \"lines\"\n";
    let _proxy = setup.with(http_with(&listen, &[&target], "send_proxy = \"v2\"") + &pools).start();
    let mut client = Client::to(&format!("unix:{path}"));
    assert_eq!((client.get("/").status, client.get("/line").status), (200, 200));
    assert_eq!(told(&heard), [&b"\r\n\r\n\0\r\nQUIT\n\x21\0\0\0"[..], b"PROXY UNKNOWN\r\n"]);
}

#[test]
fn checks_come_with_a_header_of_their_own() {
    for (version, expected) in [("v1", &b"PROXY UNKNOWN\r\n"[..]), ("v2-crc32c", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")] {
        let (target, heard) = expecting("a", echo);
        let check = "health = { type = \"http\", path = \"/up\", interval = \"100ms\" }";
        let proxy = Proxy::start(http_with("", &[&target], &format!("send_proxy = \"{version}\"\n{check}")));
        eventually("it is checked", || target.requests_for("/up").len() >= 2);
        assert!(told(&heard).iter().all(|header| *header == expected), "{:?}", told(&heard));
        assert_eq!(proxy.metric("ringway_target_checks_failed_total", &[]), 0.0);
    }
}

#[test]
fn each_try_is_told_of_the_same_client() {
    let (target, heard) = expecting("a", |peer| {
        if peer.request().is_some() && peer.number > 0 {
            let _ = peer.reply(200, &[], b"late");
        }
    });
    let (other, heard_there) = expecting("b", echo);
    let proxy = Setup::new(http_with("", &[&target, &other], "send_proxy = \"v1\"\nbalance = \"round-robin\"")).start();
    let mut client = proxy.client();
    assert_eq!((client.get("/").status, client.get("/").status), (200, 200));
    let expected = line(&own(&client), &proxy.web()).into_bytes();
    let all = [told(&heard), told(&heard_there)].concat();
    assert!(all.len() >= 2 && all.iter().all(|header| *header == expected), "{all:?}");
}
