//! What each generator prints at its end, read into one form.

use super::{LoadReport, Tool};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Reads the output of `tool`.
pub fn read(tool: &Tool, text: &str) -> Result<LoadReport> {
    match tool {
        Tool::Wrk { .. } => wrk(text),
        Tool::Oha => oha(text),
        Tool::H2load { .. } => h2load(text),
        Tool::Bulk | Tool::Short | Tool::Messages | Tool::Datagrams => bulk(text),
        Tool::Strict { .. } => strict(text),
    }
}

/// The line of bench/loads/report.lua.
fn wrk(text: &str) -> Result<LoadReport> {
    let line = text.lines().find_map(|line| line.strip_prefix("report: ")).context("no report")?;
    let fields: BTreeMap<&str, u64> = line
        .split_whitespace()
        .map(|field| {
            let (name, value) = field.split_once('=').context("no value")?;
            Ok((name, value.parse()?))
        })
        .collect::<Result<_>>()?;
    let field = |name: &str| fields.get(name).copied().with_context(|| format!("no {name}"));
    // A batch of pipelined requests has no times.
    let micros = |name: &str| fields.get(name).map(|&micros| micros as f64);
    let mut counts = Vec::new();
    for (name, meaning) in [
        ("connect", "failed connects"),
        ("read", "failed reads"),
        ("write", "failed writes"),
        ("status", "answers other than 2xx and 3xx"),
        ("timeout", "timeouts"),
    ] {
        counts.push((field(name)?, meaning));
    }
    // wrk counts an answer with an error's status among its requests.
    let answers = Some(field("requests")?.saturating_sub(field("status")?));
    Ok(LoadReport { answers, errors: first(&counts), p50: micros("p50"), p99: micros("p99"), p999: micros("p999") })
}

/// The part of oha's JSON that counts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Oha {
    latency_percentiles: BTreeMap<String, Option<f64>>,
    status_code_distribution: BTreeMap<String, u64>,
    error_distribution: BTreeMap<String, u64>,
}

fn oha(text: &str) -> Result<LoadReport> {
    let oha: Oha = serde_json::from_str(text)?;
    let mut answers = 0;
    let mut counts: Vec<(u64, String)> =
        oha.error_distribution.into_iter().map(|(text, count)| (count, text)).collect();
    for (status, count) in oha.status_code_distribution {
        match status.starts_with('2') {
            true => answers += count,
            false => counts.push((count, format!("answers with status {status}"))),
        }
    }
    let micros = |name: &str| oha.latency_percentiles.get(name).copied().flatten().map(|seconds| seconds * 1e6);
    let counts: Vec<(u64, &str)> = counts.iter().map(|(count, text)| (*count, text.as_str())).collect();
    let (p50, p99, p999) = (micros("p50"), micros("p99"), micros("p99.9"));
    Ok(LoadReport { answers: Some(answers), errors: first(&counts), p50, p99, p999 })
}

/// Two lines of sums: `requests: 10 total, 10 started, 9 done, 8 succeeded, 1 failed, 1 errored, 0 timeout` and
/// `status codes: 8 2xx, 0 3xx, 1 4xx, 0 5xx`. What was under way at the end is started and not done, and so is what a
/// broken connection took with it: h2load does not tell them apart.
fn h2load(text: &str) -> Result<LoadReport> {
    let counts = |label: &str| -> Result<BTreeMap<&str, u64>> {
        let line = text.lines().find_map(|line| line.strip_prefix(label)).with_context(|| format!("no {label}"))?;
        let pairs = line.split(',').filter_map(|pair| pair.trim().split_once(' '));
        pairs.map(|(count, name)| Ok((name, count.parse()?))).collect()
    };
    let (requests, statuses) = (counts("requests:")?, counts("status codes:")?);
    let request = |name: &str| requests.get(name).copied().with_context(|| format!("no {name}"));
    let status = |name: &str| statuses.get(name).copied().with_context(|| format!("no {name}"));
    let failures = [
        (request("failed")?, "failed requests"),
        (request("errored")?, "requests without an answer"),
        (request("timeout")?, "timeouts"),
        (status("3xx")?, "answers with status 3xx"),
        (status("4xx")?, "answers with status 4xx"),
        (status("5xx")?, "answers with status 5xx"),
    ];
    Ok(LoadReport { answers: Some(status("2xx")?), errors: first(&failures), ..LoadReport::default() })
}

fn bulk(text: &str) -> Result<LoadReport> {
    let answers = text.trim().strip_suffix(" answers").context("no count")?.parse()?;
    Ok(LoadReport { answers: Some(answers), ..LoadReport::default() })
}

fn strict(text: &str) -> Result<LoadReport> {
    let sum = text.lines().find_map(|line| line.strip_suffix(" failed")?.split_once(" passed, ")).context("no sum")?;
    let (answers, failed): (u64, u64) = (sum.0.parse()?, sum.1.parse()?);
    let latency = text.lines().find_map(|line| line.strip_prefix("latency ms: ")).context("no latency")?;
    let words: Vec<&str> = latency.split_whitespace().collect();
    let micros = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1)?.parse::<f64>().ok().map(|millis| millis * 1000.0)
    };
    let fault = text.lines().find_map(|line| line.strip_prefix("  ")).map(str::trim);
    let errors = (failed > 0).then(|| fault.map_or_else(|| format!("{failed} failed"), str::to_owned));
    Ok(LoadReport { answers: Some(answers), errors, p50: micros("p50"), p99: micros("p99"), p999: micros("p99.9") })
}

/// The first kind that happened.
fn first(counts: &[(u64, &str)]) -> Option<String> {
    counts.iter().find(|(count, _)| *count > 0).map(|(count, meaning)| format!("{count} {meaning}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(answers: u64, errors: Option<&str>, times: Option<[f64; 3]>) -> LoadReport {
        let [p50, p99, p999] = times.map_or([None; 3], |times| times.map(Some));
        LoadReport { answers: Some(answers), errors: errors.map(str::to_owned), p50, p99, p999 }
    }

    #[test]
    fn wrk_is_read_with_its_errors() {
        let good = "Running 1s test @ http://127.0.0.1:18998/128\n  1 threads and 8 connections\n  Thread Stats   Avg      \
            Stdev     Max   +/- Stdev\n    Latency   498.45us    1.05ms   7.10ms   86.38%\n    Req/Sec   152.12k     8.62k  \
            168.28k    63.64%\n  165945 requests in 1.10s, 26.59MB read\nRequests/sec: 150965.45\nTransfer/sec:     24.19MB\n\
            report: requests=165945 connect=0 read=0 write=0 status=0 timeout=0 p50=27 p99=4532 p999=5439\n";
        assert_eq!(wrk(good).unwrap(), report(165945, None, Some([27.0, 4532.0, 5439.0])));
        let bad = "Requests/sec:    164.20\nTransfer/sec:     19.16KB\n\
            report: requests=166 connect=0 read=42 write=0 status=24 timeout=0 p50=46586 p99=52604 p999=52606\n";
        assert_eq!(wrk(bad).unwrap(), report(142, Some("42 failed reads"), Some([46586.0, 52604.0, 52606.0])));
        let batched = "report: requests=1379568 connect=0 read=0 write=0 status=0 timeout=0\n";
        assert_eq!(wrk(batched).unwrap(), report(1_379_568, None, None));
        assert!(wrk("unable to connect to 127.0.0.1:1 Connection refused\n").is_err());
    }

    #[test]
    fn oha_is_read_with_its_errors() {
        let good = r#"{
            "summary": { "successRate": 1.0, "total": 1.002346638, "requestsPerSec": 157345.7664453203 },
            "latencyPercentiles": { "p10": 0.000030147, "p25": 0.000045265, "p50": 0.000046639, "p75": 0.000049234,
                "p90": 0.000063376, "p95": 0.00006591, "p99": 0.000095181, "p99.9": 0.000656075, "p99.99": 0.003486465 },
            "statusCodeDistribution": { "200": 157715 },
            "errorDistribution": {}
        }"#;
        let read = oha(good).unwrap();
        assert_eq!((read.answers, &read.errors), (Some(157_715), &None));
        let times = [read.p50, read.p99, read.p999].map(|time| time.map(f64::round));
        assert_eq!(times, [Some(47.0), Some(95.0), Some(656.0)]);
        let bad = r#"{
            "latencyPercentiles": { "p50": 0.046889054, "p99": 0.04837151, "p99.9": null },
            "statusCodeDistribution": { "200": 152, "503": 25 },
            "errorDistribution": { "connection closed before message completed": 44 }
        }"#;
        let read = oha(bad).unwrap();
        assert_eq!((read.answers, read.p999), (Some(152), None));
        assert_eq!(read.errors.unwrap(), "44 connection closed before message completed");
    }

    #[test]
    fn h2load_is_read_with_its_errors() {
        let good = "finished in 1.00s, 167189.00 req/s, 26.79MB/s\n\
            requests: 167189 total, 167197 started, 167189 done, 167189 succeeded, 0 failed, 0 errored, 0 timeout\n\
            status codes: 167189 2xx, 0 3xx, 0 4xx, 0 5xx\n\
            traffic: 26.79MB (28087752) total, 2.71MB (2842213) headers (space savings 0.00%), 20.41MB (21400192) data\n";
        assert_eq!(h2load(good).unwrap(), report(167_189, None, None));
        let bad = "requests: 24 total, 31 started, 24 done, 20 succeeded, 4 failed, 0 errored, 0 timeout\n\
            status codes: 20 2xx, 0 3xx, 0 4xx, 4 5xx\n";
        assert_eq!(h2load(bad).unwrap(), report(20, Some("4 failed requests"), None));
    }

    #[test]
    fn our_own_loads_are_read_with_their_errors() {
        assert_eq!(bulk("5465 answers\n").unwrap(), report(5465, None, None));
        let good = "latency ms: p50 0.219  p99 4.791  p99.9 4.823  max 4.823\n200 passed, 0 failed\n";
        assert_eq!(strict(good).unwrap(), report(200, None, Some([219.0, 4791.0, 4823.0])));
        let bad = "latency ms: p50 0.000  p99 0.000  p99.9 0.000  max 0.000\n        40  closed before the answer\n        \
            24  status 503\n       136  another request's answer\n0 passed, 200 failed\n";
        assert_eq!(strict(bad).unwrap(), report(0, Some("40  closed before the answer"), Some([0.0; 3])));
    }
}
