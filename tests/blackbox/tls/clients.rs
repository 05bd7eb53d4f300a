//! Clients' certificates.

use super::{Asking, Edge};
use crate::support::tls::{Authority, Kind, Made};
use crate::support::toml::http_with;
use crate::support::{Client, Target, h2};
use http::Method;
use rustls::version::{TLS12, TLS13};

/// The headers that tell of a client's certificate, and the standard's, as a client would forge them.
const FORGED: [&str; 7] = [
    "X-Client-Cert-Subject: CN=root",
    "X-Client-Cert-San: DNS:root",
    "X-Client-Cert-Fingerprint: 00",
    "x_client_cert_subject: CN=root",
    "X-CLIENT.CERT-San: DNS:root",
    "Client-Cert: :AAAA:",
    "Client-Cert-Chain: :AAAA:",
];

fn fingerprint(made: &Made) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &made.der);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A certificate that was good until a while ago.
fn ended(authority: &Authority) -> Made {
    authority.make(Kind::Ecdsa, |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1))
}

#[track_caller]
fn assert_nothing_is_told(target: &Target) {
    let seen = target.last();
    let told = seen.head.fields.iter().filter(|(name, _)| name.contains("client") && name.contains("cert"));
    assert_eq!(told.collect::<Vec<_>>(), Vec::<&(String, String)>::new());
}

#[test]
fn a_required_certificate_is_checked_and_told_to_the_target() {
    let edge = Edge::new();
    let clients = Authority::new("Clients");
    edge.write("clients.pem", &clients.pem());
    edge.write("revoked.pem", &clients.revokes(&[7]));
    let target = Target::echo("a");
    let (proxy, authority) = edge.start(
        &[&target],
        &["site"],
        "client_auth = { mode = \"required\", ca = \"clients.pem\", crl = \"revoked.pem\" }",
    );
    let ann = clients.client("ann", 6);
    for version in [&TLS12, &TLS13] {
        let dial = authority.dial().version(version);
        let mut client = dial.clone().showing(&ann).to(&proxy.web(), "site.test");
        assert_eq!(client.ask("GET", "/", &FORGED).status, 200);
        let seen = target.last();
        let lines = |name: &str| seen.head.lines(name).join("|");
        assert_eq!(lines("x-client-cert-subject"), "CN=ann,O=Example\\, Inc.");
        assert_eq!(lines("x-client-cert-san"), "email:ann@site.test");
        assert_eq!(lines("x-client-cert-fingerprint"), fingerprint(&ann));
        let text = String::from_utf8_lossy(&seen.head.raw).to_lowercase();
        assert!(!text.contains("root") && !text.contains("aaaa"), "{text}");

        let stranger = Authority::new("Strangers").client("eve", 6);
        for refused in [None, Some(stranger), Some(ended(&clients)), Some(clients.client("bob", 7))] {
            let dial = refused.iter().fold(dial.clone(), |dial, made| dial.showing(made));
            // With TLS 1.3 a client learns of it with the first answer.
            let answered = dial.try_to(&proxy.web(), "site.test").is_ok_and(|mut client| client.alive());
            assert!(!answered);
        }
    }
    proxy.settles("ringway_refused_total", &[("reason", "client-certificate")], 8.0);
    assert_eq!(target.requests(), 2);
}

#[test]
fn a_certificate_that_is_revoked_opens_nothing_any_more_over_connections_that_are_open() {
    let target = Target::echo("a");
    let Asking { proxy, authority, clients, folder } = Asking::start("optional", &target);
    let (ann, bob) = (clients.client("ann", 1), clients.client("bob", 2));
    let dial = authority.dial();
    let over_h1 = |made| dial.clone().showing(made).to(&proxy.web(), "site.test");
    let over_h2 = |made| {
        let config = dial.clone().showing(made).alpn(&["h2"]).config();
        h2::Client::secure(config, &proxy.web(), "site.test")
    };
    let (mut stays, mut goes, mut shows_none) = (over_h1(&ann), over_h1(&bob), dial.to(&proxy.web(), "site.test"));
    let (stays_h2, goes_h2) = (over_h2(&ann), over_h2(&bob));
    let status = |client: &h2::Client| client.ask(h2::request(Method::GET, "/"), b"").unwrap().status.as_u16();
    let asked = [stays.get("/").status, goes.get("/").status, shows_none.get("/").status];
    assert_eq!((asked, status(&stays_h2), status(&goes_h2)), ([200; 3], 200, 200));

    std::fs::write(folder.join("revoked.pem"), clients.revokes(&[9, 2])).unwrap();
    proxy.signal(libc::SIGHUP);
    proxy.settles("ringway_tls_certificate_changes_total", &[], 1.0);
    let before = target.requests();
    assert_eq!((goes.get("/").status, status(&goes_h2)), (421, 421));
    assert!(!goes.alive());
    assert_eq!(target.requests(), before);
    // Over a new connection it does not come so far.
    assert!(!dial.clone().showing(&bob).try_to(&proxy.web(), "site.test").is_ok_and(|mut client| client.alive()));
    let asked = [stays.get("/").status, stays.get("/").status, shows_none.get("/").status];
    assert_eq!((asked, status(&stays_h2), status(&stays_h2)), ([200; 3], 200, 200));
    proxy.settles("ringway_refused_total", &[("reason", "client-certificate")], 3.0);
}

#[test]
fn an_optional_certificate_may_be_absent_but_not_bad() {
    let edge = Edge::new();
    let clients = Authority::new("Clients");
    edge.write("clients.pem", &clients.pem());
    let target = Target::echo("a");
    let (proxy, authority) =
        edge.start(&[&target], &["site"], "client_auth = { mode = \"optional\", ca = \"clients.pem\" }");
    let mut client = authority.dial().to(&proxy.web(), "site.test");
    assert_eq!(client.ask("GET", "/", &FORGED).status, 200);
    assert_nothing_is_told(&target);
    let mut client = authority.dial().showing(&clients.client("ann", 1)).to(&proxy.web(), "site.test");
    client.get("/");
    assert_eq!(target.last().field("x-client-cert-subject").unwrap(), "CN=ann,O=Example\\, Inc.");
    let stranger = Authority::new("Strangers").client("eve", 1);
    for refused in [stranger, ended(&clients)] {
        let client = authority.dial().showing(&refused).try_to(&proxy.web(), "site.test");
        assert!(!client.is_ok_and(|mut client| client.alive()));
    }
}

#[test]
fn forged_headers_reach_no_target_from_a_listener_in_clear_either() {
    let target = Target::echo("a");
    let proxy = crate::support::Proxy::start(http_with("", &[&target], ""));
    assert_eq!(proxy.client().ask("GET", "/", &FORGED).status, 200);
    assert_nothing_is_told(&target);
    // A proxy in front that is trusted ends TLS itself, and may tell.
    let proxy = crate::support::Proxy::start(http_with("trusted_proxies = [\"127.0.0.1\"]", &[&target], ""));
    assert_eq!(Client::to(&proxy.web()).ask("GET", "/", &FORGED[..1]).status, 200);
    assert_eq!(target.last().field("x-client-cert-subject").unwrap(), "CN=root");
}
