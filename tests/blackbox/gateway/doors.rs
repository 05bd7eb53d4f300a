//! Rules of listeners: who connects, before a byte is read.

use super::faults;
use crate::proxy_protocol::line;
use crate::reload::reload;
use crate::support::client::Client;
use crate::support::proxy::{Directory, Proxy, Setup};
use crate::support::tls::{self, Authority, Kind};
use crate::support::toml::{http_with, tcp_with, udp_with};
use crate::support::udp::{UdpClient, UdpTarget};
use crate::support::wire::Wire;
use crate::support::{GLANCE, Target};

const DENIED: &[(&str, &str)] = &[("reason", "denied")];

fn rule(more: &str) -> String {
    format!("\n[rules.net]\ntype = \"ip\"\n{more}\n")
}

fn rules(proxy: &Proxy, result: &str) -> f64 {
    proxy.metric("ringway_rule_requests_total", &[("rule", "net"), ("result", result)])
}

/// Whether a client of an address is answered.
fn comes(proxy: &Proxy, from: &str) -> bool {
    // It may be reset before it has seen that it stands.
    let Ok(wire) = Wire::connect(&proxy.web(), Some(format!("{from}:0").parse().unwrap())) else { return false };
    let mut client = Client::over(wire);
    client.try_send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").is_ok() && client.response_to("GET").is_ok()
}

#[test]
fn who_is_kept_out_by_a_rule_of_the_listener_costs_no_handshake_and_a_list_is_read_again() {
    let (target, folder) = (Target::echo("a"), Directory::new());
    let list = folder.write("deny", "127.0.8.0/24\n");
    let proxy =
        Proxy::start(http_with("rules = [\"net\"]", &[&target], "") + &rule(&format!("deny_files = [\"{list}\"]")));
    assert_eq!([comes(&proxy, "127.0.8.1"), comes(&proxy, "127.0.9.1")], [false, true]);
    proxy.settles("ringway_refused_total", DENIED, 1.0);
    assert_eq!([rules(&proxy, "passed"), rules(&proxy, "denied")], [1.0, 1.0]);
    std::fs::write(&list, "127.0.9.0/24\n").unwrap();
    reload(&proxy, "applied");
    assert_eq!([comes(&proxy, "127.0.8.1"), comes(&proxy, "127.0.9.1")], [true, false]);
    let authority = Authority::new("Test");
    let setup = Setup::new(
        http_with("rules = [\"net\"]", &[&target], "")
            + &tls::listener(&["site"], "")
            + &rule("deny = [\"127.0.0.1\"]"),
    );
    authority.server(&["site.test"], Kind::Ecdsa).write(setup.directory(), "site");
    let proxy = setup.start();
    assert!(Client::is_refused(&proxy.web()));
    proxy.settles("ringway_refused_total", DENIED, 1.0);
    proxy.settles("ringway_connections_accepted_total", &[("listener", "web")], 0.0);
}

#[test]
fn in_shadow_mode_it_is_counted_who_would_be_kept_out() {
    let target = Target::mirror("a");
    let text = tcp_with("rules = [\"net\"]", &[&target], "") + &rule("deny = [\"127.0.0.1\"]\nmode = \"shadow\"");
    let proxy = Proxy::start(text);
    let mut client = proxy.client();
    client.send("hello");
    assert_eq!(client.exact(5).unwrap(), b"hello");
    assert_eq!([rules(&proxy, "shadow-denied"), rules(&proxy, "denied")], [1.0, 0.0]);
}

#[test]
fn a_proxy_says_whose_connection_it_is_that_a_rule_keeps_out() {
    let target = Target::echo("a");
    let listener = "rules = [\"net\"]\nproxy_protocol = { from = [\"127.0.0.0/8\"] }";
    let proxy = Proxy::start(http_with(listener, &[&target], "") + &rule("deny = [\"203.0.113.7\", \"127.0.0.1\"]"));
    let comes = |source: &str| {
        let mut client = proxy.client();
        client.send(line(source, "192.0.2.1:80"));
        client.try_send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").is_ok() && client.response_to("GET").is_ok()
    };
    assert_eq!([comes("203.0.113.7:1"), comes("203.0.113.8:1")], [false, true]);
}

#[test]
fn datagrams_of_who_is_kept_out_are_dropped() {
    let target = UdpTarget::echo("a");
    let proxy = Proxy::start(udp_with("rules = [\"net\"]", &[&target], "") + &rule("allow = [\"192.0.2.0/24\"]"));
    let client = UdpClient::to(&proxy.web());
    client.send("hello");
    proxy.settles("ringway_refused_total", DENIED, 1.0);
    assert_eq!(client.within(GLANCE), None);
    assert_eq!(rules(&proxy, "denied"), 1.0);
}

#[test]
fn a_rule_that_looks_at_requests_has_no_place_there() {
    let target = Target::echo("a");
    let text = http_with("rules = [\"net\"]", &[&target], "") + &rule("deny = [\"127.0.0.9\"]");
    let told = faults(&text, "type = \"ip\"\ndeny = [\"127.0.0.9\"]", "type = \"user-agent\"\ndeny = [\"bot\"]");
    assert!(
        told.contains("rule `net` cannot be on this listener") && told.contains("name it among the rules of routes"),
        "{told}"
    );
}
