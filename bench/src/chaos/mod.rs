//! Chaos: full load through Ringway while targets are killed and clients misbehave, the strict client verifying all along.
//! Then [`upstreams`]: all that has to do with targets at once.
//!
//! The load runs twice, for a fifth of the time and for the rest; after each Ringway is let come to rest. What it holds
//! at rest must be the same both times.

pub mod rude;
pub mod targets;
pub mod upstreams;
pub mod verdict;
pub mod watch;

use crate::checks::Checks;
use crate::plain;
use crate::process::{self, Place, Process};
use crate::runner::{Directory, peer, progress};
use crate::strict::tally::{Failure, Tally};
use crate::strict::{self, request};
use anyhow::{Context, Result, anyhow, ensure};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};
use targets::{Kill, Target};
use verdict::Path;
use watch::Held;

/// Arguments of `bench chaos`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Minutes of load; 0: only what comes after it.
    #[arg(long, default_value_t = 5.0)]
    pub minutes: f64,
    /// Minutes after it in which all that has to do with targets is on; 0: none.
    #[arg(long, default_value_t = 1.0)]
    pub upstreams: f64,
    /// Targets; all but the first flap.
    #[arg(long, default_value_t = 4)]
    pub targets: usize,
    /// Clients that misbehave.
    #[arg(long, default_value_t = 24)]
    pub rude: usize,
    /// The ringway binary.
    #[arg(long, env = "RINGWAY", default_value_t = peer::built_ringway())]
    pub ringway: String,
}

/// Ringway with its listeners.
struct Proxy {
    process: Process,
    http: SocketAddr,
    tcp: SocketAddr,
    admin: SocketAddr,
}

/// What one stretch of load came to.
struct Stretch {
    name: &'static str,
    http: Tally,
    tcp: Tally,
    kills: Vec<Kill>,
    rude: rude::Sum,
    rest: Held,
}

/// Runs it and prints the report; fails if anything did not hold.
pub fn run(args: Args) -> Result<()> {
    process::raise_file_limit()?;
    if args.minutes > 0.0 {
        load_and_kills(&args)?;
    }
    if args.upstreams > 0.0 {
        upstreams::run(&args)?;
    }
    println!("chaos passed");
    Ok(())
}

fn load_and_kills(args: &Args) -> Result<()> {
    let directory = Directory::new()?;
    let mut targets: Vec<Target> =
        (0..args.targets).map(|number| Target::start(number, &directory.0)).collect::<Result<_>>()?;
    let mut proxy = Proxy::start(&args.ringway, &targets, &directory.0)?;
    let seconds = args.minutes * 60.0;
    let mut stretches = Vec::new();
    for (name, share) in [("first", 0.2), ("second", 0.8)] {
        stretches.push(stretch(name, args, Duration::from_secs_f64(seconds * share), &proxy, &mut targets)?);
    }
    progress("");
    let log = std::fs::read_to_string(directory.0.join("ringway.log")).unwrap_or_default();
    let mut checks = Checks::default();
    for stretch in &stretches {
        stretch.report(&mut checks);
    }
    let (first, last) = (stretches[0].rest, stretches[1].rest);
    checks.add("memory is flat", last.memory_is_flat_since(&first), format!("{first}; then {last}"));
    checks.add("descriptors are flat", last.descriptors_are_flat_since(&first), String::new());
    let twice = targets::arrived_twice(&targets)?;
    checks.add("no POST arrived twice", twice.is_empty(), format!("{} did", twice.len()));
    checks.add("the process is the one that was started", proxy.process.is_alive(), log_end(&log));
    match panics(proxy.admin) {
        Ok(count) => checks.add("no worker panicked", count == 0.0, format!("{count} by /metrics")),
        Err(error) => checks.add("no worker panicked", false, format!("{error:#}")),
    }
    checks.add("no panic in the log", !log.contains("panicked at"), log_end(&log));
    let code = proxy.process.terminate(Duration::from_secs(40));
    checks.add("SIGTERM ends it with 0", matches!(code, Ok(Some(0))), format!("{code:?}"));
    checks.finish()
}

/// A stretch of load, and the rest after it.
fn stretch(
    name: &'static str,
    args: &Args,
    length: Duration,
    proxy: &Proxy,
    targets: &mut [Target],
) -> Result<Stretch> {
    let (start, pid) = (Instant::now(), proxy.process.id());
    let end = start + length;
    let mut peak = Held::now(pid)?;
    let (http, tcp, kills, rude) = thread::scope(|scope| {
        let strict = |address, connections| scope.spawn(move || strict::drive(load(address, connections, length)));
        let (http, tcp) = (strict(proxy.http, 48), strict(proxy.tcp, 16));
        let flapping: Vec<_> = targets.iter_mut().skip(1).map(|target| scope.spawn(|| target.flap(end))).collect();
        let rude = scope.spawn(|| rude::run(proxy.http, proxy.tcp, args.rude, end));
        while Instant::now() < end {
            let now = Held::now(pid).context("ringway is gone")?;
            peak.resident = peak.resident.max(now.resident);
            peak.descriptors = peak.descriptors.max(now.descriptors);
            progress(&format!("{name} stretch: {} s of {} s, {now}", start.elapsed().as_secs(), length.as_secs()));
            thread::sleep(Duration::from_millis(500));
        }
        progress("waiting for the last answers");
        let mut kills = Vec::new();
        for flapping in flapping {
            kills.extend(joined(flapping.join())?);
        }
        anyhow::Ok((joined(http.join())?, joined(tcp.join())?, kills, joined(rude.join())?))
    })?;
    progress("letting it come to rest");
    let rest = Held::at_rest(pid, Duration::from_secs(8), Duration::from_secs(40))?;
    progress("");
    println!("{name} stretch, {} s: {} kills, {} rude acts", length.as_secs(), kills.len(), rude.acts);
    println!("  peak {peak}\n  at rest {rest}");
    Ok(Stretch { name, http, tcp, kills, rude, rest })
}

fn load(address: SocketAddr, connections: usize, length: Duration) -> strict::Args {
    let sizes = [0, 1, 128, 128, 128, 128, 128, 128, 4096, 4096, 4096, 65536, 65536, 1 << 20].to_vec();
    let mix = request::Mix { methods: request::Methods::Mix, bodies: 0.25, chunked: 0.3, close: 0.02, sizes };
    strict::Args {
        url: format!("http://{address}"),
        connections,
        rate: 0.0,
        duration: length.as_secs_f64(),
        timeout: 15.0,
        sticky: false,
        mix,
    }
}

/// What a thread of the harness came to.
fn joined<T>(result: thread::Result<Result<T>>) -> Result<T> {
    result.unwrap_or_else(|_| Err(anyhow!("a thread of the harness panicked")))
}

impl Proxy {
    fn start(program: &str, targets: &[Target], directory: &std::path::Path) -> Result<Self> {
        let (http, tcp, admin) = (plain::free_address()?, plain::free_address()?, plain::free_address()?);
        let list: Vec<String> = targets.iter().map(|target| format!("\"{}\"", target.address)).collect();
        let port = |address: SocketAddr| address.port().to_string();
        let values = [("http", port(http)), ("tcp", port(tcp)), ("admin", port(admin)), ("targets", list.join(", "))];
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let config = peer::render("chaos.toml", directory, &values)?.to_string_lossy().into_owned();
        let log = directory.join("ringway.log");
        let process = Process::start(program, &["run", "-c", &config], Place::Anywhere, &log)?;
        for address in [http, tcp] {
            plain::wait_for(address, false, "/health", Duration::from_secs(10))
                .with_context(|| log_end(&std::fs::read_to_string(&log).unwrap_or_default()))?;
        }
        Ok(Self { process, http, tcp, admin })
    }
}

impl Stretch {
    fn report(&self, checks: &mut Checks) {
        for (name, path, tally) in [("http", Path::Http, &self.http), ("tcp", Path::Tcp, &self.tcp)] {
            println!("\n{} stretch, {name}: {tally}", self.name);
            let excused = |failure: &&Failure| verdict::is_excused(failure, path, &self.kills);
            let excused_count = tally.failures.iter().filter(excused).count() as u64;
            let unexplained = tally.issued - tally.passed - excused_count;
            println!("  {excused_count} of them died with a killed target, {unexplained} not");
            for failure in tally.failures.iter().filter(|failure| !excused(failure)).take(10) {
                let Failure { id, fault, method, sent, ended, trace, .. } = failure;
                let (took, age) =
                    ((*ended - *sent).as_millis(), (*sent).saturating_duration_since(trace.opened).as_millis());
                let target = trace.target.as_deref().or(trace.previous.as_deref()).unwrap_or("an unknown target");
                let place = verdict::place(failure, &self.kills);
                println!(
                    "  {method} {id:x}: {fault}, {took} ms after it was sent on a connection to {target}, {age} ms old; {place}"
                );
            }
            checks.add(
                &format!("{}, {name}: no error but a killed target's", self.name),
                unexplained == 0,
                unexplained.to_string(),
            );
        }
        checks.add(
            &format!("{}: half a head is not kept", self.name),
            self.rude.kept == 0,
            format!("{} were", self.rude.kept),
        );
        let loaded = self.http.passed > 0 && self.tcp.passed > 0;
        checks.add(&format!("{}: there was load", self.name), loaded, String::new());
    }
}

/// The sum of all series of /metrics that count panics; there must be one.
fn panics(admin: SocketAddr) -> Result<f64> {
    let text = String::from_utf8(plain::get(admin, "/metrics")?)?;
    let series: Vec<&str> = text.lines().filter(|line| !line.starts_with('#') && line.contains("panic")).collect();
    ensure!(!series.is_empty(), "/metrics has no series that counts panics");
    series.iter().map(|line| Ok(line.rsplit(' ').next().unwrap_or_default().parse::<f64>()?)).sum()
}

/// The last lines of a log.
fn log_end(log: &str) -> String {
    log.lines().rev().take(5).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n    ")
}
