//! How many requests may be made in a period of the calendar, also over the end of a process.

use super::faults;
use crate::reload::{reload, rewrite};
use crate::support::client::Response;
use crate::support::proxy::{Directory, Proxy, Setup};
use crate::support::toml::http;
use crate::support::{Target, eventually, h2};
use rusqlite::{Connection, TransactionBehavior};
use std::thread;

/// A route `/v1/` of these rules; `daily` is one of them.
fn config(target: &Target, rules: &str, limit: u32, more: &str) -> String {
    http(&[target])
        + &format!(
            "\n[routes.api]\npaths = [\"/v1/\"]\npool = \"site\"\nrules = {rules}\n\
             [rules.daily]\ntype = \"quota\"\nlimit = {limit}\nperiod = \"day\"\ntime_zone = \"Etc/GMT-5\"\nkey = \"header:x-who\"\n\
             {more}\n[access_log]\n"
        )
}

/// With what outlives a process in this folder.
fn start(config: &str, state: &Directory) -> Proxy {
    Setup::new(config).runtime(&format!("state_dir = {:?}", state.path().join("state"))).start()
}

fn ask(proxy: &Proxy, who: &str) -> Response {
    proxy.client().ask("GET", "/v1/x", &[&format!("X-Who: {who}")])
}

fn admitted(proxy: &Proxy, who: &str, asked: usize) -> usize {
    let mut client = proxy.client();
    let field = format!("X-Who: {who}");
    let statuses = (0..asked).map(|_| client.ask("GET", "/v1/x", &[&field]).status);
    statuses.inspect(|status| assert!([200, 429].contains(status))).filter(|&status| status == 200).count()
}

fn kept(proxy: &Proxy) -> f64 {
    proxy.metric("ringway_quota_writes_total", &[("result", "kept")])
}

/// Waits until what has been counted so far is on the disk.
fn is_kept(proxy: &Proxy) {
    let before = kept(proxy);
    eventually("it is written", || kept(proxy) >= before + 2.0);
}

#[test]
fn each_key_has_its_quota_and_is_told_of_it() {
    let (target, state) = (Target::echo("a"), Directory::new());
    let proxy = start(&config(&target, "[\"daily\"]", 3, ""), &state);
    for left in [2, 1, 0] {
        let answer = ask(&proxy, "ann");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.field("ratelimit-policy").as_deref(), Some("\"daily\";q=3;w=86400"));
        let limit = answer.field("ratelimit").unwrap();
        assert!(limit.starts_with(&format!("\"daily\";r={left};t=")), "{limit}");
    }
    let denied = ask(&proxy, "ann");
    assert_eq!(denied.status, 429);
    let after: u64 = denied.field("retry-after").unwrap().parse().unwrap();
    assert!((1..=86_400).contains(&after), "{after}");
    assert_eq!(denied.field("ratelimit"), Some(format!("\"daily\";r=0;t={after}")));
    assert_eq!(admitted(&proxy, "bob", 5), 3);
    assert_eq!(target.requests(), 6);
    eventually("it is in the log", || proxy.out.count(&["\"reason\":\"quota\""]) > 0);
    assert_eq!(proxy.metric("ringway_rule_requests_total", &[("rule", "daily"), ("result", "denied")]), 3.0);
    assert_eq!(proxy.metric("ringway_rule_keys", &[("rule", "daily")]), 2.0);
}

#[test]
fn over_http2_it_is_the_same() {
    let (target, state) = (Target::echo("a"), Directory::new());
    let proxy = start(&config(&target, "[\"daily\"]", 3, ""), &state);
    let client = h2::Client::to(&proxy.web());
    let requests = (0..10).map(|_| {
        let mut request = h2::request(http::Method::GET, "/v1/x");
        request.headers_mut().append("x-who", "ann".parse().unwrap());
        request
    });
    let answers = client.ask_all(requests.collect());
    let statuses: Vec<u16> = answers.into_iter().map(|answer| answer.unwrap().status.as_u16()).collect();
    assert_eq!(statuses.iter().filter(|&&status| status == 200).count(), 3, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|&&status| status == 429).count(), 7, "{statuses:?}");
}

#[test]
fn workers_and_connections_share_one_count() {
    let (target, state) = (Target::echo("a"), Directory::new());
    let text = config(&target, "[\"daily\"]", 500, "");
    let proxy = Setup::new(text).workers(2).runtime(&format!("state_dir = {:?}", state.path())).start();
    let all: usize = thread::scope(|scope| {
        let ask = || scope.spawn(|| admitted(&proxy, "ann", 100));
        let asking: Vec<_> = (0..10).map(|_| ask()).collect();
        asking.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert_eq!(all, 500);
}

#[test]
fn what_one_of_several_quotas_denies_is_counted_by_none() {
    let (target, state) = (Target::echo("a"), Directory::new());
    let more = "[rules.monthly]\ntype = \"quota\"\nlimit = 5\nperiod = \"month\"\nkey = \"route\"\n\
                [rules.often]\ntype = \"rate-limit\"\nrate = \"4/h\"\nburst = 4\nkey = \"route\"\n";
    let proxy = start(&config(&target, "[\"daily\", \"monthly\", \"often\"]", 3, more), &state);
    assert_eq!(admitted(&proxy, "ann", 10), 3, "by the day");
    assert_eq!(admitted(&proxy, "bob", 10), 1, "by the rate, which has counted none that the day denied");
    let answer = ask(&proxy, "carl");
    assert_eq!(answer.status, 429);
    assert!(answer.field("ratelimit").unwrap().contains("\"monthly\";r=1"), "{answer:?}");
}

#[test]
fn a_process_that_is_started_anew_counts_on() {
    let (target, state) = (Target::echo("a"), Directory::new());
    let text = config(&target, "[\"daily\"]", 10, "");
    let mut proxy = start(&text, &state);
    assert_eq!(admitted(&proxy, "ann", 4), 4);
    assert_eq!(admitted(&proxy, "bob", 20), 10);
    proxy.signal(libc::SIGTERM);
    assert!(proxy.exit().success());
    let proxy = start(&text, &state);
    assert_eq!(admitted(&proxy, "ann", 20), 6);
    assert_eq!(admitted(&proxy, "bob", 20), 0);
    assert_eq!(admitted(&proxy, "carl", 20), 10);
}

#[test]
fn a_process_that_is_killed_gives_nobody_more_than_the_quota() {
    let (target, state) = (Target::echo("a"), Directory::new());
    let text = config(&target, "[\"daily\"]", 30, "");
    let mut proxy = start(&text, &state);
    assert_eq!(admitted(&proxy, "ann", 12), 12);
    is_kept(&proxy);
    proxy.signal(libc::SIGKILL);
    proxy.exit();
    let proxy = start(&text, &state);
    let rest = admitted(&proxy, "ann", 60);
    assert_eq!(rest, 18, "it rested, so that nothing was noted ahead");
}

#[test]
fn an_upgrade_loses_no_count_and_doubles_none() {
    let (target, state) = (Target::echo("a"), Directory::new());
    let mut proxy = start(&config(&target, "[\"daily\"]", 40, ""), &state);
    assert_eq!(admitted(&proxy, "ann", 7), 7);
    let mut kept_open = proxy.client();
    let field = ["X-Who: ann"];
    assert_eq!(kept_open.ask("GET", "/v1/x", &field).status, 200);
    proxy.upgrade();
    // The old process serves this one still, and counts it.
    assert_eq!(kept_open.ask("GET", "/v1/x", &field).status, 200);
    is_kept(&proxy);
    is_kept(&proxy);
    assert_eq!(admitted(&proxy, "ann", 100), 31);
    assert_eq!(admitted(&proxy, "bob", 100), 40);
}

#[test]
fn a_reload_counts_on_by_the_new_limit() {
    let (target, state) = (Target::echo("a"), Directory::new());
    let proxy = start(&config(&target, "[\"daily\"]", 5, ""), &state);
    assert_eq!(admitted(&proxy, "ann", 9), 5);
    rewrite(&proxy, |text| text.replace("limit = 5", "limit = 7"));
    reload(&proxy, "applied");
    assert_eq!(admitted(&proxy, "ann", 9), 2);
    rewrite(&proxy, |text| text.replace("period = \"day\"", "period = \"month\""));
    reload(&proxy, "applied");
    assert_eq!(admitted(&proxy, "ann", 9), 7, "a month's is another count");
    is_kept(&proxy);
    rewrite(&proxy, |text| text.replace("period = \"month\"", "period = \"day\""));
    reload(&proxy, "applied");
    eventually("what the day had counted is known again", || {
        proxy.client().ask("GET", "/v1/x", &["X-Who: ann"]).status == 429
    });
}

#[test]
fn without_a_disk_it_counts_in_memory_and_says_so() {
    let (target, state) = (Target::echo("a"), Directory::new());
    state.write("state", "a file is no folder");
    let proxy = start(&config(&target, "[\"daily\"]", 3, ""), &state);
    assert_eq!(admitted(&proxy, "ann", 9), 3);
    proxy.log.wait(&["what quotas count is in memory alone"]);
    assert_eq!(proxy.metric("ringway_quota_in_memory_alone", &[]), 1.0);
    std::fs::remove_file(state.path().join("state")).unwrap();
    proxy.log.wait(&["what quotas count is kept again"]);
    assert_eq!(admitted(&proxy, "ann", 9), 0);
}

#[test]
fn a_database_that_another_holds_gets_all_of_it_later() {
    let (target, state) = (Target::echo("a"), Directory::new());
    let text = config(&target, "[\"daily\"]", 10, "");
    let mut proxy = start(&text, &state);
    assert_eq!(admitted(&proxy, "ann", 1), 1);
    is_kept(&proxy);
    let mut other = Connection::open(state.path().join("state/state.sqlite")).unwrap();
    let held = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    assert_eq!(admitted(&proxy, "ann", 5), 5, "nobody waits for it");
    proxy.log.wait(&["what quotas count is in memory alone", "locked"]);
    drop(held);
    proxy.log.wait(&["what quotas count is kept again"]);
    proxy.signal(libc::SIGTERM);
    assert!(proxy.exit().success());
    let proxy = start(&text, &state);
    assert_eq!(admitted(&proxy, "ann", 20), 4);
}

#[test]
fn quotas_that_make_no_sense_are_told_where_they_stand() {
    let target = Target::echo("a");
    let text = config(&target, "[\"daily\"]", 5, "");
    for (from, to, said) in [
        ("limit = 5", "limit = 0", "limit"),
        ("limit = 5", "limit = 1000000000001", "limit"),
        ("limit = 5", "", "limit"),
        ("period = \"day\"", "period = \"dya\"", "did you mean \"day\"?"),
        ("Etc/GMT-5", "Europe/Atlantis", "no time zone is named `Europe/Atlantis`"),
        ("header:x-who", "haeder:x-who", "there is no such key"),
        ("time_zone", "timezone", "did you mean `time_zone`?"),
    ] {
        let told = faults(&text, from, to);
        assert!(told.contains(said), "{to}: {told}");
    }
}
