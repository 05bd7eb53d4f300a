//! OCSP responses stapled to handshakes. Protects ssl/set_ssl_cert and ssl/show_ocspresponse.

use super::Edge;
use crate::support::ocsp::Says;
use crate::support::tls::{Authority, Kind, Made, listener};
use crate::support::toml::http_with;
use crate::support::{Proxy, Target, eventually, rounds};
use rustls::version::{TLS12, TLS13};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

const DAY: Option<Duration> = Some(Duration::from_secs(86_400));

/// A proxy with one certificate, and the file where its OCSP response would lie.
struct Stapling {
    proxy: Proxy,
    authority: Authority,
    made: Made,
    file: PathBuf,
}

impl Stapling {
    fn new(response: impl FnOnce(&Authority, &Made) -> Option<Vec<u8>>) -> Stapling {
        let edge = Edge::new();
        let made = edge.add("site", &["site.test"], Kind::Ecdsa);
        let file = edge.setup.directory().join("site.pem.ocsp");
        if let Some(response) = response(&edge.authority, &made) {
            std::fs::write(&file, response).unwrap();
        }
        let (proxy, authority) = edge.start(&[&Target::echo("a")], &["site"], "");
        Stapling { proxy, authority, made, file }
    }

    /// Puts another response into its place, and has it looked at.
    fn put(&self, response: &[u8]) {
        let beside = self.file.with_extension("new");
        std::fs::write(&beside, response).unwrap();
        std::fs::rename(&beside, &self.file).unwrap();
        self.proxy.signal(libc::SIGHUP);
    }

    fn good(&self, left: Option<Duration>) -> Vec<u8> {
        self.authority.answers(&self.made, Says::Good, left)
    }

    fn stapled(&self) -> Vec<u8> {
        self.authority.dial().stapled(&self.proxy.web(), "site.test")
    }
}

#[test]
fn a_response_beside_the_certificate_is_stapled_and_replaced_while_running() {
    let at = Stapling::new(|authority, made| Some(authority.answers(made, Says::Good, DAY)));
    let first = std::fs::read(&at.file).unwrap();
    for version in [&TLS12, &TLS13] {
        assert_eq!(at.authority.dial().version(version).stapled(&at.proxy.web(), "site.test"), first);
    }
    let second = at.good(Some(Duration::from_secs(7200)));
    at.put(&second);
    eventually("the new one is stapled", || at.stapled() == second);
    std::fs::remove_file(&at.file).unwrap();
    eventually("nothing is stapled any more", || at.stapled().is_empty());
    assert_eq!(at.proxy.metric("ringway_tls_certificate_failures_total", &[]), 0.0);
}

#[test]
fn a_response_that_no_client_could_use_is_not_stapled_and_named() {
    let stranger = Edge::new().authority.server(&["site.test"], Kind::Ecdsa);
    let later = SystemTime::now() + Duration::from_secs(7200);
    type Makes<'a> = &'a dyn Fn(&Authority, &Made) -> Vec<u8>;
    let cases: [(&str, Makes<'_>); 8] = [
        ("is no OCSP response in DER", &|_, _| b"-----BEGIN".to_vec()),
        ("the responder has refused one", &|_, _| b"\x30\x03\x0a\x01\x06".to_vec()),
        ("is not about the certificate beside it", &|authority, _| authority.answers(&stranger, Says::Good, DAY)),
        ("is revoked", &|authority, made| authority.answers(made, Says::Revoked, DAY)),
        ("does not know the certificate", &|authority, made| authority.answers(made, Says::Unknown, DAY)),
        ("does not say until when", &|authority, made| authority.answers(made, Says::Good, None)),
        ("does not hold yet", &|authority, made| authority.answers_from(made, Says::Good, later, Some(later))),
        ("holds no longer (nextUpdate): 2024-01-01T00:00:00Z", &|authority, made| {
            let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_704_067_200);
            authority.answers_from(made, Says::Good, end, Some(end))
        }),
    ];
    let edge = Edge::new();
    let folder = edge.setup.directory().to_owned();
    let site = |n: usize| (format!("s{n}"), format!("s{n}.test"));
    let names: Vec<String> = (0..cases.len()).map(|n| site(n).0).collect();
    let made: Vec<Made> = (0..cases.len()).map(|n| edge.add(&site(n).0, &[&site(n).1], Kind::Ecdsa)).collect();
    let write = |n: usize, response: &[u8]| std::fs::write(folder.join(format!("s{n}.pem.ocsp")), response).unwrap();
    for (n, (_, response)) in cases.iter().enumerate() {
        write(n, &response(&edge.authority, &made[n]));
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (proxy, authority) = edge.start(&[&Target::echo("a")], &names, "");
    let stapled = |n: usize| authority.dial().stapled(&proxy.web(), &site(n).1);
    for (n, (told, _)) in cases.iter().enumerate() {
        assert_eq!(stapled(n), b"", "{told}");
        let line = proxy.log.wait(&["WARN", "not stapled", &format!("s{n}.pem.ocsp"), told]);
        assert!(line.contains("listener=\"web\""), "{line}");
    }
    // Good ones in their place are taken.
    let good: Vec<Vec<u8>> = made.iter().map(|made| authority.answers(made, Says::Good, DAY)).collect();
    good.iter().enumerate().for_each(|(n, good)| write(n, good));
    proxy.signal(libc::SIGHUP);
    for (n, good) in good.iter().enumerate() {
        eventually("a good one is stapled", || stapled(n) == *good);
    }
    assert_eq!(proxy.metric("ringway_tls_certificate_failures_total", &[]), cases.len() as f64);
}

#[test]
fn a_good_response_outlives_a_bad_file_but_not_its_end_nor_a_revocation() {
    let at = Stapling::new(|_, _| None);
    assert_eq!(at.stapled(), b"");
    let good = at.good(DAY);
    at.put(&good);
    eventually("it is stapled", || at.stapled() == good);
    at.put(b"half writ");
    at.proxy.log.wait(&["not stapled", "is no OCSP response"]);
    assert_eq!(at.stapled(), good);
    at.put(&at.authority.answers(&at.made, Says::Revoked, DAY));
    eventually("one that was revoked is not stapled", || at.stapled().is_empty());
    at.put(&at.good(Some(Duration::from_secs(rounds(8, 4) as u64))));
    eventually("it is stapled", || !at.stapled().is_empty());
    eventually("it ends", || at.stapled().is_empty());
    at.proxy.log.wait(&["not stapled", "holds no longer"]);
    // A certificate that takes the place of another one has no use for its response.
    at.put(&good);
    eventually("it is stapled", || at.stapled() == good);
    at.authority.server(&["site.test"], Kind::Ecdsa).write(at.file.parent().unwrap(), "site");
    eventually("it is not about the new one", || at.stapled().is_empty());
    at.proxy.log.wait(&["not stapled", "is not about the certificate"]);
}

#[test]
fn openssl_is_content_with_what_is_stapled() {
    let edge = Edge::new();
    let folder = edge.setup.directory().to_owned();
    let made = edge.add("site", &["site.test"], Kind::Ecdsa);
    std::fs::write(folder.join("site.pem.ocsp"), edge.authority.answers(&made, Says::Good, DAY)).unwrap();
    edge.write("ca.pem", &edge.authority.pem());
    let config = http_with(&listener(&["site"], ""), &[&Target::echo("a")], "");
    let proxy = edge.setup.with(config).start();
    let asked = std::process::Command::new("openssl")
        .args(["s_client", "-status", "-servername", "site.test", "-connect", &proxy.web(), "-CAfile", "ca.pem"])
        .current_dir(&folder)
        .stdin(std::process::Stdio::null())
        .output();
    let Ok(asked) = asked else { return };
    let said = String::from_utf8_lossy(&asked.stdout);
    for part in ["OCSP Response Status: successful", "Cert Status: good"] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    let checked = std::process::Command::new("openssl")
        .args(["ocsp", "-respin", "site.pem.ocsp", "-issuer", "ca.pem", "-cert", "site.pem", "-CAfile", "ca.pem"])
        .current_dir(&folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(said.contains("site.pem: good"), "{said}");
}
