//! Mail: servers that are told who their clients are, checks that greet, and TLS that is theirs.

use super::Guide;
use crate::support::client::Client;
use crate::support::target::Peer;
use crate::support::tls::{Authority, Kind, Made, over};
use crate::support::wire::{Tls, Wire};
use crate::support::{Proxy, Target, eventually};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ServerConfig, ServerConnection};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

/// A mail server that wants a PROXY header, and what it noted of each session: who came, and what the client said.
struct Server {
    target: Target,
    noted: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Speaks SMTP, in clear or within TLS from the first byte.
    fn new(name: &'static str, made: Option<&Made>) -> Server {
        let noted = Arc::<Mutex<Vec<String>>>::default();
        let notes = noted.clone();
        let config = made.map(server_config);
        let target = Target::with(name, move |peer| {
            let Some(client) = who_comes(peer) else { return };
            if let Some(config) = &config {
                let mut tls = Box::new(ServerConnection::new(config.clone()).unwrap());
                // What came together with the header.
                let early = std::mem::take(&mut peer.buffer);
                let mut early = early.as_slice();
                while !early.is_empty() && tls.read_tls(&mut early).is_ok() {
                    if tls.process_new_packets().is_err() {
                        return;
                    }
                }
                while tls.is_handshaking() {
                    if tls.complete_io(&mut peer.socket).is_err() {
                        return;
                    }
                }
                peer.tls = Some(Tls::Server(tls));
            }
            notes.lock().unwrap().push(client.clone());
            if peer.try_send(format!("220 {name} greets {client}\r\n")).is_err() {
                return;
            }
            while let Some(line) = line(peer) {
                notes.lock().unwrap().push(format!("{client} {line}"));
                let answer = if line == "QUIT" { "221 bye\r\n" } else { "250 fine\r\n" };
                if peer.try_send(answer).is_err() || line == "QUIT" {
                    return;
                }
            }
        });
        Server { target, noted }
    }

    fn has_noted(&self, what: &str) -> bool {
        self.noted.lock().unwrap().iter().any(|note| note == what)
    }
}

fn server_config(made: &Made) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::from_pem_slice(made.key.as_bytes()).unwrap();
    Arc::new(builder.with_no_client_auth().with_single_cert(vec![made.der.clone()], key).unwrap())
}

/// The client that a header of version 2 names; "LOCAL" for who comes on his own behalf.
fn who_comes(peer: &mut Peer) -> Option<String> {
    let head = peer.exact(16).ok()?;
    let addresses = peer.exact(u16::from_be_bytes([head[14], head[15]]).into()).ok()?;
    match head[12] {
        0x21 => Some(Ipv4Addr::new(addresses[0], addresses[1], addresses[2], addresses[3]).to_string()),
        _ => Some("LOCAL".to_owned()),
    }
}

fn line(peer: &mut Peer) -> Option<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.extend(peer.exact(1).ok()?);
    }
    Some(String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// Two servers, each with a service on the four ports: in clear, within TLS, in clear, within TLS.
struct Mail {
    proxy: Proxy,
    authority: Authority,
    /// By listener, both servers.
    servers: Vec<(&'static str, [Server; 2])>,
}

fn start() -> Mail {
    let authority = Authority::new("Guide");
    let made = authority.server(&["mail.example.com"], Kind::Ecdsa);
    let pair = |made: Option<&Made>| ["one", "two"].map(|name| Server::new(name, made));
    let servers = vec![
        ("smtp", pair(None)),
        ("submissions", pair(Some(&made))),
        ("submission", pair(None)),
        ("imaps", pair(Some(&made))),
    ];
    let mut guide = Guide::read("mail")
        .listening(&["\"0.0.0.0:25\"", "\"0.0.0.0:465\"", "\"0.0.0.0:587\"", "\"0.0.0.0:993\""])
        .with("interval = \"10s\"", "interval = \"200ms\"")
        .with("tls = { sni = \"mail.example.com\" }", "tls = { ca = \"ca.pem\", sni = \"mail.example.com\" }");
    for ((_, [one, two]), port) in servers.iter().zip([10025, 10465, 10587, 10993]) {
        guide = guide.with(&format!("10.0.0.61:{port}"), &one.target).with(&format!("10.0.0.62:{port}"), &two.target);
    }
    let setup = guide.setup();
    std::fs::write(setup.directory().join("ca.pem"), authority.pem()).unwrap();
    Mail { proxy: setup.start(), authority, servers }
}

impl Mail {
    /// A session from an address of its own: the greeting, and the session.
    #[track_caller]
    fn session(&self, from: &str, listener: &str) -> (String, Client) {
        let at = self.proxy.at(listener);
        let wire = Wire::connect(&at, Some(format!("{from}:0").parse().unwrap())).unwrap();
        let mut client = if matches!(listener, "submissions" | "imaps") {
            over(wire, &self.authority.dial().config(), "mail.example.com").unwrap()
        } else {
            Client::over(wire)
        };
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(client.exact(1).unwrap());
        }
        (String::from_utf8(line).unwrap().trim_end().to_owned(), client)
    }

    fn up(&self, server: &Server) -> bool {
        self.proxy.metric("ringway_target_up", &[("target", &server.target.to_string())]) == 1.0
    }
}

#[test]
fn servers_see_who_their_clients_are_and_checks_are_nobody() {
    let mail = start();
    for (listener, servers) in &mail.servers {
        eventually("both are checked", || servers.iter().all(|server| server.has_noted("LOCAL")));
        let (greeting, mut client) = mail.session("127.0.0.7", listener);
        assert!(greeting.starts_with("220 ") && greeting.ends_with(" greets 127.0.0.7"), "{listener}: {greeting}");
        client.send("MAIL FROM:<ann@example.org>\r\n");
        assert_eq!(client.exact(10).unwrap(), b"250 fine\r\n", "{listener}");
        let told = "127.0.0.7 MAIL FROM:<ann@example.org>";
        assert_eq!(servers.iter().filter(|server| server.has_noted(told)).count(), 1, "{listener}");
        assert!(servers.iter().all(|server| mail.up(server)), "{listener}");
    }
    for listener in ["smtp", "submissions", "submission"] {
        let (_, servers) = mail.servers.iter().find(|(name, _)| *name == listener).unwrap();
        let polite = |server: &Server| server.has_noted("LOCAL EHLO lb.example.com") && server.has_noted("LOCAL QUIT");
        eventually("checks speak SMTP, and take their leave", || servers.iter().all(polite));
    }
}

#[test]
fn a_mailbox_stays_with_one_server_until_that_is_lost() {
    let mail = start();
    let (_, servers) = mail.servers.iter().find(|(name, _)| *name == "imaps").unwrap();
    let (first, _held) = mail.session("127.0.0.7", "imaps");
    for _ in 0..5 {
        assert_eq!(mail.session("127.0.0.7", "imaps").0, first);
    }
    let home = servers.iter().find(|server| first.contains(server.target.name())).unwrap();
    home.target.kill();
    eventually("it is known", || !mail.up(home));
    assert_ne!(mail.session("127.0.0.7", "imaps").0, first);
}

#[test]
fn one_client_cannot_have_all_connections() {
    let mail = start();
    let at = mail.proxy.at("smtp");
    let held: Vec<_> = (0..50).map(|_| mail.session("127.0.0.9", "smtp")).collect();
    // It may be reset before its client knows of having come in.
    let one_more = Wire::connect(&at, Some("127.0.0.9:0".parse().unwrap()));
    assert!(!one_more.is_ok_and(|mut wire| wire.exact(1).is_ok()), "the next one is one too many");
    mail.proxy.settles("ringway_refused_total", &[("reason", "client-connections")], 1.0);
    assert!(mail.session("127.0.0.10", "smtp").0.starts_with("220"), "others come in");
    drop(held);
}
