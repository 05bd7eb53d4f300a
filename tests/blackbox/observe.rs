//! Metrics, logs and error replies: what an operator sees, and what a client does not. Protects log/log_uri,
//! log/wrong_ip_port_logging, stream/unique-id and the case "nobody reads the log pipe".

use crate::support::client::request;
use crate::support::load;
use crate::support::proxy::{Proxy, Setup};
use crate::support::target::refused;
use crate::support::toml::{http, http_with, tcp};
use crate::support::{Target, eventually, rounds};
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::Read;
use std::time::{Duration, Instant};

const JSON: &str = "\n[access_log]\npath = \"stdout\"\nformat = \"json\"\n";

/// Waits for the access log's line about `uri`.
#[track_caller]
fn record(proxy: &Proxy, uri: &str) -> Value {
    let line = proxy.out.wait(&[&format!("\"uri\":\"{uri}")]);
    serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line}: {e}"))
}

#[test]
fn metrics_are_well_formed_prometheus_text() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http_with("", &[&target], "health = { type = \"tcp\" }"));
    proxy.get("/");
    let response = proxy.ask_admin("GET", "/metrics");
    assert!(response.field("content-type").unwrap().starts_with("text/plain"), "{:?}", response.head);
    let (mut families, mut series) = (std::collections::HashMap::new(), std::collections::HashSet::new());
    for line in response.text().lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(families.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} is declared twice");
        } else if !line.starts_with('#') {
            let (identity, value) = line.rsplit_once(' ').unwrap();
            assert!(series.insert(identity.to_owned()), "{identity} appears twice");
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
            let name = identity.split('{').next().unwrap();
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let family = base.filter(|base| families.contains_key(*base)).unwrap_or(name);
            let kind = families.get(family).unwrap_or_else(|| panic!("{name} has no TYPE"));
            assert!(kind != "counter" || value >= 0.0 && name.ends_with("_total"), "{line}");
        }
    }
    assert!(series.len() > 20);
}

#[test]
fn counters_count_what_happened() {
    let target = Target::echo("a");
    let config = http(&[&target]) + "\n[routes.api]\npaths = [\"/api/\"]\npool = \"site\"\n";
    let proxy = Proxy::start(config);
    let mut client = proxy.client();
    for _ in 0..7 {
        client.get("/api/x");
    }
    client.post("/", &[b'x'; 10_000]);
    let web = ("listener", "web");
    eventually("all are counted", || proxy.metric("ringway_http_requests_total", &[web, ("code_class", "2xx")]) == 8.0);
    proxy.settles("ringway_connections_accepted_total", &[web], 1.0);
    proxy.settles("ringway_connections_open", &[web], 1.0);
    proxy.settles("ringway_route_requests_total", &[("route", "api")], 7.0);
    proxy.settles("ringway_http_request_duration_seconds_count", &[("route", "api")], 7.0);
    proxy.settles("ringway_pool_requests_total", &[("pool", "site")], 8.0);
    proxy.settles("ringway_target_requests_total", &[("target", &target.to_string())], 8.0);
    proxy.settles("ringway_target_in_flight", &[], 0.0);
    let received = proxy.metric("ringway_received_bytes_total", &[web]);
    assert!((10_000.0..14_000.0).contains(&received), "{received}");
    assert!(proxy.metric("ringway_sent_bytes_total", &[web]) > 10_000.0);
    eventually("the loop's longest turn is known", || proxy.metric("ringway_worker_longest_turn_seconds", &[]) > 0.0);
    drop(client);
    eventually("the gauge goes back", || proxy.metric("ringway_connections_open", &[web]) == 0.0);
}

#[test]
fn in_flight_is_seen_while_it_lasts() {
    let target = Target::slow("a", Duration::from_secs(3));
    let proxy = Proxy::start(http(&[&target]));
    let mut clients: Vec<_> = (0..5).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.send(request("GET", "/", &[]));
    }
    eventually("five are in flight", || proxy.metric("ringway_pool_in_flight", &[("pool", "site")]) == 5.0);
    for mut client in clients {
        assert_eq!(client.response().status, 200);
    }
    eventually("none is", || proxy.metric("ringway_pool_in_flight", &[("pool", "site")]) == 0.0);
}

#[test]
fn health_pages_say_that_it_lives_and_serves() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]));
    for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/nothing", 404)] {
        assert_eq!(proxy.ask_admin("GET", path).status, status, "{path}");
    }
    assert_eq!(proxy.get("/metrics").target(), "a", "a listener has no such page");
}

/// log/log_uri, log/wrong_ip_port_logging: the logged URI and addresses are the real ones.
#[test]
fn the_json_log_tells_the_whole_exchange() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]) + "\n[routes.api]\npaths = [\"/api/\"]\npool = \"site\"\n" + JSON);
    let mut client = crate::support::Client::from("127.0.0.5", &proxy.web());
    let port = client.socket.local_addr().unwrap().as_socket().unwrap().port();
    let quoted = "User-Agent: te\"st\\1.0";
    client.ask("GET", "/api/%7Ex?q=1&r=%22", &[quoted, "Referer: http://r.test/"]);
    let record = record(&proxy, "/api/");
    let expected: [(&str, Value); 14] = [
        ("client", "127.0.0.5".into()),
        ("client_port", port.into()),
        ("listener", "web".into()),
        ("route", "api".into()),
        ("pool", "site".into()),
        ("target", target.to_string().into()),
        ("method", "GET".into()),
        ("uri", "/api/%7Ex?q=1&r=%22".into()),
        ("host", "site.test".into()),
        ("status", 200.into()),
        ("user_agent", "te\"st\\1.0".into()),
        ("referer", "http://r.test/".into()),
        ("body_bytes_out", 1.into()),
        ("tries", 1.into()),
    ];
    for (key, value) in expected {
        assert_eq!(record[key], value, "{key} in {record}");
    }
    assert!(record["total_ms"].as_f64().unwrap() < 60_000.0);
}

#[test]
fn combined_and_haproxy_lines_parse_as_their_tools_expect() {
    let target = Target::echo("a");
    let log = "\n[access_log]\npath = \"stdout\"\nformat = \"combined\"\n";
    let proxy = Proxy::start(http(&[&target]) + log);
    proxy.client().ask("GET", "/x?y", &["User-Agent: cu\"rl", "Referer: http://r.test/"]);
    let line = proxy.out.wait(&["/x?y"]);
    let combined = regex::Regex::new(
        r#"^127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /x\?y HTTP/1\.1" 200 1 "http://r\.test/" "cu\\x22rl"$"#,
    );
    assert!(combined.unwrap().is_match(&line), "{line}");

    let log = "\n[access_log]\npath = \"stdout\"\nformat = \"haproxy\"\n";
    let proxy = Proxy::start(http(&[&target]) + log);
    proxy.get("/x?y");
    let line = proxy.out.wait(&["/x?y"]);
    let haproxy = regex::Regex::new(
        r#"^127\.0\.0\.1:\d+ \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d\.\d{3}\] web site/\S+ \d+/\d+/-?\d+/\d+/\d+ 200 \d+ - - ---- \d+/\d+/\d+/\d+/\d+ \d+/\d+ "GET /x\?y HTTP/1\.1"$"#,
    );
    assert!(haproxy.unwrap().is_match(&line), "{line}");
}

#[test]
fn every_exchange_has_exactly_one_line() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]) + JSON);
    let requests = rounds(3000, 500);
    load::run(&proxy.web(), 6, requests, |n| format!("/n{n}")).assert_clean();
    eventually("all lines came", || proxy.out.all().len() == requests);
    let mut uris: Vec<String> = proxy
        .out
        .all()
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["uri"].as_str().unwrap().to_owned())
        .collect();
    uris.sort();
    uris.dedup();
    assert_eq!(uris.len(), requests);
    eventually("and are counted", || proxy.metric("ringway_access_log_lines_total", &[]) == requests as f64);
    proxy.settles("ringway_access_log_lines_lost_total", &[], 0.0);
}

#[test]
fn refused_requests_and_tcp_connections_are_logged_too() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]) + JSON);
    let mut client = proxy.client();
    client.send("GET /bad path HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().status, 400);
    let line = proxy.out.wait(&["\"status\":400"]);
    assert!(serde_json::from_str::<Value>(&line).unwrap()["reason"].is_string(), "{line}");

    let mirror = Target::mirror("m");
    let proxy = Proxy::start(tcp(&[&mirror]) + JSON);
    let mut client = proxy.client();
    client.send("12345");
    client.exact(5).unwrap();
    drop(client);
    let line = proxy.out.wait(&["\"protocol\":\"TCP\""]);
    let record: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&record["bytes_in"], &record["bytes_out"]), (&5.into(), &5.into()), "{line}");
}

/// stream/unique-id: one id, shown to the client who asks for help and found in the log.
#[test]
fn an_error_reply_carries_the_id_that_the_log_has_and_no_internals() {
    let gone = refused();
    let proxy = Proxy::start(http_with("", &[gone], "") + JSON);
    let response = proxy.get("/broken");
    assert!([502, 503].contains(&response.status));
    let id = record(&proxy, "/broken")["request_id"].as_str().unwrap().to_owned();
    assert!(id.len() >= 8);
    let whole = String::from_utf8_lossy(&response.head.raw).into_owned() + &response.text();
    assert!(whole.contains(&id), "{whole}");
    for inside in [gone.ip().to_string(), gone.to_string(), "refused".into(), "site".into(), ".rs".into()] {
        let text = response.text().to_ascii_lowercase();
        assert!(!text.replace("site.test", "").contains(&inside), "{inside} in {text}");
    }
    assert!(response.body.len() < 1000);
    let other = proxy.get("/again");
    assert!(!String::from_utf8_lossy(&other.head.raw).contains(&id) && !other.text().contains(&id));
}

#[test]
fn an_error_reply_does_not_repeat_what_the_client_sent() {
    let proxy = Proxy::start(http_with("", &[refused()], ""));
    let response = proxy.client().ask("GET", "/%3Cscript%3E<script>alert(1)</script>", &["X: <script>"]);
    assert!(response.status >= 400);
    assert!(!response.text().contains("script"), "{}", response.text());
    assert!(
        !response.field("content-type").unwrap_or_default().contains("html") || !response.text().contains("script")
    );
}

#[test]
fn a_log_file_is_appended_to_and_opened_again_on_sigusr1() {
    let target = Target::echo("a");
    let setup = Setup::new("");
    let path = setup.directory().join("access.log");
    let config = http(&[&target]) + &format!("\n[access_log]\npath = \"{}\"\nformat = \"json\"\n", path.display());
    std::fs::write(&path, "{\"uri\":\"/older\"}\n").unwrap();
    let proxy = setup.with(config).start();
    let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap_or_default();
    proxy.get("/first");
    eventually("the first line is in the file", || read(&path).contains("\"/first\""));
    assert!(read(&path).contains("/older"), "it is appended to");
    let rotated = path.with_extension("1");
    std::fs::rename(&path, &rotated).unwrap();
    proxy.signal(libc::SIGUSR1);
    eventually("a new file is made", || {
        proxy.get("/second");
        read(&path).contains("\"/second\"")
    });
    assert!(read(&rotated).contains("\"/first\"") && !read(&path).contains("\"/first\""));
}

#[test]
fn a_sample_of_none_writes_none() {
    let target = Target::echo("a");
    let proxy = Proxy::start(http(&[&target]) + JSON + "sample = \"0%\"\n");
    load::run(&proxy.web(), 2, 50, |n| format!("/{n}")).assert_clean();
    assert!(proxy.out.all().is_empty());
    let proxy = Proxy::start(http(&[&target]) + JSON + "sample = \"50%\"\n");
    load::run(&proxy.web(), 2, 400, |n| format!("/{n}")).assert_clean();
    eventually("about half come", || (120..280).contains(&proxy.out.all().len()));
}

/// The case "nobody reads the log pipe": requests go on, lines are lost and counted, whole lines only.
#[test]
fn a_stuck_log_reader_costs_lines_and_no_request() {
    let target = Target::echo("a");
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut proxy = Setup::new(http(&[&target]) + JSON).stdout(writer).start();
    let path = format!("/{}", "p".repeat(2000));
    let requests = rounds(6000, 4000);
    let count = load::run(&proxy.web(), 8, requests, |_| path.clone());
    count.assert_clean();
    assert!(count.longest < Duration::from_secs(5), "{:?}", count.longest);
    let lost = || proxy.metric("ringway_access_log_lines_lost_total", &[]);
    eventually("lost lines are counted", || lost() > 0.0);

    let lines = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    assert_eq!(proxy.get("/after").status, 200);
    std::thread::sleep(Duration::from_millis(500));
    let lost = lost() as usize;
    proxy.signal(libc::SIGTERM);
    let begun = Instant::now();
    assert_eq!(proxy.exit().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(10), "a stop takes its usual time");
    drop(proxy);
    let text = lines.join().unwrap();
    assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "whole lines only");
    assert!(text.lines().count() + lost >= requests, "{} lines and {lost} lost of {requests}", text.lines().count());
}

#[test]
fn a_stop_does_not_wait_for_a_stuck_log_reader() {
    let target = Target::echo("a");
    let (reader, writer) = std::io::pipe().unwrap();
    let config = http(&[&target]) + JSON;
    let mut proxy = Setup::new(config).stdout(writer).runtime("shutdown_timeout = \"2s\"").start();
    let path = format!("/{}", "p".repeat(2000));
    load::run(&proxy.web(), 4, 500, |_| path.clone()).assert_clean();
    proxy.signal(libc::SIGTERM);
    assert!(proxy.exit_within(Duration::from_secs(15)).is_some_and(|status| status.code() == Some(0)));
    drop(reader);
}

#[test]
fn a_log_reader_that_dies_does_not_take_the_process_along() {
    let target = Target::echo("a");
    let (reader, writer) = std::io::pipe().unwrap();
    let mut proxy = Setup::new(http(&[&target]) + JSON).stdout(writer).start();
    drop(reader);
    load::run(&proxy.web(), 4, 200, |n| format!("/{n}")).assert_clean();
    eventually("lost lines are counted", || proxy.metric("ringway_access_log_lines_lost_total", &[]) > 0.0);
    assert!(proxy.running());
}

#[test]
fn a_full_disk_costs_lines_and_no_request() {
    let target = Target::echo("a");
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    for config in
        [http(&[&target]) + "\n[access_log]\npath = \"/dev/full\"\nformat = \"json\"\n", http(&[&target]) + JSON]
    {
        let mut proxy = Setup::new(config).stdout(full.try_clone().unwrap()).start();
        load::run(&proxy.web(), 4, 200, |n| format!("/{n}")).assert_clean();
        eventually("lost lines are counted", || {
            proxy.metric("ringway_access_log_lines_lost_total", &[("where", "write")]) > 0.0
        });
        assert_eq!(proxy.get("/still").status, 200);
        proxy.signal(libc::SIGTERM);
        assert_eq!(proxy.exit().code(), Some(0));
    }
}

#[test]
fn the_admin_page_refuses_what_it_does_not_know() {
    let proxy = Proxy::start(http(&[refused()]));
    assert_eq!(proxy.ask_admin("POST", "/metrics").status, 405);
    // A browser that another site's name led here (DNS rebinding) learns nothing.
    assert_eq!(crate::support::client::get(&proxy.admin(), "/metrics").status, 403);
    let (code, out, err) = {
        let directory = crate::support::proxy::Directory::new();
        let file = directory.write("r.toml", &(http(&["127.0.0.1:1"]) + "[admin]\nlisten = \"0.0.0.0:0\"\n"));
        crate::support::proxy::ringway(&["check", "-c", &file])
    };
    assert_eq!(code, Some(2), "without a token the admin listener is for loopback alone: {out}{err}");
}
