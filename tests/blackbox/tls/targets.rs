//! TLS with targets. Protects connection/http_reuse_conn_hash, ssl/ssl_sni_auto, checks/tls_health_checks,
//! checks/tcp-check-ssl.

use crate::support::client::request;
use crate::support::proxy::{Proxy, Setup, ringway};
use crate::support::secure::{Secure, Speaks};
use crate::support::tls::{Authority, Kind, Made, listener};
use crate::support::toml::{http, http_with, pool, tcp_with};
use crate::support::wire::Broken;
use crate::support::{Client, Target, assert_same, eventually, h2, pattern};
use rustls::version::{TLS12, TLS13};
use std::fmt::Display;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LOG: &str = "\n[access_log]\npath = \"stdout\"\nformat = \"json\"\n";
/// What a pool with TLS trusts in these tests.
pub const CA: &str = "ca = \"ca.pem\"";

/// An authority of targets, in the folder of a configuration.
pub struct Behind {
    pub authority: Authority,
    pub setup: Setup,
}

impl Behind {
    pub fn new() -> Behind {
        let behind = Behind { authority: Authority::new("Targets"), setup: Setup::new("") };
        behind.write("ca.pem", &behind.authority.pem());
        behind
    }

    pub fn made(&self, names: &[&str]) -> Made {
        self.authority.server(names, Kind::Ecdsa)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.setup.directory().join(name), text).unwrap();
    }

    /// An http listener in front of `targets`, with `tls` for the pool's and further lines for it.
    #[track_caller]
    pub fn start<A: Display>(self, targets: &[A], tls: &str, lines: &str) -> Proxy {
        let config = http_with("", targets, &format!("tls = {{ {tls} }}\n{lines}")) + LOG;
        self.setup.with(config).start()
    }
}

/// GET for another host than the usual one.
fn ask_for(client: &mut Client, host: &str) -> crate::support::client::Response {
    client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    client.response()
}

#[track_caller]
fn assert_refused(proxy: &Proxy, kind: &str) {
    assert_eq!(proxy.get("/").status, 502);
    let line = proxy.out.wait(&["\"status\":502"]);
    assert!(line.contains(kind), "{line}");
    assert!(proxy.metric("ringway_pool_errors_total", &[("kind", kind)]) >= 1.0);
}

#[test]
fn a_target_that_proves_the_host_is_asked_and_bodies_pass_both_ways() {
    for version in [&TLS12, &TLS13] {
        let behind = Behind::new();
        let made = behind.made(&["site.test"]);
        let target = Secure::echo("a", &Speaks { versions: &[version], ..Speaks::with(&made) });
        let proxy = behind.start(&[&target], CA, "");
        let mut client = proxy.client();
        let body = pattern(1 << 20);
        for size in [1, 16_384, 70_000, 1 << 20] {
            let answer = client.post("/", &body[..size]);
            assert_eq!(answer.status, 200);
            assert_same(&answer.body, &body[..size]);
        }
        let hello = target.hellos().remove(0);
        assert_eq!((hello.name.as_deref(), hello.alpn), (Some("site.test"), None));
        assert_eq!(target.target.last().field("host").unwrap(), "site.test");
    }
}

#[test]
fn the_systems_authorities_count_unless_others_are_named() {
    let behind = Behind::new();
    let made = behind.made(&["site.test"]);
    let target = Secure::echo("a", &Speaks::with(&made));
    let config = http_with("", &[&target], "tls = {}");
    let bundle = behind.setup.directory().join("ca.pem");
    let proxy = behind.setup.with(config).env("SSL_CERT_FILE", bundle.to_str().unwrap()).start();
    assert_eq!(proxy.get("/").status, 200);
}

#[test]
fn a_stranger_and_another_name_are_refused_and_told_of_once() {
    for stranger in [true, false] {
        let behind = Behind::new();
        let made = match stranger {
            true => Authority::new("Strangers").server(&["site.test"], Kind::Ecdsa),
            false => behind.made(&["other.test"]),
        };
        let target = Secure::echo("a", &Speaks::with(&made));
        let proxy = behind.start(&[&target], CA, "");
        for _ in 0..3 {
            assert_refused(&proxy, "tls-certificate");
        }
        assert_eq!(target.target.requests(), 0);
        let why = if stranger { "UnknownIssuer" } else { "other.test" };
        proxy.log.wait(&["WARN", "no TLS with the target", &target.to_string(), why]);
        let warnings = proxy.log.all().iter().filter(|line| line.contains("no TLS with the target")).count();
        assert_eq!(warnings, 1);
    }
}

/// As `openssl req -x509` makes it: an authority's.
#[test]
fn a_certificate_signed_by_itself_is_its_own_authority() {
    let signed = |names: &[&str], year: i32| {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = params.self_signed(&key).unwrap();
        Made { cert: cert.pem(), key: key.serialize_pem(), der: cert.der().clone() }
    };
    for (made, status) in
        [(signed(&["site.test"], 4000), 200), (signed(&["other.test"], 4000), 502), (signed(&["site.test"], 2020), 502)]
    {
        let behind = Behind::new();
        behind.write("ca.pem", &made.cert);
        let target = Secure::echo("a", &Speaks::with(&made));
        let proxy = behind.start(&[&target], CA, "");
        assert_eq!(proxy.get("/").status, status);
        target.now(&Speaks::with(&signed(&["site.test"], 4000)));
        if status == 502 {
            assert_eq!(proxy.get("/").status, 502, "another one is not it");
        }
    }
}

#[test]
fn unverified_targets_are_taken_where_that_is_written_and_warned_about() {
    let behind = Behind::new();
    let made = Authority::new("Strangers").server(&["other.test"], Kind::Ecdsa);
    let target = Secure::echo("a", &Speaks::with(&made));
    let proxy = behind.start(&[&target], "verify = false", "");
    assert_eq!(proxy.get("/").status, 200);
    proxy.log.wait(&["targets of pool `site` are not verified"]);
}

#[test]
fn one_name_may_stand_for_all_targets_and_an_address_is_verified_as_one() {
    let behind = Behind::new();
    let fixed = behind.made(&["inner.test"]);
    let target = Secure::echo("a", &Speaks::with(&fixed));
    let addressed = Secure::echo("b", &Speaks::with(&fixed));
    let ip = addressed.target.address.ip().to_string();
    addressed.now(&Speaks::with(&behind.made(&[&ip])));
    let other = Secure::echo("c", &Speaks::with(&behind.made(&["127.0.0.1"])));
    let config = http_with("", &[&target], "tls = { ca = \"ca.pem\", sni = \"inner.test\" }")
        + "[routes.b]\npaths = [\"/b\"]\npool = \"b\"\nhost = \"target\"\n"
        + "[routes.c]\npaths = [\"/c\"]\npool = \"c\"\nhost = \"target\"\n"
        + &pool("b", &[&addressed], "tls = { ca = \"ca.pem\" }")
        + &pool("c", &[&other], "tls = { ca = \"ca.pem\" }");
    let proxy = behind.setup.with(config).start();
    assert_eq!(proxy.get("/").status, 200);
    assert_eq!(target.hellos()[0].name.as_deref(), Some("inner.test"));
    assert_eq!(target.target.last().field("host").unwrap(), "site.test", "the Host is another matter");
    assert_eq!(proxy.get("/b").status, 200);
    assert_eq!(addressed.hellos()[0].name, None, "an address is no name to ask for");
    assert_eq!(proxy.get("/c").status, 502, "its certificate is for another address");
}

#[test]
fn a_target_that_asks_who_we_are_is_shown_our_certificate() {
    for version in [&TLS12, &TLS13] {
        let behind = Behind::new();
        let made = behind.made(&["site.test"]);
        let clients = Authority::new("Clients");
        clients.client("us", 1).write(behind.setup.directory(), "us");
        let speaks = Speaks { clients: Some(clients.pem()), versions: &[version], ..Speaks::with(&made) };
        let (target, closed) = (Secure::echo("a", &speaks), Secure::echo("b", &speaks));
        let known = format!("tls = {{ {CA}, cert = \"us.pem\", key = \"us.key\" }}");
        let config = http_with("", &[&target], &known)
            + "[routes.closed]\npaths = [\"/closed\"]\npool = \"closed\"\n"
            + &pool("closed", &[&closed], &format!("tls = {{ {CA} }}"))
            + LOG;
        let proxy = behind.setup.with(config).start();
        assert_eq!(proxy.get("/").status, 200);
        assert!(target.hellos()[0].shown);
        assert_eq!(proxy.get("/closed").status, 502);
        let line = proxy.out.wait(&["\"status\":502"]);
        assert!(line.contains("tls-handshake"), "{line}");
        proxy.log.wait(&["WARN", &closed.to_string(), "CertificateRequired"][..if version == &TLS13 { 3 } else { 2 }]);
        assert_eq!(closed.target.requests(), 0);
    }
}

#[test]
fn the_end_of_our_certificate_is_foreseen() {
    const DAY: u64 = 86_400;
    let behind = Behind::new();
    let clients = Authority::new("Clients");
    let until = |days: u64| {
        let end = std::time::SystemTime::now() + Duration::from_secs(days * DAY);
        clients.make(Kind::Ecdsa, |params| params.not_after = end.into())
    };
    let folder = behind.setup.directory().to_owned();
    until(3).write(&folder, "us");
    let target = Secure::echo("a", &Speaks::with(&behind.made(&["site.test"])));
    let other = pool("other", &["127.0.0.1:1"], "tls = {}");
    let config = http_with("", &[&target], &format!("tls = {{ {CA}, cert = \"us.pem\", key = \"us.key\" }}")) + &other;
    let proxy = behind.setup.with(config).start();
    proxy.log.wait(&["WARN", "pool=\"site\"", "us.pem", "ends soon"]);
    let left = || proxy.metric("ringway_pool_tls_certificate_expiry_seconds", &[("pool", "site")]) / DAY as f64;
    assert!((2.9..=3.0).contains(&left()), "{} days", left());
    until(90).write(&folder, "us");
    proxy.signal(libc::SIGHUP);
    eventually("the new one has longer to live", || (89.9..=90.0).contains(&left()));
    // A pool that shows none has none that ends.
    let page = proxy.metrics();
    let ends = crate::support::proxy::series(&page, "ringway_pool_tls_certificate_expiry_seconds").count();
    assert_eq!(ends, 1, "{page}");
}

#[test]
fn a_target_of_tcp_that_refuses_our_certificate_is_told_of() {
    for version in [&TLS12, &TLS13] {
        let behind = Behind::new();
        let clients = Some(Authority::new("Clients").pem());
        let made = behind.made(&["inner.test"]);
        let target = Secure::mirror("a", &Speaks { clients, versions: &[version], ..Speaks::with(&made) });
        let config = tcp_with("", &[&target], &format!("tls = {{ {CA}, sni = \"inner.test\" }}")) + LOG;
        let proxy = behind.setup.with(config).start();
        proxy.client().ending();
        proxy.out.wait(&["tls-handshake"]);
        proxy.log.wait(&["WARN", &target.to_string()]);
        assert!(proxy.metric("ringway_pool_errors_total", &[("kind", "tls-handshake")]) >= 1.0);
    }
}

#[test]
fn http2_is_spoken_where_it_is_agreed_on() {
    let target = Target::echo("a");
    let edge = super::Edge::new();
    let ca = edge.setup.directory().join("ca.pem");
    std::fs::write(&ca, edge.authority.pem()).unwrap();
    let inner = edge.setup.with(http_with(&listener(&["site"], ""), &[&target], "") + LOG).start();
    for protocol in ["h2", "alpn"] {
        let tls = format!("tls = {{ ca = \"{}\" }}\nprotocol = \"{protocol}\"", ca.display());
        let outer = Proxy::start(http_with("", &[&inner.web()], &tls));
        let client = h2::Client::to(&outer.web());
        let asked = (0..50).map(|_| h2::request(http::Method::GET, "/")).collect();
        assert!(client.ask_all(asked).into_iter().all(|answer| answer.unwrap().status == 200));
        assert_same(&outer.client().post("/", &pattern(1 << 20)).body, &pattern(1 << 20));
        inner.out.wait(&["HTTP/2.0", "\"sni\":\"site.test\""]);
        let connects = outer.metric("ringway_target_connects_total", &[]);
        assert!(connects <= 3.0, "{connects} connections for 51 requests");
        // Another name needs another connection, which this target's certificate is not good for.
        assert_eq!(ask_for(&mut outer.client(), "other.test").status, 502);
    }
}

#[test]
fn http11_is_spoken_where_the_target_chooses_it() {
    let behind = Behind::new();
    let made = behind.made(&["site.test"]);
    let target = Secure::echo("a", &Speaks { alpn: &["http/1.1"], ..Speaks::with(&made) });
    let proxy = behind.start(&[&target], CA, "protocol = \"alpn\"");
    let mut clients: Vec<Client> = (0..4).map(|_| proxy.client()).collect();
    for _ in 0..3 {
        clients.iter_mut().for_each(|client| client.send(request("GET", "/", &[])));
        clients.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
    }
    assert!(target.hellos().iter().all(|hello| hello.alpn.as_deref() == Some("http/1.1")));
    assert!(target.target.connections() <= 8, "connections are used again");
}

#[test]
fn a_target_that_does_not_agree_on_http2_has_failed() {
    for alpn in [&["http/1.1"][..], &[]] {
        let behind = Behind::new();
        let made = behind.made(&["site.test"]);
        let target = Secure::echo("a", &Speaks { alpn, ..Speaks::with(&made) });
        let proxy = behind.start(&[&target], CA, "protocol = \"h2\"");
        assert_refused(&proxy, "tls-handshake");
        proxy.log.wait(&["WARN", &target.to_string(), "ALPN"]);
        assert_eq!(target.target.requests(), 0);
    }
}

#[test]
fn a_session_goes_on_from_the_one_before() {
    for (version, kind) in [(&TLS12, "tls1.2"), (&TLS13, "tls1.3")] {
        let behind = Behind::new();
        let made = behind.made(&["site.test", "two.test"]);
        let target = Secure::echo("a", &Speaks { versions: &[version], ..Speaks::with(&made) });
        let proxy = behind.start(&[&target], CA, "keepalive = { max_idle = 0 }");
        let mut client = proxy.client();
        for _ in 0..4 {
            assert_eq!(client.get("/").status, 200);
        }
        assert_eq!(ask_for(&mut client, "two.test").status, 200);
        let resumed: Vec<bool> = target.hellos().iter().map(|hello| hello.resumed).collect();
        assert_eq!(resumed, [false, true, true, true, false], "{version:?}");
        proxy.settles("ringway_pool_tls_handshakes_total", &[("kind", &format!("{kind}-resumed"))], 3.0);
        proxy.settles("ringway_pool_tls_handshakes_total", &[("kind", kind)], 2.0);
    }
}

/// connection/http_reuse_conn_hash
#[test]
fn a_connection_serves_the_name_that_it_was_verified_for_alone() {
    let behind = Behind::new();
    let made = behind.made(&["one.test", "two.test"]);
    let target = Secure::echo("a", &Speaks::with(&made));
    let proxy = Setup::start(behind.setup.with(http_with("", &[&target], &format!("tls = {{ {CA} }}"))).workers(1));
    let mut client = proxy.client();
    let mut on = |host: &str| {
        let answer = ask_for(&mut client, host);
        assert_eq!(answer.status, 200, "{host}");
        answer.field("x-connection").unwrap()
    };
    let (one, two) = (on("one.test"), on("two.test"));
    assert_ne!(one, two);
    for _ in 0..3 {
        assert_eq!(on("two.test:80"), two);
        assert_eq!(on("ONE.test"), one);
    }
    let names: Vec<_> = target.hellos().into_iter().map(|hello| hello.name.unwrap()).collect();
    assert_eq!(names, ["one.test", "two.test"]);
    assert_eq!(ask_for(&mut proxy.client(), "three.test").status, 502);
}

#[test]
fn a_tcp_listener_speaks_tls_to_its_targets() {
    let behind = Behind::new();
    let target = Secure::mirror("a", &Speaks::with(&behind.made(&["inner.test"])));
    let config = tcp_with("", &[&target], &format!("tls = {{ {CA}, sni = \"inner.test\" }}"));
    let proxy = behind.setup.with(config).start();
    let mut client = proxy.client();
    for part in pattern(1 << 20).chunks(100_000) {
        client.send(part);
        assert_same(&client.exact(part.len()).unwrap(), part);
    }
    let hello = target.hellos().remove(0);
    assert_eq!((hello.name.as_deref(), hello.alpn), (Some("inner.test"), None));
}

#[test]
fn a_target_behind_a_tcp_listener_may_speak_first_and_is_asked_for_the_clients_name() {
    let edge = super::Edge::new();
    let made = edge.authority.server(&["site.test"], Kind::Ecdsa);
    edge.write("ca.pem", &edge.authority.pem());
    let target = Secure::with("a", &Speaks::with(&made), |peer| {
        peer.send("220 ready\r\n");
        peer.ending();
    });
    let config = tcp_with(&listener(&["site"], ""), &[&target], &format!("tls = {{ {CA} }}"));
    let proxy = edge.setup.with(config).start();
    let mut client = edge.authority.dial().to(&proxy.web(), "site.test");
    assert_eq!(client.exact(11).unwrap(), b"220 ready\r\n");
    assert_eq!(target.hellos()[0].name.as_deref(), Some("site.test"));
}

#[test]
fn a_target_that_says_nothing_is_given_up_in_the_time_for_connecting() {
    let behind = Behind::new();
    let target = Target::with("a", |peer| drop(peer.ending()));
    let proxy = behind.start(&[&target], CA, "timeouts = { connect = \"300ms\" }");
    let answer = proxy.get("/");
    assert_eq!(answer.status, 504);
    assert!(proxy.metric("ringway_pool_errors_total", &[("kind", "connect-timeout")]) >= 1.0);
    // One that speaks in clear has not understood.
    let clear = Target::with("b", |peer| {
        let _ = peer.fill(crate::support::PATIENCE);
        let _ = peer.try_send("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let behind = Behind::new();
    let proxy = behind.start(&[&clear], CA, "");
    assert_eq!(proxy.get("/").status, 502);
    assert!(proxy.metric("ringway_pool_errors_total", &[("kind", "tls-handshake")]) >= 1.0);
}

#[test]
fn a_target_whose_certificate_is_bad_costs_no_request() {
    let behind = Behind::new();
    let good = Secure::echo("good", &Speaks::with(&behind.made(&["site.test"])));
    let bad = Secure::echo("bad", &Speaks::with(&behind.made(&["other.test"])));
    let proxy = behind.start(&[&bad, &good], CA, "balance = \"round-robin\"");
    let mut client = proxy.client();
    for n in 0..10 {
        let answer = client.post("/", format!("{n}").as_bytes());
        assert_eq!((answer.status, answer.target()), (200, "good".to_owned()));
    }
    assert!(proxy.metric("ringway_pool_retries_total", &[]) >= 4.0);
}

#[test]
fn health_checks_shake_hands_too() {
    for check in ["type = \"http\", path = \"/healthz\", host = \"site.test\"", "type = \"tcp\""] {
        let behind = Behind::new();
        let (good, bad) = (behind.made(&["site.test"]), behind.made(&["other.test"]));
        let target = Secure::echo("a", &Speaks::with(&good));
        let lines = format!("health = {{ {check}, interval = \"100ms\", rise = 1, fall = 1 }}");
        let proxy = behind.start(&[&target], &format!("{CA}, sni = \"site.test\""), &lines);
        let up = || proxy.metric("ringway_target_up", &[]) == 1.0;
        eventually("checks pass", || proxy.metric("ringway_target_checks_passed_total", &[]) >= 2.0);
        assert!(up());
        target.now(&Speaks::with(&bad));
        eventually("it is down", || !up());
        proxy.log.wait(&["target is down", "other.test"]);
        target.now(&Speaks::with(&good));
        eventually("it is up", up);
    }
    // Over HTTP/2, as the pool has it.
    let target = Target::echo("a");
    let edge = super::Edge::new();
    let ca = edge.setup.directory().join("ca.pem");
    std::fs::write(&ca, edge.authority.pem()).unwrap();
    let inner = edge.setup.with(http_with(&listener(&["site"], "alpn = [\"h2\"]"), &[&target], "")).start();
    let lines = format!(
        "protocol = \"h2\"\ntls = {{ ca = \"{}\" }}\nhealth = {{ type = \"http\", host = \"site.test\", interval = \"100ms\" }}",
        ca.display()
    );
    let outer = Proxy::start(http_with("", &[&inner.web()], &lines));
    eventually("checks pass", || outer.metric("ringway_target_checks_passed_total", &[]) >= 2.0);
    assert_eq!(target.last().field("user-agent").unwrap(), "ringway-health");
}

#[test]
fn a_health_check_asks_for_the_name_of_its_host() {
    for (host, name) in [("host = \"check.test\", ", Some("check.test")), ("", None)] {
        let behind = Behind::new();
        let target = Secure::echo("a", &Speaks::with(&behind.made(&["check.test"])));
        // Without a host the target's address is one, and that is no name.
        let both = behind.made(&["check.test", &target.target.address.ip().to_string()]);
        target.now(&Speaks::with(&both));
        let lines = format!("health = {{ type = \"http\", {host}interval = \"100ms\", fall = 1 }}");
        let proxy = behind.start(&[&target], CA, &lines);
        eventually("checks pass", || proxy.metric("ringway_target_checks_passed_total", &[]) >= 2.0);
        assert!(target.hellos().iter().all(|hello| hello.name.as_deref() == name), "{:?}", target.hellos());
    }
}

#[test]
fn changed_files_are_taken_up_and_bad_ones_are_not() {
    let behind = Behind::new();
    let folder = behind.setup.directory().to_owned();
    let target = Secure::echo("a", &Speaks::with(&behind.made(&["site.test"])));
    let proxy = behind.start(&[&target], CA, "");
    let mut client = proxy.client();
    assert_eq!(client.get("/").status, 200);
    std::fs::write(folder.join("ca.pem"), "nothing").unwrap();
    proxy.signal(libc::SIGHUP);
    proxy.settles("ringway_pool_tls_file_failures_total", &[], 1.0);
    proxy.log.wait(&["stays in service", "ca.pem", "site"]);
    assert_eq!(client.get("/").status, 200);
    // From here on others are trusted, and a connection of old ones is not used again.
    let others = Authority::new("Others");
    std::fs::write(folder.join("ca.pem"), others.pem()).unwrap();
    proxy.signal(libc::SIGHUP);
    proxy.settles("ringway_pool_tls_file_changes_total", &[], 1.0);
    assert_eq!(client.get("/").status, 502);
    target.now(&Speaks::with(&others.server(&["site.test"], Kind::Ecdsa)));
    assert_eq!(proxy.get("/").status, 200);
}

#[test]
fn what_cannot_be_used_is_refused_at_the_start() {
    let behind = Behind::new();
    behind.write("ca.key", "-----BEGIN CERTIFICATE-----\nnonsense\n");
    let file = behind.setup.directory().join("bad.toml");
    for (tls, place, what) in [
        ("ca = \"none.pem\"", "ca", "there is no such file"),
        ("ca = \"ca.key\"", "ca", "broken PEM"),
        ("cert = \"ca.pem\", ca = \"ca.pem\"", "cert", "holds no private key"),
    ] {
        std::fs::write(&file, http(&["127.0.0.1:1"]) + &format!("tls = {{ {tls} }}\n")).unwrap();
        let (code, _, err) = ringway(&["check", "-c", file.to_str().unwrap()]);
        assert!(code == Some(2) && err.contains(what) && err.contains(place), "{code:?} {err}");
    }
}

#[test]
fn a_target_that_ends_its_session_early_loses_no_request() {
    let behind = Behind::new();
    // It says that this was all, between two requests: the next one must not meet that.
    let target = Secure::with("a", &Speaks::with(&behind.made(&["site.test"])), |peer| {
        if let Some(seen) = peer.request() {
            peer.echo(&seen);
            if let Some(tls) = &mut peer.tls {
                tls.send_close_notify();
            }
            peer.send("");
            std::thread::sleep(Duration::from_secs(2));
        }
    });
    let proxy = behind.start(&[&target], CA, "");
    let mut client = proxy.client();
    for n in 0..5 {
        assert_eq!(client.post("/", format!("{n}").as_bytes()).status, 200);
        std::thread::sleep(Duration::from_millis(30));
    }
    proxy.settles("ringway_pool_errors_total", &[], 0.0);
}

#[test]
fn a_target_is_told_when_a_kept_connection_is_let_go() {
    for (keepalive, why) in [
        ("idle = \"100ms\"", "it was kept for long enough"),
        ("max_idle = 0", "none is kept"),
        ("max_idle = 2, idle = \"1h\"", "another one took its place"),
    ] {
        let behind = Behind::new();
        let ends = Arc::<Mutex<Vec<(Broken, usize)>>>::default();
        let seen = ends.clone();
        let made = behind.made(&["one.test", "two.test"]);
        let target = Secure::with("a", &Speaks::with(&made), move |peer| {
            while let Some(asked) = peer.request() {
                peer.echo(&asked);
                let end = peer.ending();
                // What follows the word within the session is the end of the connection, no reset.
                let after = std::io::Read::read(&mut peer.socket, &mut [0]).unwrap_or(1);
                seen.lock().unwrap().push((end, after));
            }
        });
        let config = http_with("", &[&target], &format!("tls = {{ {CA} }}\nkeepalive = {{ {keepalive} }}"));
        let proxy = behind.setup.with(config).workers(1).start();
        let (mut first, mut second) = (proxy.client(), proxy.client());
        let mut third = proxy.client();
        for (client, host) in [(&mut first, "one.test"), (&mut second, "two.test"), (&mut third, "two.test")] {
            client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        }
        for client in [&mut first, &mut second, &mut third] {
            assert_eq!(client.response().status, 200, "{why}");
        }
        eventually(why, || !ends.lock().unwrap().is_empty());
        assert!(
            ends.lock().unwrap().iter().all(|end| *end == (Broken::Closed, 0)),
            "{why}: {:?}",
            ends.lock().unwrap()
        );
    }
}

#[test]
fn a_tcp_client_whose_targets_prove_nothing_is_let_go_and_the_log_says_why() {
    let behind = Behind::new();
    let target = Secure::mirror("a", &Speaks::with(&behind.made(&["other.test"])));
    let config = tcp_with("", &[&target], &format!("tls = {{ {CA}, sni = \"inner.test\" }}")) + LOG;
    let proxy = behind.setup.with(config).start();
    assert_ne!(proxy.client().ending(), Broken::TimedOut);
    proxy.out.wait(&["tls-certificate"]);
    proxy.settles("ringway_pool_errors_total", &[("kind", "tls-certificate")], 1.0);
}

#[test]
fn an_old_version_is_not_spoken_where_the_level_forbids_it() {
    let behind = Behind::new();
    let made = behind.made(&["site.test"]);
    let target = Secure::echo("a", &Speaks { versions: &[&TLS12], ..Speaks::with(&made) });
    let proxy = behind.start(&[&target], &format!("{CA}, level = \"modern\""), "");
    assert_refused(&proxy, "tls-handshake");
}

#[test]
fn what_the_example_shows_of_tls_with_targets_is_good() {
    let behind = Behind::new();
    behind.write("authorities.pem", &behind.authority.pem());
    behind.authority.client("us", 1).write(behind.setup.directory(), "us");
    let example = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml")).unwrap();
    assert_eq!(example.matches("\n# tls = {").count(), 1);
    behind.write("example.toml", &example.replace("\n# tls = {", "\ntls = {"));
    let file = behind.setup.directory().join("example.toml");
    let (code, _, err) = ringway(&["check", "-c", file.to_str().unwrap()]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
}
