//! Which certificate a client gets, and who is refused.

use super::Edge;
use crate::support::client::{Client, request};
use crate::support::tls::{Kind, listener, shown};
use crate::support::toml::http_with;
use crate::support::wire::Broken;
use crate::support::{GLANCE, Target, h2};
use rustls::version::{TLS12, TLS13};
use std::time::{Duration, Instant};

#[test]
fn the_most_specific_certificate_of_a_kind_that_the_client_can_check_is_shown() {
    let edge = Edge::new();
    let exact_rsa = edge.add("exact-rsa", &["a.site.test"], Kind::Rsa);
    let exact = edge.add("exact", &["a.site.test"], Kind::Ecdsa);
    let wild_rsa = edge.add("wild-rsa", &["*.site.test"], Kind::Rsa);
    let wild = edge.add("wild", &["*.site.test", "b.site.test"], Kind::Ecdsa);
    let default = edge.add("default", &["site.test"], Kind::Ecdsa);
    let default_rsa = edge.add("default-rsa", &["site.test"], Kind::Rsa);
    let target = Target::echo("a");
    let (proxy, authority) =
        edge.start(&[&target], &["default", "exact", "exact-rsa", "wild-rsa", "wild", "default-rsa"], "");
    let address = proxy.web();
    for version in [&TLS12, &TLS13] {
        let dial = authority.dial().version(version);
        let (ecdsa, rsa) = (dial.clone().only(Kind::Ecdsa), dial.clone().only(Kind::Rsa));
        for (name, by_ecdsa, by_rsa) in [
            ("a.site.test", &exact, &exact_rsa),
            ("A.Site.Test", &exact, &exact_rsa),
            // Only its wildcard has an RSA key.
            ("b.site.test", &wild, &wild_rsa),
            ("c.site.test", &wild, &wild_rsa),
            ("site.test", &default, &default_rsa),
        ] {
            assert_eq!(shown(&ecdsa.to(&address, name)), by_ecdsa.der, "{name} {version:?} by ECDSA");
            assert_eq!(shown(&rsa.to(&address, name)), by_rsa.der, "{name} {version:?} by RSA");
        }
        // A star stands for one label; who asks for an unknown name gets the first certificate, and may dislike it.
        for name in ["x.y.site.test", "elsewhere.test"] {
            let error = dial.try_to(&address, name).err().unwrap();
            assert!(error.contains("not valid for name") || error.contains("NotValidForName"), "{error}");
        }
    }
    let mut client = authority.dial().to(&address, "c.site.test");
    assert_eq!(client.get("/").target(), "a");
}

#[test]
fn a_strict_listener_refuses_unknown_names_with_the_alert_for_it() {
    let edge = Edge::new();
    let target = Target::echo("a");
    let (proxy, authority) = edge.start(&[&target], &["site"], "strict_sni = true");
    assert_eq!(authority.dial().to(&proxy.web(), "site.test").get("/").status, 200);
    for version in [&TLS12, &TLS13] {
        // An address is no name: RFC 6066 section 3 leaves it out.
        for name in ["other.test", "127.0.0.1"] {
            let error = authority.dial().version(version).try_to(&proxy.web(), name).err().unwrap();
            assert!(error.contains("UnrecognisedName"), "{name}: {error}");
        }
    }
    proxy.settles("ringway_refused_total", &[("reason", "unknown-name")], 4.0);
}

#[test]
fn the_level_says_which_versions_are_spoken() {
    let edge = Edge::new();
    let target = Target::echo("a");
    let (proxy, authority) = edge.start(&[&target], &["site"], "level = \"modern\"");
    assert_eq!(authority.dial().version(&TLS13).to(&proxy.web(), "site.test").get("/").status, 200);
    let error = authority.dial().version(&TLS12).try_to(&proxy.web(), "site.test").err().unwrap();
    assert!(error.contains("ProtocolVersion"), "{error}");
    proxy.settles("ringway_refused_total", &[("reason", "handshake")], 1.0);
}

#[test]
fn a_key_exchange_that_withstands_quantum_computers_is_agreed_on() {
    let edge = Edge::new();
    let target = Target::echo("a");
    let (proxy, authority) = edge.start(&[&target], &["site"], "");
    let client = authority.dial().to(&proxy.web(), "site.test");
    let group = client.tls.as_ref().unwrap().negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
}

#[test]
fn protocols_without_overlap_are_refused_and_those_with_are_agreed_on() {
    let edge = Edge::new();
    let target = Target::echo("a");
    let (proxy, authority) = edge.start(&[&target], &["site"], "");
    let client = authority.dial().alpn(&["x", "http/1.1"]).to(&proxy.web(), "site.test");
    assert_eq!(client.tls.as_ref().unwrap().alpn_protocol(), Some(&b"http/1.1"[..]));
    let error = authority.dial().alpn(&["x"]).try_to(&proxy.web(), "site.test").err().unwrap();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
    // Who speaks of no protocol means HTTP/1.1.
    assert_eq!(authority.dial().to(&proxy.web(), "site.test").get("/").status, 200);
}

#[test]
fn the_first_protocol_of_ours_that_the_client_speaks_is_spoken() {
    let target = Target::echo("a");
    for (ours, theirs, agreed) in [
        ("", &["http/1.1", "h2"][..], "h2"),
        ("", &["x", "http/1.1"], "http/1.1"),
        ("alpn = [\"http/1.1\"]", &["h2", "http/1.1"], "http/1.1"),
        ("alpn = [\"http/1.1\", \"h2\"]", &["h2", "http/1.1"], "http/1.1"),
    ] {
        let (proxy, authority) = Edge::new().start(&[&target], &["site"], ours);
        let dial = authority.dial().alpn(theirs);
        let client = dial.to(&proxy.web(), "site.test");
        assert_eq!(client.tls.as_ref().unwrap().alpn_protocol(), Some(agreed.as_bytes()), "{ours} {theirs:?}");
        match agreed {
            "h2" => assert_eq!(h2::Client::secure(dial.config(), &proxy.web(), "site.test").get("/").status, 200),
            _ => assert_eq!(dial.to(&proxy.web(), "site.test").get("/").status, 200),
        }
    }
    let (proxy, authority) = Edge::new().start(&[&target], &["site"], "alpn = [\"http/1.1\"]");
    let error = authority.dial().alpn(&["h2"]).try_to(&proxy.web(), "site.test").err().unwrap();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
}

#[test]
fn http_in_clear_is_told_to_speak_tls() {
    let edge = Edge::new();
    let target = Target::echo("a");
    let (proxy, _) = edge.start(&[&target], &["site"], "");
    let mut client = Client::to(&proxy.web());
    client.send(request("GET", "/", &[]));
    let response = client.response();
    assert_eq!(response.status, 400);
    assert_eq!(response.text(), "400 Bad Request\nThis port speaks TLS: use https://\n");
    assert_eq!(client.ending(), Broken::Closed);
    proxy.settles("ringway_refused_total", &[("reason", "plain-http")], 1.0);
    assert_eq!(target.requests(), 0);
}

#[test]
fn bytes_that_are_no_tls_end_the_connection_and_a_look_at_the_port_counts_for_nothing() {
    let edge = Edge::new();
    let target = Target::echo("a");
    let (proxy, _) = edge.start(&[&target], &["site"], "");
    for bytes in [&b"\x16\x03\x01\xff\xff\x01"[..], b"\x00\x01\x02\x03\x04\x05", b"SSH-2.0-x\r\n"] {
        let mut client = Client::to(&proxy.web());
        client.send(bytes);
        client.finish_sending();
        // An alert may come before the end.
        assert!(matches!(client.ending(), Broken::Closed | Broken::Reset));
    }
    proxy.settles("ringway_refused_total", &[("reason", "handshake")], 3.0);
    for _ in 0..5 {
        drop(Client::to(&proxy.web()));
    }
    proxy.settles("ringway_connections_open", &[], 0.0);
    assert_eq!(proxy.metric("ringway_refused_total", &[]), 3.0);
}

#[test]
fn a_handshake_has_its_time_and_no_more() {
    let edge = Edge::new();
    let target = Target::echo("a");
    let tls = listener(&["site"], "");
    let config =
        http_with(&format!("timeouts = {{ handshake = \"500ms\" }}\n{tls}"), &[&target], "") + "[access_log]\n";
    let proxy = edge.setup.with(config).start();
    // The head of a record whose rest never comes, and one that comes too slowly.
    let begun = Instant::now();
    let mut client = Client::to(&proxy.web());
    client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc");
    assert!(client.quiet(GLANCE), "not before its time");
    assert_eq!(client.ending(), Broken::Closed);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    proxy.settles("ringway_refused_total", &[("reason", "handshake-timeout")], 1.0);
    let line = proxy.out.wait(&["handshake-timeout"]);
    assert!(line.contains("\"termination\":\"cR\""), "{line}");
}
