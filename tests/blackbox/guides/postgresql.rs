//! PostgreSQL with Patroni: real servers, and what stands in for Patroni's REST API beside each.

use super::Guide;
use crate::support::eventually;
use crate::support::proxy::Proxy;
use crate::support::servers::{Kind, Server};
use crate::support::session::Session;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A server, and what its Patroni says of it on port 8008.
struct Member {
    server: Server,
    role: Arc<Mutex<&'static str>>,
    over: Arc<AtomicBool>,
}

impl Member {
    fn new(role: &'static str) -> Member {
        let server = Server::postgres();
        let (role, over) = (Arc::new(Mutex::new(role)), Arc::new(AtomicBool::new(false)));
        patroni(server.address.ip(), role.clone(), over.clone());
        Member { server, role, over }
    }

    fn ip(&self) -> String {
        self.server.address.ip().to_string()
    }

    fn becomes(&self, role: &'static str) {
        *self.role.lock().unwrap() = role;
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

/// As Patroni has it: 200 to who asks for what the server is, 503 to others.
fn patroni(ip: IpAddr, role: Arc<Mutex<&'static str>>, over: Arc<AtomicBool>) {
    let listener = TcpListener::bind((ip, 8008)).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            if over.load(Ordering::SeqCst) {
                return;
            }
            let Ok(mut stream) = stream else { continue };
            let role = *role.lock().unwrap();
            thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head);
                let path = head.split([' ', '?']).nth(1).unwrap_or_default();
                let status = if path.trim_start_matches('/') == role { "200 OK" } else { "503 Service Unavailable" };
                let answer =
                    format!("HTTP/1.0 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{{}}");
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
}

fn whose(proxy: &Proxy, listener: &str) -> Option<(String, Session)> {
    let mut session = Session::to(Kind::Postgres, &proxy.at(listener)).ok()?;
    Some((session.whose().ok()?, session))
}

/// Whether all that is begun comes to these servers, and to each of them.
fn come_to(proxy: &Proxy, listener: &str, wanted: &[&Member]) -> bool {
    let begun: Option<Vec<_>> = (0..2 * wanted.len()).map(|_| whose(proxy, listener)).collect();
    let came: BTreeSet<String> = begun.into_iter().flatten().map(|(with, _)| with).collect();
    came == wanted.iter().map(|member| member.ip()).collect()
}

#[test]
fn writers_follow_the_primary_and_readers_have_the_replicas() {
    let [a, b, c] = ["primary", "replica", "replica"].map(Member::new);
    let proxy = Guide::read("postgresql")
        .listening(&["\"0.0.0.0:5432\"", "\"0.0.0.0:5433\""])
        .with("10.0.0.21:5432", &a.server)
        .with("10.0.0.22:5432", &b.server)
        .with("10.0.0.23:5432", &c.server)
        .with("\ninterval = \"2s\"", "\ninterval = \"200ms\"")
        .with("\ntimeout = \"1s\"", "\ntimeout = \"10s\"")
        .with("\nfast_interval = \"500ms\"", "\nfast_interval = \"100ms\"")
        .start();
    eventually("the primary is found", || come_to(&proxy, "writer", &[&a]));
    eventually("the replicas are", || come_to(&proxy, "readers", &[&b, &c]));

    // A switch-over: who wrote is let go, and comes to the new primary.
    let (_, mut wrote) = whose(&proxy, "writer").unwrap();
    let (_, mut read) = std::iter::from_fn(|| whose(&proxy, "readers")).find(|(with, _)| *with == c.ip()).unwrap();
    a.becomes("replica");
    b.becomes("primary");
    proxy.log.wait(&["target is down", "pool=\"writer\"", &a.ip(), "L7STS", "status 503"]);
    eventually("writers come to the new one", || come_to(&proxy, "writer", &[&b]));
    eventually("a session with what is no primary any more is over", || wrote.whose().is_err());
    eventually("and readers to the others", || come_to(&proxy, "readers", &[&a, &c]));
    assert!(read.whose().is_ok(), "who reads from a server that is a replica still goes on");

    // A server is lost, and then there is no primary at all: nobody writes anywhere.
    drop(c);
    eventually("one replica is left", || come_to(&proxy, "readers", &[&a]));
    eventually("who read from it learns of it", || read.whose().is_err());
    b.becomes("replica");
    eventually("no writer is let in", || whose(&proxy, "writer").is_none());
}
