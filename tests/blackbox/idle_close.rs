//! Targets that end connections as they become idle, timed so that the end crosses the next request. Protects the case "a pooled
//! connection that the target has just closed", of which tests/blackbox/http_reuse.rs has the variants that need no timing.

use crate::support::client::request;
use crate::support::proxy::Setup;
use crate::support::secure::{Secure, Speaks};
use crate::support::target::{Leave, Peer};
use crate::support::tls::{Authority, Kind};
use crate::support::toml::http_with;
use crate::support::{PATIENCE, Proxy, Target, assert_same, pattern, rounds};
use std::collections::HashMap;
use std::thread;
use std::time::Duration;

/// How long a target keeps an idle connection; well beyond what counts as just used.
const IDLE: Duration = Duration::from_millis(300);

/// Answers with what came, and ends the connection once it was idle for [`IDLE`].
fn impatient(peer: &mut Peer, leave: Leave) {
    while let Some(seen) = peer.request() {
        if peer.echo(&seen).is_none() {
            return;
        }
        // What of a long answer is still in the kernel would be lost with a reset.
        let idle = if seen.body.len() > 1 << 20 { PATIENCE } else { IDLE };
        if peer.fill(idle).is_err() {
            return peer.leave(leave);
        }
    }
}

/// What is asked, and how long its body is.
const ASKED: [(&str, usize); 6] = [("GET", 0), ("POST", 0), ("POST", 10), ("PUT", 10), ("DELETE", 0), ("POST", LARGE)];
const LARGE: usize = 5 << 20;

/// Asks with pauses around [`IDLE`]. Every answer is whole and right, and no POST is carried out twice.
fn race(proxy: &Proxy, targets: &[&Target], clients: u64, each: u64) {
    let large = pattern(LARGE);
    thread::scope(|scope| {
        for start in 0..clients {
            let large = &large;
            scope.spawn(move || {
                let mut client = proxy.client();
                for n in 0..each {
                    let (method, length) = ASKED[((start + n) % ASKED.len() as u64) as usize];
                    let path = format!("/{method}/{start}/{n}");
                    client.send(request(method, &path, &[&format!("Content-Length: {length}")]));
                    client.send(&large[..length]);
                    let answer = client.response_to(method).unwrap_or_else(|e| panic!("{path}: {e:?}"));
                    assert_eq!(answer.status, 200, "{path} of {length}");
                    if length > 0 {
                        assert_same(&answer.body, &large[..length]);
                    }
                    thread::sleep(IDLE + Duration::from_millis((start * 3 + n) % 9) - Duration::from_millis(4));
                }
            });
        }
    });
    let mut done: HashMap<String, usize> = HashMap::new();
    for seen in targets.iter().flat_map(|target| target.seen()).filter(|seen| seen.whole) {
        *done.entry(seen.path).or_default() += 1;
    }
    assert_eq!(done.len() as u64, clients * each, "each is carried out");
    let twice = |(path, times): (&String, &usize)| path.starts_with("/POST") && *times > 1;
    assert!(!done.iter().any(twice), "no POST is carried out twice: {done:?}");
}

#[test]
fn a_connection_that_ends_as_it_is_used_again_costs_nothing() {
    for leave in [Leave::Close, Leave::Reset] {
        let [a, b] = ["a", "b"].map(|name| Target::with(name, move |peer| impatient(peer, leave)));
        let proxy = Proxy::start(http_with("", &[&a, &b], "balance = \"round-robin\""));
        race(&proxy, &[&a, &b], 12, rounds(12, 4) as u64);
        assert_eq!(proxy.metric("ringway_pool_errors_total", &[("kind", "bad-response")]), 0.0);
    }
}

/// Over TLS a target says that it ends the connection, which is no answer.
#[test]
fn the_same_holds_over_tls() {
    let authority = Authority::new("Test");
    let made = authority.server(&["site.test"], Kind::Ecdsa);
    let [a, b] = ["a", "b"].map(|name| Secure::with(name, &Speaks::with(&made), |peer| impatient(peer, Leave::Close)));
    let setup = Setup::new("");
    std::fs::write(setup.directory().join("ca.pem"), authority.pem()).unwrap();
    let pool = "balance = \"round-robin\"\ntls = { ca = \"ca.pem\", sni = \"site.test\" }";
    let proxy = setup.with(http_with("", &[&a.target, &b.target], pool)).start();
    race(&proxy, &[&a.target, &b.target], 8, rounds(12, 4) as u64);
}

/// HAProxy's and nginx's keep-alive defaults are no matter: connections that are kept beside the one that has just ended are used.
#[test]
fn all_kept_connections_may_have_ended_at_once() {
    let target = Target::echo("a");
    let proxy = Setup::new(http_with("", &[&target], "")).workers(1).start();
    for round in 0..rounds(10, 4) {
        thread::scope(|scope| {
            for n in 0..6 {
                let (proxy, round) = (&proxy, round);
                scope.spawn(move || {
                    let answer = proxy.client().post(&format!("/{round}/{n}"), b"once");
                    assert_eq!((answer.status, answer.text().as_str()), (200, "once"));
                });
            }
        });
        // All at once, and while the next ones are on their way.
        target.hang_up();
    }
    let paths: Vec<String> = target.seen().into_iter().map(|seen| seen.path).collect();
    let mut unique = paths.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), paths.len());
}
