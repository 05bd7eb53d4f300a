//! That sums are those of the access log, request for request.

use super::{config, kept, log_of, logged, path, requests, start};
use crate::reload::{reload, rewrite};
use crate::support::eventually;
use crate::support::load::{self, Load};
use crate::support::proxy::Directory;
use crate::support::target::Target;
use rusqlite::{Connection, TransactionBehavior};
use serde_json::Value;
use std::thread;
use std::time::{Duration, SystemTime};

/// `RINGWAY_TEST_REQUESTS` has it be as many as that: `scripts/analytics` has a million of them.
fn wanted() -> usize {
    std::env::var("RINGWAY_TEST_REQUESTS").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000)
}

fn lines(state: &Directory) -> usize {
    // A line has more than 300 bytes and fewer than 600.
    std::fs::metadata(log_of(state)).map_or(0, |data| data.len() as usize / 450)
}

#[test]
fn sums_are_those_of_the_access_log_over_a_reload_an_upgrade_and_the_end() {
    let (target, state, wanted) = (Target::closes_after("a", 20, 40), Directory::new(), wanted());
    let mut proxy = start(&config(&target, &state, ""), &state);
    let address = proxy.web();
    thread::scope(|scope| {
        let load = scope.spawn(|| load::run(&address, 4, wanted, path));
        eventually("a part of them is through", || lines(&state) > wanted / 8 || load.is_finished());
        rewrite(&proxy, |text| {
            text.replace("/gone", "/gone/") + "[routes.more]\npaths = [\"/more\"]\nrespond = { status = 204 }\n"
        });
        reload(&proxy, "applied");
        proxy.upgrade();
        assert_eq!(load.join().unwrap().sent(), wanted);
    });
    proxy.signal(libc::SIGTERM);
    assert!(proxy.exit().success());
    let heir = proxy.pid();
    eventually("both processes have ended", || !std::path::Path::new(&format!("/proc/{heir}")).exists());
    let (logged, kept) = (logged(&state), kept(&state));
    assert!(requests(&logged) as usize >= wanted, "{} of {wanted}", requests(&logged));
    for (series, sums) in &logged {
        assert_eq!(kept.get(series), Some(sums), "{series:?}");
    }
    assert_eq!(kept.len(), logged.len());
    let has = |consumer: &str, route: &str, version: &str, status| {
        let series = (consumer.to_owned(), route.to_owned(), version.to_owned(), status);
        assert!(kept.contains_key(&series), "{series:?} of {:?}", kept.keys());
    };
    has("ann", "first", "v1", 200);
    has("bob", "second", "v2", 201);
    has("", "first", "v1", 401);
    has("", "broken", "", 502);
    has("", "(none)", "", 200);
    let errors: u64 = kept.values().map(|sums| sums[1]).sum();
    let broken: u64 = kept.iter().filter(|((_, route, ..), _)| route == "(none)").map(|(_, sums)| sums[1]).sum();
    assert!(broken > 0 && errors > broken, "answers that break off are errors, and so are those of 502");
}

#[test]
fn a_killed_process_has_lost_no_more_than_the_last_three_seconds() {
    let (target, state) = (Target::echo("a"), Directory::new());
    let mut proxy = start(&config(&target, &state, ""), &state);
    let load = Load::start(&proxy.web(), 4, Duration::from_millis(5));
    eventually("some is written, and more has come", || requests(&kept(&state)) > 100);
    let first = requests(&kept(&state));
    eventually("sums go on", || requests(&kept(&state)) > first + 300);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    proxy.signal(libc::SIGKILL);
    proxy.exit();
    drop(load.stop());
    let before = |line: &Value| {
        let begun: jiff::Timestamp = line["time"].as_str().unwrap().parse().unwrap();
        let took = Duration::from_secs_f64(line["total_ms"].as_f64().unwrap() / 1000.0);
        Duration::from_millis(begun.as_millisecond() as u64) + took + Duration::from_secs(3) < now
    };
    let text = std::fs::read_to_string(log_of(&state)).unwrap();
    let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let old = lines.iter().filter(|line| before(line)).count() as u64;
    let kept = requests(&kept(&state));
    assert!(old <= kept, "{old} requests were older, {kept} are kept");
}

#[test]
fn what_cannot_be_written_waits_and_is_told_while_traffic_goes_on() {
    let (target, state) = (Target::echo("a"), Directory::new());
    let mut proxy = start(&config(&target, &state, ""), &state);
    load::run(&proxy.web(), 2, 100, path);
    eventually("the first are written", || requests(&kept(&state)) == 100);
    let mut other = Connection::open(state.path().join("analytics.sqlite")).unwrap();
    let held = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    load::run(&proxy.web(), 2, 400, path);
    proxy.log.wait(&["what analytics sum up is in memory alone"]);
    assert!(proxy.metric("ringway_analytics_writes_total", &[("result", "failed")]) > 0.0);
    eventually("they wait", || proxy.metric("ringway_analytics_waiting_requests", &[]) == 400.0);
    drop(held);
    proxy.log.wait(&["what analytics sum up is written again"]);
    eventually("all are written", || requests(&kept(&state)) == 500);
    assert_eq!(proxy.metric("ringway_analytics_lost_requests_total", &[]), 0.0);
    proxy.signal(libc::SIGTERM);
    assert!(proxy.exit().success());
    assert_eq!(kept(&state), logged(&state));
}
