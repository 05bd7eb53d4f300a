//! Addresses that are let in, and those that are not.

use super::comes;
use crate::proxy_protocol::line;
use crate::support::client::request;
use crate::support::proxy::{Setup, ringway};
use crate::support::tls::{self, Authority, Kind};
use crate::support::toml::{http_with, tcp_with, udp_with};
use crate::support::udp::{UdpClient, UdpTarget};
use crate::support::wire::Wire;
use crate::support::{Client, GLANCE, Proxy, Target};
use std::io::Read;
use std::net::TcpStream;

const DENIED: &[(&str, &str)] = &[("reason", "denied")];

#[test]
fn deny_goes_first_and_who_is_not_allowed_stays_out() {
    let target = Target::mirror("a");
    let guards = "allow = [\"127.0.0.0/29\", \"127.1.0.0/16\"]\ndeny = [\"127.0.0.4/31\", \"127.1.0.0/16\"]";
    let proxy = Proxy::start(tcp_with(guards, &[&target], ""));
    for (from, is_in) in [
        ("127.0.0.1", true),
        ("127.0.0.3", true),
        ("127.0.0.4", false),
        ("127.0.0.5", false),
        ("127.0.0.6", true),
        ("127.0.0.8", false),
        ("127.1.0.1", false),
    ] {
        assert_eq!(comes(from, &proxy).is_some(), is_in, "{from}");
    }
    proxy.settles("ringway_refused_total", DENIED, 4.0);
    proxy.settles("ringway_connections_accepted_total", &[("listener", "web")], 3.0);
    assert_eq!(target.connections(), 3, "no target hears of the others");
}

#[test]
fn ipv6_has_ranges_of_its_own() {
    let target = Target::echo("a");
    let listen = "listen = [\"[::1]:0\", \"127.0.0.1:0\"]";
    let all = |guards: &str| Proxy::start(http_with(&format!("{listen}\n{guards}"), &[&target], ""));
    let served = |address: &str| {
        let Ok(mut client) = Client::try_to(address) else { return false };
        client.try_send(request("GET", "/", &[])).is_ok() && client.response_to("GET").is_ok()
    };
    let proxy = all("deny = [\"::1\"]");
    let [six, four] = &proxy.all("web")[..] else { panic!("two addresses") };
    assert_eq!((served(six), served(four)), (false, true));
    let proxy = all("allow = [\"::/0\"]");
    let [six, four] = &proxy.all("web")[..] else { panic!("two addresses") };
    assert_eq!((served(six), served(four)), (true, false));
}

#[test]
fn who_is_kept_out_costs_no_handshake() {
    let authority = Authority::new("Test");
    let target = Target::echo("a");
    let setup = Setup::new(http_with("deny = [\"127.0.0.9\"]", &[&target], "") + &tls::listener(&["site"], ""));
    authority.server(&["site.test"], Kind::Ecdsa).write(setup.directory(), "site");
    let proxy = setup.start();
    let dial = tls::Dial::trusting(authority.pem().as_bytes());
    let from = |from: &str| {
        let wire = Wire::connect(&proxy.web(), Some(format!("{from}:0").parse().unwrap())).ok()?;
        tls::over(wire, &dial.config(), "site.test").ok()
    };
    assert_eq!(from("127.0.0.1").unwrap().get("/").status, 200);
    assert!(from("127.0.0.9").is_none());
    proxy.settles("ringway_refused_total", DENIED, 1.0);
    assert_eq!(proxy.metric("ringway_refused_total", &[]), 1.0, "and no handshake is refused");
    assert_eq!(proxy.metric("ringway_tls_handshakes_total", &[]), 1.0);
}

#[test]
fn the_address_that_a_header_names_is_looked_at_and_not_the_proxys() {
    let target = Target::mirror("a");
    let guards = "proxy_protocol = { from = [\"127.0.0.1\"] }\ndeny = [\"127.0.0.0/8\", \"203.0.113.0/24\"]";
    let log = "\n[access_log]\npath = \"stdout\"\n";
    let proxy = Proxy::start(tcp_with(guards, &[&target], "") + log);
    let named = |client: &str| {
        let mut connection = proxy.client();
        connection.send(line(client, "198.51.100.1:80"));
        super::served(connection)
    };
    assert!(named("192.0.2.1:1").is_some());
    assert!(named("203.0.113.1:1").is_none());
    assert!(comes("127.0.0.1", &proxy).is_some(), "its own address never counts");
    assert!(comes("127.0.0.2", &proxy).is_none(), "that of who may send none does");
    proxy.settles("ringway_refused_total", DENIED, 2.0);
    let record = proxy.out.wait(&["denied"]);
    assert!(record.contains("203.0.113.1"), "{record}");
}

#[test]
fn datagrams_of_who_is_denied_are_dropped() {
    let target = UdpTarget::echo("a");
    let proxy = Proxy::start(udp_with("deny = [\"127.0.0.1\"]", &[&target], ""));
    UdpClient::to(&proxy.web()).send("denied");
    proxy.settles("ringway_refused_total", DENIED, 1.0);
    let proxy = Proxy::start(udp_with("allow = [\"127.0.0.1\"]", &[&target], ""));
    assert_eq!(UdpClient::to(&proxy.web()).ask("allowed"), "a allowed");
    assert_eq!(target.count(), 1);
}

#[test]
fn a_reload_denies_who_comes_and_leaves_who_is_there() {
    let target = Target::mirror("a");
    let proxy = Proxy::start(tcp_with("", &[&target], ""));
    let mut before = comes("127.0.0.9", &proxy).unwrap();
    let file = proxy.config_file();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("protocol = \"tcp\"", "protocol = \"tcp\"\ndeny = [\"127.0.0.9\"]")).unwrap();
    proxy.signal(libc::SIGHUP);
    proxy.log.wait(&["plan 2 is in force"]);
    assert!(comes("127.0.0.9", &proxy).is_none() && comes("127.0.0.1", &proxy).is_some());
    before.send("again");
    assert_eq!(before.exact(5).unwrap(), b"again");
}

#[test]
fn a_silent_refusal_is_not_heard_and_holds_nothing() {
    let target = Target::mirror("a");
    let proxy = Proxy::start(tcp_with("deny = [\"127.0.0.9\"]\non_refuse = \"silent\"", &[&target], ""));
    let descriptors = proxy.descriptors();
    let clients: Vec<Client> = (0..20).map(|_| Client::from("127.0.0.9", &proxy.web())).collect();
    proxy.settles("ringway_refused_total", DENIED, 20.0);
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let capabilities = own.lines().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap();
    let may_hush = u64::from_str_radix(capabilities, 16).unwrap() & 1 << 12 != 0;
    for mut client in clients.into_iter().take(if may_hush { 3 } else { 0 }) {
        assert!(client.quiet(GLANCE / 3), "neither a reset nor an end");
    }
    assert_eq!(proxy.metric("ringway_connections_open", &[("listener", "web")]), 0.0);
    assert!(proxy.descriptors() <= descriptors + 2, "{} after {descriptors}", proxy.descriptors());
    // Without it, the connection is reset.
    let proxy = Proxy::start(tcp_with("deny = [\"127.0.0.1\"]", &[&target], ""));
    let heard = TcpStream::connect(proxy.web()).and_then(|mut stream| stream.read(&mut [0]));
    assert!(heard.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset));
}

#[test]
fn explain_says_who_may_not_even_connect() {
    let target = Target::echo("a");
    let guards = "listen = [\"127.0.0.1:8080\"]\nallow = [\"10.0.0.0/8\"]\ndeny = [\"10.9.0.0/16\"]\nlimits = { connections = 3, rate = \"20/s\", burst = 50, except = [\"10.1.0.0/16\"] }";
    let setup = Setup::new(http_with(guards, &[&target], ""));
    let file = setup.directory().join("ringway.toml");
    std::fs::write(&file, http_with(guards, &[&target], "")).unwrap();
    let explain = |client: &str| {
        let arguments = ["explain", "-c", file.to_str().unwrap(), "--client", client, "http://site.test:8080/"];
        let (code, out, err) = ringway(&arguments);
        assert_eq!(code, Some(0), "{err}");
        out.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let told = explain("10.9.0.1");
    assert!(told.contains("denied") && told.contains("10.9.0.1 is in `deny` of listener `web`"), "{told}");
    let told = explain("192.0.2.1");
    assert!(told.contains("denied") && told.contains("192.0.2.1 is not in `allow` of listener `web`"), "{told}");
    let told = explain("10.0.0.1");
    let limits = "a client of listener `web` may have 3 connections open and make 20/s of them, 50 at once";
    assert!(told.contains("pool site") && told.contains(limits), "{told}");
    assert!(!explain("10.1.0.1").contains("connections open"));
}
