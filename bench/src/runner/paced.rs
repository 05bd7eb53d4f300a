//! All peers at one fixed rate: what a request costs when nobody is at his limit, and how long it takes.

use super::peer::{LOAD_CORE, Running};
use super::scenario::Scenario;
use crate::plain;
use crate::process::{cpu_time, pinned};
use crate::ratio::Median;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

/// A peer at the fixed rate: medians over the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Paced {
    /// Requests due a second.
    pub rate: f64,
    /// CPU microseconds per request by the process's own account.
    pub own: Option<Median>,
    /// Microseconds from when a request was due to the last byte of its answer.
    pub p50: Option<Median>,
    /// The same for the slowest hundredth.
    pub p99: Option<Median>,
    /// The same for the slowest thousandth.
    pub p999: Option<Median>,
}

/// One round of it.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    own: f64,
    latency: Latency,
}

/// What `bench strict --json` prints.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Latency {
    /// Whole, verified answers.
    pub passed: u64,
    /// Microseconds.
    pub p50: u64,
    /// Microseconds.
    pub p99: u64,
    /// Microseconds.
    pub p999: u64,
}

/// The rate for all, from what each can do at most: no more than the open-loop client can keep up with either.
pub fn rate(most: impl Iterator<Item = f64>) -> Option<f64> {
    let slowest = most.reduce(f64::min)?;
    Some((slowest * 0.5).min(MOST).round())
}

/// What the client's half of a core can send and verify with room to spare.
const MOST: f64 = 12_000.0;

impl Sample {
    /// One round of `seconds` on `peer`. Every request must pass.
    pub fn take(scenario: &Scenario, peer: &Running, rate: f64, seconds: f64, backend: SocketAddr) -> Result<Self> {
        let program = std::env::current_exe()?.to_string_lossy().into_owned();
        let url = format!("http://{}", peer.http);
        let (rate, seconds) = (rate.to_string(), seconds.to_string());
        let connections = scenario.connections.to_string();
        let args = ["strict", "--json", "--url", &url, "--rate", &rate, "--duration", &seconds];
        let mix = ["--methods", "get", "--bodies", "0", "--chunked", "0", "--close", "0", "--sizes", "128"];
        let mut command = pinned(&program, &args, Some(LOAD_CORE));
        command.args(mix).args(["--connections", &connections]).stdin(Stdio::null());
        let before = (cpu_time(peer.process.id()), count(backend)?);
        let output = command.output().context("start the strict client")?;
        let after = (cpu_time(peer.process.id()), count(backend)?);
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        let latency: Latency = serde_json::from_str(text.lines().last().unwrap_or_default())?;
        let own = (after.0 - before.0).as_secs_f64() * 1e6 / (after.1 - before.1).max(1) as f64;
        Ok(Self { own, latency })
    }
}

fn count(backend: SocketAddr) -> Result<u64> {
    Ok(String::from_utf8(plain::get(backend, "/count")?)?.parse()?)
}

impl Paced {
    /// Of the rounds at `rate`.
    pub fn of(rate: f64, samples: &[Sample]) -> Self {
        let median = |value: fn(&Sample) -> f64| Median::of(samples.iter().map(value).collect());
        Self {
            rate,
            own: median(|sample| sample.own),
            p50: median(|sample| sample.latency.p50 as f64),
            p99: median(|sample| sample.latency.p99 as f64),
            p999: median(|sample| sample.latency.p999 as f64),
        }
    }
}

/// How long one round at the fixed rate is.
pub const LENGTH: Duration = Duration::from_secs(2);
/// How many there are of each peer.
pub const ROUNDS: usize = 5;
