//! Changes: reloads and upgrades under all kinds of traffic, of which nothing may be lost.
//!
//! The first part makes as many reloads as are asked for, one after the other, in one process, whose memory and descriptors
//! must stay as they are; then the upgrades, with reloads between them. The second looks at the bounds: `upgrade.drain`,
//! new processes that are killed, configurations with faults.

mod bound;
mod failing;
mod idle;
mod lasting;
mod ledger;
mod load;
mod multiplexed;
mod proxy;
mod slow;
mod variety;

use crate::chaos::watch::Held;
use crate::checks::Checks;
use crate::plain;
use crate::process::{self, Place, Process};
use crate::runner::{Directory, peer, progress};
use crate::succession;
use anyhow::{Context, Result};
use ledger::{Loss, Sum};
use load::Load;
use proxy::{Addresses, Proxy};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::{Duration, Instant};

/// Arguments of `bench changes`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Reloads of one process.
    #[arg(long, default_value_t = 1000)]
    pub reloads: usize,
    /// Upgrades after them, with ten more reloads between each two.
    #[arg(long, default_value_t = 20)]
    pub upgrades: usize,
    /// New processes that are killed while they take over.
    #[arg(long, default_value_t = 20)]
    pub kills: usize,
    /// Configurations with faults.
    #[arg(long, default_value_t = 50)]
    pub faults: usize,
    /// The ringway binary.
    #[arg(long, env = "RINGWAY", default_value_t = peer::built_ringway())]
    pub ringway: String,
}

/// Reloads before a process is as large as it should stay.
const WARM: usize = 100;
/// Reloads between two upgrades.
const BETWEEN: usize = 10;
/// How long old processes may outlive their last connection: what lingers, and the time in which a successor may yet die.
const AFTERGLOW: Duration = Duration::from_secs(20);
/// How long a process may keep what a load has left, or a reload has done away with: pools wait for their idle connections to be
/// used, access logs for the last lines.
const CALM: Duration = Duration::from_secs(6);
/// `upgrade.drain` where it is not to be felt.
const LONG: &str = "1h";
/// Losses that are told one by one.
const TOLD: usize = 12;

/// Runs it and prints the report; fails if anything did not hold.
pub fn run(args: Args) -> Result<()> {
    process::raise_file_limit()?;
    succession::adopt_orphans()?;
    let (directory, at) = (Directory::new()?, Addresses::free()?);
    let _backend = backend(&at, &directory.0)?;
    let mut checks = Checks::default();
    first_part(&args, at, &directory.0, &mut checks)?;
    second_part(&args, at, &directory.0, &mut checks)?;
    progress("");
    checks.finish()?;
    println!("changes passed");
    Ok(())
}

fn first_part(args: &Args, at: Addresses, directory: &Path, checks: &mut Checks) -> Result<()> {
    let mut proxy = Proxy::start(&args.ringway, at, directory, LONG)?;
    let warm = WARM.min(args.reloads / 2);
    let (start, mut times) = (Instant::now(), Vec::new());
    let (mut sums, first) = reloads(&mut proxy, 1..=warm, args.reloads, &mut times)?;
    let (more, last) = reloads(&mut proxy, warm + 1..=args.reloads, args.reloads, &mut times)?;
    add(&mut sums, more);
    println!("{} reloads in {:.0} s{}", args.reloads, start.elapsed().as_secs_f64(), spread(&mut times));
    println!("  at rest after {warm}: {first}; in the end {last}");
    checks.add("memory is flat over all reloads", last.memory_is_flat_since(&first), format!("{first}; then {last}"));
    checks.add("descriptors are flat over all reloads", last.descriptors_are_flat_since(&first), String::new());

    let load = Load::start(at);
    let (start, mut times, mut number) = (Instant::now(), Vec::new(), 0);
    for upgrade in 1..=args.upgrades {
        change(&format!("upgrade {upgrade} of {}", args.upgrades), &load);
        times.push(proxy.processes.upgrade()?);
        load.moment();
        for _ in 0..BETWEEN {
            number += 1;
            change(&format!("upgrade {upgrade} of {}, {BETWEEN} reloads", args.upgrades), &load);
            proxy.reload(number)?;
        }
    }
    let took = start.elapsed().as_secs_f64();
    println!("{} upgrades with {number} reloads in {took:.0} s{}", args.upgrades, spread(&mut times));
    let alive = proxy.processes.wait_for_elders(Duration::ZERO).len();
    progress("waiting for the last answers");
    add(&mut sums, load.end()?);
    progress("waiting for the old processes");
    let (since, left) = (Instant::now(), proxy.processes.wait_for_elders(AFTERGLOW));
    println!("  {alive} old processes at the end of the load, {} of them {:.0?} later", left.len(), since.elapsed());
    let newest = rest(&mut proxy, number)?;
    println!("  the last process at rest: {newest}\n");
    let detail = format!("{newest}, the first one {last}");
    checks.add("the last process holds no more than the first", newest.memory_is_flat_since(&last), detail);
    report(&sums, &all(&sums), "under all changes", checks);
    checks.add("old processes end with their last connection", left.is_empty(), format!("{left:?} do not"));
    end(&mut proxy, checks)
}

fn second_part(args: &Args, at: Addresses, directory: &Path, checks: &mut Checks) -> Result<()> {
    progress("upgrade.drain");
    let mut proxy = Proxy::start(&args.ringway, at, directory, bound::DRAIN)?;
    bound::run(&mut proxy, checks)?;
    end(&mut proxy, checks)?;
    drop(proxy);

    let mut proxy = Proxy::start(&args.ringway, at, directory, "2h")?;
    let load = Load::start(at);
    std::thread::sleep(Duration::from_secs(1));
    progress("new processes are killed");
    println!();
    let rises = failing::kill(&mut proxy, &load, args.kills, checks)?;
    let sums = load.end()?;
    let unexplained: Vec<_> = failing::unexplained(&sums, &rises).collect();
    report(&sums, &unexplained, "but for connections of killed processes", checks);

    progress("configurations with faults");
    println!();
    let load = Load::start(at);
    let without_effect = failing::reload(&mut proxy, &load, args.faults)?;
    let sums = load.end()?;
    report(&sums, &all(&sums), "under configurations with faults", checks);
    let detail = format!("{without_effect} of {} did", args.faults);
    checks.add("configurations with faults change nothing", without_effect == args.faults, detail);
    end(&mut proxy, checks)
}

/// Wakes those that idle, and says what is about to happen.
fn change(what: &str, load: &Load) {
    let losses = load.losses();
    progress(&if losses > 0 { format!("{what}, {losses} failed") } else { what.to_owned() });
    load.moment();
}

/// Makes the reloads of these numbers under a load of their own; what became of it, and what the process holds at rest.
fn reloads(
    proxy: &mut Proxy,
    numbers: RangeInclusive<usize>,
    of: usize,
    times: &mut Vec<Duration>,
) -> Result<(Vec<Sum>, Held)> {
    let (load, last) = (Load::start(proxy.at), *numbers.end());
    for number in numbers {
        change(&format!("reload {number} of {of}"), &load);
        times.push(proxy.reload(number)?);
    }
    let sums = load.end()?;
    Ok((sums, rest(proxy, last)?))
}

/// What the process holds with the configuration 0 in force, once what those before have left is gone.
fn rest(proxy: &mut Proxy, number: usize) -> Result<Held> {
    progress("letting it come to rest");
    if !number.is_multiple_of(variety::PERIOD) {
        proxy.reload(0)?;
    }
    Held::at_rest(proxy.processes.pid, CALM, 4 * CALM)
}

/// Adds what another load came to.
fn add(sums: &mut [Sum], more: Vec<Sum>) {
    for (sum, more) in sums.iter_mut().zip(more) {
        sum.add(more);
    }
}

/// Ends what is left.
fn end(proxy: &mut Proxy, checks: &mut Checks) -> Result<()> {
    let panicked = proxy.processes.metric("ringway_worker_panics_total").map_or(0.0, |count| count)
        + proxy.processes.said("panicked at") as f64;
    checks.add("nothing panicked", panicked == 0.0, panicked.to_string());
    let ended = proxy.processes.terminate(Duration::from_secs(40))?;
    checks.add("SIGTERM ends the last process", ended, String::new());
    Ok(())
}

/// All losses.
fn all(sums: &[Sum]) -> Vec<(&'static str, &Loss)> {
    sums.iter().flat_map(|sum| sum.losses.iter().map(|loss| (sum.kind, loss))).collect()
}

/// Tells what the clients saw, and the `lost` of it that count.
fn report(sums: &[Sum], lost: &[(&'static str, &Loss)], when: &str, checks: &mut Checks) {
    for sum in sums {
        println!("  {sum}");
    }
    for (kind, loss) in lost.iter().take(TOLD) {
        let age = loss.sent.saturating_duration_since(loss.opened).as_millis();
        let took = (loss.ended - loss.sent).as_millis();
        println!("    {kind}: {}, {took} ms after it was sent on a connection {age} ms old", loss.what);
    }
    let idle: Vec<&str> = sums.iter().filter(|sum| sum.passed == 0).map(|sum| sum.kind).collect();
    checks.add(&format!("0 failed, 0 cut {when}"), lost.is_empty(), format!("{} were", lost.len()));
    checks.add(&format!("there was load of each kind {when}"), idle.is_empty(), format!("but for {idle:?}"));
}

fn spread(times: &mut [Duration]) -> String {
    times.sort();
    let (Some(middle), Some(longest)) = (times.get(times.len() / 2), times.last()) else { return String::new() };
    format!(": half of them took {:.0?} at most, the longest {:.0?}", middle, longest)
}

fn backend(at: &Addresses, directory: &Path) -> Result<Process> {
    let program = std::env::current_exe()?.to_string_lossy().into_owned();
    let (http, echo) = (at.backend.to_string(), at.echo_backend.to_string());
    let args = ["backend", "--http", &http, "--echo", &echo, "--every-loopback"];
    let process = Process::start(&program, &args, Place::Anywhere, &directory.join("backend.log"))?;
    plain::wait_for(at.backend, false, "/health", Duration::from_secs(10)).context("the target")?;
    Ok(process)
}
