//! One peer under load for a moment: what it did, and what that cost.

use super::load::{self, LoadReport};
use super::peer::{LOAD_CORE, PROXY_CORE, Running};
use super::scenario::Scenario;
use crate::plain;
use crate::process::{CoreTime, core_time};
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A core counts as full from this share of busy time on.
const FULL: f64 = 0.97;

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// Units a second.
    pub rate: f64,
    /// CPU microseconds per unit that the proxy's own threads used.
    pub own: f64,
    /// CPU microseconds per unit that the proxy's core was busy.
    pub core: f64,
    /// Share of time in which the proxy's core was busy.
    pub proxy_busy: f64,
    /// Share of time in which the core of load and backend was busy.
    pub load_busy: f64,
    /// Why it does not count.
    pub void: Option<String>,
}

/// How long a round takes.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    /// Load before the measurement begins.
    pub warm_up: Duration,
    /// The measurement.
    pub window: Duration,
}

struct Mark {
    at: Instant,
    cpu: Duration,
    proxy: CoreTime,
    load: CoreTime,
    answers: u64,
}

/// Puts `peer` under the load of `scenario`. The window begins after the warm-up and ends before the load does, so that
/// opening and closing connections are not in it; `backend` says how many answers it gave meanwhile, or where it gives none the load
/// how many it got.
pub fn measure(scenario: &Scenario, peer: &Running, backend: SocketAddr, length: Length) -> Result<Round> {
    let seconds = (length.warm_up + length.window).as_secs_f64() + 0.3;
    let address = peer.listener(scenario.protocol).with_context(|| format!("{} has no such listener", peer.name))?;
    let load = load::start(&scenario.spec(), address, LOAD_CORE, seconds)?;
    std::thread::sleep(length.warm_up);
    let before = Mark::now(peer, backend)?;
    std::thread::sleep(length.window);
    let after = Mark::now(peer, backend)?;
    let report = load::finish(load).and_then(LoadReport::clean).with_context(|| format!("load on {}", peer.name))?;

    let units = match report.answers.filter(|_| scenario.is_answered_by_the_proxy()) {
        // The load goes on at one rate: its window has the share that it has of its time.
        Some(answers) => answers as f64 / seconds * (after.at - before.at).as_secs_f64(),
        None => (after.answers - before.answers) as f64,
    };
    ensure!(units > 0.0, "{} answered nothing", peer.name);
    let elapsed = (after.at - before.at).as_secs_f64();
    let (proxy_busy, load_busy) = (after.proxy.busy_since(before.proxy), after.load.busy_since(before.load));
    let own = (after.cpu - before.cpu).as_secs_f64();
    let void = (load_busy >= FULL && proxy_busy < FULL).then(|| {
        format!(
            "the load's core was full ({:.0} %), the proxy's was not ({:.0} %)",
            load_busy * 100.0,
            proxy_busy * 100.0
        )
    });
    let micros = 1e6 / units;
    Ok(Round {
        rate: units / elapsed,
        own: own * micros,
        core: proxy_busy * elapsed * micros,
        proxy_busy,
        load_busy,
        void,
    })
}

impl Mark {
    fn now(peer: &Running, backend: SocketAddr) -> Result<Self> {
        let answers = String::from_utf8(plain::get(backend, "/count")?)?.parse()?;
        Ok(Self {
            at: Instant::now(),
            cpu: peer.cpu_time(),
            proxy: core_time(PROXY_CORE)?,
            load: core_time(LOAD_CORE)?,
            answers,
        })
    }
}
