//! Health checks decide who gets traffic. Protects checks/http-check, http-check-send, http-check-expect and
//! 1be_40srv_odd_health_checks.

use crate::support::target::refused;
use crate::support::toml::{http_with, pool, tcp_with};
use crate::support::{Proxy, Target, eventually, load, within};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const HTTP: &str = "balance = \"round-robin\"\nhealth = { type = \"http\", path = \"/healthz\", interval = \"100ms\", timeout = \"500ms\", rise = 2, fall = 2 }";
const TCP: &str = "balance = \"round-robin\"\nhealth = { type = \"tcp\", interval = \"100ms\", timeout = \"500ms\", rise = 2, fall = 2 }";

/// A target whose answer to the check can be set; everything else is echoed.
fn patient(name: &str) -> (Target, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(200));
    let copy = status.clone();
    let target = Target::with(name, move |peer| {
        while let Some(seen) = peer.request() {
            let done = if seen.path.starts_with("/healthz") {
                peer.reply(copy.load(Ordering::SeqCst), &[], b"")
            } else {
                peer.echo(&seen)
            };
            if done.is_none() {
                return;
            }
        }
    });
    (target, status)
}

fn up(proxy: &Proxy, target: &Target) -> bool {
    proxy.metric("ringway_target_up", &[("target", &target.to_string())]) == 1.0
}

/// Whether a handful of requests all come to `name`.
fn only(proxy: &Proxy, name: &str) -> bool {
    (0..6).all(|_| proxy.get("/").target() == name)
}

#[test]
fn a_target_that_fails_its_http_check_gets_no_traffic_until_it_passes_again() {
    let ((sick, status), (well, _)) = (patient("sick"), patient("well"));
    let proxy = Proxy::start(http_with("", &[&sick, &well], HTTP));
    eventually("both serve", || proxy.get("/").target() == "sick");
    status.store(503, Ordering::SeqCst);
    eventually("the sick one is down", || !up(&proxy, &sick));
    assert!(only(&proxy, "well"));
    status.store(204, Ordering::SeqCst);
    eventually("it is back", || up(&proxy, &sick));
    eventually("and serves", || proxy.get("/").target() == "sick");
    let address = sick.to_string();
    proxy.log.wait(&[&address, "down"]);
    proxy.log.wait(&[&address, "up"]);
    assert!(proxy.metric("ringway_target_changes_total", &[("target", &address)]) >= 2.0);
}

#[test]
fn a_dead_target_fails_its_tcp_check_and_returns() {
    let (mut dying, well) = (Target::echo("dying"), Target::echo("well"));
    let proxy = Proxy::start(http_with("", &[&dying, &well], TCP));
    eventually("both serve", || proxy.get("/").target() == "dying");
    dying.kill();
    eventually("the dead one is down", || !up(&proxy, &dying));
    assert!(only(&proxy, "well"));
    dying.revive();
    eventually("it is back", || proxy.get("/").target() == "dying");
}

#[test]
fn tcp_pools_are_checked_too() {
    let (dying, well) = (Target::greets("dying"), Target::greets("well!"));
    let proxy = Proxy::start(tcp_with("", &[&dying, &well], TCP));
    dying.kill();
    eventually("the dead one is down", || !up(&proxy, &dying));
    for _ in 0..4 {
        assert_eq!(proxy.client().exact(5).unwrap(), b"well!");
    }
}

#[test]
fn fall_checks_must_fail_and_rise_checks_pass() {
    let (target, status) = patient("a");
    let other = Target::echo("b");
    let lines = "balance = \"round-robin\"\nhealth = { type = \"http\", path = \"/healthz\", interval = \"200ms\", rise = 3, fall = 4 }";
    let proxy = Proxy::start(http_with("", &[&target, &other], lines));
    let checks = || target.seen().iter().filter(|s| s.path == "/healthz").count();
    eventually("checks run", || checks() >= 2);
    let before = checks();
    status.store(500, Ordering::SeqCst);
    eventually("it goes down", || !up(&proxy, &target));
    assert!(checks() - before >= 4, "{} checks", checks() - before);
    let before = checks();
    status.store(200, Ordering::SeqCst);
    eventually("it comes up", || up(&proxy, &target));
    assert!(checks() - before >= 3, "{} checks", checks() - before);
}

/// checks/http-check-send: path and Host as configured. http-check-expect: the statuses that count.
#[test]
fn a_check_asks_what_it_is_told_to_and_expects_it() {
    let (target, status) = patient("a");
    status.store(401, Ordering::SeqCst);
    let lines = "health = { type = \"http\", path = \"/healthz?full=1\", host = \"check.test\", interval = \"100ms\", expect = \"200-299,401\" }";
    let proxy = Proxy::start(http_with("", &[&target], lines));
    let seen = target.wait_for(3);
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", "/healthz?full=1"));
    assert_eq!(seen.field("host").as_deref(), Some("check.test"));
    assert!(up(&proxy, &target), "401 is expected");
    status.store(302, Ordering::SeqCst);
    eventually("302 is not", || !up(&proxy, &target));
}

#[test]
fn a_check_that_gets_no_answer_in_time_has_failed() {
    let target = Target::mute("a");
    let lines = "health = { type = \"http\", path = \"/\", interval = \"100ms\", timeout = \"200ms\", fall = 2 }";
    let proxy = Proxy::start(http_with("", &[&target], lines));
    eventually("silence counts as failure", || !up(&proxy, &target));
    eventually("checks do not pile up", || target.open() <= 2);
}

#[test]
fn nonsense_is_no_passed_check() {
    let target = Target::says_and_closes("a", "220 mail.test ESMTP\r\n");
    let lines = "health = { type = \"http\", path = \"/\", interval = \"100ms\", fall = 2 }";
    let proxy = Proxy::start(http_with("", &[&target], lines));
    eventually("nonsense counts as failure", || !up(&proxy, &target));
}

/// checks/1be_40srv_odd_health_checks: only pools with a check are probed.
#[test]
fn a_pool_without_a_check_is_left_alone() {
    let (checked, unchecked) = (Target::echo("checked"), Target::echo("unchecked"));
    let config = http_with("", &[&unchecked], "")
        + "\n[routes.checked]\npaths = [\"/checked/\"]\npool = \"checked\"\n"
        + &pool("checked", &[&checked], TCP);
    let _proxy = Proxy::start(config);
    eventually("the other pool is checked", || checked.connections() >= 5);
    assert_eq!(unchecked.connections(), 0);
}

#[test]
fn a_target_is_checked_once_whatever_the_number_of_workers() {
    let (target, _) = patient("a");
    let lines = "health = { type = \"http\", path = \"/healthz\", interval = \"200ms\" }";
    let config = http_with("", &[&target], lines);
    let _proxy = crate::support::proxy::Setup::new(config).workers(4).start();
    target.wait_for(2);
    let (begun, before) = (Instant::now(), target.requests());
    thread::sleep(Duration::from_secs(2));
    let rate = (target.requests() - before) as f64 / begun.elapsed().as_secs_f64();
    assert!((2.0..=8.0).contains(&rate), "{rate} checks a second instead of 5");
}

#[test]
fn checks_of_many_targets_are_spread_over_the_interval() {
    let targets: Vec<Target> = (0..10).map(|n| patient(&format!("t{n}")).0).collect();
    let lines = "health = { type = \"http\", path = \"/healthz\", interval = \"1s\" }";
    let _proxy = Proxy::start(http_with("", &targets, lines));
    let begun = Instant::now();
    let mut times = Vec::new();
    let mut known = vec![0; targets.len()];
    within(Duration::from_secs(5), || {
        for (target, known) in targets.iter().zip(&mut known) {
            if target.requests() > *known {
                *known = target.requests();
                times.push(begun.elapsed().as_millis() as usize / 100);
            }
        }
        known.iter().all(|n| *n >= 4)
    });
    let late: Vec<usize> = times.into_iter().filter(|t| *t >= 15).collect();
    let busiest = (0..60).map(|slot| late.iter().filter(|t| **t == slot).count()).max().unwrap();
    assert!(busiest < 8, "{busiest} of 10 checks within a tenth of a second: {late:?}");
}

#[test]
fn with_all_targets_down_a_closed_pool_answers_503() {
    let lines = "health = { type = \"tcp\", interval = \"100ms\", fall = 1 }";
    let gone = refused();
    let proxy = Proxy::start(http_with("", &[gone], lines));
    eventually("503 at once", || proxy.get("/").status == 503);
    assert!(proxy.metric("ringway_pool_errors_total", &[("kind", "no-target")]) >= 1.0);
    let tcp = Proxy::start(tcp_with("", &[gone], lines));
    if let Ok(mut client) = crate::support::Client::try_to(&tcp.web()) {
        assert_ne!(client.ending(), crate::support::wire::Broken::TimedOut);
    }
}

#[test]
fn with_all_targets_down_an_open_pool_tries_anyway() {
    let (target, status) = patient("a");
    status.store(500, Ordering::SeqCst);
    let lines =
        "all_down = \"open\"\nhealth = { type = \"http\", path = \"/healthz\", interval = \"100ms\", fall = 1 }";
    let proxy = Proxy::start(http_with("", &[&target], lines));
    eventually("it is down", || !up(&proxy, &target));
    assert_eq!(proxy.get("/").target(), "a");
}

#[test]
fn backups_serve_only_while_nobody_else_can() {
    let (mut main, backup) = (Target::echo("main"), Target::echo("backup"));
    let config = http_with("", &[&main], "").replace(
        &format!("targets = [\"{main}\"]"),
        &format!("targets = [\"{main}\", {{ address = \"{backup}\", backup = true }}]\n{TCP}"),
    );
    let proxy = Proxy::start(config);
    assert!(only(&proxy, "main"));
    main.kill();
    eventually("the backup takes over", || proxy.get("/").target() == "backup");
    main.revive();
    eventually("and steps back", || only(&proxy, "main"));
}

#[test]
fn a_killed_target_costs_idempotent_requests_nothing_and_returns_after_rise() {
    let mut targets = [Target::echo("a"), Target::echo("b"), Target::echo("c")];
    let proxy = Proxy::start(http_with("", &targets, TCP));
    let load = load::Load::start(&proxy.web(), 8, Duration::from_millis(2));
    load.more(300);
    for _ in 0..crate::support::rounds(5, 2) {
        targets[1].kill();
        eventually("it is down", || !up(&proxy, &targets[1]));
        load.more(100);
        let before = targets[1].requests();
        targets[1].revive();
        eventually("it is up", || up(&proxy, &targets[1]));
        eventually("it serves again", || targets[1].requests_for("/load").len() > before);
    }
    load.stop().assert_clean();
}

#[test]
fn a_flapping_target_costs_nothing_without_checks_either() {
    let mut targets = [Target::echo("a"), Target::echo("b")];
    let proxy = Proxy::start(http_with("", &targets, "balance = \"round-robin\""));
    let load = load::Load::start(&proxy.web(), 4, Duration::from_millis(2));
    for _ in 0..crate::support::rounds(10, 4) {
        load.more(50);
        targets[0].kill();
        load.more(50);
        targets[0].revive();
    }
    load.stop().assert_clean();
}

/// What monitors of balancers in front ask.
#[test]
fn a_monitor_learns_when_a_pool_is_down() {
    let (a, mut b) = (Target::echo("a"), Target::echo("b"));
    let proxy = Proxy::start(format!(
        "{}\n[routes.alive]\npaths = [\"=/alive\"]\nrespond = {{ status = 204, fail_if_down = [\"site\", \"other\"] }}\n{}",
        http_with("", &[&a], "health = { type = \"tcp\", interval = \"100ms\" }\n"),
        pool("other", &[&b], "health = { type = \"tcp\", interval = \"100ms\", rise = 1, fall = 1 }\n"),
    ));
    assert_eq!(proxy.get("/alive").status, 204);
    b.kill();
    eventually("the monitor fails", || proxy.get("/alive").status == 503);
    assert_eq!(proxy.get("/alive").text(), "pool other is down\n");
    assert_eq!(proxy.get("/").status, 200, "other routes go on");
    b.revive();
    eventually("the monitor is well", || proxy.get("/alive").status == 204);
}
