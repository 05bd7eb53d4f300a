//! curl: what scripts, health checks and people at a prompt speak with.

use super::{Front, run};
use crate::support::{Target, assert_same, pattern};
use std::process::Command;

/// Over TLS or not, curl's option, and the version that comes of it.
const WAYS: [(bool, &str, &str); 6] = [
    (false, "--http1.1", "1.1"),
    // In clear this asks for an upgrade, which is not granted.
    (false, "--http2", "1.1"),
    (false, "--http2-prior-knowledge", "2"),
    (true, "--http1.1", "1.1"),
    (true, "--http2", "2"),
    (true, "--http2-prior-knowledge", "2"),
];

/// Here curl before 8.0 fails by itself when it comes back to a connection: curl's issue 10634.
const NO_SECOND: (bool, &str) = (false, "--http2-prior-knowledge");

/// A call of curl that trusts the authority and finds site.test.
fn curl(front: &Front, way: &str) -> Command {
    let mut command = Command::new("curl");
    command.args(["-sS", "--fail", "--max-time", "60", way, "--cacert"]).arg(&front.ca);
    command.args(["--resolve", &format!("site.test:{}:127.0.0.1", front.port())]);
    command
}

/// Runs it and gives what it wrote.
#[track_caller]
fn content(command: &mut Command) -> String {
    let (good, out, err) = run(command);
    assert!(good, "{command:?}: {err}");
    out
}

#[test]
fn transfers_share_a_connection_of_the_version_that_was_asked_for() {
    let target = Target::echo("a");
    for (secure, way, version) in WAYS {
        let front = Front::start(secure, &[&target], "");
        let mut command = curl(&front, way);
        command.args(["-w", " %{http_version} %{http_code} %{num_connects}\n"]).arg(front.url("/"));
        let mut lines = format!("a {version} 200 1\n");
        if (secure, way) != NO_SECOND {
            command.args([front.url("/2"), front.url("/3")]);
            lines += &format!("a {version} 200 0\n").repeat(2);
        }
        assert_eq!(content(&mut command), lines, "{way}");
        let seen = target.last();
        assert_eq!(seen.field("x-forwarded-proto").unwrap(), if secure { "https" } else { "http" });
        assert_eq!(seen.field("upgrade"), None);
    }
}

#[test]
fn transfers_at_once_share_a_connection_of_http2() {
    let target = Target::slow("a", std::time::Duration::from_millis(50));
    let front = Front::start(true, &[&target], "");
    let mut command = curl(&front, "--http2");
    command.args(["--parallel", "--parallel-max", "20", "-w", " %{http_code} %{num_connects}\n"]);
    let out = content(command.arg(front.url("/[1-40]")));
    assert_eq!((out.matches(" 200 0\n").count(), out.matches(" 200 1\n").count()), (39, 1), "{out}");
    assert_eq!(target.requests(), 40);
}

#[test]
fn a_body_of_megabytes_is_sent_and_comes_back() {
    let target = Target::echo("a");
    let body = pattern(3 << 20);
    for (secure, way, version) in WAYS {
        let front = Front::start(secure, &[&target], "");
        let folder = front.ca.parent().unwrap();
        std::fs::write(folder.join("sent"), &body).unwrap();
        // With its length and without: the second is chunked in HTTP/1.1.
        for fields in [&[][..], &["-H", "Transfer-Encoding: chunked"][..]] {
            let mut command = curl(&front, way);
            command.args(fields).args(["-w", "%{http_version} %{http_code}", "-o"]).arg(folder.join("got"));
            command.arg("--data-binary").arg(format!("@{}", folder.join("sent").display())).arg(front.url("/"));
            assert_eq!(content(&mut command), format!("{version} 200"), "{way}");
            assert_same(&target.last().body, &body);
            assert_same(&std::fs::read(folder.join("got")).unwrap(), &body);
        }
    }
}

#[test]
fn an_upload_waits_for_100_continue() {
    let target = Target::echo("a");
    for (secure, way, version) in WAYS {
        let front = Front::start(secure, &[&target], "");
        let mut command = curl(&front, way);
        // Longer than the test has patience: what is sent is sent because of the 100.
        command.args([
            "-v",
            "--expect100-timeout",
            "120",
            "-H",
            "Expect: 100-continue",
            "-d",
            "x".repeat(5000).as_str(),
        ]);
        let (good, out, err) = run(command.arg(front.url("/")));
        assert!(good && out.len() == 5000, "{way}: {err}");
        assert!(err.contains(&format!("< HTTP/{version} 100")), "{way}: {err}");
    }
}

#[test]
fn a_head_has_the_length_and_no_body() {
    let target = Target::echo("name");
    for (secure, way, version) in WAYS {
        let front = Front::start(secure, &[&target], "");
        let mut command = curl(&front, way);
        // The second one shows that nothing of a body has come behind the first.
        let count = if (secure, way) == NO_SECOND { 1 } else { 2 };
        command.arg("--head").args(vec![front.url("/"); count]);
        let out = content(&mut command).to_lowercase();
        assert_eq!(out.matches(&format!("http/{version} 200")).count(), count, "{way}: {out}");
        assert_eq!(out.matches("content-length: 4\r\n").count(), count, "{way}: {out}");
    }
}

/// http-messaging/truncated
#[test]
fn an_answer_that_was_cut_is_an_error() {
    let length = Target::closes_after("a", 1000, 5000);
    let chunks = Target::says_and_closes("b", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    for target in [&length, &chunks] {
        for (secure, way, _) in WAYS {
            let front = Front::start(secure, &[target], "");
            let (good, _, err) = run(curl(&front, way).arg(front.url("/")));
            assert!(!good, "{way}: {err}");
        }
    }
}

#[test]
fn either_version_of_tls_will_do() {
    let target = Target::echo("a");
    let front = Front::start(true, &[&target], "");
    for version in [&["--tls-max", "1.2"][..], &["--tlsv1.3"]] {
        assert_eq!(content(curl(&front, "--http2").args(version).arg(front.url("/"))), "a");
    }
}
