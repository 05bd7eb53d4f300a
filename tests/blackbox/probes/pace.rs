//! When checks are made: faster while in doubt, otherwise while down, and neither a burst nor a false alarm after a standstill.

use crate::support::toml::{http_with, pool};
use crate::support::{Proxy, Target, eventually, within};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

fn patient(name: &str) -> (Target, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(200));
    let copy = status.clone();
    let target = Target::with(name, move |peer| {
        while let Some(seen) = peer.request() {
            let done = match seen.path.as_str() {
                "/healthz" => peer.reply(copy.load(Ordering::SeqCst), &[], b""),
                _ => peer.echo(&seen),
            };
            if done.is_none() {
                return;
            }
        }
    });
    (target, status)
}

#[test]
fn a_target_in_doubt_is_asked_more_often() {
    let (target, status) = patient("a");
    let health = "health = { type = \"http\", path = \"/healthz\", interval = \"1500ms\", fast_interval = \"100ms\", down_interval = \"200ms\", rise = 4, fall = 4 }";
    let proxy = Proxy::start(http_with("", &[&target], health));
    target.wait_for(1);
    status.store(500, Ordering::SeqCst);
    let before = target.requests();
    target.wait_for(before + 1);
    let begun = Instant::now();
    eventually("it is down", || !super::up(&proxy, &target));
    assert!(begun.elapsed() < Duration::from_millis(3000), "three fast checks took {:?}", begun.elapsed());
    status.store(200, Ordering::SeqCst);
    let begun = Instant::now();
    eventually("it is up", || super::up(&proxy, &target));
    assert!(begun.elapsed() < Duration::from_millis(4000), "four checks took {:?}", begun.elapsed());
}

/// Field case 39.
#[test]
fn a_process_that_stood_still_blames_nobody_and_asks_no_one_in_a_burst() {
    let targets: Vec<Target> = (0..20).map(|n| patient(&format!("t{n}")).0).collect();
    let slow = Target::slow("slow", Duration::from_millis(200));
    let health = "health = { type = \"http\", path = \"/healthz\", interval = \"1s\", timeout = \"1500ms\", rise = 1, fall = 1 }";
    let config = http_with("", &targets, health)
        + "[routes.slow]\npaths = [\"/slow/\"]\npool = \"slow\"\n"
        + &pool("slow", &[&slow], &health.replace("\"1s\"", "\"300ms\""));
    let proxy = Proxy::start(config);
    eventually("all are asked", || targets.iter().all(|target| target.requests() >= 1) && slow.requests() >= 1);
    let changes = proxy.metric("ringway_target_changes_total", &[]);
    let asked = || targets.iter().map(Target::requests).sum::<usize>();
    // In the middle of a check of the slow one.
    let before = slow.requests();
    assert!(within(Duration::from_secs(10), || slow.requests() > before));
    proxy.signal(libc::SIGSTOP);
    thread::sleep(Duration::from_millis(crate::support::rounds(5000, 2500) as u64));
    let before = asked();
    proxy.signal(libc::SIGCONT);
    thread::sleep(Duration::from_millis(200));
    let burst = asked() - before;
    assert!(burst <= 14, "{burst} of 20 targets asked within a fifth of their interval");
    eventually("checks go on", || asked() >= before + 40);
    assert_eq!(proxy.metric("ringway_target_changes_total", &[]), changes, "nobody was called down: {:#?}", proxy.log);
}

/// What is new gets nothing until it has shown that it works.
#[test]
fn a_target_that_is_to_prove_itself_first_gets_nothing_before() {
    let (a, mut b) = (Target::echo("a"), Target::echo("b"));
    b.kill();
    let lines = "balance = \"round-robin\"\nhealth = { type = \"tcp\", interval = \"100ms\", rise = 3, fall = 1, initial_state = \"down\" }";
    let proxy = Proxy::start(http_with("", &[&a], lines));
    eventually("its first check has passed", || proxy.get("/").target() == "a");
    assert!(!proxy.log.contains(&["no target of the pool can be used"]), "who has yet to be asked has lost nothing");
    let text = std::fs::read_to_string(proxy.config_file()).unwrap();
    std::fs::write(proxy.config_file(), text.replace(&format!("\"{a}\""), &format!("\"{a}\", \"{b}\""))).unwrap();
    proxy.signal(libc::SIGHUP);
    proxy.settles("ringway_config_reloads_total", &[("result", "applied")], 1.0);
    assert!((0..20).all(|_| proxy.get("/").target() == "a"), "who was known stays, who is new waits");
    assert!(!super::up(&proxy, &b));
    assert_eq!(proxy.metric("ringway_target_changes_total", &[("target", &b.to_string())]), 0.0, "it was never up");
    b.revive();
    eventually("it has proven itself", || proxy.get("/").target() == "b");
}

#[test]
fn a_pool_whose_targets_prove_nothing_says_so() {
    let a = Target::echo("a");
    a.kill();
    let lines = "health = { type = \"tcp\", interval = \"100ms\", timeout = \"100ms\", initial_state = \"down\" }";
    let proxy = Proxy::start(http_with("", &[&a], lines));
    proxy.log.wait(&["pool=\"site\"", "no target of the pool can be used"]);
}

#[test]
fn a_pool_that_has_lost_its_last_target_says_so_once() {
    let (mut a, b) = (Target::echo("a"), Target::echo("b"));
    let lines = super::health("\"tcp\"");
    let proxy = Proxy::start(http_with("", &[&a, &b], &lines));
    eventually("they are checked", || super::passed(&proxy) >= 2.0);
    let lost = ["pool=\"site\"", "no target of the pool can be used"];
    a.kill();
    eventually("one is down", || !super::up(&proxy, &a));
    assert!(!proxy.log.contains(&lost));
    b.kill();
    proxy.log.wait(&lost);
    a.revive();
    proxy.log.wait(&["a target of the pool can be used again"]);
    assert_eq!(proxy.log.count(&lost), 1);
}
