//! Between hosts that know nothing of it: clients dial their server, which sees them, and both speak with Ringway (TPROXY).

use super::sockets::seer;
use crate::support::client::Client;
use crate::support::network::{Host, alone, filter, ip};
use crate::support::proxy::Setup;
use crate::support::toml::{http_with, pool};
use crate::support::{Proxy, eventually};
use std::net::SocketAddr;

/// What the kernel's documentation of TPROXY has: packets for sockets that stand, and those of new connections to these ports, are for this
/// host, whatever their address.
fn divert(ports: &[(u16, u16)]) {
    ip(&["rule add fwmark 1 lookup 100", "route add local default dev lo table 100"]);
    let new: String = ports
        .iter()
        .map(|(asked, ours)| {
            format!("iifname \"host*\" tcp dport {asked} tproxy to 127.0.0.1:{ours} meta mark set 1 accept\n")
        })
        .collect();
    filter(&format!(
        "table ip divert {{ chain prerouting {{ type filter hook prerouting priority mangle\n\
         meta l4proto tcp socket transparent 1 meta mark set 1 accept\n{new}}}\n}}\n"
    ));
}

fn port(proxy: &Proxy, listener: &str) -> u16 {
    proxy.at(listener).parse::<SocketAddr>().unwrap().port()
}

/// Who asks from that host is seen by the server as itself, twice on one connection.
fn is_seen(host: &Host, server: SocketAddr) {
    let mut client = host.within(|| Client::to(&server.to_string()));
    for _ in 0..2 {
        assert_eq!(client.get("/").text(), host.ip.to_string());
    }
}

#[test]
fn clients_dial_their_server_which_sees_them_while_ringway_is_between() {
    alone(|network| {
        let (clients, host) = ([network.host(), network.host()], network.host());
        let [http, tcp] = [80, 81].map(|port| host.within(|| seer((host.ip, port).into())));
        let config = http_with("transparent = true", &[http], "source = \"client\"")
            + "\n[listeners.any]\nlisten = [\"127.0.0.1:0\"]\nprotocol = \"tcp\"\npool = \"any\"\ntransparent = true\n"
            + &pool("any", &[tcp], "source = \"client\"");
        let proxy = Proxy::start(config);
        divert(&[(80, port(&proxy, "web")), (81, port(&proxy, "any"))]);
        for client in [&clients[0], &clients[1], &clients[0]] {
            is_seen(client, http);
            is_seen(client, tcp);
        }
        // They did not find their way without it.
        proxy.settles("ringway_connections_accepted_total", &[("listener", "web")], 3.0);
        proxy.settles("ringway_connections_accepted_total", &[("listener", "any")], 3.0);
        proxy.settles("ringway_http_requests_total", &[("listener", "web")], 6.0);
    });
}

#[test]
fn a_process_that_takes_on_a_user_keeps_what_that_needs_over_upgrades() {
    alone(|network| {
        let (client, host) = (network.host(), network.host());
        let server = host.within(|| seer((host.ip, 80).into()));
        let config = http_with("transparent = true", &[server], "source = \"client\"");
        let mut proxy = Setup::new(config).runtime("user = \"nobody\"").start();
        divert(&[(80, port(&proxy, "web"))]);
        is_seen(&client, server);
        proxy.upgrade();
        is_seen(&client, server);
    });
}

#[test]
fn a_server_sees_clients_that_dial_ringway_where_its_answers_come_back_that_way() {
    alone(|network| {
        let (client, host) = (network.host(), network.host());
        let server = host.within(|| seer((host.ip, 80).into()));
        let lines = "source = \"client\"\ntimeouts = { connect = \"300ms\" }\nhealth = { type = \"tcp\", interval = \"100ms\" }\n";
        let proxy = Proxy::start(http_with("listen = [\"0.0.0.0:0\"]", &[server], lines));
        let own = SocketAddr::new(client.gateway.into(), port(&proxy, "web"));
        // Answers that are passed on to the client itself are none to us; a check comes from an address of ours.
        let mut stray = client.within(|| Client::to(&own.to_string()));
        assert!(matches!(stray.get("/").status, 502..=504));
        eventually("checks pass", || proxy.metric("ringway_target_checks_passed_total", &[]) >= 1.0);
        assert_eq!(proxy.metric("ringway_target_up", &[]), 1.0);
        divert(&[]);
        is_seen(&client, own);
    });
}
