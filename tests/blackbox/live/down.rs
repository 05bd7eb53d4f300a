//! What is under way with a target ends when it goes down, where that is wanted, and with backups when another comes up.

use super::{agent, moody};
use crate::admin::start;
use crate::support::client::{Client, request};
use crate::support::h2;
use crate::support::toml::{http, http_with, pool, tcp_with};
use crate::support::{GLANCE, Proxy, Target, eventually};
use http::Method;
use serde_json::Value;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

const CHECK: &str =
    "health = { type = \"http\", path = \"/healthz\", interval = \"100ms\", timeout = \"5s\", rise = 1, fall = 1 }\n";
const CLOSE: &str = "balance = \"round-robin\"\non_down = \"close\"\n";
const JSON: &str = "\n[access_log]\npath = \"stdout\"\nformat = \"json\"\n";

fn up(proxy: &Proxy, target: &Target) -> bool {
    proxy.metric("ringway_target_up", &[("target", &target.to_string())]) == 1.0
}

#[track_caller]
fn record(proxy: &Proxy, part: &str) -> Value {
    serde_json::from_str(&proxy.out.wait(&[part])).unwrap()
}

/// A tunnel to this target, by which a word has come back.
#[track_caller]
fn tunnel_to(proxy: &Proxy, target: &Target) -> Client {
    let mut found = None;
    eventually("a connection comes to it", || {
        let before = target.connections();
        let mut client = proxy.client();
        client.send("ping");
        assert_eq!(client.exact(4).unwrap(), b"ping");
        let with_it = target.connections() > before && {
            // Its checks come, too: only the one that is told of it has the tunnel.
            let open = target.open();
            client.send("pong");
            client.exact(4).is_ok() && open > 0
        };
        if with_it {
            found = Some(client);
        }
        with_it
    });
    found.unwrap()
}

/// "A demoted primary must lose its writers": on all workers, and at once; who goes to others stays.
#[test]
fn a_target_whose_health_changes_loses_its_tunnels() {
    let ((primary, health), (other, _)) = (agent("primary"), agent("other"));
    // Checks of the other one say that it is no primary either, until it is asked for.
    let lines = format!("{CLOSE}{CHECK}");
    let proxy = Proxy::start(tcp_with("", &[&primary], &lines) + &pool("spare", &[&other], CLOSE) + JSON);
    let mut writers: Vec<Client> = (0..8).map(|_| tunnel_to(&proxy, &primary)).collect();
    health.store(503, Ordering::SeqCst);
    eventually("it is down", || !up(&proxy, &primary));
    let since = Instant::now();
    for writer in &mut writers {
        writer.ending();
    }
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    let told = record(&proxy, "\"termination\":\"DD");
    assert_eq!((&told["reason"], &told["target"]), (&"target-down".into(), &primary.to_string().into()));
    proxy.settles("ringway_pool_errors_total", &[("pool", "site"), ("kind", "target-down")], 8.0);
    proxy.settles("ringway_target_in_flight", &[], 0.0);
    proxy.log.wait(&["connections are ended", "its target is down"]);
    eventually("the target has heard of it", || primary.open() <= 1);
    // Back again, and not closed any more.
    health.store(200, Ordering::SeqCst);
    eventually("it is up", || up(&proxy, &primary));
    let mut writer = tunnel_to(&proxy, &primary);
    assert!(writer.quiet(GLANCE), "who comes after that stays");
}

#[test]
fn tunnels_stay_where_nothing_is_said() {
    let (target, health) = agent("a");
    let proxy = Proxy::start(tcp_with("", &[&target], CHECK));
    let mut client = tunnel_to(&proxy, &target);
    health.store(503, Ordering::SeqCst);
    eventually("it is down", || !up(&proxy, &target));
    assert!(client.quiet(GLANCE));
    client.send("still");
    assert_eq!(client.exact(5).unwrap(), b"still");
}

/// The same servers are in a pool of writers and in one of readers.
#[test]
fn a_target_that_is_down_in_one_pool_keeps_what_another_pool_has_with_it() {
    let (target, health) = agent("a");
    let config = tcp_with("", &[&target], &format!("{CLOSE}{CHECK}"))
        + "\n[listeners.readers]\nlisten = [\"127.0.0.1:0\"]\nprotocol = \"tcp\"\npool = \"readers\"\n"
        + &pool("readers", &[&target], CLOSE);
    let proxy = Proxy::start(config);
    let mut writer = tunnel_to(&proxy, &target);
    let mut reader = Client::to(&proxy.at("readers"));
    reader.send("hi");
    assert_eq!(reader.exact(2).unwrap(), b"hi");
    health.store(503, Ordering::SeqCst);
    writer.ending();
    assert!(reader.quiet(GLANCE));
    reader.send("hi");
    assert_eq!(reader.exact(2).unwrap(), b"hi");
}

#[test]
fn maintenance_ends_tunnels_and_drain_does_not() {
    let (target, other) = (Target::mirror("a"), Target::mirror("b"));
    let desk = start(&(tcp_with("", &[&target, &other], CLOSE) + JSON));
    let mut client = tunnel_to(&desk.proxy, &target);
    let at = format!("/v1/pools/site/targets/{target}");
    desk.operator.told("PATCH", &at, "{\"state\":\"drain\"}", 200);
    assert!(client.quiet(GLANCE));
    client.send("ok");
    assert_eq!(client.exact(2).unwrap(), b"ok");
    desk.operator.told("PATCH", &at, "{\"state\":\"maintenance\"}", 200);
    client.ending();
    assert_eq!(record(&desk.proxy, "\"termination\":\"DD")["reason"], "target-down");
    desk.operator.told("PATCH", &at, "{\"state\":\"ready\"}", 200);
    let mut client = tunnel_to(&desk.proxy, &target);
    desk.operator.told("DELETE", &at, "", 200);
    assert!(client.quiet(GLANCE), "a target that is removed finishes what it has");
}

#[test]
fn an_exchange_with_a_target_that_goes_down_is_tried_on_another_or_answered() {
    let (lost, other) = (moody("lost"), moody("other"));
    lost.takes(Duration::from_secs(20));
    let lines = format!("{CLOSE}{CHECK}timeouts = {{ response_head = \"30s\" }}\n");
    let proxy = Proxy::start(http_with("", &[&lost.target, &other.target], &lines) + JSON);
    let served = |n| lost.target.seen().iter().filter(|seen| seen.path.starts_with("/held")).count() == n;
    let held = |method: &str, n: usize| {
        let mut found = None;
        eventually("one comes to it", || {
            let mut client = proxy.client();
            client.send(request(method, &format!("/held-{method}"), &["Content-Length: 0"]));
            let came = crate::support::within(Duration::from_millis(200), || served(n));
            found = came.then_some(client);
            came
        });
        found.unwrap()
    };
    let (mut get, mut post) = (held("GET", 1), held("POST", 2));
    let since = Instant::now();
    lost.is_healthy(false);
    assert_eq!(get.response().target(), "other", "what may be sent twice is tried on another target");
    assert_eq!(post.response().status, 503, "what may not is answered");
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    let told = record(&proxy, "\"status\":503");
    assert_eq!(told["reason"], "target-down", "{told}");
    assert!(told["termination"].as_str().unwrap().starts_with("DH"), "{told}");
    proxy.settles("ringway_pool_errors_total", &[("kind", "target-down")], 2.0);
    assert_eq!(proxy.get("/").target(), "other");
}

#[test]
fn an_answer_under_way_is_cut_and_never_looks_whole() {
    let checked = moody("checked");
    let target = Target::with("a", {
        let health = checked.health.clone();
        move |peer| {
            while let Some(seen) = peer.request() {
                if seen.path == "/healthz" {
                    peer.reply(health.load(Ordering::SeqCst), &[], b"");
                    continue;
                }
                let _ = peer.try_send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
                peer.ending();
            }
        }
    });
    let proxy = Proxy::start(http_with("", &[&target], &format!("{CLOSE}{CHECK}")) + JSON);
    let mut client = proxy.client();
    client.send(request("GET", "/", &[]));
    eventually("it is on its way", || target.seen().iter().any(|seen| seen.path == "/"));
    thread::sleep(Duration::from_millis(50));
    checked.is_healthy(false);
    assert!(client.response_to("GET").is_err());
    let told = record(&proxy, "target-down");
    assert!(told["termination"].as_str().unwrap().starts_with("DD"), "{told}");
}

#[test]
fn exchanges_over_a_shared_connection_end_with_its_target() {
    let lost = moody("lost");
    lost.takes(Duration::from_secs(20));
    let inner = Proxy::start(http(&[&lost.target]));
    let lines = format!("{CLOSE}protocol = \"h2\"\ntimeouts = {{ response_head = \"30s\", connect = \"20s\" }}\n");
    let desk = start(&(http_with("", &[inner.web()], &lines) + JSON));
    let client = h2::Client::to(&desk.proxy.web());
    let since = Instant::now();
    thread::scope(|scope| {
        let asked =
            scope.spawn(|| client.ask_all((0..3).map(|n| h2::request(Method::POST, &format!("/held{n}"))).collect()));
        eventually("they are at the target", || lost.served() == 3);
        let at = format!("/v1/pools/site/targets/{}", inner.web());
        desk.operator.told("PATCH", &at, "{\"state\":\"maintenance\"}", 200);
        let answers = asked.join().unwrap();
        assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 503)), "{answers:?}");
    });
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    desk.proxy.settles("ringway_pool_errors_total", &[("kind", "target-down")], 3.0);
}

#[test]
fn a_target_that_comes_up_takes_the_work_of_backups_back() {
    let ((main, health), (backup, _)) = (agent("main"), agent("backup"));
    let lines = format!("on_up = \"close-backups\"\n{CHECK}");
    let config = tcp_with("", &[&main], &lines).replace(
        &format!("targets = [\"{main}\"]"),
        &format!("targets = [\"{main}\", {{ address = \"{backup}\", backup = true }}]"),
    );
    health.store(503, Ordering::SeqCst);
    let proxy = Proxy::start(config + JSON);
    eventually("it is down", || !up(&proxy, &main));
    let mut away: Vec<Client> = (0..4).map(|_| tunnel_to(&proxy, &backup)).collect();
    assert!(away[0].quiet(GLANCE));
    health.store(200, Ordering::SeqCst);
    for client in &mut away {
        client.ending();
    }
    assert_eq!(record(&proxy, "\"termination\":\"DD")["target"], backup.to_string());
    let mut home = tunnel_to(&proxy, &main);
    assert!(home.quiet(GLANCE));
}

/// Health that is not believed ends nothing.
#[test]
fn what_goes_to_targets_that_are_down_all_the_same_is_left_alone() {
    let (target, health) = agent("a");
    health.store(503, Ordering::SeqCst);
    let lines = format!("{CLOSE}all_down = \"open\"\n{CHECK}");
    let proxy = Proxy::start(tcp_with("", &[&target], &lines));
    eventually("it is down", || !up(&proxy, &target));
    let mut client = tunnel_to(&proxy, &target);
    assert!(client.quiet(GLANCE));
}
