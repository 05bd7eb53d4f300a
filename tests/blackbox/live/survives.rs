//! Reloads and upgrades forget nothing of targets' health, and hold on to nothing that is over (haproxy#918, keepalived#381, envoy#4132).

use super::{Moody, moody};
use crate::reload::{reload, rewrite};
use crate::support::load::Load;
use crate::support::toml::http_with;
use crate::support::{Proxy, Target, eventually, rounds, within};
use std::time::{Duration, Instant};

const CHECK: &str =
    "health = { type = \"http\", path = \"/healthz\", interval = \"200ms\", timeout = \"5s\", rise = 2, fall = 2 }\n";

fn trio(lines: &str) -> ([Moody; 3], Proxy) {
    let all = [moody("a"), moody("b"), moody("c")];
    let targets: Vec<&Target> = all.iter().map(|moody| &moody.target).collect();
    let proxy = Proxy::start(http_with("", &targets, &format!("balance = \"round-robin\"\n{lines}")));
    (all, proxy)
}

/// An unrelated change of the configuration is put into force.
fn change(proxy: &Proxy, n: usize) {
    rewrite(proxy, |text| {
        let text = text.split("\n[limits]").next().unwrap().to_owned();
        text + &format!("\n[limits]\nheaders = {}\n", 50 + n)
    });
    reload(proxy, "applied");
}

#[test]
fn a_dead_target_gets_no_request_over_many_reloads_and_serves_soon_once_it_is_back() {
    let (all, proxy) = trio(CHECK);
    all[1].is_healthy(false);
    let label = all[1].target.to_string();
    let up = || proxy.metric("ringway_target_up", &[("target", &label)]) == 1.0;
    eventually("it is down", || !up());
    let load = Load::start(&proxy.web(), 4, Duration::from_millis(4));
    // Who was on its way to it has its answer.
    load.more(20);
    let before = all[1].served();
    for n in 0..rounds(20, 8) {
        change(&proxy, n);
        load.more(20);
    }
    assert_eq!(all[1].served(), before, "it is asked by nobody");
    all[1].is_healthy(true);
    let since = Instant::now();
    eventually("it serves", || all[1].served() > before);
    assert!(since.elapsed() < Duration::from_secs(4), "{:?} for two checks", since.elapsed());

    // Another way of checking goes on with what is known, down or up.
    all[1].is_healthy(false);
    eventually("it is down", || !up());
    rewrite(&proxy, |text| {
        text.replace("/healthz", "/healthz?again").replace("interval = \"200ms\"", "interval = \"1h\"")
    });
    reload(&proxy, "applied");
    load.more(10);
    let before = all[1].served();
    load.more(40);
    assert_eq!(all[1].served(), before, "it is known to be down");
    rewrite(&proxy, |text| text.lines().filter(|line| !line.starts_with("health")).collect::<Vec<_>>().join("\n"));
    reload(&proxy, "applied");
    eventually("without checks it may be used", || all[1].served() > before);
    load.stop().assert_clean();
}

#[test]
fn a_target_at_another_port_is_another_target() {
    let (old, new, other) = (moody("old"), moody("new"), moody("other"));
    let lines = format!("balance = \"round-robin\"\n{}", CHECK.replace("200ms", "1h"));
    let proxy = Proxy::start(http_with("", &[&old.target, &other.target], &lines.replace("1h", "100ms")));
    old.is_healthy(false);
    let label = old.target.to_string();
    eventually("it is down", || proxy.metric("ringway_target_up", &[("target", &label)]) == 0.0);
    rewrite(&proxy, |text| text.replace(&old.target.to_string(), &new.target.to_string()).replace("100ms", "1h"));
    reload(&proxy, "applied");
    assert!((0..10).any(|_| proxy.get("/").target() == "new"), "nothing is known of it");
}

#[test]
fn ejections_outlive_reloads_and_upgrades_and_end_with_their_rule() {
    let (all, mut proxy) = trio("outlier = { errors = 2, eject = \"1h\", max_eject = \"1h\" }\n");
    all[0].says(503);
    eventually("it is ejected", || {
        proxy.get("/");
        proxy.metric("ringway_target_ejected", &[]) == 1.0
    });
    all[0].says(200);
    let before = all[0].served();
    let is_left_alone = |proxy: &Proxy| {
        (0..12).for_each(|_| assert_eq!(proxy.get("/").status, 200));
        assert_eq!(proxy.metric("ringway_target_ejected", &[]), 1.0);
        all[0].served() == before
    };
    change(&proxy, 1);
    assert!(is_left_alone(&proxy), "after a reload");
    rewrite(&proxy, |text| text.replace("errors = 2", "errors = 3"));
    reload(&proxy, "applied");
    assert!(is_left_alone(&proxy), "after a change of the rule");
    proxy.upgrade();
    eventually("the new process serves", || proxy.metric("ringway_upgrades_total", &[]) == 0.0);
    assert!(is_left_alone(&proxy), "after an upgrade");
    rewrite(&proxy, |text| text.lines().filter(|line| !line.starts_with("outlier")).collect::<Vec<_>>().join("\n"));
    reload(&proxy, "applied");
    eventually("without the rule it serves again", || {
        proxy.get("/");
        all[0].served() > before
    });
}

#[test]
fn a_slow_start_goes_on_in_the_next_process() {
    let (all, mut proxy) = trio(&format!("slow_start = \"1h\"\n{CHECK}"));
    let label = all[0].target.to_string();
    let up = |proxy: &Proxy| proxy.metric("ringway_target_up", &[("target", &label)]) == 1.0;
    all[0].is_healthy(false);
    eventually("it is down", || !up(&proxy));
    all[0].is_healthy(true);
    eventually("it is up", || up(&proxy));
    proxy.upgrade();
    assert!(within(Duration::from_secs(10), || proxy.metric("ringway_target_slow_start_share", &[("target", &label)])
        < 0.1));
    let before = all[0].served();
    (0..120).for_each(|_| assert_eq!(proxy.get("/").status, 200));
    assert!(all[0].served() - before < 20, "{} of 120", all[0].served() - before);
}
