//! Many small objects on the disk: what each takes of memory, and how soon all of them are there again.

use super::Args;
use super::client::{self, Ask, Client};
use super::mib;
use super::object::Object;
use super::proxy::{Proxy, Running, Tier};
use crate::checks::Checks;
use crate::runner::progress;
use anyhow::{Context, Result, anyhow, ensure};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Connections that fill the cache.
const CLIENTS: u64 = 32;
/// Requests ahead on each.
const AHEAD: u64 = 16;
/// Objects that may be on their way to the disk: fewer than it has room for, or it would leave some out.
const UNDER_WAY: u64 = 3000;
/// Objects that are looked at after a start.
const SAMPLE: usize = 10_000;
/// Objects of which some may be lost: the process is killed when it has taken half of them.
const LAST: u64 = 40_000;
/// For a start, until an object is there.
const LIMIT: Duration = Duration::from_secs(60);
/// How soon it is to be there.
const SOON: Duration = Duration::from_secs(5);
/// Bytes of memory that an object may take.
const EACH: f64 = 150.0;

pub fn run(args: &Args, directory: &Path, target: SocketAddr, checks: &mut Checks) -> Result<()> {
    let folder = Folder(args.folder.join(format!("ringway-bench-disk-{}", std::process::id())));
    let proxy = Proxy::new(&args.ringway, directory, target, "1MiB", Some(&folder.0))?;
    let running = proxy.serve()?;
    let count = args.objects;
    let warm = count..count + UNDER_WAY;
    fill(&proxy, &running, warm, 0)?;
    let (before, start) = (running.resident()?, Instant::now());
    let lost = fill(&proxy, &running, 0..count, UNDER_WAY)?;
    let took = start.elapsed();
    let grown = running.resident()?.saturating_sub(before) as f64 / count as f64;
    let objects = running.of_tier("ringway_cache_objects", Tier::Disk)?;
    let bytes = running.of_tier("ringway_cache_bytes", Tier::Disk)?;
    println!(
        "{count} objects: stored in {:.0} s, {:.0} MiB on the disk, {grown:.0} bytes of memory each",
        took.as_secs_f64(),
        mib(bytes)
    );
    checks.add("objects: all are stored", lost == 0 && objects as u64 >= count, format!("{lost} are not"));
    checks.add("objects: memory for each while they come", grown <= EACH, format!("{grown:.0} bytes"));
    let took = running.end()?;
    println!("  ended in order within {:.0} ms", took.as_secs_f64() * 1e3);

    let empty = empty(args, directory, target)?;
    let (running, first) = again(&proxy, count)?;
    let each = running.resident()?.saturating_sub(empty) as f64 / count as f64;
    let there = sample(&proxy, 0..count, SAMPLE)?;
    println!(
        "  started again: an object is there after {:.0} ms; {there} of {SAMPLE} are; {each:.0} bytes of memory each",
        first.as_secs_f64() * 1e3
    );
    checks.add("objects: served soon after an end in order", first <= SOON, format!("after {first:?}"));
    checks.add("objects: an end in order loses none", there == SAMPLE, format!("{there} of {SAMPLE} are there"));
    checks.add("objects: memory for each after a start", each <= EACH, format!("{each:.0} bytes"));

    let last = count + UNDER_WAY..count + UNDER_WAY + LAST;
    kill_while_filling(&proxy, running, last.clone())?;
    let (running, first) = again(&proxy, count)?;
    let (there, newest) = (sample(&proxy, 0..count, SAMPLE)?, sample(&proxy, last, SAMPLE)?);
    println!(
        "  killed while it took {LAST} more: an object is there after {:.0} ms; {there} of {SAMPLE} are; of those {newest} of {SAMPLE}",
        first.as_secs_f64() * 1e3
    );
    checks.add("objects: served soon after a kill", first <= SOON, format!("after {first:?}"));
    checks.add("objects: a kill loses none that was stored", there == SAMPLE, format!("{there} of {SAMPLE} are there"));
    checks.add("objects: nothing panicked", !proxy.said().contains("panicked at"), String::new());
    running.end().map(drop)
}

/// Asks for objects, as fast as the disk takes them; how many it has left out. `stored`: how many there are before.
fn fill(proxy: &Proxy, running: &Running, ids: Range<u64>, stored: u64) -> Result<u64> {
    let (next, allowed, count) = (AtomicU64::new(0), AtomicU64::new(UNDER_WAY), ids.end - ids.start);
    let client = || -> Result<()> {
        let mut client = Client::open(proxy.http)?;
        loop {
            let at = next.fetch_add(AHEAD, Ordering::Relaxed);
            if at >= count {
                return Ok(());
            }
            let end = (at + AHEAD).min(count);
            while end > allowed.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            let objects: Vec<Object> = (at..end).map(|at| Object::small(ids.start + at)).collect();
            client.get(&objects, Ask::Any)?;
        }
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let (mut lost, mut done, mut since) = (0, 0, Instant::now());
        while done + lost < count {
            let now = (running.of_tier("ringway_cache_objects", Tier::Disk)? as u64).saturating_sub(stored);
            if now > done {
                (done, since) = (now, Instant::now());
                progress(&format!("objects: {done} of {count}, {lost} left out"));
            }
            let asked = next.load(Ordering::Relaxed).min(count);
            if clients.iter().all(|client| client.is_finished()) && since.elapsed() > Duration::from_secs(2) {
                break;
            }
            // Nothing comes any more.
            if since.elapsed() > Duration::from_secs(2) {
                (lost, since) = (asked.min(allowed.load(Ordering::Relaxed)).saturating_sub(done), Instant::now());
            }
            allowed.store(done + lost + UNDER_WAY, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(5));
        }
        // Whoever waits is to find its end.
        allowed.store(u64::MAX, Ordering::Relaxed);
        for client in clients {
            client.join().unwrap_or_else(|_| Err(anyhow!("a client panicked")))?;
        }
        Ok(count.saturating_sub(done))
    })
}

/// Asks for objects, and kills the process when half of them are stored.
fn kill_while_filling(proxy: &Proxy, mut running: Running, ids: Range<u64>) -> Result<()> {
    let (next, stored) = (AtomicU64::new(ids.start), running.of_tier("ringway_cache_objects", Tier::Disk)?);
    let enough = stored + (ids.end - ids.start) as f64 / 2.0;
    let client = || -> Result<()> {
        let mut client = Client::open(proxy.http)?;
        loop {
            let id = next.fetch_add(1, Ordering::Relaxed);
            if !ids.contains(&id) {
                return Ok(());
            }
            client.get(&[Object::small(id)], Ask::Any)?;
        }
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let start = Instant::now();
        while running.of_tier("ringway_cache_objects", Tier::Disk)? < enough {
            ensure!(start.elapsed() < LIMIT, "half of {ids:?} is not stored");
            std::thread::sleep(Duration::from_millis(5));
        }
        running.process.kill();
        for client in clients {
            let ended = client.join().unwrap_or_else(|_| Err(anyhow!("a client panicked")));
            ended.or_else(|error| if client::is_lost(&error) { Ok(()) } else { Err(error) })?;
        }
        Ok(())
    })
}

/// What a process takes that has nothing on its disk, once it serves.
fn empty(args: &Args, directory: &Path, target: SocketAddr) -> Result<u64> {
    let folder = Folder(args.folder.join(format!("ringway-bench-empty-{}", std::process::id())));
    let place = directory.join("empty");
    std::fs::create_dir_all(&place)?;
    let proxy = Proxy::new(&args.ringway, &place, target, "1MiB", Some(&folder.0))?;
    let running = proxy.serve()?;
    fill(&proxy, &running, 0..UNDER_WAY, 0)?;
    let resident = running.resident()?;
    running.end()?;
    Ok(resident)
}

/// Starts it again; how long it took until one of `count` objects was there.
fn again<'a>(proxy: &'a Proxy<'a>, count: u64) -> Result<(Running, Duration)> {
    let running = proxy.start()?;
    let mut random = fastrand::Rng::new();
    while running.since.elapsed() < LIMIT {
        let object = Object::small(random.u64(..count));
        // It does not listen at first; and sockets of a killed process live on for a moment, as its ring is taken apart later.
        let there = Client::open(proxy.http).and_then(|mut client| client.get(&[object], Ask::Cached));
        match there {
            Ok(1) => {
                let took = running.since.elapsed();
                return Ok((running, took));
            }
            Err(error) if !client::is_lost(&error) => return Err(error),
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Err(anyhow!("nothing is there after {LIMIT:?}")).with_context(|| proxy.said())
}

/// How many of `size` objects at random are there.
fn sample(proxy: &Proxy, ids: Range<u64>, size: usize) -> Result<usize> {
    let (mut client, mut random) = (Client::open(proxy.http)?, fastrand::Rng::with_seed(7));
    let mut there = 0;
    for _ in 0..size.div_ceil(AHEAD as usize) {
        let objects: Vec<Object> = (0..AHEAD).map(|_| Object::small(random.u64(ids.clone()))).collect();
        there += client.get(&objects, Ask::Cached)?;
    }
    Ok(there)
}

/// A folder that is removed at the end.
struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
