//! That hooks get a record of each request, and none is lost below the stated backlog.

use super::{config, log_of, path, start};
use crate::support::eventually;
use crate::support::load;
use crate::support::proxy::{Directory, Proxy};
use crate::support::target::Target;
use serde_json::Value;
use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

fn ids<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["request_id"].as_str().unwrap().to_owned();
    lines.map(id).collect()
}

fn of_file(path: &Path) -> Vec<String> {
    ids(std::fs::read_to_string(path).unwrap_or_default().lines())
}

/// What was posted to a server.
fn posted(server: &Target) -> String {
    let seen = server.seen();
    let posts = seen.iter().filter(|seen| seen.method == "POST" && seen.whole);
    posts.map(|seen| String::from_utf8(seen.body.clone()).unwrap()).collect()
}

fn records(proxy: &Proxy, result: &str) -> f64 {
    proxy.metric("ringway_analytics_hook_records_total", &[("result", result)])
}

#[test]
fn hooks_of_each_kind_get_each_record_once_and_no_key() {
    let (target, state, server) = (Target::echo("a"), Directory::new(), Target::echo("hook"));
    let (file, socket) = (state.path().join("hook.jsonl"), state.path().join("hook.sock"));
    let syslog = UnixDatagram::bind(&socket).unwrap();
    syslog.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let hooks = format!(
        "[analytics.hooks.http]\nurl = \"http://{}/in\"\nheaders = {{ x-token = \"s3cret\" }}\n\
         [analytics.hooks.file]\npath = {file:?}\n[analytics.hooks.syslog]\nsyslog = \"unix:{}\"\n",
        server.address,
        socket.display()
    );
    let mut proxy = start(&config(&target, &state, &hooks), &state);
    load::run(&proxy.web(), 2, 200, path);
    let mut told = Vec::new();
    for _ in 0..200 {
        let mut message = [0; 8192];
        let length = syslog.recv(&mut message).unwrap();
        let message = String::from_utf8(message[..length].to_vec()).unwrap();
        assert!(message.starts_with("<134>1 ") && message.contains(" analytics - {"), "{message}");
        told.push(message[message.find('{').unwrap()..].to_owned());
    }
    eventually("all are posted", || posted(&server).lines().count() == 200);
    eventually("all are in the file", || of_file(&file).len() == 200);
    eventually("all are counted", || records(&proxy, "sent") == 600.0);
    let post = server.seen().into_iter().find(|seen| seen.method == "POST").unwrap();
    assert_eq!((post.path.as_str(), post.field("x-token").as_deref()), ("/in", Some("s3cret")));
    assert_eq!(post.field("content-type").as_deref(), Some("application/jsonl"));
    proxy.signal(libc::SIGTERM);
    assert!(proxy.exit().success());
    let logged: BTreeSet<String> = of_file(&log_of(&state)).into_iter().collect();
    assert_eq!(logged.len(), 200);
    let text = posted(&server);
    for found in [of_file(&file), ids(text.lines()), ids(told.iter().map(String::as_str))] {
        assert_eq!((found.len(), found.into_iter().collect::<BTreeSet<_>>()), (200, logged.clone()));
    }
    assert!(text.contains("\"version\":\"v1\"") && !text.contains("key-of-"), "{text}");
}

#[test]
fn records_wait_for_a_hook_that_is_away_and_those_of_the_end_are_delivered() {
    let (target, state, mut server) = (Target::echo("a"), Directory::new(), Target::echo("hook"));
    server.kill();
    let hook = format!("[analytics.hooks.away]\nurl = \"http://{}/\"\n", server.address);
    let mut proxy = start(&config(&target, &state, &hook), &state);
    load::run(&proxy.web(), 2, 300, path);
    proxy.log.wait(&["records are not delivered"]);
    assert_eq!(records(&proxy, "sent"), 0.0);
    assert!(proxy.metric("ringway_analytics_hook_waiting_bytes", &[("hook", "away")]) > 0.0);
    server.revive();
    eventually("they are delivered", || posted(&server).lines().count() == 300);
    proxy.log.wait(&["records are delivered again"]);
    load::run(&proxy.web(), 2, 50, path);
    proxy.signal(libc::SIGTERM);
    assert!(proxy.exit().success());
    assert_eq!(posted(&server).lines().count(), 350);
}

#[test]
fn what_is_beyond_the_backlog_is_dropped_counted_and_told() {
    let (target, state, mut server) = (Target::echo("a"), Directory::new(), Target::echo("hook"));
    server.kill();
    let hook = format!("[analytics.hooks.away]\nurl = \"http://{}/\"\nmax_backlog = \"1MiB\"\n", server.address);
    let proxy = start(&config(&target, &state, &hook), &state);
    load::run(&proxy.web(), 4, 6000, path);
    proxy.log.wait(&["more than max_backlog waits for a hook"]);
    server.revive();
    eventually("all are settled", || records(&proxy, "sent") + records(&proxy, "dropped") == 6000.0);
    assert!(records(&proxy, "dropped") > 0.0);
    assert_eq!(posted(&server).lines().count() as f64, records(&proxy, "sent"));
    let bytes = posted(&server).len();
    assert!((900_000..1_100_000).contains(&bytes), "{bytes} have waited");
}
