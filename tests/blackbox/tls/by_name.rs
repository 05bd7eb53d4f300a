//! What is asked of clients by the name that they ask for, on one listener; and that no name is a way round another.

use super::Edge;
use crate::support::client::Client;
use crate::support::tls::{Authority, Dial, Kind, connect, listener, resumed};
use crate::support::toml::{http_with, tcp_with};
use crate::support::{Proxy, Target, h2};
use crate::tls::files::check;
use http::{Method, Request};
use rustls::ClientConfig;
use rustls::client::{ClientSessionMemoryCache, ClientSessionStore, Resumption};
use rustls::client::{Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{NamedGroup, SupportedProtocolVersion};
use std::sync::Arc;

/// A listener with an open name, one that clients must have a certificate for, and others.
struct ByName {
    proxy: Proxy,
    /// Of the server's certificate.
    authority: Authority,
    clients: Authority,
    target: Target,
}

/// Clients must show a certificate for admin.site.test, and may for other names below site.test but www.
const GUARDED: &str = r#"
[[listeners.web.tls.by_name]]
names = ["admin.site.test", "root.site.test"]
client_auth = { mode = "required", ca = "clients.pem" }
[[listeners.web.tls.by_name]]
names = ["*.site.test"]
client_auth = { mode = "optional", ca = "clients.pem" }
[[listeners.web.tls.by_name]]
names = ["www.site.test"]
client_auth = { mode = "none" }
"#;

impl ByName {
    #[track_caller]
    fn start(entries: &str) -> ByName {
        let (edge, clients) = edge();
        let target = Target::echo("a");
        let config = http_with(&listener(&["all"], entries), &[&target], "") + "[access_log]\n";
        ByName { proxy: edge.setup.with(config).start(), authority: edge.authority, clients, target }
    }

    fn dial(&self) -> Dial {
        self.authority.dial()
    }

    #[track_caller]
    fn to(&self, dial: &Dial, name: &str) -> Client {
        dial.to(&self.proxy.web(), name)
    }

    /// Whether a client is let in for `name`.
    fn lets_in(&self, dial: &Dial, name: &str) -> bool {
        dial.try_to(&self.proxy.web(), name).is_ok_and(|mut client| client.alive())
    }
}

/// With a certificate for all names that are used here, and an authority of clients.
fn edge() -> (Edge, Authority) {
    let edge = Edge::new();
    edge.add("all", &["site.test", "*.site.test", "*.a.site.test"], Kind::Ecdsa);
    let clients = Authority::new("Clients");
    edge.write("clients.pem", &clients.pem());
    (edge, clients)
}

/// The status that a request for `host` gets, whatever the connection is for.
#[track_caller]
fn status(client: &mut Client, host: &str) -> u16 {
    client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    client.response().status
}

#[test]
fn protocols_and_versions_are_agreed_on_by_name() {
    let by_name = ByName::start(
        r#"
        [[listeners.web.tls.by_name]]
        names = ["old.site.test", "*.a.site.test"]
        alpn = ["http/1.1"]
        [[listeners.web.tls.by_name]]
        names = ["b.a.site.test", "new.site.test"]
        level = "modern"
        "#,
    );
    let agreed = |name: &str| {
        let client = by_name.to(&by_name.dial().alpn(&["h2", "http/1.1"]), name);
        String::from_utf8(client.tls.as_ref().unwrap().alpn_protocol().unwrap().to_vec()).unwrap()
    };
    for (name, protocol, tls12) in [
        ("site.test", "h2", true),
        ("other.site.test", "h2", true),
        ("old.site.test", "http/1.1", true),
        ("OLD.site.test", "http/1.1", true),
        ("c.a.site.test", "http/1.1", true),
        // The exact name goes before the star, with all that the listener says.
        ("b.a.site.test", "h2", false),
        ("new.site.test", "h2", false),
    ] {
        assert_eq!(agreed(name), protocol, "{name}");
        let answer = by_name.dial().version(&TLS12).try_to(&by_name.proxy.web(), name);
        assert_eq!(
            answer.as_ref().err().map(|error| error.contains("ProtocolVersion")),
            (!tls12).then_some(true),
            "{name}"
        );
        assert_eq!(status(&mut by_name.to(&by_name.dial().version(&TLS13), name), name), 200);
    }
    by_name.proxy.settles("ringway_refused_total", &[("reason", "handshake")], 2.0);
}

#[test]
fn a_lower_level_may_be_let_in_by_name_too() {
    let by_name = ByName::start(
        "level = \"modern\"\n[[listeners.web.tls.by_name]]\nnames = [\"old.site.test\"]\nlevel = \"intermediate\"\n",
    );
    let dial = by_name.dial().version(&TLS12);
    assert_eq!(status(&mut by_name.to(&dial, "old.site.test"), "old.site.test"), 200);
    assert!(!by_name.lets_in(&dial, "site.test"));
}

#[test]
fn certificates_are_asked_for_by_name_and_told_to_the_target() {
    let by_name = ByName::start(GUARDED);
    let stranger = Authority::new("Strangers").client("eve", 1);
    for version in [&TLS12, &TLS13] {
        let without = by_name.dial().version(version);
        let (ann, eve) =
            (without.clone().showing(&by_name.clients.client("ann", 1)), without.clone().showing(&stranger));
        for (name, asked, required) in [
            ("admin.site.test", true, true),
            ("root.site.test", true, true),
            ("any.site.test", true, false),
            ("www.site.test", false, false),
            ("site.test", false, false),
            ("b.a.site.test", false, false),
        ] {
            assert_eq!(by_name.lets_in(&without, name), !required, "{name} without");
            assert_eq!(by_name.lets_in(&eve, name), !asked, "{name} with a stranger's");
            let mut client = by_name.to(&ann, name);
            client.send(format!("GET / HTTP/1.1\r\nHost: {name}\r\nX-Client-Cert-Subject: CN=root\r\n\r\n"));
            assert_eq!(client.response().status, 200);
            let told = by_name.target.last().field("x-client-cert-subject");
            assert_eq!(told.as_deref(), asked.then_some("CN=ann,O=Example\\, Inc."), "{name}");
        }
    }
}

#[test]
fn no_name_is_a_way_round_another_over_http1() {
    let by_name = ByName::start(GUARDED);
    let mut open = by_name.to(&by_name.dial(), "www.site.test");
    for host in ["admin.site.test", "ADMIN.Site.Test", "admin.site.test.", "admin.site.test:443", "any.site.test:8443"]
    {
        assert_eq!(status(&mut open, host), 421, "{host}");
    }
    // The host of the target goes before the field.
    open.send("GET http://admin.site.test/ HTTP/1.1\r\nHost: www.site.test\r\n\r\n");
    let refused = open.response();
    assert_eq!(refused.status, 421);
    assert!(refused.text().starts_with("421 Misdirected Request\n"), "{}", refused.text());
    assert_eq!(by_name.target.requests(), 0);
    by_name.proxy.settles("ringway_refused_total", &[("reason", "misdirected")], 6.0);
    let line = by_name.proxy.out.wait(&["\"host\":\"any.site.test:8443\""]);
    for part in
        ["\"status\":421", "\"reason\":\"misdirected\"", "\"termination\":\"PR--\"", "\"sni\":\"www.site.test\""]
    {
        assert!(line.contains(part), "{part} in {line}");
    }
    // The connection goes on, for its own name and those that nothing else is asked for.
    for host in ["www.site.test", "WWW.site.test.:443", "site.test", "elsewhere.test", "127.0.0.1"] {
        assert_eq!(status(&mut open, host), 200, "{host}");
    }
    let requests = by_name.target.requests();
    // What is refused is not read: the connection ends when a body is under way.
    open.send("POST / HTTP/1.1\r\nHost: admin.site.test\r\nContent-Length: 5\r\n\r\nhello");
    let refused = open.response();
    assert_eq!((refused.status, refused.field("connection").as_deref()), (421, Some("close")));
    // Nor is a stricter name good for others, or an optional certificate for a required one.
    let dial = by_name.dial().showing(&by_name.clients.client("ann", 1));
    let mut admin = by_name.to(&dial, "admin.site.test");
    assert_eq!(status(&mut admin, "www.site.test"), 421);
    assert_eq!(status(&mut by_name.to(&dial, "any.site.test"), "admin.site.test"), 421);
    assert_eq!(by_name.target.requests(), requests);
    // Both names of an entry have all in common.
    assert_eq!(status(&mut admin, "root.site.test"), 200);
}

#[test]
fn who_asks_for_no_name_gets_what_the_listener_says() {
    let by_name = ByName::start(GUARDED);
    for version in [&TLS12, &TLS13] {
        let mut config = ClientConfig::clone(&by_name.dial().version(version).config());
        config.enable_sni = false;
        let mut client = connect(&Arc::new(config), &by_name.proxy.web(), "site.test").unwrap();
        assert_eq!(status(&mut client, "admin.site.test"), 421);
        assert_eq!(status(&mut client, "site.test"), 200);
        client.send("GET / HTTP/1.0\r\n\r\n");
        assert_eq!(client.response().status, 200, "a client of old that names no host at all");
    }
}

#[test]
fn no_name_is_a_way_round_another_over_http2() {
    let by_name = ByName::start(GUARDED);
    let ask = |host: &str| Request::builder().method(Method::GET).uri(format!("https://{host}/")).body(()).unwrap();
    let config = by_name.dial().alpn(&["h2"]).config();
    let client = h2::Client::secure(config, &by_name.proxy.web(), "www.site.test");
    let hosts = ["www.site.test", "admin.site.test", "site.test", "Admin.site.test:443", "any.site.test"];
    let answers = client.ask_all(hosts.map(ask).into());
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.as_ref().unwrap().status.as_u16()).collect();
    assert_eq!(statuses, [200, 421, 200, 421, 421]);
    // Without `:authority` the host is in a field.
    let hidden = Request::builder().uri("/").header("host", "admin.site.test").body(()).unwrap();
    assert_eq!(client.ask(hidden, b"").unwrap().status, 421);
    let post = Request::builder().method(Method::POST).uri("https://admin.site.test/").body(()).unwrap();
    assert_eq!(client.ask(post, &[0; 100_000]).unwrap().status, 421);
    assert_eq!(client.ask(ask("www.site.test"), b"").unwrap().status, 200, "the connection goes on");
    by_name.proxy.settles("ringway_refused_total", &[("reason", "misdirected")], 5.0);
    by_name.proxy.out.wait(&["\"reason\":\"misdirected\"", "\"protocol\":\"HTTP/2.0\"", "\"sni\":\"www.site.test\""]);
    assert_eq!(by_name.target.requests(), 3);

    let config = by_name.dial().alpn(&["h2"]).showing(&by_name.clients.client("ann", 1)).config();
    let client = h2::Client::secure(config, &by_name.proxy.web(), "admin.site.test");
    assert_eq!(client.ask(ask("admin.site.test"), b"").unwrap().status, 200);
    assert_eq!(by_name.target.last().field("x-client-cert-subject").unwrap(), "CN=ann,O=Example\\, Inc.");
    assert_eq!(client.ask(ask("www.site.test"), b"").unwrap().status, 421);
}

/// Shows any server the tickets of any other.
#[derive(Debug)]
struct Careless(ClientSessionMemoryCache);

fn one() -> ServerName<'static> {
    ServerName::try_from("one.test").unwrap()
}

impl ClientSessionStore for Careless {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(one(), group);
    }
    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(&one())
    }
    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(one(), value);
    }
    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(&one())
    }
    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.0.remove_tls12_session(&one());
    }
    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(one(), value);
    }
    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(&one())
    }
}

fn careless(dial: &Dial) -> Arc<ClientConfig> {
    let mut config = ClientConfig::clone(&dial.config());
    config.resumption = Resumption::store(Arc::new(Careless(ClientSessionMemoryCache::new(32))));
    Arc::new(config)
}

/// Connects for `name`, asks once, so that tickets have come, and says whether the session went on; `None`: not let in.
fn comes_back(config: &Arc<ClientConfig>, by_name: &ByName, name: &str) -> Option<bool> {
    let mut client = connect(config, &by_name.proxy.web(), name).ok()?;
    client.try_send(format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n")).ok()?;
    client.response_to("GET").ok().filter(|response| response.status == 200)?;
    Some(resumed(&client))
}

#[test]
fn a_ticket_of_one_name_does_not_resume_past_what_another_asks_for() {
    let entries = format!("{GUARDED}[[listeners.web.tls.by_name]]\nnames = [\"new.site.test\"]\nlevel = \"modern\"\n");
    let by_name = ByName::start(&entries);
    for version in [&TLS12, &TLS13] as [&'static SupportedProtocolVersion; 2] {
        let dial = by_name.dial().version(version);
        let config = careless(&dial);
        assert_eq!(comes_back(&config, &by_name, "site.test"), Some(false));
        assert_eq!(comes_back(&config, &by_name, "site.test"), Some(true), "it is a good ticket");
        assert_eq!(comes_back(&config, &by_name, "admin.site.test"), None, "a ticket is no certificate");
        let higher = comes_back(&config, &by_name, "new.site.test");
        assert_eq!(higher, (*version == TLS13).then_some(false), "nor a higher version");
        // With a certificate: a whole handshake at each name, and then tickets that are good there.
        let config = careless(&dial.showing(&by_name.clients.client("ann", 1)));
        for name in ["site.test", "admin.site.test", "any.site.test", "site.test"] {
            assert_eq!(comes_back(&config, &by_name, name), Some(false), "{name}");
            assert_eq!(comes_back(&config, &by_name, name), Some(true), "{name}");
            let told = by_name.target.last().field("x-client-cert-subject");
            assert_eq!(told.is_some(), name != "site.test", "{name}");
        }
    }
}

#[test]
fn the_authorities_of_an_entry_are_replaced_while_running() {
    let (edge, clients) = edge();
    let others = Authority::new("Others");
    edge.write("admins.pem", &clients.pem());
    edge.write("revoked.pem", &others.revokes(&[9]));
    let folder = edge.setup.directory().to_owned();
    let target = Target::echo("a");
    let admins = "[[listeners.web.tls.by_name]]\nnames = [\"admin.site.test\"]\n\
        client_auth = { mode = \"required\", ca = \"admins.pem\" }\n";
    let revoked = "[[listeners.web.tls.by_name]]\nnames = [\"b.a.site.test\"]\n\
        client_auth = { mode = \"required\", ca = \"others.pem\", crl = \"revoked.pem\" }\n";
    edge.write("others.pem", &others.pem());
    let config = http_with(&listener(&["all"], &format!("{admins}{revoked}")), &[&target], "");
    let by_name = ByName { proxy: edge.setup.with(config).start(), authority: edge.authority, clients, target };
    let config = |authority: &Authority| by_name.dial().showing(&authority.client("ann", 1)).config();
    let (ann, other, open) = (config(&by_name.clients), config(&others), by_name.dial().config());
    for (config, name) in [(&ann, "admin.site.test"), (&other, "b.a.site.test"), (&open, "site.test")] {
        assert_eq!(comes_back(config, &by_name, name), Some(false), "{name}");
        assert_eq!(comes_back(config, &by_name, name), Some(true), "{name}");
    }
    assert_eq!(comes_back(&other, &by_name, "admin.site.test"), None);
    // A broken file changes nothing, and is told with its entry.
    std::fs::write(folder.join("admins.pem"), "no certificate").unwrap();
    by_name.proxy.settles("ringway_tls_certificate_failures_total", &[], 1.0);
    by_name.proxy.log.wait(&["stays in service", "admins.pem", "by_name=\"admin.site.test\"", "listener=\"web\""]);
    assert_eq!(comes_back(&ann, &by_name, "admin.site.test"), Some(true));
    // Another authority: its clients are let in, and the old tickets are worth nothing. Other names go on as they were.
    std::fs::write(folder.join("admins.pem"), others.pem()).unwrap();
    by_name.proxy.settles("ringway_tls_certificate_changes_total", &[], 1.0);
    assert_eq!(comes_back(&ann, &by_name, "admin.site.test"), None);
    assert_eq!(comes_back(&other, &by_name, "admin.site.test"), Some(false));
    assert_eq!(comes_back(&other, &by_name, "b.a.site.test"), Some(true));
    assert_eq!(comes_back(&open, &by_name, "site.test"), Some(true));
    std::fs::write(folder.join("revoked.pem"), others.revokes(&[9, 1])).unwrap();
    by_name.proxy.signal(libc::SIGHUP);
    by_name.proxy.settles("ringway_tls_certificate_changes_total", &[], 2.0);
    assert_eq!(comes_back(&other, &by_name, "b.a.site.test"), None);
    assert_eq!(comes_back(&other, &by_name, "admin.site.test"), Some(true));
}

#[test]
fn a_file_that_cannot_be_used_is_named_in_its_entry() {
    let entry = |files: &str| {
        let auth = format!("client_auth = {{ mode = \"required\", {files} }}");
        format!("[[listeners.web.tls.by_name]]\nnames = [\"admin.site.test\"]\n{auth}\n")
    };
    let said = check(&entry("ca = \"gone.pem\""), |_| {});
    for part in ["cannot read `DIR/gone.pem`: there is no such file", "ca = \"gone.pem\"", "^^^^^^^^^^"] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    let said = check(&entry("ca = \"site.pem\", crl = \"site.key\""), |_| {});
    for part in ["`DIR/site.key` holds no revocation list", "crl = \"site.key\"", "^^^^^^^^^^"] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
}

#[test]
fn any_protocol_over_tcp_is_guarded_by_name_too() {
    let (edge, clients) = edge();
    let target = Target::greets("a");
    let config = tcp_with(&listener(&["all"], GUARDED), &[&target], "");
    let proxy = edge.setup.with(config).start();
    let greeted = |dial: &Dial, name: &str| {
        dial.try_to(&proxy.web(), name)
            .is_ok_and(|mut client| client.fill(crate::support::PATIENCE).is_ok_and(|n| n > 0))
    };
    let dial = edge.authority.dial();
    assert!(greeted(&dial, "site.test") && !greeted(&dial, "admin.site.test"));
    assert!(greeted(&dial.showing(&clients.client("ann", 1)), "admin.site.test"));
}
