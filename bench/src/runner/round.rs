//! One peer under load for a moment: what it did, and what that cost.

use super::peer::{LOAD_CORE, PROXY_CORE, Running};
use super::scenario::{Load, Protocol, Scenario};
use crate::plain;
use crate::process::{CoreTime, core_time, cpu_time, pinned};
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use std::net::SocketAddr;
use std::process::{Child, Stdio};
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
/// opening and closing connections are not in it; `backend` says how many answers it gave meanwhile.
pub fn measure(scenario: &Scenario, peer: &Running, backend: SocketAddr, length: Length) -> Result<Round> {
    let seconds = (length.warm_up + length.window).as_secs_f64() + 0.3;
    let load = start_load(scenario, peer, seconds)?;
    std::thread::sleep(length.warm_up);
    let before = Mark::now(peer, backend)?;
    std::thread::sleep(length.window);
    let after = Mark::now(peer, backend)?;
    finish_load(scenario, load).with_context(|| format!("load on {}", peer.name))?;

    let units = (after.answers - before.answers) as f64;
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
            cpu: cpu_time(peer.process.id()),
            proxy: core_time(PROXY_CORE)?,
            load: core_time(LOAD_CORE)?,
            answers,
        })
    }
}

fn start_load(scenario: &Scenario, peer: &Running, seconds: f64) -> Result<Child> {
    let address = if scenario.protocol == Protocol::Http { peer.http } else { peer.tcp };
    let connections = scenario.connections.to_string();
    let mut command = match scenario.load {
        Load::Wrk => {
            let (connections, duration) = (format!("-c{connections}"), format!("-d{}s", seconds.ceil()));
            let url = format!("http://{address}{}", scenario.path);
            pinned("wrk", &["-t1", &connections, &duration, "--timeout", "10s", &url], Some(LOAD_CORE))
        }
        Load::Bulk => {
            let bench = std::env::current_exe()?;
            let (address, seconds) = (address.to_string(), seconds.to_string());
            let args = ["bulk", "--address", &address, "--path", &scenario.path, "--duration", &seconds];
            let mut command = pinned(&bench.to_string_lossy(), &args, Some(LOAD_CORE));
            command.args(["--connections", &connections]);
            command
        }
    };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().context("start the load")
}

/// Waits for the load's end; fails if it saw an error.
fn finish_load(scenario: &Scenario, load: Child) -> Result<()> {
    let output = load.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    if scenario.load == Load::Wrk {
        let bad = text.lines().find(|line| line.contains("Socket errors") || line.contains("Non-2xx"));
        ensure!(bad.is_none(), "{}", bad.unwrap_or_default().trim());
    }
    Ok(())
}
