//! A target that came up takes a small share first; when most are down, checks are not believed.

use super::{Moody, moody};
use crate::admin::start;
use crate::reload::{reload, rewrite};
use crate::support::toml::{http_with, pool};
use crate::support::{Proxy, eventually};
use std::time::{Duration, Instant};

const CHECK: &str =
    "health = { type = \"http\", path = \"/healthz\", interval = \"100ms\", timeout = \"5s\", rise = 1, fall = 1 }\n";

fn up(proxy: &Proxy, moody: &Moody) -> bool {
    proxy.metric("ringway_target_up", &[("target", &moody.target.to_string())]) == 1.0
}

/// How many of the next `n` requests come to it.
fn share(proxy: &Proxy, moody: &Moody, n: usize) -> usize {
    let mut client = proxy.client();
    let before = moody.served();
    (0..n).for_each(|_| assert_eq!(client.get("/").status, 200));
    moody.served() - before
}

#[test]
fn a_target_that_came_up_takes_a_small_share_and_then_its_own() {
    for balance in ["round-robin", "random", "least-conn"] {
        let (new, old) = (moody("new"), moody("old"));
        let lines = format!("balance = \"{balance}\"\nslow_start = \"1h\"\n{CHECK}");
        let proxy = Proxy::start(http_with("", &[&new.target, &old.target], &lines));
        assert!((60..=140).contains(&share(&proxy, &new, 200)), "at the start of the process all have their share");
        new.is_healthy(false);
        eventually("it is down", || !up(&proxy, &new));
        new.is_healthy(true);
        eventually("it is up", || up(&proxy, &new));
        let taken = share(&proxy, &new, 200);
        assert!((1..=40).contains(&taken), "{balance}: {taken} of 200 at a twentieth of its share");
        let label = [("target", &*new.target.to_string())].map(|(name, value)| (name, value.to_owned()));
        let share_of_it = proxy.metric("ringway_target_slow_start_share", &[(label[0].0, &label[0].1)]);
        assert!((0.04..0.06).contains(&share_of_it), "{share_of_it}");
        // The same target has all of it again where there is no slow start.
        rewrite(&proxy, |text| text.replace("slow_start = \"1h\"\n", ""));
        reload(&proxy, "applied");
        assert!((60..=140).contains(&share(&proxy, &new, 200)), "{balance}");
    }
}

#[test]
fn who_follows_a_target_that_came_up_starts_as_slowly() {
    let (new, old) = (moody("new"), moody("old"));
    let lines = "balance = \"round-robin\"\ntrack = \"checked\"\nslow_start = \"1h\"\n";
    let config = http_with("", &[&new.target, &old.target], lines)
        + "[routes.checked]\npaths = [\"/checked/\"]\npool = \"checked\"\n"
        + &pool("checked", &[&new.target, &old.target], CHECK);
    let proxy = Proxy::start(config);
    let target = new.target.to_string();
    let of_site = |name| proxy.metric(name, &[("target", &target), ("pool", "site")]);
    assert!((60..=140).contains(&share(&proxy, &new, 200)), "at the start of the process all have their share");
    new.is_healthy(false);
    eventually("it is down", || of_site("ringway_target_up") == 0.0);
    new.is_healthy(true);
    eventually("it is up", || of_site("ringway_target_up") == 1.0);
    let taken = share(&proxy, &new, 200);
    assert!((1..=40).contains(&taken), "{taken} of 200 at a twentieth of its share");
    let grown = of_site("ringway_target_slow_start_share");
    assert!((0.04..0.06).contains(&grown), "{grown}");
}

#[test]
fn a_share_grows_with_time_and_a_reload_does_not_begin_it_anew() {
    let (new, old) = (moody("new"), moody("old"));
    let lines = format!("balance = \"round-robin\"\nslow_start = \"1500ms\"\n{CHECK}");
    let proxy = Proxy::start(http_with("", &[&new.target, &old.target], &lines));
    new.is_healthy(false);
    eventually("it is down", || !up(&proxy, &new));
    new.is_healthy(true);
    eventually("it is up", || up(&proxy, &new));
    let since = Instant::now();
    let target = new.target.to_string();
    let grown = || proxy.metric("ringway_target_slow_start_share", &[("target", &target)]);
    eventually("it has grown", || grown() > 0.5);
    assert!(since.elapsed() > Duration::from_millis(300), "{:?}", since.elapsed());
    rewrite(&proxy, |text| text.to_owned() + "\n[limits]\nheaders = 99\n");
    reload(&proxy, "applied");
    assert!(grown() > 0.5, "{}", grown());
    eventually("it has all of it", || grown() == 1.0);
    assert!((35..=65).contains(&share(&proxy, &new, 100)));
}

#[test]
fn what_an_operator_adds_or_takes_out_of_maintenance_begins_slowly() {
    let (new, old) = (moody("new"), moody("old"));
    let desk = start(&http_with("", &[&old.target], "balance = \"round-robin\"\nslow_start = \"1h\"\n"));
    desk.operator.told("POST", "/v1/pools/site/targets", &format!("{{\"address\":\"{}\"}}", new.target), 201);
    assert!(share(&desk.proxy, &new, 100) <= 20);
    let at = format!("/v1/pools/site/targets/{}", new.target);
    let shown = desk.operator.get(&at);
    assert_eq!((&shown["slow_start"], &shown["weight"]["in_force"]), (&5.into(), &1.into()));
    assert!(desk.runs(&["status"]).contains("slow start, at 5%"));
    let old_at = format!("/v1/pools/site/targets/{}", old.target);
    assert!(desk.operator.get(&old_at)["slow_start"].is_null());
    desk.operator.told("PATCH", &old_at, "{\"state\":\"maintenance\"}", 200);
    assert_eq!(share(&desk.proxy, &new, 20), 20, "who is alone has all");
    desk.operator.told("PATCH", &old_at, "{\"state\":\"ready\"}", 200);
    assert_eq!(desk.operator.get(&old_at)["slow_start"], 5);
}

#[test]
fn with_most_targets_down_checks_are_not_believed() {
    let all: Vec<Moody> = (0..4).map(|n| moody(&format!("t{n}"))).collect();
    let targets: Vec<&crate::support::Target> = all.iter().map(|moody| &moody.target).collect();
    let lines = format!("balance = \"round-robin\"\npanic = \"50%\"\n{CHECK}");
    let proxy = Proxy::start(http_with("", &targets, &lines));
    let panics = || proxy.metric("ringway_pool_panic", &[("pool", "site")]) == 1.0;
    all[..2].iter().for_each(|moody| moody.is_healthy(false));
    eventually("two are down", || !up(&proxy, &all[0]) && !up(&proxy, &all[1]));
    assert!(!panics() && share(&proxy, &all[0], 20) == 0, "half of them is enough");
    all[2].is_healthy(false);
    eventually("three are down", panics);
    proxy.log.wait(&["health is not believed", "pool=\"site\""]);
    eventually("those that are down are asked", || share(&proxy, &all[0], 20) == 5);
    all[3].is_healthy(false);
    eventually("all are down", || !up(&proxy, &all[3]));
    assert_eq!(share(&proxy, &all[3], 20), 5);
    all[..3].iter().for_each(|moody| moody.is_healthy(true));
    eventually("they are up", || !panics());
    proxy.log.wait(&["health is believed again"]);
    eventually("who is down is not asked", || share(&proxy, &all[3], 20) == 0);
}

#[test]
fn a_backup_that_is_up_goes_before_targets_that_are_not() {
    let (main, backup) = (moody("main"), moody("backup"));
    let config = http_with("", &[&main.target], &format!("panic = \"50%\"\n{CHECK}")).replace(
        &format!("targets = [\"{}\"]", main.target),
        &format!("targets = [\"{}\", {{ address = \"{}\", backup = true }}]", main.target, backup.target),
    );
    let proxy = Proxy::start(config);
    main.is_healthy(false);
    eventually("it is down", || !up(&proxy, &main));
    assert_eq!(share(&proxy, &backup, 20), 20);
    backup.is_healthy(false);
    eventually("the backup is, too", || !up(&proxy, &backup));
    eventually("now it is asked all the same", || share(&proxy, &main, 10) == 10);
}
