//! Targets that fail datagrams are ejected without any check, and come back by themselves.

use super::client;
use crate::admin::start;
use crate::support::toml::udp_with;
use crate::support::udp::UdpTarget;
use crate::support::{Proxy, eventually, rounds};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn ejected(proxy: &Proxy, target: &UdpTarget) -> bool {
    proxy.metric("ringway_target_ejected", &[("target", &target.to_string())]) == 1.0
}

fn pool(outlier: &str) -> String {
    format!("balance = \"round-robin\"\noutlier = {{ {outlier} }}")
}

/// A target that answers while it is told to.
fn moody(name: &'static str) -> (UdpTarget, Arc<AtomicBool>) {
    let answers = Arc::new(AtomicBool::new(true));
    let told = answers.clone();
    let target = UdpTarget::with(move |socket, from, _| {
        if told.load(Ordering::Relaxed) {
            let _ = socket.send_to(name.as_bytes(), from);
        }
    });
    (target, answers)
}

#[test]
fn a_target_that_answers_no_query_is_ejected_and_one_that_answers_again_is_back() {
    let ((bad, answers), (good, _)) = (moody("bad"), moody("good"));
    let udp = "udp = { responses = 1, requests = 1, idle = \"200ms\" }";
    let proxy = Proxy::start(udp_with(udp, &[&bad, &good], &pool("errors = 3, eject = \"200ms\"")));
    answers.store(false, Ordering::Relaxed);
    let asker = client(&proxy);
    let ask = || {
        asker.send("?");
        asker.within(Duration::from_millis(50))
    };
    eventually("it is ejected", || {
        ask();
        ejected(&proxy, &bad)
    });
    let line = proxy.log.wait(&["target is ejected", &bad.to_string()]);
    assert!(line.contains("reason=errors"), "{line}");
    assert!(!ejected(&proxy, &good));
    assert!(proxy.metric("ringway_pool_errors_total", &[("kind", "response-timeout")]) >= 3.0);
    // Now and then one query sees whether it is back; as it is not, it stays away for longer.
    eventually("it is tried", || {
        ask();
        proxy.log.contains(&["target is ejected again", "reason=trial"])
    });
    answers.store(true, Ordering::Relaxed);
    eventually("it serves again", || ask().is_some_and(|answer| answer == b"bad"));
    proxy.log.wait(&["no longer ejected", &bad.to_string()]);
}

#[test]
fn a_target_that_refuses_is_ejected_for_all_workers_and_tried_before_it_is_back() {
    let (mut bad, good) = (UdpTarget::echo("bad"), UdpTarget::echo("good"));
    let at = bad.address.to_string();
    let desk = start(&udp_with("", &[&bad, &good], &pool("errors = 2, eject = \"300ms\", max_eject = \"300ms\"")));
    let clients: Vec<_> = (0..8).map(|_| client(&desk.proxy)).collect();
    clients.iter().for_each(|client| drop(client.ask("1")));
    bad.end();
    for client in &clients {
        assert_eq!(client.ask_patiently("2"), "good 2");
    }
    let line = desk.proxy.log.wait(&["target is ejected", &at]);
    assert!(line.contains("reason=errors"), "{line}");
    let again = UdpTarget::at(&at, |socket, from, _| drop(socket.send_to(b"back", from)));
    eventually("it is asked again", || client(&desk.proxy).ask_patiently("3") == "back");
    eventually("it is back", || !ejected(&desk.proxy, &again));
}

#[test]
fn one_way_traffic_ejects_who_refuses_it_and_tries_with_a_datagram() {
    let (mut bad, good) = (UdpTarget::silent(), UdpTarget::silent());
    let at = bad.address.to_string();
    let rule = pool("errors = 1, eject = \"200ms\", max_eject = \"200ms\"");
    let proxy = Proxy::start(udp_with("udp = { responses = 0 }", &[&bad, &good], &rule));
    bad.end();
    let sender = client(&proxy);
    eventually("it is ejected", || {
        sender.send("x");
        ejected(&proxy, &bad)
    });
    let again = UdpTarget::at(&at, |_, _, _| {});
    eventually("it is tried", || {
        sender.send("x");
        again.count() > 0
    });
    // It takes some seconds in which nobody says that nothing was there.
    if rounds(1, 0) == 1 {
        eventually("it is back", || !ejected(&proxy, &again));
    }
}

#[test]
fn a_flow_that_a_slow_target_answers_stays_with_it() {
    let slow = UdpTarget::with(|socket, from, _| {
        std::thread::sleep(Duration::from_millis(30));
        let _ = socket.send_to(b"slow", from);
    });
    let fast = UdpTarget::echo("fast");
    let rule = pool("errors = 0, latency = 2, min_requests = 4, window = \"1s\", eject = \"1h\", max_eject = \"1h\"");
    let proxy = Proxy::start(udp_with("", &[&slow, &fast], &rule));
    let kept = std::iter::repeat_with(|| client(&proxy)).find(|client| client.ask("1") == "slow").unwrap();
    eventually("it is ejected", || {
        client(&proxy).ask("2");
        ejected(&proxy, &slow)
    });
    assert_eq!(kept.ask("3"), "slow", "a connection that lives in datagrams is not broken");
    assert!((0..6).all(|_| client(&proxy).ask("4") == "fast 4"), "what is new goes elsewhere");
}

#[test]
fn flows_come_back_from_a_backup_where_that_is_wanted() {
    let (first, spare) = (UdpTarget::echo("first"), UdpTarget::echo("spare"));
    let config = |pool: &str| {
        format!(
            "[listeners.web]\nlisten = [\"127.0.0.1:0\"]\nprotocol = \"udp\"\npool = \"site\"\n[pools.site]\n\
             targets = [\"{first}\", {{ address = \"{spare}\", backup = true }}]\n{pool}\n"
        )
    };
    for (on_up, serves) in [("close-backups", "first 3"), ("keep", "spare 3")] {
        let desk = start(&config(&format!("on_up = \"{on_up}\"")));
        let at = format!("/v1/pools/site/targets/{first}");
        desk.operator.told("PATCH", &at, r#"{"state":"maintenance"}"#, 200);
        let client = client(&desk.proxy);
        assert_eq!(client.ask_patiently("1"), "spare 1");
        desk.operator.told("PATCH", &at, r#"{"state":"ready"}"#, 200);
        eventually("new flows go to the first again", || super::client(&desk.proxy).ask_patiently("2") == "first 2");
        assert_eq!(client.ask_patiently("3"), serves, "{on_up}");
    }
}

#[test]
fn flows_stay_on_targets_whose_health_is_not_believed() {
    // Checks go by TCP, and fail for both.
    let (a, b) = (UdpTarget::echo("a"), UdpTarget::echo("b"));
    let check = "panic = \"50%\"\nhealth = { type = \"tcp\", interval = \"100ms\", timeout = \"100ms\", fall = 1 }";
    let proxy = Proxy::start(udp_with("", &[&a, &b], check));
    for target in [&a, &b] {
        proxy.settles("ringway_target_up", &[("target", &target.to_string())], 0.0);
    }
    let client = client(&proxy);
    let name = client.ask_patiently("1").split(' ').next().unwrap().to_owned();
    for _ in 0..10 {
        client.send("2");
        eventually("it is answered", || {
            client.within(Duration::from_secs(1)).is_some_and(|answer| answer == format!("{name} 2").as_bytes())
        });
    }
    assert_eq!(proxy.metric("ringway_udp_sessions_moved_total", &[]), 0.0);
}
