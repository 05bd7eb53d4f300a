//! Targets that go: how soon flows go elsewhere.

use super::client;
use crate::reload::{reload, rewrite};
use crate::support::target::own_address;
use crate::support::toml::udp_with;
use crate::support::udp::UdpTarget;
use crate::support::{Proxy, eventually};
use std::net::TcpListener;
use std::time::Duration;

#[test]
fn a_flow_leaves_a_target_that_nobody_receives_at_any_more() {
    let (mut a, b) = (UdpTarget::echo("a"), UdpTarget::echo("b"));
    let proxy = Proxy::start(udp_with("", &[&a, &b], "balance = \"round-robin\""));
    let clients: Vec<_> = (0..8).map(|_| client(&proxy)).collect();
    let on_a = clients.iter().filter(|client| client.ask("1") == "a 1").count();
    assert!((1..8).contains(&on_a), "{on_a}");
    a.end();
    for client in &clients {
        assert_eq!(client.ask_patiently("2"), "b 2");
    }
    let lost = proxy.metric("ringway_udp_datagrams_lost_total", &[("reason", "refused")]);
    assert!(lost <= on_a as f64, "each flow loses what it sent last at most: {lost}");
    // Whoever comes goes where somebody is, once each worker knows.
    for _ in 0..8 {
        assert_eq!(client(&proxy).ask_patiently("3"), "b 3");
    }
    assert!(proxy.metric("ringway_udp_sessions_moved_total", &[]) >= on_a as f64);
    assert!(proxy.metric("ringway_pool_errors_total", &[("kind", "connect")]) >= 1.0);
    proxy.log.wait(&["nobody receives datagrams there", &a.to_string()]);
}

#[test]
fn a_target_that_comes_back_is_used_again() {
    let (mut a, b) = (UdpTarget::echo("a"), UdpTarget::echo("b"));
    let proxy = Proxy::start(udp_with("", &[&a, &b], "balance = \"round-robin\""));
    let address = a.address.to_string();
    a.end();
    for _ in 0..4 {
        assert_eq!(client(&proxy).ask_patiently("1"), "b 1");
    }
    let _again = UdpTarget::at(&address, |socket, from, _| drop(socket.send_to(b"back", from)));
    eventually("it is asked again", || client(&proxy).ask_patiently("2") == "back");
}

#[test]
fn one_way_traffic_goes_on_to_the_targets_that_are_there() {
    let mut targets: Vec<UdpTarget> = (0..4).map(|_| UdpTarget::silent()).collect();
    let proxy = Proxy::start(udp_with("udp = { responses = 0 }", &targets, "balance = \"round-robin\""));
    let client = client(&proxy);
    let total = |targets: &[UdpTarget]| targets.iter().map(UdpTarget::count).sum::<usize>();
    (0..40).for_each(|_| client.send("x"));
    eventually("they arrive", || total(&targets) == 40);
    targets[2].end();
    for _ in 0..10 {
        client.send("x");
        std::thread::sleep(Duration::from_millis(5));
    }
    eventually("what was on its way when it went is lost, and little else", || total(&targets) >= 45);
    let mut before = 0;
    eventually("all have arrived", || {
        std::thread::sleep(Duration::from_millis(100));
        std::mem::replace(&mut before, total(&targets)) == total(&targets)
    });
    (0..30).for_each(|_| client.send("x"));
    // One may have been sent to see whether somebody listens there again.
    eventually("they arrive", || total(&targets) >= before + 29);
}

#[test]
fn a_flow_leaves_a_target_whose_checks_fail_within_a_period_of_them() {
    // The check of a target that is deaf to datagrams' fate is made by TCP, on the same port.
    let pair = || loop {
        let tcp = TcpListener::bind((own_address(), 0)).unwrap();
        let address = tcp.local_addr().unwrap().to_string();
        if std::net::UdpSocket::bind(&address).is_ok() {
            return (tcp, address);
        }
    };
    let ((checked, at_a), (_other, at_b)) = (pair(), pair());
    let echo = |name: &'static str| {
        move |socket: &std::net::UdpSocket, from, _: &[u8]| drop(socket.send_to(name.as_bytes(), from))
    };
    let (a, _b) = (UdpTarget::at(&at_a, echo("a")), UdpTarget::at(&at_b, echo("b")));
    let lines = "balance = \"round-robin\"\nhealth = { type = \"tcp\", interval = \"100ms\", fall = 2, rise = 1 }";
    let proxy = Proxy::start(udp_with("", &[&at_a, &at_b], lines));
    let clients: Vec<_> = (0..4).map(|_| client(&proxy)).collect();
    let flow = clients.iter().find(|client| client.ask("x") == "a").unwrap();
    drop(checked);
    proxy.settles("ringway_target_up", &[("target", &at_a)], 0.0);
    assert_eq!(flow.ask("x"), "b", "its next datagram goes elsewhere, though its target still answers");
    let before = a.count();
    clients.iter().for_each(|client| assert_eq!(client.ask("x"), "b"));
    assert_eq!(a.count(), before);
}

#[test]
fn with_no_target_up_datagrams_are_lost_and_counted() {
    let target = UdpTarget::echo("a");
    let lines = "health = { type = \"tcp\", interval = \"100ms\" }";
    let proxy = Proxy::start(udp_with("", &[&target], lines));
    proxy.settles("ringway_target_up", &[], 0.0);
    client(&proxy).send("x");
    proxy.settles("ringway_udp_datagrams_lost_total", &[("reason", "no-target")], 1.0);
    assert_eq!(target.count(), 0);
}

#[test]
fn a_draining_target_keeps_its_flows_and_one_in_maintenance_does_not() {
    let (a, b) = (UdpTarget::echo("a"), UdpTarget::echo("b"));
    let desk = crate::admin::start(&udp_with("", &[&a, &b], "balance = \"round-robin\""));
    let clients: Vec<_> = (0..4).map(|_| client(&desk.proxy)).collect();
    let flow = clients.iter().find(|client| client.ask("1") == "a 1").unwrap();
    let set = |state: &str| {
        let path = format!("/v1/pools/site/targets/{a}");
        desk.operator.told("PATCH", &path, &format!("{{\"state\":\"{state}\"}}"), 200);
    };
    set("drain");
    assert_eq!(flow.ask("2"), "a 2");
    (0..4).for_each(|_| assert_eq!(client(&desk.proxy).ask("new"), "b new"));
    set("maintenance");
    assert_eq!(flow.ask("3"), "b 3");
}

#[test]
fn a_flow_keeps_its_target_over_a_reload_and_leaves_one_that_is_taken_away() {
    let (a, b) = (UdpTarget::echo("a"), UdpTarget::echo("b"));
    let proxy = Proxy::start(udp_with("", &[&a], ""));
    let client = client(&proxy);
    assert_eq!(client.ask("1"), "a 1");
    rewrite(&proxy, |text| text.replace(&format!("[\"{a}\"]"), &format!("[\"{a}\", \"{b}\"]")));
    reload(&proxy, "applied");
    for number in ["2", "3", "4"] {
        assert_eq!(client.ask(number), format!("a {number}"));
    }
    assert!(a.ports().windows(2).all(|two| two[0] == two[1]), "by the same socket");
    rewrite(&proxy, |text| text.replace(&format!("[\"{a}\", \"{b}\"]"), &format!("[\"{b}\"]")));
    reload(&proxy, "applied");
    assert_eq!(client.ask("5"), "b 5");
    assert_eq!(proxy.metric("ringway_udp_sessions", &[]), 1.0);
    assert_eq!(proxy.metric("ringway_pool_in_flight", &[]), 1.0);
}

#[test]
fn a_clients_address_chooses_its_target_where_the_balance_says_so() {
    let targets: Vec<UdpTarget> = ["a", "b", "c"].map(UdpTarget::echo).into();
    // One after the other: what a target has in hand counts, too, as the load is bounded.
    let lines = "balance = \"hash\"\nkey = \"client-ip\"";
    let proxy = Proxy::start(udp_with("udp = { responses = 1 }", &targets, lines));
    let first = client(&proxy).ask("x");
    for _ in 0..20 {
        proxy.settles("ringway_udp_sessions", &[], 0.0);
        assert_eq!(client(&proxy).ask("x"), first);
    }
}

#[test]
fn targets_see_the_source_addresses_that_are_said_and_a_reload_changes_them() {
    let target = UdpTarget::echo("a");
    let proxy = Proxy::start(udp_with("", &[&target], "source = [\"127.0.0.21\", \"127.0.0.22\"]\ninterface = \"lo\""));
    let sources = |from: usize| {
        let seen = target.seen();
        seen[from..].iter().map(|(from, _)| from.ip().to_string()).collect::<std::collections::BTreeSet<String>>()
    };
    let clients: Vec<_> = (0..40).map(|_| client(&proxy)).collect();
    clients.iter().for_each(|client| assert_eq!(client.ask("1"), "a 1"));
    assert_eq!(sources(0).into_iter().collect::<Vec<_>>(), ["127.0.0.21", "127.0.0.22"]);
    rewrite(&proxy, |text| text.replace("\"127.0.0.21\", \"127.0.0.22\"", "\"127.0.0.23\""));
    reload(&proxy, "applied");
    let before = target.count();
    clients.iter().for_each(|client| assert_eq!(client.ask("2"), "a 2"));
    assert!(!sources(before).contains("127.0.0.23"), "sessions keep their sockets");
    let before = target.count();
    (0..10).for_each(|_| assert_eq!(client(&proxy).ask("3"), "a 3"));
    assert_eq!(sources(before).into_iter().collect::<Vec<_>>(), ["127.0.0.23"]);
}

#[test]
fn what_is_never_answered_goes_out_by_the_source_that_is_said() {
    let target = UdpTarget::silent();
    let proxy = Proxy::start(udp_with("udp = { responses = 0 }", &[&target], "source = [\"127.0.0.24\"]"));
    client(&proxy).send("x");
    eventually("it arrives", || target.count() == 1);
    assert_eq!(target.seen()[0].0.ip().to_string(), "127.0.0.24");
}

#[test]
fn a_source_that_this_host_has_not_loses_datagrams_loudly() {
    let target = UdpTarget::echo("a");
    let proxy = Proxy::start(udp_with("", &[&target], "source = [\"192.0.2.77\"]"));
    proxy.log.wait(&["cannot be connected to", "192.0.2.77"]);
    client(&proxy).send("x");
    proxy.settles("ringway_udp_datagrams_lost_total", &[("reason", "no-socket")], 1.0);
}
