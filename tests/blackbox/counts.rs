//! Counters: none goes down for as long as the process lives, whatever becomes of targets; what is gone is shown no more.

use crate::reload::{reload, rewrite};
use crate::support::proxy::Proxy;
use crate::support::target::{Target, refused};
use crate::support::toml::http_with;
use crate::support::{eventually, rounds};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const CHECKED: &str = "health = { type = \"http\", path = \"/healthz\", interval = \"100ms\" }";

/// The series that only grow, histograms included.
fn counts(page: &str) -> HashMap<String, f64> {
    let mut counts = HashMap::new();
    let mut counter = false;
    for line in page.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            counter = kind.ends_with(" counter") || kind.ends_with(" histogram");
        } else if let Some((series, value)) = line.rsplit_once(' ').filter(|_| counter && !line.starts_with('#')) {
            counts.insert(series.to_owned(), value.parse().unwrap());
        }
    }
    counts
}

#[track_caller]
fn assert_grown(before: &HashMap<String, f64>, now: &HashMap<String, f64>) {
    for (series, value) in before {
        // What belongs to a target goes with it.
        let Some(later) = now.get(series) else { continue };
        assert!(later >= value, "{series} was {value} and is {later}");
    }
}

#[test]
fn no_counter_goes_down_when_a_target_goes_and_its_labels_are_gone() {
    let (a, b) = (Target::echo("a"), Target::echo("b"));
    let dead = refused();
    let gone = dead.to_string();
    let proxy = Proxy::start(http_with("", &[a.address, b.address, dead], CHECKED));
    let outcome = |outcome| proxy.metric("ringway_pool_checks_total", &[("outcome", outcome)]);
    (0..10).for_each(|_| assert_eq!(proxy.get("/").status, 200));
    eventually("all were checked", || outcome("L7OK") >= 4.0 && outcome("L4CON") >= 2.0);
    let before = counts(&proxy.metrics());
    assert!(before.keys().any(|series| series.contains(&gone)));
    rewrite(&proxy, |text| text.replace(&format!(", \"{gone}\""), "").replace(&format!(", \"{b}\""), ""));
    reload(&proxy, "applied");
    let page = proxy.metrics();
    for target in [&gone, &b.address.to_string()] {
        let left: Vec<&str> = page.lines().filter(|line| line.contains(&format!("target=\"{target}\""))).collect();
        assert!(left.is_empty(), "{left:?}");
    }
    assert_grown(&before, &counts(&page));
    let refusals = outcome("L4CON");
    assert!(refusals >= 2.0, "what came of the checks of a target that is gone is not forgotten: {refusals}");
    let requests = proxy.metric("ringway_pool_requests_total", &[("pool", "site")]);
    assert_eq!(requests, 10.0);
}

/// A scrape in the middle of a reload finds workers that go by another plan than control does.
#[test]
fn no_histogram_goes_down_while_plans_change_under_load() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http_with("", &[&target], "timeouts = { connect = \"1s\" }"));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut client = proxy.client();
                while !over.load(Ordering::Relaxed) {
                    assert_eq!(client.get("/").status, 200);
                }
            });
        }
        scope.spawn(|| {
            let mut before = HashMap::new();
            while !over.load(Ordering::Relaxed) {
                let now = counts(&proxy.metrics());
                assert_grown(&before, &now);
                before = now;
            }
            assert!(before.keys().any(|series| series.starts_with("ringway_pool_first_byte_duration_seconds_count")));
        });
        for round in 0..rounds(150, 40) {
            let (old, new) = if round % 2 == 0 { ("\"1s\"", "\"2s\"") } else { ("\"2s\"", "\"1s\"") };
            rewrite(&proxy, |text| text.replace(old, new));
            proxy.signal(libc::SIGHUP);
            eventually("a reload has its end", || {
                proxy.metric("ringway_config_plan_number", &[]) >= f64::from(round as u32 + 2)
            });
        }
        over.store(true, Ordering::Relaxed);
    });
}
