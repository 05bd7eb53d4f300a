//! What operators read of sums, by the API and by the command line.

use super::{config, path, start};
use crate::admin::Operator;
use crate::support::eventually;
use crate::support::load;
use crate::support::proxy::{Directory, ringway};
use crate::support::target::Target;
use crate::support::toml::http;
use serde_json::Value;

fn all(operator: &Operator) -> u64 {
    operator.get("/v1/analytics")["items"][0]["requests"].as_u64().unwrap_or(0)
}

#[test]
fn who_still_calls_what_is_read_in_three_forms_and_as_a_table() {
    let (target, state) = (Target::echo("a"), Directory::new());
    let proxy = start(&config(&target, &state, ""), &state);
    load::run(&proxy.web(), 2, 600, path);
    let operator = Operator::at(proxy.admin());
    eventually("all are written", || all(&operator) == 600);

    let sums = operator.get("/v1/analytics?from=1h&by=consumer,version");
    let of = |consumer: &str, version: &str| {
        let items = sums["items"].as_array().unwrap();
        items.iter().find(|item| item["consumer"] == consumer && item["version"] == version).unwrap().clone()
    };
    assert_eq!(of("ann", "v1")["requests"], 80);
    assert_eq!(of("eve", "v2")["requests"], 70);
    assert!(of("ann", "v1").get("route").is_none());
    assert!(of("ann", "v1")["p99_ms"].as_f64() > Some(0.0));

    let csv = operator.ask("GET", "/v1/analytics?by=route,status&format=csv", "");
    assert_eq!(csv.field("content-type").as_deref(), Some("text/csv; charset=utf-8"));
    assert!(csv.text().starts_with("route,status,requests,errors,bytes_in,"), "{}", csv.text());
    assert!(csv.text().lines().any(|line| line.starts_with("broken,502,30,30,")), "{}", csv.text());
    let lines = operator.ask("GET", "/v1/analytics?by=route&step=minute&format=jsonl", "").text();
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.iter().map(|row| row["requests"].as_u64().unwrap()).sum::<u64>(), 600);
    assert!(rows.iter().all(|row| row["at"].as_u64().unwrap() % 60 == 0));
    assert_eq!(
        operator.get("/v1/analytics?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z")["items"],
        Value::Array(vec![])
    );

    let at = format!("http://{}", proxy.admin());
    let (code, out, err) = ringway(&["analytics", "--admin", &at, "--by", "consumer,version"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.lines().next().unwrap().starts_with("CONSUMER  VERSION  REQUESTS  ERRORS"), "{out}");
    let row =
        out.lines().find(|line| line.starts_with("ann ") && line.contains("v1")).unwrap_or_else(|| panic!("{out}"));
    assert!(row.split_whitespace().any(|cell| cell == "80"), "{row}");
    let (code, out, _) = ringway(&["analytics", "--admin", &at, "--by", "status", "--csv"]);
    assert_eq!(
        (code, out.lines().next()),
        (Some(0), Some("status,requests,errors,bytes_in,bytes_out,latency_ms,p50_ms,p95_ms,p99_ms,last"))
    );
}

#[test]
fn what_makes_no_sense_is_refused_and_without_analytics_there_is_nothing() {
    let (target, state) = (Target::echo("a"), Directory::new());
    let proxy = start(&config(&target, &state, ""), &state);
    let operator = Operator::at(proxy.admin());
    for (query, about) in [
        ("from=yesterday", "`from`"),
        ("by=client", "`by`"),
        ("step=week", "`step`"),
        ("format=xml", "`format`"),
        ("deprecated=yes", "`deprecated`"),
        ("from=5&to=4", "`from`"),
    ] {
        let problem = operator.told("GET", &format!("/v1/analytics?{query}"), "", 422);
        assert!(problem["detail"].as_str().unwrap().contains(about), "{problem}");
    }
    let proxy = start(&http(&[&target]), &Directory::new());
    let problem = Operator::at(proxy.admin()).told("GET", "/v1/analytics", "", 409);
    assert!(problem["detail"].as_str().unwrap().contains("[analytics]"), "{problem}");
    assert!(!proxy.metrics().contains("ringway_analytics"), "nothing is paid for what is off");
}

#[test]
fn consumers_beyond_the_bound_are_summed_up_together_and_told() {
    let (target, state) = (Target::echo("a"), Directory::new());
    let some: String = (0..150).map(|n| format!("[consumers.c{n}]\nkeys = [\"key-number-{n}\"]\n")).collect();
    let config = config(&target, &state, "max_series = 100\n") + &some;
    let proxy = start(&config, &state);
    load::run(&proxy.web(), 2, 300, |n| format!("/v1/x?key=key-number-{}", n % 150));
    let operator = Operator::at(proxy.admin());
    eventually("all are written", || all(&operator) == 300);
    let sums = operator.get("/v1/analytics?by=consumer");
    let items = sums["items"].as_array().unwrap();
    assert!(items.len() <= 101, "{}", items.len());
    let others = items.iter().find(|item| item["consumer"] == "(other)").unwrap();
    assert!(others["requests"].as_u64().unwrap() >= 100);
    assert!(proxy.metric("ringway_analytics_folded_requests_total", &[]) >= 100.0);
    proxy.log.wait(&["analytics have more series than max_series"]);
}
