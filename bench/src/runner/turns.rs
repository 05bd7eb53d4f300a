//! How long Ringway's worker keeps its clients waiting at most while something else is asked of the process: reloads, or scrapes
//! of its metrics. Each round is a process of its own, because the longest turn is told since its start.

use super::inside;
use super::load::{self, LoadReport, LoadSpec, Tool};
use super::peer::{LOAD_CORE, Peer, Running, Setup};
use super::scenario::Scenario;
use crate::plain;
use crate::process;
use crate::ratio::Median;
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde::Serialize;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What is asked of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Asked {
    /// Nothing.
    Nothing,
    /// A reload that changes all pools.
    Reloads,
    /// Its metrics.
    Scrapes,
}

impl Asked {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Nothing, Self::Reloads, Self::Scrapes];
}

/// One round.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sample {
    /// Milliseconds of the worker's longest turn.
    pub longest: f64,
    /// Turns of over 100 ms.
    pub long: f64,
    /// Microseconds of the worker's CPU time for each time that it could have been asked.
    pub cpu: f64,
    /// Microseconds within which 99.9 % of the answers came.
    pub p999: f64,
    /// How often it was asked.
    pub asked: usize,
}

/// Medians over the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Turns {
    /// See [`Asked`].
    pub asked: Asked,
    /// See [`Sample::longest`].
    pub longest: Option<Median>,
    /// See [`Sample::cpu`].
    pub cpu: Option<Median>,
    /// See [`Sample::p999`].
    pub p999: Option<Median>,
    /// All rounds.
    pub rounds: Vec<Sample>,
}

/// How often it is asked.
const EVERY: Duration = Duration::from_millis(100);
/// How long a round is.
const LENGTH: Duration = Duration::from_secs(4);
/// Requests a second: little, so that a turn holds few of them.
const RATE: f64 = 1_000.0;

impl Turns {
    /// Of these rounds.
    pub fn of(asked: Asked, rounds: Vec<Sample>) -> Self {
        let median = |value: fn(&Sample) -> f64| Median::of(rounds.iter().map(value).collect());
        let (longest, cpu) = (median(|sample| sample.longest), median(|sample| sample.cpu));
        Self { asked, longest, cpu, p999: median(|sample| sample.p999), rounds }
    }
}

/// One round.
pub fn take(scenario: &Scenario, peer: &Peer, setup: &Setup, asked: Asked) -> Result<Sample> {
    let running = peer.start(setup)?;
    let admin = running.admin.context("no admin listener")?;
    // What others on its core do is no turn of its own.
    let worker = process::thread(running.process.id(), "ringway-w0")?;
    process::go_first(worker)?;
    touch(&running, setup)?;
    let tool = Tool::Strict { rate: RATE, close: false };
    let path = Setup::route(1);
    let spec = LoadSpec { tool, tls: false, path, connections: scenario.connections, keys: 0, fields: Vec::new() };
    let load = load::start(&spec, running.http, LOAD_CORE, LENGTH.as_secs_f64())?;
    let (start, mut count, before) = (Instant::now(), 0, process::thread_time(worker)?);
    while start.elapsed() < LENGTH {
        match asked {
            Asked::Nothing => {}
            Asked::Reloads => running.process.signal(reload(&running, setup, count)?)?,
            Asked::Scrapes => drop(plain::get(admin, "/metrics")?),
        }
        count += 1;
        std::thread::sleep((EVERY * count as u32).saturating_sub(start.elapsed()));
    }
    let cpu = (process::thread_time(worker)? - before).as_secs_f64() * 1e6 / count as f64;
    let report = load::finish(load).and_then(LoadReport::clean)?;
    let applied = inside::sum(admin, "ringway_config_reloads_total{result=\"applied\"}")?;
    ensure!(asked != Asked::Reloads || applied > count as f64 / 2.0, "{applied} of {count} reloads");
    Ok(Sample {
        longest: inside::longest_turn(&running)?,
        long: inside::sum(admin, "ringway_worker_long_turns_total")?,
        cpu,
        p999: report.p999.context("the strict client did not say how long answers took")?,
        asked: if asked == Asked::Reloads { applied as usize } else { count },
    })
}

/// A request on each route, so that there is something to be told of each.
fn touch(running: &Running, setup: &Setup) -> Result<()> {
    let mut connection = plain::Connection::open(running.http, false, Duration::from_secs(5))?;
    for route in 1..=setup.routes {
        connection.ask(&format!("{}128", Setup::route(route)))?;
        connection.answer()?;
    }
    Ok(())
}

/// Writes a configuration in which every pool differs from the one before; the signal that has it read.
fn reload(running: &Running, setup: &Setup, count: usize) -> Result<Signal> {
    let path = setup.directory.join("ringway.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{} of {}", path.display(), running.http))?;
    let (start, _) = text.split_once(MARK).unwrap_or((&text, ""));
    std::fs::write(&path, format!("{start}{MARK}response_head = \"{}s\"\n", 30 + count % 2))?;
    Ok(Signal::HUP)
}

const MARK: &str = "\n[defaults.pool.timeouts]\n";

/// The pools and routes of a configuration with `pools` beside the one that all have: the targets are shared out among them, and
/// so are the routes.
pub fn pools(pools: usize, routes: usize, targets: &[SocketAddr]) -> String {
    let share = targets.len().div_ceil(pools.max(1)).max(1);
    let pool = |(number, targets): (usize, &[SocketAddr])| {
        let targets: Vec<String> = targets.iter().map(|address| format!("\"{address}\"")).collect();
        format!("[pools.pool-{number}]\ntargets = [{}]\n", targets.join(", "))
    };
    let route = |number: usize| {
        let path = Setup::route(number);
        let pool = number % pools;
        format!("[routes.{}]\npaths = [\"{path}\"]\npool = \"pool-{pool}\"\n", path.trim_matches('/'))
    };
    let pools: Vec<String> = targets.chunks(share).enumerate().map(pool).collect();
    let routes: Vec<String> = (1..=routes).map(route).collect();
    pools.join("\n") + &routes.join("\n")
}
