//! Balancing of datagrams.

mod dns;
mod ejection;
mod lifecycle;
mod sessions;
mod shown;
mod targets;

use crate::support::toml::udp_with;
use crate::support::udp::{UdpClient, UdpTarget, by};
use crate::support::{GLANCE, Proxy, Target, eventually, free_port, pattern};
use std::net::UdpSocket;

/// A client of the listener "web".
fn client(proxy: &Proxy) -> UdpClient {
    UdpClient::to(&proxy.web())
}

#[test]
fn an_answer_comes_from_the_address_that_was_asked() {
    let target = UdpTarget::echo("a");
    let proxy = Proxy::start(udp_with("listen = [\"0.0.0.0:0\"]", &[&target], ""));
    // Each of them is connected, and gets only what comes from where it has sent to.
    for ip in ["127.0.0.2", "127.0.0.3", "127.0.0.1", "127.8.7.6"] {
        let client = UdpClient::to(&by(ip, &proxy.web()));
        assert_eq!(client.ask("hello"), "a hello");
        assert_eq!(client.ask("again"), "a again");
    }
    // One client that asks two addresses has two sessions.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    for ip in ["127.0.0.2", "127.0.0.3", "127.0.0.2"] {
        let asked = by(ip, &proxy.web());
        socket.send_to(b"who?", &asked).unwrap();
        let (_, answers) = socket.recv_from(&mut [0; 64]).unwrap();
        assert_eq!(answers.to_string(), asked);
    }
    assert_eq!(proxy.metric("ringway_udp_sessions", &[]), 6.0);
}

#[test]
fn both_families_are_served_beside_tcp_on_the_same_port() {
    if UdpSocket::bind("[::1]:0").is_err() {
        return;
    }
    let (four, six, tcp) = (UdpTarget::echo("four"), UdpTarget::mirror("[::1]"), Target::greets("tcp!"));
    // A port that is free for both protocols and families.
    let config = |port: u16| {
        format!(
            "[listeners.web]\nlisten = [\"0.0.0.0:{port}\", \"[::]:{port}\"]\nprotocol = \"udp\"\npool = \"site\"\n\
             [listeners.tcp]\nlisten = [\"127.0.0.1:{port}\"]\nprotocol = \"tcp\"\npool = \"tcp\"\n\
             [pools.site]\nbalance = \"round-robin\"\ntargets = [\"{four}\", \"{six}\"]\n[pools.tcp]\ntargets = [\"{tcp}\"]\n"
        )
    };
    let port = free_port();
    let proxy = Proxy::start(config(port));
    for ip in ["127.0.0.1", "::1"] {
        // Whatever the family of the client, both targets take their turn.
        let answers: Vec<String> = (0..8).map(|_| UdpClient::to(&by(ip, &proxy.web())).ask("hi")).collect();
        assert!(answers.iter().any(|answer| answer == "four hi"), "{answers:?}");
        assert!(answers.iter().any(|answer| answer == "hi"), "{answers:?}");
    }
    assert_eq!(crate::support::Client::to(&proxy.at("tcp")).exact(4).unwrap(), b"tcp!");
}

#[test]
fn datagrams_of_any_size_pass_whole_both_ways() {
    let target = UdpTarget::mirror("127.0.0.1");
    let proxy = Proxy::start(udp_with("", &[&target], ""));
    let client = client(&proxy);
    for size in [0, 1, 2, 512, 1472, 1473, 9000, 32_768, 65_507, 0] {
        client.send(pattern(size));
        let answer = client.next();
        assert_eq!(answer.len(), size);
        assert!(answer == pattern(size));
    }
    let sizes: Vec<usize> = target.seen().iter().map(|(_, bytes)| bytes.len()).collect();
    assert_eq!(sizes, [0, 1, 2, 512, 1472, 1473, 9000, 32_768, 65_507, 0]);
    proxy.settles("ringway_udp_datagrams_received_total", &[], 10.0);
    proxy.settles("ringway_udp_datagrams_sent_total", &[], 10.0);
    proxy.settles("ringway_target_datagrams_received_total", &[], 10.0);
    let bytes = 1.0 + 2.0 + 512.0 + 1472.0 + 1473.0 + 9000.0 + 32_768.0 + 65_507.0;
    proxy.settles("ringway_received_bytes_total", &[("listener", "web")], bytes);
    proxy.settles("ringway_target_sent_bytes_total", &[], bytes);
}

#[test]
fn a_burst_of_one_flow_arrives_in_its_order() {
    let target = UdpTarget::silent();
    let proxy = Proxy::start(udp_with("", &[&target], ""));
    let client = client(&proxy);
    for number in 0..500u32 {
        client.send(number.to_be_bytes());
        if number % 50 == 49 {
            eventually("they arrive", || target.count() > number as usize);
        }
    }
    let numbers: Vec<Vec<u8>> = target.seen().into_iter().map(|(_, bytes)| bytes).collect();
    assert!(numbers.iter().enumerate().all(|(number, bytes)| bytes == &(number as u32).to_be_bytes()));
    assert!(target.ports().windows(2).all(|two| two[0] == two[1]), "by one socket");
}

#[test]
fn what_is_never_answered_is_spread_over_the_targets_datagram_by_datagram() {
    let targets: Vec<UdpTarget> = (0..4).map(|_| UdpTarget::silent()).collect();
    let proxy = Proxy::start(udp_with("udp = { responses = 0 }", &targets, "balance = \"round-robin\""));
    let client = client(&proxy);
    for number in 0..200 {
        client.send(format!("<34>1 - - line {number}"));
        if number % 20 == 19 {
            eventually("they arrive", || targets.iter().map(UdpTarget::count).sum::<usize>() > number);
        }
    }
    assert!(targets.iter().all(|target| target.count() == 50), "counts are not even");
    // All clients share a socket to each target, and none of them has a session.
    let other = super::udp::client(&proxy);
    (0..4).for_each(|_| other.send("x"));
    eventually("they arrive", || targets.iter().map(UdpTarget::count).sum::<usize>() == 204);
    assert_eq!(proxy.metric("ringway_udp_sessions_total", &[]), 0.0);
    assert!(proxy.metric("ringway_udp_sockets", &[]) <= 8.0);
}

#[test]
fn an_answer_to_what_is_never_answered_reaches_nobody() {
    let target = UdpTarget::echo("a");
    let proxy = Proxy::start(udp_with("udp = { responses = 0 }", &[&target], ""));
    let client = client(&proxy);
    client.send("x");
    eventually("it arrives", || target.count() == 1);
    assert_eq!(client.within(GLANCE), None);
    proxy.settles("ringway_udp_datagrams_lost_total", &[("reason", "late")], 1.0);
}

#[test]
fn sessions_show_in_the_log_and_the_status() {
    let target = UdpTarget::echo("a");
    let proxy = Proxy::start(
        "[access_log]\npath = \"stdout\"\n".to_owned()
            + &udp_with("udp = { responses = 1 }", &[&target], "")
            + "[listeners.two]\nlisten = [\"127.0.0.1:0\"]\nprotocol = \"udp\"\npool = \"site\"\n",
    );
    let client = client(&proxy);
    assert_eq!(client.ask("hello"), "a hello");
    let line = proxy.out.wait(&["UDP"]);
    let told: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(told["client_port"], client.socket.local_addr().unwrap().port());
    assert_eq!((&told["datagrams_in"], &told["datagrams_out"]), (&1.into(), &1.into()), "{line}");
    assert_eq!((&told["bytes_in"], &told["bytes_out"]), (&5.into(), &7.into()), "{line}");
    assert_eq!((told["target"].as_str().unwrap(), &told["tries"]), (&*target.to_string(), &1.into()));
    assert_eq!((&told["termination"], &told["reason"]), (&"--".into(), &serde_json::Value::Null));
    let held = UdpClient::to(&proxy.at("two"));
    assert_eq!(held.ask("hello"), "a hello");
    let listeners: serde_json::Value = serde_json::from_str(&proxy.ask_admin("GET", "/v1/listeners").text()).unwrap();
    let two = listeners["items"].as_array().unwrap().iter().find(|item| item["name"] == "two").unwrap();
    assert_eq!((&two["protocol"], &two["sessions"]), (&"udp".into(), &1.into()), "{two}");
}

#[test]
fn a_banned_client_is_not_served() {
    let target = UdpTarget::echo("a");
    let desk = crate::admin::start(&udp_with("", &[&target], ""));
    let client = client(&desk.proxy);
    assert_eq!(client.ask("before"), "a before");
    desk.operator.told("PUT", "/v1/bans/127.0.0.1", "{}", 200);
    client.send("banned");
    desk.proxy.settles("ringway_refused_total", &[("listener", "web"), ("reason", "banned")], 1.0);
    desk.operator.told("DELETE", "/v1/bans/127.0.0.1", "", 204);
    assert_eq!(client.ask("after"), "a after");
    assert_eq!(target.count(), 2);
}
