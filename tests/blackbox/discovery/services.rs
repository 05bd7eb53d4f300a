//! Services with SRV records, and answers that do not fit into a datagram: what the field has run into (RFC 7766, RFC 2782).

use super::{by_name, fails, finding, has, site, start, targets};
use crate::support::nameserver::{Mood, Truncated};
use crate::support::{Nameserver, Proxy, Target, eventually, rounds};
use std::net::{IpAddr, Ipv4Addr};

const SERVICE: &str = "_http._tcp.api.test";

fn by_service(server: &Nameserver, keys: &str) -> String {
    finding(&format!("srv = \"{SERVICE}\", min_ttl = \"100ms\", max_ttl = \"100ms\"{keys}"), "") + &server.config()
}

fn nth(n: usize) -> IpAddr {
    Ipv4Addr::new(10, 1, (n / 250) as u8, 1 + (n % 250) as u8).into()
}

/// So many records of one kind, each with a name of its own.
fn many(server: &Nameserver, count: usize) {
    let names: Vec<String> = (0..count).map(|n| format!("t{n}.api.test")).collect();
    for (n, name) in names.iter().enumerate() {
        server.addresses(name, 0, &[nth(n)]);
    }
    let records: Vec<_> = names.iter().map(|name| (1, 0, 8080, name.as_str())).collect();
    server.services(SERVICE, 0, &records);
}

#[track_caller]
fn count(proxy: &Proxy, count: usize) {
    eventually(&format!("there are {count} targets"), || targets(proxy).len() == count);
}

#[test]
fn sets_of_any_size_come_whole_with_their_addresses_beside_them_or_not() {
    for (size, beside) in [(5, true), (5, false), (60, false), (300, true), (300, false)] {
        let server = Nameserver::start();
        many(&server, size);
        server.tells_more(beside);
        let proxy = start(by_service(&server, ""));
        count(&proxy, size);
        let asked = server.asked();
        let tcp = asked.iter().any(|asked| asked.tcp);
        assert_eq!(tcp, size >= 60, "{size} targets: a truncated answer is asked for by TCP");
        let whole = size < 60 || beside;
        assert!(!whole || asked.iter().any(|asked| asked.name == SERVICE && asked.tcp == (size >= 60)));
        assert_eq!(server.asked_for("t0.api.test") > 0, !beside, "{size}: what came along is not asked for");
    }
}

#[test]
fn a_large_set_in_another_order_each_time_is_no_change() {
    let server = Nameserver::start();
    many(&server, 300);
    server.tells_more(true);
    server.shuffles();
    let proxy = start(by_service(&server, ""));
    count(&proxy, 300);
    let lookups = || proxy.metric("ringway_discovery_lookups_total", &[("result", "targets")]);
    let (plan, before) = (proxy.metric("ringway_config_plan_number", &[]), lookups());
    eventually("it is asked for many times", || lookups() >= before + rounds(100, 15) as f64);
    assert_eq!(proxy.metric("ringway_config_plan_number", &[]), plan);
    assert_eq!(proxy.metric("ringway_discovery_changes_total", &[]), 0.0);
    assert_eq!(proxy.metric("ringway_target_changes_total", &[]), 0.0);
}

#[test]
fn a_truncated_answer_without_tcp_is_no_answer() {
    for truncated in [Truncated::Partial, Truncated::Empty] {
        let (server, a) = (Nameserver::start(), Target::echo("a"));
        server.truncates(truncated);
        let all: Vec<IpAddr> = (0..300).map(nth).collect();
        server.addresses("api.test", 0, &all);
        let proxy = start(by_name(&server, &a, ", max_ttl = \"100ms\"", ""));
        count(&proxy, 300);
        server.refuses_tcp(true);
        server.addresses("api.test", 0, &all[1..]);
        fails(&proxy, 2.0);
        assert_eq!(targets(&proxy).len(), 300, "{truncated:?}");
        proxy.log.wait(&["does not answer", "api.test"]);
        server.refuses_tcp(false);
        count(&proxy, 299);
    }
}

#[test]
fn a_server_that_refuses_edns_is_asked_without() {
    let (server, a) = (Nameserver::start(), Target::echo("a"));
    server.refuses_edns(true);
    server.addresses("api.test", 0, &[super::ip(&a)]);
    let proxy = start(by_name(&server, &a, ", max_ttl = \"100ms\"", ""));
    assert_eq!(proxy.get("/").target(), "a");
    let asked = || server.asked().len();
    let before = asked();
    eventually("it is asked again", || asked() >= before + 5);
    let later = server.asked().split_off(before + 3);
    assert!(later.iter().all(|asked| !asked.edns), "once is enough to know");
}

#[test]
fn weights_and_priorities_are_shares_and_backups() {
    let server = Nameserver::start();
    server.tells_more(true);
    for n in 0..3 {
        server.addresses(&format!("t{n}.api.test"), 0, &[nth(n)]);
    }
    server.services(SERVICE, 0, &[(10, 0, 80, "t0.api.test"), (10, 0, 80, "t1.api.test")]);
    let proxy = start(by_service(&server, ""));
    let address = |n: usize, port: u16, rest: &str| format!("{}:{port} {rest}", nth(n));
    for (records, expected) in [
        // All have 0: equal shares.
        (&[(10, 0, 80, "t0.api.test"), (10, 0, 80, "t1.api.test")][..], vec![address(0, 80, "1"), address(1, 80, "1")]),
        // 0 beside others: next to nothing, but no maintenance.
        (&[(10, 0, 80, "t0.api.test"), (10, 10, 80, "t1.api.test")], vec![address(0, 80, "1"), address(1, 80, "256")]),
        (&[(10, 10, 80, "t0.api.test"), (10, 30, 80, "t1.api.test")], vec![address(0, 80, "1"), address(1, 80, "3")]),
        // The higher value goes last.
        (
            &[(20, 5, 80, "t0.api.test"), (10, 5, 80, "t1.api.test")],
            vec![address(0, 80, "1 backup"), address(1, 80, "1")],
        ),
        // Another port.
        (&[(10, 5, 81, "t0.api.test"), (10, 5, 80, "t1.api.test")], vec![address(0, 81, "1"), address(1, 80, "1")]),
        // One address on two ports.
        (&[(10, 5, 81, "t0.api.test"), (10, 5, 80, "t0.api.test")], vec![address(0, 80, "1"), address(0, 81, "1")]),
        // A name that leads nowhere.
        (&[(10, 5, 80, "nowhere.api.test"), (20, 5, 80, "t2.api.test")], vec![address(2, 80, "1")]),
    ] {
        server.services(SERVICE, 0, records);
        has(&proxy, &expected);
    }
    server.services(SERVICE, 0, &[(0, 0, 0, ".")]);
    has(&proxy, &[]);
    assert_eq!(site(&proxy)["discovery"]["trouble"], "the service says that there is none");
    server.is(Mood::Code(2));
    fails(&proxy, 1.0);
    server.is(Mood::Well);
    server.services(SERVICE, 0, &[(10, 0, 80, "t0.api.test")]);
    has(&proxy, &[address(0, 80, "1")]);
}
