//! Files that change while running, and files that cannot be used.

use super::Edge;
use crate::support::client::request;
use crate::support::proxy::ringway;
use crate::support::tls::{Authority, Kind, connect, listener, resumed, shown};
use crate::support::toml::http_with;
use crate::support::{Target, rounds, within};
use rustls::client::Resumption;
use rustls::version::{TLS12, TLS13};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// 20,000 handshakes, whole ones and by tickets, while certificate, key and the keys of tickets change all the time.
#[test]
fn certificates_and_ticket_keys_are_replaced_under_load_without_a_failed_handshake() {
    let edge = Edge::new();
    let folder = edge.setup.directory().to_owned();
    // The last but one seals. As they are replaced, tickets of the last time still open, and older ones do not.
    let turn = |n: u8| {
        let keys: Vec<String> = (n..n + 3).map(super::tickets::key).collect();
        let new = folder.join("tickets.new");
        std::fs::write(&new, keys.join("\n")).unwrap();
        std::fs::rename(&new, folder.join("tickets.keys")).unwrap();
    };
    turn(0);
    let target = Target::echo("a");
    let (proxy, authority) = edge.start(&[&target], &["site"], "tickets = { keys_file = \"tickets.keys\" }");
    let (address, total) = (proxy.web(), rounds(20_000, 2_000));
    let (begun, whole, by_ticket) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let mut kept = authority.dial().to(&address, "site.test");
    let mut looks = 1;
    std::thread::scope(|scope| {
        for (version, resumes) in [(&TLS12, false), (&TLS13, false), (&TLS12, true), (&TLS13, true)] {
            let mut config = (*authority.dial().version(version).config()).clone();
            if !resumes {
                config.resumption = Resumption::disabled();
            }
            let config = Arc::new(config);
            let (address, begun, whole, by_ticket) = (&address, &begun, &whole, &by_ticket);
            scope.spawn(move || {
                while begun.fetch_add(1, Ordering::Relaxed) < total {
                    let mut client = connect(&config, address, "site.test").unwrap();
                    let count = if resumed(&client) { by_ticket } else { whole };
                    client.send(request("GET", "/", &["Connection: close"]));
                    assert_eq!(client.response().status, 200);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut replaced = 0;
        while begun.load(Ordering::Relaxed) < total {
            replaced += 1;
            let made = authority.server(&["site.test"], if replaced % 2 == 0 { Kind::Ecdsa } else { Kind::Rsa });
            // Not at once, as most do it: for a moment the two do not belong together.
            std::fs::write(folder.join("site.pem"), &made.cert).unwrap();
            std::thread::sleep(Duration::from_millis(1));
            std::fs::write(folder.join("site.key"), &made.key).unwrap();
            turn(u8::try_from(replaced % 250).unwrap());
            proxy.signal(libc::SIGHUP);
            let mut fresh = || {
                looks += 1;
                shown(&authority.dial().to(&address, "site.test")) == made.der
            };
            assert!(within(crate::support::PATIENCE, &mut fresh), "new handshakes get the new certificate");
            assert_eq!(kept.get("/").status, 200, "a connection that stood lives on");
        }
        assert!(replaced >= 3, "{replaced}");
    });
    let (whole, by_ticket) = (whole.into_inner(), by_ticket.into_inner());
    assert_eq!(whole + by_ticket, total);
    assert!(whole >= total / 4 && by_ticket >= total / 20, "{whole} and {by_ticket}");
    proxy.settles("ringway_tls_handshakes_total", &[], (total + looks) as f64);
    assert_eq!(proxy.metric("ringway_refused_total", &[]), 0.0);
}

#[test]
fn a_bad_file_keeps_the_old_certificate_and_is_named_once() {
    let edge = Edge::new();
    let folder = edge.setup.directory().to_owned();
    let old = edge.add("site", &["site.test"], Kind::Ecdsa);
    let target = Target::echo("a");
    let (proxy, authority) = edge.start(&[&target], &["site"], "");
    let other = authority.server(&["site.test"], Kind::Ecdsa);
    std::fs::write(folder.join("site.key"), &other.key).unwrap();
    proxy.settles("ringway_tls_certificate_failures_total", &[], 1.0);
    let line = proxy.log.wait(&["stays in service", "site.key", "site.pem"]);
    assert!(!line.contains("BEGIN"), "{line}");
    assert_eq!(shown(&authority.dial().to(&proxy.web(), "site.test")), old.der);
    // Further looks say no more.
    for _ in 0..3 {
        proxy.signal(libc::SIGHUP);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(proxy.metric("ringway_tls_certificate_failures_total", &[]), 1.0);
    std::fs::write(folder.join("site.pem"), &other.cert).unwrap();
    proxy.settles("ringway_tls_certificate_changes_total", &[], 1.0);
    assert_eq!(shown(&authority.dial().to(&proxy.web(), "site.test")), other.der);
    let left = proxy.metric("ringway_tls_certificate_expiry_seconds", &[]);
    assert!(left > 1e8, "{left}");
}

#[test]
fn a_directory_gives_up_and_takes_in_certificates_while_running() {
    let edge = Edge::new();
    let folder = edge.setup.directory().join("certs");
    let one = edge.authority.server(&["one.test"], Kind::Ecdsa);
    one.write(&folder, "one");
    // Certbot's way, and both in one file, as HAProxy has it.
    let two = edge.authority.server(&["two.test"], Kind::Ecdsa);
    std::fs::create_dir_all(folder.join("two.test")).unwrap();
    std::fs::write(folder.join("two.test/fullchain.pem"), &two.cert).unwrap();
    std::fs::write(folder.join("two.test/privkey.pem"), &two.key).unwrap();
    let three = edge.authority.server(&["three.test"], Kind::Ecdsa);
    std::fs::write(folder.join("three.pem"), three.cert.clone() + &three.key).unwrap();
    std::fs::write(folder.join("readme.txt"), "no certificate").unwrap();
    let target = Target::echo("a");
    let tls = "[listeners.web.tls]\ncertificates = [{ directory = \"certs\" }]\nstrict_sni = true\n";
    let config = http_with(tls, &[&target], "");
    let proxy = edge.setup.with(config).start();
    let address = proxy.web();
    let dial = edge.authority.dial();
    for (name, made) in [("one.test", &one), ("two.test", &two), ("three.test", &three)] {
        assert_eq!(shown(&dial.to(&address, name)), made.der, "{name}");
    }
    assert_eq!(proxy.metric("ringway_tls_certificates", &[]), 3.0);
    std::fs::remove_file(folder.join("three.pem")).unwrap();
    edge.authority.server(&["four.test"], Kind::Ecdsa).write(&folder, "four");
    proxy.signal(libc::SIGHUP);
    proxy.settles("ringway_tls_certificate_changes_total", &[], 2.0);
    assert!(dial.try_to(&address, "three.test").is_err());
    assert!(dial.try_to(&address, "four.test").is_ok());
    // Without the directory all stay as they are.
    std::fs::rename(&folder, folder.with_extension("away")).unwrap();
    proxy.log.wait(&["stays in service", "there is no such directory"]);
    assert_eq!(shown(&dial.to(&address, "one.test")), one.der);
    assert_eq!(proxy.metric("ringway_tls_certificates", &[]), 3.0);
}

/// What `check` says of a listener's TLS; `write` puts files into the folder before.
pub fn check(keys: &str, write: impl FnOnce(&Edge)) -> String {
    let edge = Edge::new();
    write(&edge);
    let file = edge.setup.directory().join("ringway.toml");
    let config = http_with(&listener(&["site"], keys), &["127.0.0.1:1"], "");
    std::fs::write(&file, config).unwrap();
    let (code, _, err) = ringway(&["check", "-c", file.to_str().unwrap()]);
    assert_eq!(code, Some(2), "{err}");
    err.replace(edge.setup.directory().to_str().unwrap(), "DIR")
}

#[test]
fn a_file_that_cannot_be_used_is_named_where_the_configuration_names_it() {
    let other = Authority::new("Other").server(&["site.test"], Kind::Ecdsa);
    let mismatch = check("", |edge| edge.write("site.key", &other.key));
    for part in [
        "the key in `DIR/site.key` is not that of the first certificate in `DIR/site.pem`",
        "name the two that were made together",
        "site.key\" }]",
        "^^^^^^^^^^",
    ] {
        assert!(mismatch.contains(part), "{part} in\n{mismatch}");
    }
    assert!(!mismatch.contains("PRIVATE"), "{mismatch}");
    for (text, told) in [
        ("", "`DIR/site.key` holds no private key"),
        (
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "the private key in `DIR/site.key` cannot be used",
        ),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n", "`DIR/site.key` is broken PEM"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "is encrypted"),
    ] {
        let said = check("", |edge| edge.write("site.key", text));
        assert!(said.contains(told), "{told} in\n{said}");
    }
    let gone = check("", |edge| std::fs::remove_file(edge.setup.directory().join("site.pem")).unwrap());
    assert!(gone.contains("cannot read `DIR/site.pem`: there is no such file"), "{gone}");
    let said = check("client_auth = { mode = \"required\", ca = \"site.key\" }", |_| {});
    assert!(said.contains("`DIR/site.key` holds no certificate"), "{said}");
    let said = check("tickets = { keys_file = \"t\" }", |edge| edge.write("t", "c2hvcnQ=\n"));
    assert!(said.contains("line 1 of `DIR/t` is no key of 32 bytes or more"), "{said}");
    assert!(!said.contains("c2hvcnQ"), "{said}");
}

#[test]
fn the_example_runs_with_its_tls_uncommented() {
    let edge = Edge::new();
    let folder = edge.setup.directory();
    edge.add("site", &["localhost"], Kind::Ecdsa);
    edge.authority.server(&["a.test"], Kind::Ecdsa).write(&folder.join("certs"), "a");
    edge.write("clients.pem", &edge.authority.pem());
    edge.write("revoked.pem", &edge.authority.revokes(&[1]));
    edge.write("tickets.keys", &crate::tls::tickets::key(1));
    let example = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml")).unwrap();
    let start = example.find("# [listeners.secure]").unwrap();
    let end = start + example[start..].find("\n\n").unwrap();
    let lines = example[start..end].lines().map(|line| line.strip_prefix("# ").unwrap().to_owned() + "\n");
    let config: String = [&example[..start], &lines.collect::<String>(), &example[end..]].concat();
    let file = folder.join("example.toml");
    std::fs::write(&file, config).unwrap();
    let (code, out, err) = ringway(&["check", "-c", file.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("ok: ") && out.ends_with("\n3 tests passed\n"), "{out}");
}

#[test]
fn ten_thousand_certificates_are_a_directory_like_any_other() {
    let edge = Edge::new();
    let folder = edge.setup.directory().join("certs");
    let count = rounds(10_000, 1_000);
    // One key for all: making keys is not what is looked at.
    let key = rcgen::KeyPair::generate().unwrap();
    for n in 0..count {
        edge.authority.server_with(&key, &[&format!("n{n}.test")]).write(&folder, &format!("n{n}"));
    }
    let target = Target::echo("a");
    let tls = "[listeners.web.tls]\ncertificates = [{ directory = \"certs\" }]\nstrict_sni = true\n";
    let proxy = edge.setup.with(http_with(tls, &[&target], "")).start();
    assert_eq!(proxy.metric("ringway_tls_certificates", &[]), count as f64);
    for n in [0, 1, count / 2, count - 1] {
        let mut client = edge.authority.dial().to(&proxy.web(), &format!("n{n}.test"));
        assert_eq!(client.get("/").status, 200);
    }
    let page = proxy.metrics();
    let shown = crate::support::proxy::series(&page, "ringway_tls_certificate_expiry_seconds").count();
    assert_eq!(shown, 100, "metrics stay small");
}
