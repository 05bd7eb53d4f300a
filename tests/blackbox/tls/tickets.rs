//! Coming back without a whole handshake.

use super::{Asking, Edge};
use crate::support::Target;
use crate::support::tls::{Authority, Kind, connect, listener, resumed};
use crate::support::toml::http_with;
use rustls::ClientConfig;
use rustls::version::{TLS12, TLS13};
use std::sync::Arc;

/// Connects for site.test, asks once, so that tickets have come, and says whether the session went on.
#[track_caller]
fn comes_back(config: &Arc<ClientConfig>, address: &str) -> bool {
    let mut client = connect(config, address, "site.test").unwrap();
    assert_eq!(client.get("/").status, 200);
    resumed(&client)
}

#[test]
fn a_ticket_of_one_worker_is_taken_by_all() {
    let edge = Edge::new();
    let target = Target::echo("a");
    let (proxy, authority) = edge.start(&[&target], &["site"], "");
    for (version, kind) in [(&TLS12, "tls1.2-resumed"), (&TLS13, "tls1.3-resumed")] {
        let config = authority.dial().version(version).config();
        assert!(!comes_back(&config, &proxy.web()));
        for _ in 0..20 {
            assert!(comes_back(&config, &proxy.web()));
        }
        proxy.settles("ringway_tls_handshakes_total", &[("kind", kind)], 20.0);
    }
}

#[test]
fn a_ticket_of_an_open_name_does_not_resume_past_a_stricter_policy() {
    let edge = Edge::new();
    let clients = Authority::new("Clients");
    edge.write("clients.pem", &clients.pem());
    let target = Target::echo("a");
    // The same key file on both, as two hosts would have it.
    edge.write("tickets.keys", &format!("{}\n{}\n", key(1), key(2)));
    let open = "tickets = { keys_file = \"tickets.keys\" }";
    let strict = open.to_owned() + "\nclient_auth = { mode = \"required\", ca = \"clients.pem\" }";
    let config = http_with(&listener(&["site"], open), &[&target], "")
        + "[listeners.strict]\nlisten = [\"127.0.0.1:0\"]\npool = \"site\"\n"
        + &listener(&["site"], &strict).replace("listeners.web", "listeners.strict");
    let proxy = edge.setup.with(config).start();
    for version in [&TLS12, &TLS13] {
        let dial = edge.authority.dial().version(version);
        // Without a certificate: a ticket got where none is asked for.
        let config = dial.config();
        assert!(!comes_back(&config, &proxy.web()));
        assert!(comes_back(&config, &proxy.web()), "it is a good ticket");
        let answered = connect(&config, &proxy.at("strict"), "site.test").is_ok_and(|mut client| client.alive());
        assert!(!answered, "a ticket is no certificate ({version:?})");
        // With one: a whole handshake first, then tickets of the stricter listener.
        let config = dial.showing(&clients.client("ann", 1)).config();
        assert!(!comes_back(&config, &proxy.web()));
        assert!(!comes_back(&config, &proxy.at("strict")));
        assert!(comes_back(&config, &proxy.at("strict")));
        let seen = target.last();
        assert_eq!(seen.field("x-client-cert-subject").unwrap(), "CN=ann,O=Example\\, Inc.", "also when resumed");
    }
}

#[test]
fn a_change_of_the_policy_makes_old_tickets_worthless() {
    let target = Target::echo("a");
    let Asking { proxy, authority, clients, folder } = Asking::start("required", &target);
    let config = authority.dial().showing(&clients.client("ann", 1)).config();
    assert!(!comes_back(&config, &proxy.web()));
    assert!(comes_back(&config, &proxy.web()));
    std::fs::write(folder.join("revoked.pem"), clients.revokes(&[9, 1])).unwrap();
    proxy.signal(libc::SIGHUP);
    proxy.settles("ringway_tls_certificate_changes_total", &[], 1.0);
    let answered = connect(&config, &proxy.web(), "site.test").is_ok_and(|mut client| client.alive());
    assert!(!answered, "the revoked client had a ticket");
}

#[test]
fn hosts_with_the_same_key_file_take_each_others_tickets() {
    let target = Target::echo("a");
    let authority = Authority::new("Test");
    let made = authority.server(&["site.test"], Kind::Ecdsa);
    let start = |keys: &[u8]| {
        let edge = Edge::new();
        made.write(edge.setup.directory(), "site");
        let lines: Vec<String> = keys.iter().map(|&byte| key(byte)).collect();
        edge.write("tickets.keys", &lines.join("\n"));
        edge.start(&[&target], &["site"], "tickets = { keys_file = \"tickets.keys\" }").0
    };
    let (one, other, alien) = (start(&[1, 2]), start(&[1, 2, 3]), start(&[4, 5]));
    for version in [&TLS12, &TLS13] {
        let config = authority.dial().version(version).config();
        assert!(!comes_back(&config, &one.web()));
        assert!(comes_back(&config, &other.web()));
        assert!(comes_back(&config, &one.web()));
        assert!(!comes_back(&config, &alien.web()));
    }
}

#[test]
fn without_a_lifetime_there_are_no_tickets() {
    let target = Target::echo("a");
    let (proxy, authority) = Edge::new().start(&[&target], &["site"], "tickets = { lifetime = \"0s\" }");
    let config = authority.dial().config();
    assert!(!comes_back(&config, &proxy.web()));
    assert!(!comes_back(&config, &proxy.web()));
}

/// A line of a key file.
pub fn key(byte: u8) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode([byte; 48])
}
