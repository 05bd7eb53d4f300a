//! What is offered by ALPN to targets of tcp listeners.

use super::Edge;
use super::targets::{Behind, CA};
use crate::support::eventually;
use crate::support::secure::{Secure, Speaks};
use crate::support::tls::{Kind, listener};
use crate::support::toml::tcp_with;

/// What a target that speaks `speaks` is found to have agreed on with a proxy that offers `alpn`; a client in clear asks.
fn agreed(alpn: &str, speaks: &[&str]) -> Option<String> {
    let behind = Behind::new();
    let made = behind.made(&["inner.test"]);
    let target = Secure::mirror("a", &Speaks { alpn: speaks, ..Speaks::with(&made) });
    let config = tcp_with("", &[&target], &format!("tls = {{ {CA}, sni = \"inner.test\", alpn = {alpn} }}"));
    let proxy = behind.setup.with(config).start();
    let mut client = proxy.client();
    client.send("hello");
    assert_eq!(client.exact(5).unwrap(), b"hello");
    target.hellos().remove(0).alpn
}

#[test]
fn targets_of_tcp_choose_from_what_the_pool_offers() {
    assert_eq!(agreed("[\"imap\", \"pop3\"]", &["pop3", "imap"]).as_deref(), Some("pop3"));
    assert_eq!(agreed("[\"imap\"]", &[]), None, "one that knows nothing of it is taken all the same");
    assert_eq!(agreed("[]", &["imap"]), None);
}

#[test]
fn a_target_of_tcp_that_wants_another_protocol_is_told_of() {
    let behind = Behind::new();
    let made = behind.made(&["inner.test"]);
    let target = Secure::mirror("a", &Speaks { alpn: &["smtp"], ..Speaks::with(&made) });
    let config = tcp_with("", &[&target], &format!("tls = {{ {CA}, sni = \"inner.test\", alpn = [\"imap\"] }}"));
    let proxy = behind.setup.with(config).start();
    proxy.client().ending();
    proxy.log.wait(&["WARN", &target.to_string(), "ALPN", "tls.alpn"]);
    proxy.settles("ringway_pool_errors_total", &[("kind", "tls-handshake")], 1.0);
}

#[test]
fn what_a_client_has_agreed_on_is_what_its_target_is_offered() {
    let edge = Edge::new();
    let made = edge.authority.server(&["site.test"], Kind::Ecdsa);
    edge.write("ca.pem", &edge.authority.pem());
    let target = Secure::mirror("a", &Speaks { alpn: &["h2", "http/1.1"], ..Speaks::with(&made) });
    let both = "alpn = [\"h2\", \"http/1.1\"]";
    let config = tcp_with(&listener(&["site"], both), &[&target], &format!("tls = {{ {CA}, {both} }}"));
    let proxy = edge.setup.with(config).start();
    for (n, protocol) in ["http/1.1", "h2"].into_iter().enumerate() {
        let mut client = edge.authority.dial().alpn(&[protocol]).to(&proxy.web(), "site.test");
        client.send("hello");
        assert_eq!(client.exact(5).unwrap(), b"hello");
        eventually("the target has shaken hands", || target.hellos().len() > n);
        assert_eq!(target.hellos()[n].alpn.as_deref(), Some(protocol));
    }
}
