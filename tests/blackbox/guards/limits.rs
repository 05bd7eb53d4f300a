//! How many connections an address may have, and how many it may make.

use super::{comes, served};
use crate::proxy_protocol::line;
use crate::support::toml::tcp_with;
use crate::support::wire::Wire;
use crate::support::{Client, Proxy, Target, eventually, rounds};
use std::net::Ipv4Addr;

fn start(target: &Target, listener: &str) -> Proxy {
    Proxy::start(tcp_with(listener, &[target], ""))
}

/// As many connections at the same time, from one address; those that are served.
fn rush(proxy: &Proxy, count: usize) -> Vec<Client> {
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..count).map(|_| scope.spawn(|| comes("127.0.0.1", proxy))).collect();
        all.into_iter().filter_map(|one| one.join().unwrap()).collect()
    })
}

#[test]
fn the_fourth_connection_over_a_limit_of_three_is_refused_over_all_workers() {
    let target = Target::mirror("a");
    let proxy = start(&target, "limits = { connections = 3 }");
    let mut open = rush(&proxy, 24);
    assert_eq!(open.len(), 3);
    proxy.settles("ringway_refused_total", &[("reason", "client-connections")], 21.0);
    assert!(comes("127.0.0.2", &proxy).is_some(), "another client");
    open.pop().unwrap().finish_sending();
    eventually("who leaves makes room", || {
        open.extend(comes("127.0.0.1", &proxy));
        open.len() == 3
    });
    assert!(comes("127.0.0.1", &proxy).is_none());
    drop(open);
    proxy.settles("ringway_listener_clients", &[("listener", "web")], 0.0);
}

#[test]
fn so_many_connections_are_made_at_once_and_no_more() {
    let target = Target::mirror("a");
    let proxy = start(&target, "limits = { rate = \"1/h\", burst = 5 }");
    assert_eq!(rush(&proxy, 24).len(), 5);
    proxy.settles("ringway_refused_total", &[("reason", "connection-rate")], 19.0);
    assert!(comes("127.0.0.2", &proxy).is_some(), "another client");
    // The rate lets one more through in its time.
    let proxy = start(&target, "limits = { rate = \"5/s\", burst = 1 }");
    // On a busy machine two may be further apart than that.
    eventually("of two at once one is let in", || {
        comes("127.0.0.1", &proxy).is_some() && comes("127.0.0.1", &proxy).is_none()
    });
    eventually("another one is let in", || comes("127.0.0.1", &proxy).is_some());
}

#[test]
fn whom_the_limits_are_not_for_comes_as_he_likes() {
    let target = Target::mirror("a");
    let proxy = start(&target, "limits = { connections = 1, rate = \"1/h\", except = [\"127.0.0.1\"] }");
    assert_eq!(rush(&proxy, 8).len(), 8);
    assert!(comes("127.0.0.2", &proxy).is_some() && comes("127.0.0.2", &proxy).is_none());
}

#[test]
fn a_network_of_a_prefix_is_one_client() {
    let target = Target::mirror("a");
    let proxy = start(&target, "limits = { rate = \"1/h\", burst = 2, ipv4_prefix = 24 }");
    assert!(comes("127.0.5.1", &proxy).is_some() && comes("127.0.5.2", &proxy).is_some());
    assert!(comes("127.0.5.3", &proxy).is_none() && comes("127.0.6.1", &proxy).is_some());
}

#[test]
fn clients_that_headers_name_are_counted_and_the_proxy_is_not() {
    let target = Target::mirror("a");
    let proxy =
        start(&target, "proxy_protocol = { from = [\"127.0.0.1\"], require = true }\nlimits = { connections = 2 }");
    let named = |client: &str| {
        let mut connection = proxy.client();
        connection.send(line(client, "198.51.100.1:80"));
        served(connection)
    };
    let open: Vec<Client> = (1..9).filter_map(|n| named(&format!("203.0.113.{n}:1"))).collect();
    assert_eq!(open.len(), 8);
    let own = [named("203.0.113.1:2"), named("203.0.113.1:3")];
    assert!(own[0].is_some() && own[1].is_none());
    drop((open, own));
    eventually("who leaves makes room", || named("203.0.113.1:4").is_some());
}

#[test]
fn a_reload_counts_on_by_the_new_limits() {
    let target = Target::mirror("a");
    let proxy = start(&target, "limits = { connections = 3 }");
    let mut open = rush(&proxy, 3);
    let change = |to: &str, plan: usize| {
        let file = proxy.config_file();
        let text = std::fs::read_to_string(&file).unwrap();
        let limits = text.lines().find(|line| line.starts_with("limits")).unwrap().to_owned();
        std::fs::write(&file, text.replace(&limits, to)).unwrap();
        proxy.signal(libc::SIGHUP);
        proxy.log.wait(&[&format!("plan {plan} is in force")]);
    };
    change("limits = { connections = 4 }", 2);
    open.extend(rush(&proxy, 8));
    assert_eq!(open.len(), 4, "those of before are counted");
    change("limits = { connections = 2 }", 3);
    assert!(comes("127.0.0.1", &proxy).is_none());
    for mut client in open {
        client.send("still");
        assert_eq!(client.exact(5).unwrap(), b"still", "who is there stays");
    }
}

#[test]
fn of_a_flood_from_many_addresses_as_many_are_counted_as_there_is_room_for() {
    let target = Target::mirror("a");
    let proxy = start(&target, "limits = { connections = 2, rate = \"1/h\", burst = 2, size = 1000 }");
    let held = comes("127.0.0.1", &proxy).unwrap();
    let more = comes("127.0.0.1", &proxy).unwrap();
    let flood = |addresses: std::ops::Range<u32>| {
        for n in addresses {
            let from = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 7, 0, 1)) + n);
            drop(Wire::connect(&proxy.web(), Some((from, 0).into())));
        }
    };
    let all = rounds(10_000, 3000) as u32;
    flood(0..all);
    eventually("all of them have come", || {
        // Where those are open still that came before, there is no room.
        let evicted = proxy.metric("ringway_listener_clients_evictions_total", &[]);
        evicted + proxy.metric("ringway_listener_uncounted_total", &[]) >= f64::from(all) - 1600.0
    });
    assert!(proxy.metric("ringway_listener_clients", &[]) <= 1600.0);
    assert!(comes("127.0.0.1", &proxy).is_none(), "who has connections is not forgotten");
    drop((held, more));
}

#[test]
fn an_upgrade_counts_on_how_often_clients_came() {
    let target = Target::mirror("a");
    let mut proxy = start(&target, "limits = { rate = \"1/h\", burst = 5 }");
    assert_eq!(rush(&proxy, 3).len(), 3);
    assert!(comes("127.0.0.2", &proxy).is_some());
    proxy.upgrade();
    proxy.settles("ringway_listener_clients", &[("listener", "web")], 2.0);
    assert_eq!(rush(&proxy, 24).len(), 2, "five in all");
    assert_eq!((0..24).filter(|_| comes("127.0.0.2", &proxy).is_some()).count(), 4);
}
