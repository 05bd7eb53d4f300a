//! What others have written, as targets: databases from Debian's packages that are killed, frozen and brought back while Ringway
//! checks them.

use crate::support::servers::Server;
use crate::support::toml::tcp_with;
use crate::support::{Proxy, eventually};
use std::net::TcpStream;

fn up(proxy: &Proxy, server: &Server) -> bool {
    proxy.metric("ringway_target_up", &[("target", &server.to_string())]) == 1.0
}

#[test]
fn servers_that_are_killed_are_down_and_come_back() {
    for mut server in [Server::postgres(), Server::mariadb(&[]), Server::redis(&[])] {
        let health = "health = { type = \"tcp\", interval = \"100ms\", fall = 2, rise = 1 }";
        let proxy = Proxy::start(tcp_with("", &[&server], health));
        let passed = || proxy.metric("ringway_target_checks_passed_total", &[]);
        eventually("checks pass", || passed() >= 1.0);
        server.kill();
        eventually("it is down", || !up(&proxy, &server));
        server.revive();
        eventually("it is back", || up(&proxy, &server));
        server.freeze();
        assert!(TcpStream::connect(server.address).is_ok(), "the kernel goes on accepting");
        server.thaw();
    }
}
