//! The runner: proxies on one core, backend and load on the other, peers in alternation, ratios within one run.

pub mod crowd;
pub mod inside;
pub mod load;
pub mod outcome;
pub mod paced;
pub mod peer;
pub mod round;
pub mod scenario;
pub mod shelved;
pub mod turns;

use crate::plain;
use crate::process::{self, Place, Process};
use crate::ratio::Median;
use anyhow::{Context, Result, ensure};
use outcome::Outcome;
use peer::{LOAD_CORE, OURS, Peer, Running};
use round::Length;
use scenario::{DISK, Kind, Scenario};
use serde::Serialize;
use shelved::Reads;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use turns::{Asked, Turns};

/// Arguments of `bench run`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Scenarios by name; without any, those marked as default.
    pub names: Vec<String>,
    /// Every scenario.
    #[arg(long)]
    pub all: bool,
    /// Alternating rounds of each load scenario.
    #[arg(long, default_value_t = 9)]
    pub rounds: usize,
    /// Seconds measured in each round.
    #[arg(long, default_value_t = 1.5)]
    pub window: f64,
    /// Peers to compare: ringway, haproxy, nginx, floor; ringway-bare, haproxy-map and haproxy-h2 where a scenario is for them;
    /// haproxy-splice, apache, envoy and caddy only if they
    /// are named, or with "all". Each takes part in what it can do.
    #[arg(long, value_delimiter = ',')]
    pub peers: Vec<String>,
    /// Count the instructions of a request too, by scripts/instructions.
    #[arg(long)]
    pub instructions: bool,
}

/// What is written to bench/results/.
#[derive(Debug, Serialize)]
struct Report {
    date: String,
    commit: String,
    kernel: String,
    cpu: String,
    versions: BTreeMap<String, String>,
    /// User-space instructions of one request.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    instructions: BTreeMap<String, f64>,
    outcomes: Vec<Outcome>,
}

/// Runs the chosen scenarios, prints a table each and writes the report; fails if a goal was missed.
pub fn run(args: Args) -> Result<()> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scenarios = scenario::choose(&home.join("scenarios"), &args.names, args.all)?;
    let peers = peer::find(&args.peers);
    ensure!(!peers.is_empty(), "no peer to measure");
    ensure!(std::thread::available_parallelism()?.get() >= 2, "the runner needs two cores");
    process::raise_file_limit()?;
    let directory = Directory::new()?;
    let (backend, h2c) = (plain::free_address()?, plain::free_address()?);
    let program = std::env::current_exe()?.to_string_lossy().into_owned();
    let log = directory.0.join("backend.log");
    let (address, h2c_address) = (backend.to_string(), h2c.to_string());
    let mut backend_args = vec!["backend", "--http", &address, "--h2c", &h2c_address];
    if scenarios.iter().any(|scenario| scenario.targets > 0) {
        backend_args.push("--every-loopback");
    }
    let target = Process::start(&program, &backend_args, Place::Core(LOAD_CORE), &log)?;
    plain::wait_for(backend, false, "/health", Duration::from_secs(5))?;

    let mut report = Report::new(home, &peers);
    report.print_head();
    for scenario in &scenarios {
        let bench = Bench { args: &args, peers: &peers, target: &target, backend, h2c, directory: &directory.0 };
        let outcome = match scenario.kind {
            Kind::Load => bench.load(scenario)?,
            Kind::Idle | Kind::Hold | Kind::Slow => bench.crowd(scenario)?,
            Kind::Turns => bench.turns(scenario)?,
        };
        println!("{outcome}");
        report.outcomes.push(outcome);
    }
    if args.instructions {
        report.instructions = inside::instructions(&home.join("../scripts/instructions"))?;
        report.instructions.iter().for_each(|(what, count)| println!("instructions per request, {what}: {count:.0}\n"));
    }
    println!("written: {}", report.write(&home.join("results"))?.display());
    let missed: Vec<&str> = report.outcomes.iter().filter(|outcome| outcome.is_missed()).map(Outcome::name).collect();
    ensure!(missed.is_empty(), "goal missed: {}", missed.join(", "));
    Ok(())
}

struct Bench<'a> {
    args: &'a Args,
    peers: &'a [Peer],
    target: &'a Process,
    backend: SocketAddr,
    h2c: SocketAddr,
    directory: &'a Path,
}

impl Bench<'_> {
    fn load(&self, scenario: &Scenario) -> Result<Outcome> {
        let (setup, load) = (scenario.setup(self.backend, self.h2c, self.directory), scenario.spec());
        let fits = |peer: &&Peer| peer.fits(scenario.protocol, Some(&load), &setup);
        let start = |peer: &Peer| peer.start(&setup);
        let running: Vec<Running> = self.peers.iter().filter(fits).map(start).collect::<Result<_>>()?;
        // Who has to show something has nothing that was to be filled.
        if scenario.keys > 0 && scenario.fields.is_empty() {
            progress(&format!("{}: filling", scenario.name));
            running.iter().try_for_each(|peer| shelved::fill(scenario, peer))?;
        }
        let ours = running.iter().find(|peer| peer.name == OURS);
        let shelved = ours.and_then(|ours| ours.admin).filter(|_| scenario.extra.as_deref() == Some(DISK));
        let before = shelved.map(Reads::now).transpose()?;
        self.target.be_patient(true)?;
        let length = Length { warm_up: Duration::from_millis(400), window: Duration::from_secs_f64(self.args.window) };
        let mut rounds = BTreeMap::<String, Vec<_>>::new();
        self.alternate(scenario, "saturation", self.args.rounds, &running, |peer| {
            let round = round::measure(scenario, peer, self.backend, length)?;
            rounds.entry(peer.name.to_owned()).or_default().push(round);
            Ok(())
        })?;
        let mut outcome = Outcome::of_load(scenario, rounds);
        if let Some((admin, before)) = shelved.zip(before) {
            outcome.peers.entry(OURS.to_owned()).or_default().reads = Some(Reads::now(admin)?.since(before)?);
        }
        if let Some(ours) = ours {
            let figures = outcome.peers.entry(OURS.to_owned()).or_default();
            let rate = figures.rate.map(|rate| rate.value);
            figures.enters = rate.and_then(|rate| inside::enters(scenario, ours, rate).ok());
            figures.longest_turn = inside::longest_turn(ours).ok();
        }
        self.target.be_patient(false)?;
        if scenario.paced {
            self.pace(scenario, &running, &mut outcome)?;
        }
        if let Some(ours) = ours {
            outcome.add_log_lines(inside::log_lines(ours)?);
        }
        progress("");
        Ok(outcome)
    }

    /// All peers but the floor at the same rate; it is no proxy that anyone would wait for.
    fn pace(&self, scenario: &Scenario, running: &[Running], outcome: &mut Outcome) -> Result<()> {
        // Void rounds count here: what the load could do then, it can do at the fixed rate too.
        let most = |figures: &outcome::Figures| {
            Median::of(figures.rounds.iter().map(|round| round.rate).collect()).map(|median| median.value)
        };
        let Some(rate) = paced::rate(outcome.peers.values().filter_map(most)) else { return Ok(()) };
        let mut samples = BTreeMap::<&str, Vec<_>>::new();
        self.alternate(scenario, "fixed rate", paced::ROUNDS, running, |peer| {
            if peer.name != peer::known::FLOOR {
                let sample = paced::Sample::take(scenario, peer, rate, self.backend)?;
                samples.entry(peer.name).or_default().push(sample);
            }
            Ok(())
        })?;
        outcome.add_paced(rate, &samples);
        Ok(())
    }

    /// Gives each peer `rounds` turns. Each round begins with another one, so that none always follows the same.
    fn alternate(
        &self,
        scenario: &Scenario,
        what: &str,
        rounds: usize,
        running: &[Running],
        mut turn: impl FnMut(&Running) -> Result<()>,
    ) -> Result<()> {
        for number in 0..rounds {
            for place in 0..running.len() {
                let peer = &running[(number + place) % running.len()];
                progress(&format!("{}: {what}, round {}/{rounds}, {}", scenario.name, number + 1, peer.name));
                turn(peer)?;
            }
        }
        Ok(())
    }

    /// Ringway alone, asked for one thing after the other.
    fn turns(&self, scenario: &Scenario) -> Result<Outcome> {
        // The worker stays on the first core; what is asked for is done by other threads, as on a host with more cores.
        let place = Place::Anywhere;
        let setup = peer::Setup { place, ..scenario.setup(self.backend, self.h2c, self.directory) };
        let ours = self.peers.iter().find(|peer| peer.name == OURS).context("this is about Ringway")?;
        let mut rounds = BTreeMap::<Asked, Vec<_>>::new();
        for number in 0..self.args.rounds {
            for place in 0..Asked::ALL.len() {
                let asked = Asked::ALL[(number + place) % Asked::ALL.len()];
                progress(&format!("{}: round {}/{}, {asked:?}", scenario.name, number + 1, self.args.rounds));
                rounds.entry(asked).or_default().push(turns::take(scenario, ours, &setup, asked)?);
            }
        }
        progress("");
        let turns = rounds.into_iter().map(|(asked, rounds)| Turns::of(asked, rounds)).collect();
        Ok(Outcome::of_turns(scenario, turns))
    }

    fn crowd(&self, scenario: &Scenario) -> Result<Outcome> {
        let mut crowds = BTreeMap::new();
        let setup = scenario.setup(self.backend, self.h2c, self.directory);
        let sockets = crowd::sockets(scenario.connections)?;
        for peer in self.peers.iter().filter(|peer| peer.fits(scenario.protocol, None, &setup)) {
            progress(&format!("{}: {}", scenario.name, peer.name));
            let gather = || {
                let running = peer.start(&setup)?;
                match scenario.kind {
                    Kind::Slow => crowd::stall(scenario, &running),
                    Kind::Hold => crowd::gather(scenario, &running, &[Duration::from_secs(5)], sockets),
                    _ => crowd::gather(scenario, &running, &[], sockets),
                }
            };
            // The first time fills the kernel's caches, which the next peer would find full.
            gather()?;
            crowds.insert(peer.name.to_owned(), gather()?);
        }
        progress("");
        Ok(Outcome::of_crowd(scenario, crowds))
    }
}

impl Report {
    fn new(home: &Path, peers: &[Peer]) -> Self {
        let said = |command: &mut Command| {
            let output = command.output().map(|output| output.stdout).unwrap_or_default();
            String::from_utf8_lossy(&output).trim().to_owned()
        };
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo");
        let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
        let mut versions: BTreeMap<_, _> =
            peers.iter().map(|peer| (peer.name.to_owned(), peer.version.clone())).collect();
        versions.insert("wrk".into(), peer::version("wrk", "-v").unwrap_or_default());
        Self {
            date: said(Command::new("date").args(["-u", "+%F"])),
            commit: said(Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(home)),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            cpu: cpu.trim_start_matches([' ', '\t', ':']).to_owned(),
            versions,
            instructions: BTreeMap::new(),
            outcomes: Vec::new(),
        }
    }

    fn print_head(&self) {
        println!("{} at {}, Linux {}, {}", self.date, self.commit, self.kernel, self.cpu);
        self.versions.iter().for_each(|(name, version)| println!("  {name}: {version}"));
        println!();
    }

    fn write(&self, directory: &Path) -> Result<PathBuf> {
        std::fs::create_dir_all(directory)?;
        let path = directory.join(format!("{}-{}.json", self.date, self.commit));
        std::fs::write(&path, serde_json::to_string_pretty(self)? + "\n").context("write the report")?;
        Ok(path)
    }
}

/// A directory for one run, removed at its end.
pub struct Directory(pub PathBuf);

impl Directory {
    /// A fresh one.
    pub fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("ringway-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Shows what is being done, on a terminal only; an empty text clears the line.
pub fn progress(text: &str) {
    let mut error = std::io::stderr();
    if error.is_terminal() {
        let _ = write!(error, "\r\x1b[K{text}");
        let _ = error.flush();
    }
}
