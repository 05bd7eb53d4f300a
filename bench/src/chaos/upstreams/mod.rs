//! All that has to do with targets at once: a queue, retries, hedging, stickiness, targets that are found, ejections, datagrams; while
//! targets are killed, frozen, slowed and reset, and an operator reloads, upgrades, adds, drains and removes.
//!
//! One target is always good. So no request that may be sent twice may fail, no client that belongs to that target may come to
//! another, and no question by UDP may stay without an answer. It runs twice, for a third of the time and for the rest; after
//! each nothing may be left over.

mod operator;
mod questions;
mod rest;
mod variety;

use super::targets::{self, Target};
use super::watch::Held;
use super::{Args, joined, rude};
use crate::checks::Checks;
use crate::plain;
use crate::runner::{Directory, progress};
use crate::strict;
use crate::strict::request::{Methods, Mix};
use crate::strict::tally::{Failure, Fault, Tally};
use crate::succession::{self, Succession};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Where everything is.
#[derive(Clone, Copy, Debug)]
struct Addresses {
    http: SocketAddr,
    tcp: SocketAddr,
    udp: SocketAddr,
    admin: SocketAddr,
}

/// What one stretch came to.
struct Stretch {
    name: &'static str,
    site: Tally,
    found: Tally,
    tunnel: Tally,
    questions: questions::Sum,
    troubles: [usize; 4],
    acts: operator::Acts,
    rude: u64,
    left: Vec<u32>,
    in_hand: String,
    limit: Result<()>,
    rest: Held,
    /// Whether the good target was up all the time, as far as Ringway could tell on a busy machine.
    good: bool,
}

/// How long old processes may take to end after their last connection.
const AFTERGLOW: Duration = Duration::from_secs(30);
/// How long a process may keep what a load has left: pools wait for their idle connections to be used, sockets for datagrams rest.
const CALM: Duration = Duration::from_secs(12);
/// Targets.
const TARGETS: usize = 3;

/// Runs it and prints the report; fails if anything did not hold.
pub fn run(args: &Args) -> Result<()> {
    succession::adopt_orphans()?;
    let directory = Directory::new()?;
    let free = plain::free_address;
    let at = Addresses { http: free()?, tcp: free()?, udp: free()?, admin: free()? };
    let mut targets: Vec<Target> =
        (0..TARGETS).map(|number| Target::start(number, &directory.0)).collect::<Result<_>>()?;
    let config = variety::write_calm(&at, &addresses(&targets), &directory.0)?;
    let log = directory.0.join("ringway.log");
    let mut processes = Succession::start(&args.ringway, &config, at.admin, log.clone())?;
    rest::wait_until_served(&at).with_context(|| processes.log_end())?;
    let mut stretches = Vec::new();
    for (name, share) in [("first", 1.0 / 3.0), ("second", 2.0 / 3.0)] {
        let length = Duration::from_secs_f64(args.upstreams * 60.0 * share);
        stretches.push(stretch(name, args, length, &mut processes, &at, &mut targets, &directory.0)?);
    }
    progress("");
    let mut checks = Checks::default();
    stretches.iter().for_each(|stretch| stretch.report(&mut checks));
    let (first, last) = (stretches[0].rest, stretches[1].rest);
    checks.add("memory is flat", last.memory_is_flat_since(&first), format!("{first}; then {last}"));
    checks.add("descriptors are flat", last.descriptors_are_flat_since(&first), format!("{first}; then {last}"));
    let twice = targets::arrived_twice(&targets)?;
    checks.add("no POST arrived twice", twice.is_empty(), format!("{} did", twice.len()));
    let panics = processes.metric("ringway_worker_panics_total")?;
    checks.add("nothing panicked", panics == 0.0 && processes.said("panicked at") == 0, processes.log_end());
    let text = std::fs::read_to_string(&log)?;
    let errors: Vec<&str> = text.lines().filter(|line| line.contains(" ERROR ")).collect();
    checks.add("the log has no error", errors.is_empty(), errors.join("\n    "));
    let ended = processes.terminate(Duration::from_secs(40))?;
    checks.add("SIGTERM ends the last process", ended, String::new());
    checks.finish()
}

fn stretch(
    name: &'static str,
    args: &Args,
    length: Duration,
    processes: &mut Succession,
    at: &Addresses,
    targets: &mut [Target],
    directory: &Path,
) -> Result<Stretch> {
    progress(&format!("upstreams, {name} stretch: {} s", length.as_secs()));
    let end = Instant::now() + length;
    let (known, at) = (addresses(targets), *at);
    let (site, found, tunnel, questions, troubles, acts, rude) = thread::scope(|scope| {
        let strict = |address, prefix, connections| {
            scope.spawn(move || strict::drive(load(address, prefix, connections, length)))
        };
        let site = strict(at.http, "", 40);
        let found = strict(at.http, "/route-found", 16);
        let tunnel = strict(at.tcp, "", 6);
        let questions = scope.spawn(move || questions::run(at.udp, end));
        let rude = scope.spawn(move || rude::run(at.http, at.tcp, 3, end));
        let troubled: Vec<_> =
            targets.iter_mut().skip(1).map(|target| scope.spawn(move || trouble(target, end))).collect();
        let acts = operator::run(&args.ringway, processes, &at, &known, directory, end);
        progress("waiting for the last answers");
        let mut troubles = [0; 4];
        for troubled in troubled {
            let more = joined(troubled.join())?;
            (0..4).for_each(|kind| troubles[kind] += more[kind]);
        }
        let loads = (joined(site.join())?, joined(found.join())?, joined(tunnel.join())?);
        let questions = joined(questions.join())?;
        let rude = joined(rude.join())?.acts;
        anyhow::Ok((loads.0, loads.1, loads.2, questions, troubles, acts?, rude))
    })?;
    progress("letting it come to rest");
    let left = processes.wait_for_elders(AFTERGLOW);
    let good = !processes.tells_of(&known[0].to_string(), &["target is down", "target is ejected"])?;
    let in_hand = rest::in_hand(processes)?;
    let limit = rest::use_limit(processes, &at);
    let rest = Held::at_rest(processes.pid, CALM, 3 * CALM)?;
    progress("");
    Ok(Stretch { name, site, found, tunnel, questions, troubles, acts, rude, left, in_hand, limit, rest, good })
}

fn addresses(targets: &[Target]) -> Vec<SocketAddr> {
    targets.iter().map(|target| target.address).collect()
}

/// Kills, freezes, slows and resets a target until `end`; how often each.
fn trouble(target: &mut Target, end: Instant) -> Result<[usize; 4]> {
    let mut done = [0; 4];
    while Instant::now() < end {
        thread::sleep(Duration::from_millis(fastrand::u64(200..2000)));
        let time = Duration::from_millis(fastrand::u64(100..3000));
        let kind = fastrand::usize(..4);
        match kind {
            0 => drop(target.kill(time)?),
            1 => target.freeze(time)?,
            2 => target.slow(time)?,
            _ => target.reset()?,
        }
        done[kind] += 1;
    }
    Ok(done)
}

/// Answers that come in one piece, and bodies that are held for another try.
fn load(address: SocketAddr, prefix: &str, connections: usize, length: Duration) -> strict::Args {
    let sizes = vec![0, 1, 128, 128, 128, 1000, 4096];
    strict::Args {
        url: format!("http://{address}{prefix}"),
        connections,
        rate: 0.0,
        duration: length.as_secs_f64(),
        timeout: 20.0,
        sticky: true,
        mix: Mix { methods: Methods::Mix, bodies: 0.25, chunked: 0.3, close: 0.05, sizes },
    }
}

impl Stretch {
    fn report(&self, checks: &mut Checks) {
        let Self { name, questions, troubles: [kills, freezes, slow, resets], acts, .. } = self;
        println!("\nupstreams, {name} stretch: {kills} kills, {freezes} freezes, {slow} times slow, {resets} resets,");
        println!(
            "  {} reloads, {} upgrades, {} lists of targets, {} commands, {} rude acts",
            acts.reloads, acts.upgrades, acts.lists, acts.commands, self.rude
        );
        for (what, tally) in [("site", &self.site), ("found", &self.found)] {
            println!("{what}: {tally}\n  {} stayed with their target, strayed: {:?}", tally.kept, tally.strayed);
            // What may be sent twice must not fail. What may not fails in known ways alone.
            let lost: Vec<&Failure> = tally.failures.iter().filter(|failure| !is_excused(failure)).collect();
            for Failure { id, fault, method, sent, ended, trace, .. } in lost.iter().take(10) {
                let took = (*ended - *sent).as_millis();
                let target = trace.target.as_deref().or(trace.previous.as_deref()).unwrap_or("an unknown target");
                println!("  {method} {id:x}: {fault}, {took} ms after it was sent on a connection to {target}");
            }
            let answered = tally.passed + tally.failed == tally.issued;
            let detail = format!("{} did", lost.len());
            checks.add(&format!("{name}, {what}: nothing failed that may be sent twice"), lost.is_empty(), detail);
            checks.add(&format!("{name}, {what}: each request has an end"), answered, String::new());
            checks.add(&format!("{name}, {what}: there was load"), tally.passed > 100, tally.passed.to_string());
        }
        let strayed = if self.good { self.site.strayed.get("t0").copied().unwrap_or(0) } else { 0 };
        let detail = format!("{strayed} did not");
        checks.add(&format!("{name}: who belongs to the good target stays there"), strayed == 0, detail);
        let foul: Vec<&Failure> = self.tunnel.failures.iter().filter(|failure| is_foul(&failure.fault)).collect();
        println!("tunnel: {}", self.tunnel);
        checks.add(&format!("{name}: tunnels mix nothing up"), foul.is_empty(), format!("{foul:?}"));
        let questions::Sum { answered, again, unanswered, wrong } = *questions;
        println!("datagrams: {answered} questions answered, asked again {again} times");
        let detail = format!("{unanswered} were not, {wrong} answers were another's");
        let whole = unanswered == 0 && wrong == 0 && answered > 100;
        checks.add(&format!("{name}: each question by UDP is answered"), whole, detail);
        let fallen = &acts.fallen;
        checks.add(&format!("{name}: no counter goes down"), fallen.is_empty(), fallen.join("\n    "));
        let detail = format!("{:?} do not", self.left);
        checks.add(&format!("{name}: old processes end"), self.left.is_empty(), detail);
        checks.add(&format!("{name}: nothing is left in hand"), self.in_hand.is_empty(), self.in_hand.clone());
        let detail = self.limit.as_ref().err().map_or_else(String::new, |error| format!("{error:#}"));
        checks.add(&format!("{name}: the whole limit can be used"), self.limit.is_ok(), detail);
        println!("at rest: {}", self.rest);
    }
}

/// Whether a failure is one of what must not be sent twice, in a way that a lost target explains.
fn is_excused(failure: &Failure) -> bool {
    failure.method == "POST" && !is_foul(&failure.fault)
}

/// Whether no loss of a target explains it.
fn is_foul(fault: &Fault) -> bool {
    use Fault::{Closed, Connect, Reset, Status, Timeout, Truncated};
    !matches!(fault, Connect | Reset | Closed | Truncated | Timeout | Status(502..=504))
}
