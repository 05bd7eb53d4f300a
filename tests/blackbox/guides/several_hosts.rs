//! Several hosts with one memory.

use super::Guide;
use crate::several::know_each_other;
use crate::support::proxy::Proxy;
use crate::support::servers::Server;
use crate::support::tls::{Authority, Kind};
use crate::support::{Target, eventually};

#[test]
fn a_quota_counts_over_both_hosts() {
    let (server, target, authority) = (Server::redis(&[]), Target::echo("site"), Authority::new("Guide"));
    let pair = authority.server(&["www.example.com"], Kind::Ecdsa);
    let start = || {
        let setup = Guide::read("several-hosts")
            .with("10.0.0.5:6379", &server)
            .with("\"0.0.0.0:443\", \"[::]:443\"", "\"127.0.0.1:0\"")
            .with("\"10.0.0.11:8080\", \"10.0.0.12:8080\"", format!("\"{target}\""))
            .with("limit = 1000", "limit = 100")
            // Until a server that is new gives something, the test is refused again and again.
            .with("denials = 20", "denials = 1000000")
            .setup();
        std::fs::write(setup.directory().join("ringway.secret"), "s".repeat(48)).unwrap();
        pair.write(&setup.directory().join("certs"), "www.example.com");
        setup.start()
    };
    let (one, two) = (start(), start());
    know_each_other(&[&one, &two]);
    let ask = |proxy: &Proxy| {
        let mut client = authority.dial().to(&proxy.at("secure"), "www.example.com");
        client.ask("GET", "/v1/x", &["X-Api-Key: a-key-of-acme-0123456789"]).status
    };
    let mut admitted = 0;
    eventually("all of it is admitted", || {
        admitted += [&one, &two].iter().filter(|proxy| ask(proxy) == 200).count();
        admitted >= 95
    });
    assert!(admitted <= 101, "{admitted}");
}
