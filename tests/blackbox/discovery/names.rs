//! Names with addresses.

use super::{by_name, fails, has, ip, setup, site, start, targets};
use crate::support::load::Load;
use crate::support::nameserver::Mood;
use crate::support::{GLANCE, Nameserver, Proxy, Target, eventually, within};
use std::time::{Duration, Instant};

/// The weight that a target has that nobody gave one.
fn plain(target: &Target) -> String {
    format!("{target} 1")
}

#[test]
fn a_name_is_followed_within_its_ttl_and_nobody_notices() {
    let (server, a) = (Nameserver::start(), Target::echo("a"));
    let (b, c) = (a.beside("b"), a.beside("c"));
    server.addresses("api.test", 1, &[ip(&a), ip(&b)]);
    let proxy = start(by_name(&server, &a, "", "balance = \"round-robin\""));
    let mut expected = [plain(&a), plain(&b)];
    expected.sort();
    assert_eq!(targets(&proxy), expected, "they are known before the first request");
    let load = Load::start(&proxy.web(), 4, Duration::from_millis(2));
    load.more(50);
    server.addresses("api.test", 1, &[ip(&b), ip(&c)]);
    let changed = Instant::now();
    eventually("the new one is used", || c.requests() > 0);
    // A second of TTL, one between two changes, and a busy machine.
    assert!(changed.elapsed() < Duration::from_secs(6), "{:?}", changed.elapsed());
    has(&proxy, &{
        let mut all = [plain(&b), plain(&c)];
        all.sort();
        all
    });
    load.more(50);
    let before = a.requests();
    load.more(50);
    assert_eq!(a.requests(), before, "who went gets nothing any more");
    load.stop().assert_clean();
    eventually("its idle connections are closed", || a.open() == 0);
    let line = proxy.log.wait(&["pool site: 1 came, 1 went"]);
    assert!(line.contains(&c.to_string()) && line.contains(&a.to_string()), "{line}");
    assert_eq!(proxy.metric("ringway_discovery_changes_total", &[("pool", "site")]), 1.0);
}

#[test]
fn whatever_fails_changes_nothing() {
    let (server, a) = (Nameserver::start(), Target::echo("a"));
    server.addresses("api.test", 0, &[ip(&a)]);
    let quick = server.config().replace("500ms", "100ms");
    let config = by_name(&server, &a, ", max_ttl = \"100ms\"", "").replace(&server.config(), &quick);
    let proxy = start(config);
    let load = Load::start(&proxy.web(), 2, Duration::from_millis(2));
    for mood in [Mood::Code(2), Mood::Code(5), Mood::Silent, Mood::Garbage, Mood::Code(4)] {
        server.is(mood);
        fails(&proxy, 2.0);
        assert_eq!(targets(&proxy), [plain(&a)], "{mood:?}");
        let trouble = site(&proxy)["discovery"]["trouble"].as_str().unwrap_or_default().to_owned();
        assert!(trouble.contains(&server.address.to_string()), "{mood:?}: {trouble}");
    }
    server.is(Mood::Well);
    eventually("it answers again", || site(&proxy)["discovery"].get("trouble").is_none());
    proxy.log.wait(&["the source of targets answers again"]);
    load.stop().assert_clean();
    assert_eq!(proxy.metric("ringway_discovery_changes_total", &[]), 0.0);
    assert!(proxy.log.count(&["does not answer"]) < 20, "a failure is told once");
}

/// An answer under another number is none, and what is said of other names, or in a circle, is no address.
#[test]
fn answers_that_lie_are_not_believed() {
    let (server, a) = (Nameserver::start(), Target::echo("a"));
    server.addresses("api.test", 0, &[ip(&a)]);
    let quick = server.config().replace("500ms", "100ms");
    let config = by_name(&server, &a, ", max_ttl = \"100ms\"", "").replace(&server.config(), &quick);
    let proxy = start(config);
    let in_vain = || {
        let of = |result| proxy.metric("ringway_discovery_lookups_total", &[("result", result)]);
        of("failed") + of("nothing")
    };
    for mood in [Mood::OtherNumber, Mood::OtherName, Mood::Loop] {
        let before = in_vain();
        server.is(mood);
        eventually("it is asked in vain", || in_vain() >= before + 2.0);
        assert_eq!(targets(&proxy), [plain(&a)], "{mood:?}");
        assert_eq!(proxy.get("/").status, 200, "{mood:?}");
    }
    server.is(Mood::Well);
    // A TTL with its first bit set counts as none (RFC 2181 §8), and one of years no longer than is said.
    for ttl in [1 << 31, u32::MAX, i32::MAX as u32] {
        server.addresses("api.test", ttl, &[ip(&a)]);
        let before = server.asked_for("api.test");
        eventually("it is asked again", || server.asked_for("api.test") >= before + 3);
    }
    assert_eq!(targets(&proxy), [plain(&a)]);
}

#[test]
fn that_there_is_no_such_name_must_be_said_for_a_while() {
    let (server, a) = (Nameserver::start(), Target::echo("a"));
    server.addresses("api.test", 0, &[ip(&a)]);
    let proxy = start(by_name(&server, &a, ", max_ttl = \"200ms\", hold = \"1500ms\"", ""));
    server.addresses("api.test", 0, &[]);
    let gone = Instant::now();
    proxy.log.wait(&["the source says that there is no target", "there is no name `api.test`"]);
    server.addresses("api.test", 0, &[ip(&a)]);
    eventually("the slip is mended", || site(&proxy)["discovery"].get("trouble").is_none());
    assert!(gone.elapsed() > Duration::from_millis(1400) || proxy.get("/").status == 200);
    server.addresses("api.test", 0, &[]);
    let gone = Instant::now();
    eventually("the last target is let go", || targets(&proxy).is_empty());
    assert!(gone.elapsed() > Duration::from_millis(1400), "{:?}", gone.elapsed());
    assert_eq!(proxy.get("/").status, 503);
    proxy.log.wait(&["pool site: 0 came, 1 went", "no target any more"]);
    server.addresses("api.test", 0, &[ip(&a)]);
    eventually("it comes back", || proxy.get("/").status == 200);
}

#[test]
fn a_start_does_not_wait_for_a_server_that_is_down() {
    let (server, a) = (Nameserver::start(), Target::echo("a"));
    server.is(Mood::Silent);
    let proxy = start(by_name(&server, &a, "", ""));
    assert_eq!(proxy.get("/").status, 503);
    assert!(proxy.metric("ringway_pool_errors_total", &[("kind", "no-target")]) >= 1.0);
    assert!(site(&proxy)["discovery"].get("targets").is_none());
    proxy.log.wait(&["does not answer", "no answer in time"]);
    server.addresses("api.test", 5, &[ip(&a)]);
    server.is(Mood::Well);
    eventually("it has targets as soon as it can", || proxy.get("/").status == 200);
}

/// Nothing is divided by the number of targets anywhere.
#[test]
fn a_pool_without_targets_is_a_pool() {
    let server = Nameserver::start();
    for balance in ["round-robin", "least-conn", "latency", "random", "hash"] {
        let lines = format!("balance = \"{balance}\"\nall_down = \"open\"\nhealth = {{ type = \"tcp\" }}");
        let lines = lines.replace("hash\"", "hash\"\nkey = \"path\"");
        let a = Target::echo("a");
        let proxy = start(by_name(&server, &a, "", &lines));
        assert_eq!(proxy.get("/").status, 503, "{balance}");
        assert_eq!(site(&proxy)["up"], 0);
        assert_eq!(proxy.metric("ringway_discovery_targets", &[]), 0.0);
        assert!(!proxy.log.contains(&["panic"]));
    }
}

#[test]
fn those_that_are_written_down_stay_beside() {
    let (server, a) = (Nameserver::start(), Target::echo("a"));
    let b = a.beside("b");
    server.addresses("api.test", 0, &[ip(&a), ip(&b)]);
    let written = format!("targets = [{{ address = \"{a}\", weight = 7 }}]");
    let proxy = start(by_name(&server, &a, ", max_ttl = \"200ms\", hold = \"0s\"", &written));
    has(&proxy, &{
        let mut all = [format!("{a} 7"), plain(&b)];
        all.sort();
        all
    });
    let origin = |target: &Target| -> String {
        let site = site(&proxy);
        let all = site["targets"].as_array().unwrap().clone();
        let found = all.iter().find(|of| of["address"] == target.to_string()).unwrap();
        found["origin"].as_str().unwrap().to_owned()
    };
    assert_eq!((origin(&a).as_str(), origin(&b).as_str()), ("config", "discovery"));
    server.addresses("api.test", 0, &[]);
    has(&proxy, &[format!("{a} 7")]);
    assert_eq!(proxy.get("/").target(), "a");
}

#[test]
fn addresses_of_both_families_are_taken_as_is_said() {
    let (server, a) = (Nameserver::start(), Target::echo("a"));
    let six = "fd00::9".parse().unwrap();
    server.addresses("api.test", 60, &[ip(&a), six]);
    server.addresses("six.test", 60, &[six]);
    let port = a.address.port();
    let (v4, v6) = (plain(&a), format!("[fd00::9]:{port} 1"));
    for (keys, expected) in [
        ("", vec![v4.clone()]),
        (", family = \"prefer-ipv6\"", vec![v6.clone()]),
        (", family = \"ipv4\"", vec![v4.clone()]),
        (", family = \"ipv6\"", vec![v6.clone()]),
        (", family = \"both\"", vec![v4, v6.clone()]),
    ] {
        assert_eq!(targets(&start(by_name(&server, &a, keys, ""))), expected, "{keys}");
    }
    let config = by_name(&server, &a, "", "").replace("api.test", "six.test");
    assert_eq!(targets(&start(config)), [v6], "there is none of the other family");
}

#[test]
fn a_reload_asks_nobody_again_and_a_new_source_is_asked_before_it_counts() {
    let (server, a) = (Nameserver::start(), Target::echo("a"));
    let b = a.beside("b");
    server.addresses("api.test", 60, &[ip(&a)]);
    server.addresses("other.test", 60, &[ip(&b)]);
    let proxy = start(by_name(&server, &a, "", ""));
    eventually("it is asked for", || server.asked_for("api.test") > 0);
    std::thread::sleep(GLANCE);
    let asked = server.asked_for("api.test");
    let load = Load::start(&proxy.web(), 4, Duration::from_millis(1));
    load.more(20);
    let rewrite = |from: &str, to: &str| {
        let text = std::fs::read_to_string(proxy.config_file()).unwrap();
        assert!(text.contains(from));
        std::fs::write(proxy.config_file(), text.replace(from, to)).unwrap();
        let before = proxy.log.count(&["is in force"]);
        proxy.signal(libc::SIGHUP);
        eventually("it is reloaded", || proxy.log.count(&["is in force"]) > before);
    };
    rewrite("[pools.site]", "[pools.site]\nbalance = \"least-conn\"");
    load.more(20);
    assert_eq!(server.asked_for("api.test"), asked, "nobody is asked again");
    assert_eq!(targets(&proxy), [plain(&a)]);
    rewrite("api.test", "other.test");
    assert_eq!(targets(&proxy), [plain(&b)], "it has been asked");
    load.more(20);
    rewrite("discover = {", &format!("targets = [\"{a}\"]\n# {{"));
    assert_eq!(targets(&proxy), [plain(&a)]);
    assert_eq!(proxy.metric("ringway_discovery_lookups_total", &[]), 0.0, "nobody looks any more");
    load.more(20);
    load.stop().assert_clean();
}

#[test]
fn what_was_found_outlives_an_upgrade_and_a_start_without_servers() {
    let (server, a) = (Nameserver::start(), Target::echo("a"));
    server.addresses("api.test", 0, &[ip(&a)]);
    let mut proxy = start(by_name(&server, &a, "", ""));
    let folder = proxy.config_file().parent().unwrap().join("state");
    let file = folder.join("discovered.json");
    eventually("it is kept", || file.exists());
    server.is(Mood::Silent);
    let load = Load::start(&proxy.web(), 2, Duration::from_millis(2));
    proxy.upgrade();
    load.more(50);
    load.stop().assert_clean();
    let copy = std::fs::read_to_string(&file).unwrap();
    assert!(copy.contains(&a.to_string()), "{copy}");
    drop(proxy);
    let again = setup(by_name(&server, &a, "", ""));
    let state = again.directory().join("state");
    std::fs::create_dir_all(&state).unwrap();
    std::fs::write(state.join("discovered.json"), copy).unwrap();
    let proxy = again.start();
    assert_eq!(proxy.get("/").target(), "a");
    assert!(site(&proxy)["discovery"].get("age").is_none(), "nobody has said so since");
    for wrong in ["", "{\"version\":2,\"answers\":[]}"] {
        let broken = setup(by_name(&server, &a, "", ""));
        let state = broken.directory().join("state");
        std::fs::create_dir_all(&state).unwrap();
        std::fs::write(state.join("discovered.json"), wrong).unwrap();
        let proxy = broken.start();
        assert_eq!(proxy.get("/").status, 503);
        proxy.log.wait(&["discovered.json", "cannot be used"]);
    }
}

#[test]
fn a_name_that_flaps_costs_a_plan_a_second() {
    let (server, a) = (Nameserver::start(), Target::echo("a"));
    let b = a.beside("b");
    server.addresses("api.test", 0, &[ip(&a)]);
    let proxy = start(by_name(&server, &a, ", max_ttl = \"100ms\"", ""));
    let plan = |proxy: &Proxy| proxy.metric("ringway_config_plan_number", &[]);
    let (before, begun) = (plan(&proxy), Instant::now());
    let load = Load::start(&proxy.web(), 2, Duration::from_millis(2));
    let mut turn = 0;
    within(Duration::from_millis(1800), || {
        turn += 1;
        let one = if turn % 20 < 10 { &b } else { &a };
        server.addresses("api.test", 0, &[ip(one)]);
        false
    });
    let plans = plan(&proxy) - before;
    let most = begun.elapsed().as_secs_f64() + 1.0;
    assert!(plans >= 1.0 && plans <= most, "{plans} plans in {:?}", begun.elapsed());
    load.stop().assert_clean();
}
