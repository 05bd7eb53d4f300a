//! The Kubernetes API: TLS that is passed on, servers that are asked whether they are ready.

use super::Guide;
use crate::support::secure::{Secure, Speaks};
use crate::support::tls::{Authority, Kind};
use crate::support::{Client, Proxy, eventually};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

/// An API server: `/readyz` says what it is told to, and all else is answered.
struct ApiServer {
    secure: Secure,
    ready: Arc<AtomicU16>,
}

impl ApiServer {
    fn new(name: &str, authority: &Authority) -> ApiServer {
        let made = authority.server(&["kubernetes"], Kind::Ecdsa);
        let ready = Arc::new(AtomicU16::new(200));
        let says = ready.clone();
        let secure = Secure::with(name, &Speaks::with(&made), move |peer| {
            while let Some(seen) = peer.request() {
                let status = if seen.path == "/readyz" { says.load(Ordering::SeqCst) } else { 200 };
                if peer.reply(status, &[], b"ok").is_none() {
                    return;
                }
            }
        });
        ApiServer { secure, ready }
    }

    fn is_up(&self, proxy: &Proxy) -> bool {
        let target = self.secure.target.to_string();
        proxy.metric("ringway_target_up", &[("target", &target)]) == 1.0
    }

    fn passed(&self, proxy: &Proxy) -> f64 {
        let target = self.secure.target.to_string();
        proxy.metric("ringway_target_checks_passed_total", &[("target", &target)])
    }
}

#[test]
fn clients_shake_hands_with_servers_that_are_ready_and_with_no_other() {
    let authority = Authority::new("kubernetes");
    let servers = ["a", "b", "c"].map(|name| ApiServer::new(name, &authority));
    let setup = Guide::read("kubernetes-api")
        .listening(&["\"0.0.0.0:6443\""])
        .with("10.0.0.11:6443", &servers[0].secure)
        .with("10.0.0.12:6443", &servers[1].secure)
        .with("10.0.0.13:6443", &servers[2].secure)
        .with("interval = \"2s\"", "interval = \"100ms\"")
        .with("\ntimeout = \"1s\"", "\ntimeout = \"10s\"")
        .setup();
    std::fs::create_dir_all(setup.directory().join("pki")).unwrap();
    std::fs::write(setup.directory().join("pki/ca.pem"), authority.pem()).unwrap();
    let proxy = setup.start();
    eventually("all are checked", || servers.iter().all(|server| server.passed(&proxy) >= 1.0));
    let at = proxy.at("kubernetes");
    let dial = authority.dial();
    let connect = || -> (String, Client) {
        let mut client = dial.to(&at, "kubernetes");
        (client.get("/api").target(), client)
    };
    // Who has the fewest connections gets the next one.
    let held: Vec<(String, Client)> = (0..6).map(|_| connect()).collect();
    for name in ["a", "b", "c"] {
        assert_eq!(held.iter().filter(|(with, _)| with == name).count(), 2, "{name}");
    }

    servers[0].ready.store(500, Ordering::SeqCst);
    proxy.log.wait(&["target is down", "L7STS", "status 500"]);
    let (lost, mut others): (Vec<_>, Vec<_>) = held.into_iter().partition(|(name, _)| name == "a");
    for (_, mut client) in lost {
        eventually("who was with the server that is lost learns of it", || !client.alive());
    }
    assert!(others.iter_mut().all(|(_, client)| client.alive()), "nobody else does");
    for _ in 0..6 {
        assert_ne!(connect().0, "a");
    }
    servers[0].ready.store(200, Ordering::SeqCst);
    eventually("it is used again", || servers[0].is_up(&proxy) && connect().0 == "a");

    // A server that another authority vouches for is none of the cluster's.
    let stranger = Authority::new("stranger").server(&["kubernetes"], Kind::Ecdsa);
    servers[1].secure.now(&Speaks::with(&stranger));
    proxy.log.wait(&["target is down", "L6RSP", "TLS"]);
}
