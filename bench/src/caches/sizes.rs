//! Random sizes: what the process takes of memory stays within what its cache may take.

use super::Args;
use super::client::{Ask, Client};
use super::mib;
use super::object::Object;
use super::proxy::{Proxy, Running, Tier};
use crate::checks::Checks;
use crate::runner::progress;
use anyhow::{Result, anyhow};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Clients, each with a request at a time.
const CLIENTS: u64 = 16;
/// Objects that half of the requests are for: some tens of MiB.
const OFTEN: u64 = 500;
/// All others: their bodies are some GiB.
const SELDOM: u64 = 100_000;
/// How long the same load passes through without anything being kept, so that buffers and connections are there.
const BEFORE: Duration = Duration::from_secs(4);
/// How often the process is looked at.
const GLANCE: Duration = Duration::from_millis(100);
/// What of the bound may be taken beyond it: what the process needs for more than what is kept.
const BEYOND: f64 = 0.05;
/// The share of its bound that a cache is to use once it is full. A sixteenth is for answers that come in.
const FULL: f64 = 0.9;

/// What was seen.
struct Seen {
    resident: u64,
    bytes: f64,
    full: f64,
}

pub fn run(args: &Args, directory: &Path, target: SocketAddr, checks: &mut Checks) -> Result<()> {
    let proxy = Proxy::new(&args.ringway, directory, target, &format!("{}MiB", args.memory), None)?;
    let running = proxy.serve()?;
    progress("random sizes: passing through");
    let load = Load::start(proxy.http, Ask::Passing);
    std::thread::sleep(BEFORE);
    let before = running.resident()?;
    load.end()?;

    let (load, start) = (Load::start(proxy.http, Ask::Any), Instant::now());
    let length = Duration::from_secs_f64(args.minutes * 60.0);
    let mut seen = Seen { resident: 0, bytes: 0.0, full: 0.0 };
    while start.elapsed() < length && load.is_whole() {
        std::thread::sleep(GLANCE);
        seen.look(&running)?;
        let (now, answers) = (mib(seen.resident as f64), load.answers.load(Ordering::Relaxed));
        progress(&format!(
            "random sizes: {:.0} s, {answers} answers, {now:.0} MiB at most",
            start.elapsed().as_secs_f64()
        ));
    }
    let answers = load.end()?;
    let bound = running.of_tier("ringway_cache_max_bytes", Tier::Memory)?;
    let all = running.metric("ringway_cache_requests_total{")?;
    let hits = running.metric("ringway_cache_requests_total{cache=\"site\",result=\"hit\"")?;
    let evicted = running.of_tier("ringway_cache_evicted_total", Tier::Memory)?;
    let grown = seen.resident.saturating_sub(before) as f64;
    println!(
        "random sizes: {answers} answers in {:.0} s, all right; {:.0} % of the requests were hits, {evicted:.0} keys gave way",
        start.elapsed().as_secs_f64(),
        hits / all * 100.0
    );
    println!(
        "  resident: {:.1} MiB before, {:.1} MiB more at most, which is {:.3} of the bound of {:.0} MiB",
        mib(before as f64),
        mib(grown),
        grown / bound,
        mib(bound)
    );
    println!(
        "  by its own account: {:.3} of the bound at most, {:.3} in the end",
        seen.bytes / bound,
        seen.full / bound
    );
    checks.add(
        "random sizes: memory within 5 % of its bound",
        grown <= bound * (1.0 + BEYOND),
        format!("{:.3} of it", grown / bound),
    );
    checks.add(
        "random sizes: no more held than may be",
        seen.bytes <= bound,
        format!("{:.3} of it", seen.bytes / bound),
    );
    checks.add(
        "random sizes: the cache was full",
        seen.full >= bound * FULL && evicted > 0.0,
        format!("{:.3} of it", seen.full / bound),
    );
    checks.add("random sizes: SIGTERM ends it", running.end().is_ok(), String::new());
    Ok(())
}

impl Seen {
    fn look(&mut self, running: &Running) -> Result<()> {
        self.resident = self.resident.max(running.resident()?);
        self.full = running.of_tier("ringway_cache_bytes", Tier::Memory)?;
        self.bytes = self.bytes.max(self.full);
        Ok(())
    }
}

/// Clients that ask for objects at random.
struct Load {
    over: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Result<()>>>,
}

impl Load {
    fn start(address: SocketAddr, ask: Ask) -> Self {
        let (over, answers) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let client = |seed| {
            let (over, answers) = (over.clone(), answers.clone());
            std::thread::spawn(move || {
                let (mut client, mut random) = (Client::open(address)?, fastrand::Rng::with_seed(seed));
                while !over.load(Ordering::Relaxed) {
                    let id = if random.bool() { random.u64(..OFTEN) } else { OFTEN + random.u64(..SELDOM) };
                    client.get(&[Object::of_any_size(id, &mut random)], ask)?;
                    answers.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { over, answers, clients }
    }

    /// Whether all clients still ask.
    fn is_whole(&self) -> bool {
        self.clients.iter().all(|client| !client.is_finished())
    }

    /// Ends it; how many answers there were, all of them right.
    fn end(self) -> Result<u64> {
        self.over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().unwrap_or_else(|_| Err(anyhow!("a client panicked")))?;
        }
        Ok(self.answers.load(Ordering::Relaxed))
    }
}
