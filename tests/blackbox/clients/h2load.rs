//! h2load: many streams on few connections, as benchmarks are run.

use super::{Front, run};
use crate::support::{Target, pattern, rounds};
use std::process::Command;

/// Over TLS or not, how that version is asked for, and what h2load calls it.
const WAYS: [(bool, &[&str], &str); 4] =
    [(false, &[], "h2c"), (true, &[], "h2"), (false, &["--h1"], "http/1.1"), (true, &["--h1"], "http/1.1")];

/// Requests on 4 connections with 16 streams each, of which none may fail.
#[track_caller]
fn load(front: &Front, count: usize, command: &mut Command, protocol: &str) {
    command.args(["-c", "4", "-m", "16", "-n", &count.to_string(), "--connect-to", &front.proxy.web()]);
    let (good, out, err) = run(command.arg(front.url("/")));
    assert!(good, "{err}");
    for part in [
        format!(
            "requests: {count} total, {count} started, {count} done, {count} succeeded, 0 failed, 0 errored, 0 timeout"
        ),
        format!("status codes: {count} 2xx, 0 3xx, 0 4xx, 0 5xx"),
        format!("Application protocol: {protocol}"),
    ] {
        assert!(out.contains(&part), "no {part:?} in {out}");
    }
}

#[test]
fn thousands_of_requests_are_answered() {
    let target = Target::echo("a");
    let count = rounds(8_000, 2_000);
    for (secure, way, protocol) in WAYS {
        let front = Front::start(secure, &[&target], "");
        let before = target.requests();
        load(&front, count, Command::new("h2load").args(way), protocol);
        assert_eq!(target.requests() - before, count);
        front.proxy.settles("ringway_http_requests_total", &[("code_class", "2xx")], count as f64);
    }
}

#[test]
fn uploads_on_many_streams_are_answered() {
    let body = pattern(100_000);
    for (secure, way, protocol) in WAYS {
        let target = Target::echo("a");
        let front = Front::start(secure, &[&target], "");
        let file = front.ca.with_file_name("body");
        std::fs::write(&file, &body).unwrap();
        load(&front, 400, Command::new("h2load").args(way).arg("-d").arg(&file), protocol);
        let seen = target.seen();
        assert_eq!(seen.len(), 400);
        assert!(seen.iter().all(|seen| seen.body == body), "{protocol}");
    }
}
