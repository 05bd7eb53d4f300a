//! When sessions begin and end, and whose answers are whose.

use super::client;
use crate::support::toml::udp_with;
use crate::support::udp::UdpTarget;
use crate::support::{Proxy, eventually, rounds};
use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_session_lasts_for_as_long_as_somebody_is_heard_of_and_ends_with_the_silence() {
    let target = UdpTarget::silent();
    let proxy = Proxy::start(udp_with("udp = { idle = \"1s\" }", &[&target], ""));
    let client = client(&proxy);
    let begun = Instant::now();
    for sent in 1..=4 {
        client.send("still here");
        eventually("it arrives", || target.count() == sent);
        thread::sleep(Duration::from_millis(400));
    }
    // A machine that was busy for a second may have ended it.
    if begun.elapsed() < Duration::from_secs(2) {
        let ports: BTreeSet<u16> = target.ports().into_iter().collect();
        assert_eq!(ports.len(), 1, "one source port for all of them");
    }
    proxy.settles("ringway_udp_sessions", &[], 0.0);
    let before = proxy.metric("ringway_udp_sessions_total", &[]);
    client.send("back again");
    eventually("it arrives", || target.count() == 5);
    proxy.settles("ringway_udp_sessions_total", &[], before + 1.0);
}

#[test]
fn a_session_that_has_had_its_answers_gives_its_socket_to_the_next() {
    let target = UdpTarget::echo("a");
    let proxy = Proxy::start(udp_with("udp = { responses = 1 }", &[&target], ""));
    let count = rounds(300, 60);
    for number in 0..count {
        let text = format!("number {number}");
        assert_eq!(client(&proxy).ask(&text), format!("a {text}"));
        thread::sleep(Duration::from_millis(10));
    }
    proxy.settles("ringway_udp_sessions_total", &[], count as f64);
    proxy.settles("ringway_udp_sessions", &[], 0.0);
    let ports: BTreeSet<u16> = target.ports().into_iter().collect();
    assert!(ports.len() < count, "{} sockets for {count} sessions", ports.len());
}

#[test]
fn several_datagrams_of_a_client_are_owed_an_answer_each() {
    // It answers once it has three of them.
    let mut waiting = Vec::new();
    let target = UdpTarget::with(move |socket, from, bytes| {
        waiting.push(bytes.to_vec());
        if waiting.len() == 3 {
            waiting.drain(..).for_each(|bytes| drop(socket.send_to(&bytes, from)));
        }
    });
    let proxy = Proxy::start(udp_with("udp = { responses = 1 }", &[&target], ""));
    let client = client(&proxy);
    ["one", "two", "three"].iter().for_each(|text| client.send(text));
    let got: BTreeSet<Vec<u8>> = (0..3).map(|_| client.next()).collect();
    assert_eq!(got.len(), 3);
    proxy.settles("ringway_udp_sessions_total", &[], 1.0);
    proxy.settles("ringway_udp_sessions", &[], 0.0);
}

#[test]
fn a_late_answer_never_reaches_another_client() {
    // Each datagram is answered at once and, by mistake, twice more: soon, and when its socket may serve somebody else.
    let target = UdpTarget::with(|socket, from, bytes| {
        let _ = socket.send_to(bytes, from);
        let (socket, bytes) = (socket.try_clone().unwrap(), bytes.to_vec());
        thread::spawn(move || {
            for pause in [5, 150] {
                thread::sleep(Duration::from_millis(pause));
                let _ = socket.send_to(&bytes, from);
            }
        });
    });
    // Few sockets, so that they are in demand.
    let proxy = Proxy::start(udp_with("udp = { responses = 1, max_sockets = 60 }", &[&target], ""));
    let clients: Vec<_> = (0..20).map(|_| client(&proxy)).collect();
    let mut answered = 0;
    for round in 0..rounds(40, 10) {
        for (number, client) in clients.iter().enumerate() {
            client.send(format!("{round} of {number}"));
        }
        for (number, client) in clients.iter().enumerate() {
            // Where no socket has rested, a query is lost rather than answered by a wrong one.
            while let Some(answer) = client.within(Duration::from_millis(40)) {
                let text = String::from_utf8(answer).unwrap();
                assert!(text.ends_with(&format!(" of {number}")), "client {number} got {text:?}");
                answered += usize::from(text.starts_with(&format!("{round} ")));
            }
        }
    }
    assert!(answered > 40, "{answered}");
    assert!(proxy.metric("ringway_udp_datagrams_lost_total", &[("reason", "late")]) > 10.0);
}

#[test]
fn an_answer_after_the_silence_reaches_nobody() {
    let target = UdpTarget::with(|socket, from, bytes| {
        let (socket, bytes) = (socket.try_clone().unwrap(), bytes.to_vec());
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(700));
            let _ = socket.send_to(&bytes, from);
        });
    });
    let proxy = Proxy::start(udp_with("udp = { responses = 1, idle = \"100ms\" }", &[&target], ""));
    let slow = client(&proxy);
    slow.send("slow");
    eventually("it arrives", || target.count() == 1);
    proxy.settles("ringway_udp_sessions", &[], 0.0);
    let others: Vec<_> = (0..50).map(|_| client(&proxy)).collect();
    others.iter().for_each(|other| other.send("other"));
    eventually("they arrive", || target.count() == 51);
    assert_eq!(slow.within(Duration::from_secs(1)), None);
    for other in &others {
        assert!(other.within(Duration::from_millis(1)).is_none_or(|answer| answer == b"other"));
    }
    proxy.settles("ringway_pool_errors_total", &[("kind", "response-timeout")], 51.0);
}

#[test]
fn with_a_bound_on_requests_the_next_one_begins_another_session() {
    let (a, b) = (UdpTarget::echo("a"), UdpTarget::echo("b"));
    let lines = "udp = { requests = 1, responses = 1 }";
    let proxy = Proxy::start(udp_with(lines, &[&a, &b], "balance = \"round-robin\""));
    let client = client(&proxy);
    // All are on their way at once, and each has its answer.
    (0..8).for_each(|number| client.send(number.to_string()));
    let got: BTreeSet<String> = (0..8).map(|_| String::from_utf8(client.next()).unwrap()).collect();
    assert_eq!(got.len(), 8);
    assert_eq!(got.iter().filter(|text| text.starts_with('a')).count(), 4, "{got:?}");
    proxy.settles("ringway_udp_sessions_total", &[], 8.0);
    proxy.settles("ringway_udp_sessions", &[], 0.0);
}

#[test]
fn a_flood_of_clients_takes_no_more_than_its_bound_and_the_silent_go_first() {
    let target = UdpTarget::echo("a");
    // One worker, so that the bound is its own.
    let config = udp_with("udp = { max_sessions = 50 }", &[&target], "");
    let proxy = crate::support::proxy::Setup::new(config).workers(1).start();
    let regular = client(&proxy);
    assert_eq!(regular.ask("0"), "a 0");
    let before = proxy.descriptors();
    for number in 1..=rounds(60, 15) {
        let flood: Vec<_> = (0..20).map(|_| client(&proxy)).collect();
        flood.iter().for_each(|client| client.send("flood"));
        assert_eq!(regular.ask(&number.to_string()), format!("a {number}"), "who is heard of stays");
    }
    assert!(proxy.metric("ringway_udp_sessions", &[]) <= 50.0);
    assert!(proxy.metric("ringway_udp_sessions_evicted_total", &[]) >= 100.0);
    eventually("the sockets of those that ended are closed", || proxy.descriptors() <= before + 60);
    let regular = regular.socket.local_addr().unwrap().port();
    let ports: BTreeSet<u16> =
        target.seen().into_iter().filter(|(_, bytes)| bytes != b"flood").map(|(from, _)| from.port()).collect();
    assert_eq!(ports.len(), 1, "the session of {regular} has lasted");
}

#[test]
fn without_a_socket_to_be_had_the_silent_make_room() {
    let target = UdpTarget::silent();
    let config = udp_with("udp = { max_sockets = 10 }", &[&target], "");
    let proxy = crate::support::proxy::Setup::new(config).workers(1).start();
    for round in 1..=4 {
        let clients: Vec<_> = (0..10).map(|_| client(&proxy)).collect();
        clients.iter().for_each(|client| client.send("x"));
        eventually("they arrive", || target.count() == 10 * round);
        thread::sleep(Duration::from_millis(400));
    }
    assert!(proxy.metric("ringway_udp_sockets", &[]) <= 11.0);
    assert_eq!(proxy.metric("ringway_udp_sessions_evicted_total", &[]), 30.0);
    assert_eq!(proxy.metric("ringway_udp_sessions", &[]), 10.0);
}
