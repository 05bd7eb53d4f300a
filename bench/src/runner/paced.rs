//! All peers at one fixed rate: what a request costs when nobody is at his limit, and how long it takes.

use super::load::{self, LoadReport, LoadSpec, Tool};
use super::peer::{LOAD_CORE, PROXY_CORE, Running};
use super::scenario::Scenario;
use crate::plain;
use crate::process::core_time;
use crate::ratio::Median;
use anyhow::{Context, Result};
use serde::Serialize;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A peer at the fixed rate: medians over the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Paced {
    /// Requests due a second.
    pub rate: f64,
    /// CPU microseconds per request by the process's own account.
    pub own: Option<Median>,
    /// CPU microseconds per request by the busy time of the proxy's core.
    pub core: Option<Median>,
    /// Microseconds from when a request was due to the last byte of its answer.
    pub p50: Option<Median>,
    /// The same for the slowest hundredth.
    pub p99: Option<Median>,
    /// The same for the slowest thousandth.
    pub p999: Option<Median>,
}

/// One round of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// See [`Paced::own`].
    pub own: f64,
    /// See [`Paced::core`].
    pub core: f64,
    /// See [`Paced::p50`].
    pub p50: f64,
    /// See [`Paced::p99`].
    pub p99: f64,
    /// See [`Paced::p999`].
    pub p999: f64,
}

/// The rate for all, from what each can do at most: no more than the open-loop client can keep up with either.
pub fn rate(most: impl Iterator<Item = f64>) -> Option<f64> {
    let slowest = most.reduce(f64::min)?;
    Some((slowest * 0.5).min(MOST).round())
}

/// What the client's half of a core can send and verify with room to spare.
const MOST: f64 = 12_000.0;

impl Sample {
    /// One round on `peer`, in which every request must pass.
    pub fn take(scenario: &Scenario, peer: &Running, rate: f64, backend: SocketAddr) -> Result<Self> {
        let tool = Tool::Strict { rate, close: scenario.load == Tool::Short };
        let spec = LoadSpec {
            tool,
            tls: false,
            path: "/".into(),
            connections: scenario.connections,
            keys: 0,
            fields: Vec::new(),
        };
        let before = (peer.cpu_time(), count(backend)?, core_time(PROXY_CORE)?);
        let start = Instant::now();
        let load = load::start(&spec, peer.http, LOAD_CORE, LENGTH.as_secs_f64())?;
        let report =
            load::finish(load).and_then(LoadReport::clean).with_context(|| format!("load on {}", peer.name))?;
        let elapsed = start.elapsed().as_secs_f64();
        let after = (peer.cpu_time(), count(backend)?, core_time(PROXY_CORE)?);
        let answers = (after.1 - before.1).max(1) as f64;
        let own = (after.0 - before.0).as_secs_f64() * 1e6 / answers;
        let core = after.2.busy_since(before.2) * elapsed * 1e6 / answers;
        let (p50, p99, p999) = (report.p50, report.p99, report.p999);
        let time = |value: Option<f64>| value.context("the strict client did not say how long answers took");
        Ok(Self { own, core, p50: time(p50)?, p99: time(p99)?, p999: time(p999)? })
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
            core: median(|sample| sample.core),
            p50: median(|sample| sample.p50),
            p99: median(|sample| sample.p99),
            p999: median(|sample| sample.p999),
        }
    }
}

/// How long one round at the fixed rate is.
pub const LENGTH: Duration = Duration::from_secs(2);
/// How many there are of each peer.
pub const ROUNDS: usize = 5;
