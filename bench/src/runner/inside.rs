//! What Ringway alone can say: how often it enters its ring, and how long its loop takes at most.

use super::load;
use super::peer::{LOAD_CORE, Running};
use super::scenario::Scenario;
use crate::plain;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Enters of the ring per unit, where `rate` units a second are served. Counted by perf in a round of its own, because
/// being counted costs. Fails where perf or its tracepoints are missing.
pub fn enters(scenario: &Scenario, peer: &Running, rate: f64) -> Result<f64> {
    let address = peer.listener(scenario.protocol).context("no such listener")?;
    let load = load::start(&scenario.spec(), address, LOAD_CORE, 2.0)?;
    std::thread::sleep(Duration::from_millis(400));
    let process = peer.process.id().to_string();
    let event = "syscalls:sys_enter_io_uring_enter";
    let counted = Command::new("perf").args(["stat", "-x,", "-e", event, "-p", &process, "sleep", "1"]).output();
    load::finish(load)?;
    let counted = counted.context("start perf")?;
    let text = String::from_utf8_lossy(&counted.stderr);
    ensure!(counted.status.success(), "perf: {text}");
    let line = text.lines().find(|line| line.contains(event)).context("perf counted nothing")?;
    let count: f64 = line.split(',').next().unwrap_or_default().parse().context("perf counted nothing")?;
    Ok(count / rate)
}

/// Milliseconds of the longest turn of a worker's loop in the last minute or two, by its own account.
pub fn longest_turn(peer: &Running) -> Result<f64> {
    let page = plain::get(peer.admin.context("no admin listener")?, "/metrics")?;
    let page = String::from_utf8_lossy(&page);
    let values = page.lines().filter(|line| line.starts_with("ringway_worker_longest_turn_seconds{"));
    let seconds = values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).reduce(f64::max);
    Ok(seconds.context("no such metric")? * 1000.0)
}

/// Lines of the access log that were written, and lost; `None` without one.
pub fn log_lines(peer: &Running) -> Result<Option<(f64, f64)>> {
    let admin = peer.admin.context("no admin listener")?;
    let written = sum(admin, "ringway_access_log_lines_total")?;
    let lost = sum(admin, "ringway_access_log_lines_lost_total{")?;
    Ok((written > 0.0).then_some((written, lost)))
}

/// The sum of the metrics at `admin` whose series begin with `start`.
pub fn sum(admin: SocketAddr, start: &str) -> Result<f64> {
    let page = plain::get(admin, "/metrics")?;
    let page = String::from_utf8_lossy(&page);
    let series = page.lines().filter(|line| line.starts_with(start));
    Ok(series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}

/// What `script` says: instructions by what was counted.
pub fn instructions(script: &Path) -> Result<BTreeMap<String, f64>> {
    let output = Command::new(script).arg("--json").output().context("start scripts/instructions")?;
    ensure!(output.status.success(), "scripts/instructions: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("what scripts/instructions says")
}
