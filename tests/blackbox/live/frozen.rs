//! A target that is frozen, deaf or slow costs what it has in hand at most its timeout, and others nothing.

use crate::support::client::request;
use crate::support::target::Deaf;
use crate::support::toml::{http_with, tcp_with};
use crate::support::{Proxy, Target, eventually};
use std::thread;
use std::time::{Duration, Instant};

const CHECK: &str = "health = { type = \"http\", path = \"/healthz\", interval = \"100ms\", timeout = \"300ms\", rise = 1, fall = 2 }\n";
const TIMEOUTS: &str = "timeouts = { connect = \"500ms\", response_head = \"1s\" }\n";

/// Another Ringway that says who it is: a process that can be stopped.
fn process(name: &str) -> Proxy {
    Proxy::start(format!(
        "[listeners.web]\nlisten = [\"127.0.0.1:0\"]\n[routes.all]\npaths = [\"/\"]\nrespond = {{ status = 200, body = \"{name}\" }}\n"
    ))
}

/// The answers to `n` requests, each on a connection of its own: status, body, time.
fn ask(proxy: &Proxy, n: usize) -> Vec<(u16, String, Duration)> {
    (0..n)
        .map(|_| {
            let since = Instant::now();
            let answer = proxy.get("/");
            (answer.status, answer.text(), since.elapsed())
        })
        .collect()
}

#[test]
fn a_frozen_target_costs_what_it_has_in_hand_its_timeout_and_others_nothing() {
    let (frozen, well) = (process("frozen"), process("well"));
    let targets = [frozen.web(), well.web()];
    let lines = |more: &str| format!("balance = \"round-robin\"\n{TIMEOUTS}{more}");
    let plain = Proxy::start(http_with("", &targets, &lines("")));
    let checked = Proxy::start(http_with("", &targets, &lines(CHECK)));
    let rule = "outlier = { errors = 2, eject = \"1h\", max_eject = \"1h\" }\n";
    let judged = Proxy::start(http_with("", &targets, &lines(rule)));
    for proxy in [&plain, &checked, &judged] {
        assert!(ask(proxy, 4).iter().any(|(_, body, _)| body == "frozen"));
    }
    frozen.signal(libc::SIGSTOP);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Half of the requests go to it, and each costs its own client the pool's time for a head.
            let answers = ask(&plain, 6);
            assert_eq!(answers.iter().filter(|(status, ..)| *status == 504).count(), 3, "{answers:?}");
            for (status, body, took) in &answers {
                match status {
                    504 => assert!(*took > Duration::from_millis(900) && *took < Duration::from_secs(5), "{took:?}"),
                    _ => assert!(body == "well" && *took < Duration::from_millis(900), "{took:?}"),
                }
            }
        });
        scope.spawn(|| {
            eventually("its checks have failed", || checked.metric("ringway_target_up", &[]) == 1.0);
            let answers = ask(&checked, 10);
            assert!(answers.iter().all(|(status, body, _)| *status == 200 && body == "well"), "{answers:?}");
        });
        scope.spawn(|| {
            let answers = ask(&judged, 12);
            assert_eq!(answers.iter().filter(|(status, ..)| *status == 504).count(), 2, "{answers:?}");
            assert_eq!(judged.metric("ringway_target_ejected", &[]), 1.0);
        });
    });
    frozen.signal(libc::SIGCONT);
    eventually("it serves again", || ask(&checked, 2).iter().any(|(_, body, _)| body == "frozen"));
}

/// By their policy alone: no checks, no rule.
#[test]
fn balancing_by_load_keeps_away_from_a_frozen_target() {
    let (frozen, well) = (process("frozen"), process("well"));
    for balance in ["least-conn", "random"] {
        let lines = format!("balance = \"{balance}\"\ntimeouts = {{ response_head = \"1500ms\" }}\n");
        let proxy = Proxy::start(http_with("", &[frozen.web(), well.web()], &lines));
        ask(&proxy, 6);
        frozen.signal(libc::SIGSTOP);
        // Who is unlucky waits; while he does, the others are served by the other one.
        let answers: Vec<_> = thread::scope(|scope| {
            let asked: Vec<_> = (0..12)
                .map(|n| {
                    thread::sleep(Duration::from_millis(if n == 0 { 0 } else { 40 }));
                    scope.spawn(|| ask(&proxy, 1).remove(0))
                })
                .collect();
            asked.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        let stuck = answers.iter().filter(|(status, ..)| *status == 504).count();
        assert!(stuck <= 4, "{balance}: {answers:?}");
        assert!(answers.iter().filter(|(_, body, _)| body == "well").count() >= 8, "{balance}: {answers:?}");
        frozen.signal(libc::SIGCONT);
    }
}

/// As a host that drops packets: a connect hangs.
#[test]
fn a_target_that_takes_no_connection_costs_a_connect_timeout_until_it_is_ejected() {
    let (deaf, well) = (Deaf::start(), Target::echo("well"));
    let rule = "outlier = { errors = 2, eject = \"1h\", max_eject = \"1h\" }\n";
    let lines = format!("balance = \"round-robin\"\ntimeouts = {{ connect = \"200ms\" }}\n{rule}");
    let proxy = Proxy::start(http_with("", &[deaf.address, well.address], &lines));
    (0..8).for_each(|_| assert_eq!(proxy.get("/").target(), "well"));
    assert_eq!(proxy.metric("ringway_target_ejected", &[]), 1.0);
    assert_eq!(proxy.metric("ringway_pool_errors_total", &[("kind", "connect-timeout")]), 2.0);
    let greets = Target::greets("greet");
    let proxy = Proxy::start(tcp_with("", &[deaf.address, greets.address], &lines));
    (0..8).for_each(|_| assert_eq!(proxy.client().exact(5).unwrap(), b"greet"));
    assert_eq!(proxy.metric("ringway_target_ejected", &[]), 1.0);
}

#[test]
fn a_frozen_target_of_tcp_loses_its_tunnels_when_its_checks_fail() {
    let (frozen, well) = (process("frozen"), process("well"));
    let lines = format!("balance = \"round-robin\"\non_down = \"close\"\n{CHECK}");
    let proxy = Proxy::start(tcp_with("", &[frozen.web(), well.web()], &lines));
    let mut joined: Vec<_> = (0..8)
        .map(|_| {
            let mut client = proxy.client();
            (client.get("/").text(), client)
        })
        .collect();
    assert!(["frozen", "well"].iter().all(|name| joined.iter().any(|(joined, _)| joined == name)));
    frozen.signal(libc::SIGSTOP);
    eventually("its checks have failed", || proxy.metric("ringway_target_up", &[]) == 1.0);
    let since = Instant::now();
    for (name, client) in &mut joined {
        let asked = client.try_send(request("GET", "/", &[])).is_ok() && client.response_to("GET").is_ok();
        assert_eq!(asked, name == "well", "who is joined with {name}");
    }
    assert!(since.elapsed() < Duration::from_secs(5), "nobody is left to wait: {:?}", since.elapsed());
    frozen.signal(libc::SIGCONT);
}
