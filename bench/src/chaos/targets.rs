//! Targets that come and go: killed and started again on their ports, or stopped for a moment.

use crate::backend::journal;
use crate::plain;
use crate::process::{Place, Process};
use anyhow::{Context, Result};
use rustix::process::Signal;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The time in which a target was being killed.
#[derive(Clone, Debug)]
pub struct Kill {
    /// The target's name.
    pub target: String,
    /// Just before the signal.
    pub from: Instant,
    /// When the process was gone.
    pub to: Instant,
    /// When the target served again.
    pub back: Instant,
}

/// A target.
#[derive(Debug)]
pub struct Target {
    /// Its name, which its answers carry.
    pub name: String,
    /// Where it serves.
    pub address: SocketAddr,
    journal: PathBuf,
    log: PathBuf,
    process: Process,
}

impl Target {
    /// Starts target number `number`, with its files in `directory`.
    pub fn start(number: usize, directory: &Path) -> Result<Self> {
        let (name, address) = (format!("t{number}"), plain::lasting_address()?);
        let (journal, log) = (directory.join(format!("{name}.journal")), directory.join("targets.log"));
        let process = launch(&name, address, &journal, &log)?;
        Ok(Self { name, address, journal, log, process })
    }

    /// Kills it (SIGKILL) and starts it again, or stops it for a moment, in turns of random length until `end`; then it
    /// runs. Returns the kills.
    pub fn flap(&mut self, end: Instant) -> Result<Vec<Kill>> {
        let mut kills = Vec::new();
        loop {
            let (up, down) = (fastrand::u64(800..4000), fastrand::u64(200..1500));
            if Instant::now() + Duration::from_millis(up + down + 500) > end {
                return Ok(kills);
            }
            std::thread::sleep(Duration::from_millis(up));
            match fastrand::u8(..4) {
                0 => self.freeze(Duration::from_millis(down / 3))?,
                _ => kills.push(self.kill(Duration::from_millis(down))?),
            }
        }
    }

    /// Kills it (SIGKILL), and starts it again after `down`.
    pub fn kill(&mut self, down: Duration) -> Result<Kill> {
        let from = Instant::now();
        self.process.kill();
        let to = Instant::now();
        std::thread::sleep(down);
        self.process = launch(&self.name, self.address, &self.journal, &self.log)?;
        Ok(Kill { target: self.name.clone(), from, to, back: Instant::now() })
    }

    /// Stops it for `time`: what it had accepted stays, and the kernel goes on accepting for it.
    pub fn freeze(&mut self, time: Duration) -> Result<()> {
        self.process.signal(Signal::STOP)?;
        std::thread::sleep(time);
        self.process.signal(Signal::CONT)
    }

    /// Lets it work for a small part of `time` alone.
    pub fn slow(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.freeze(Duration::from_millis(fastrand::u64(20..150)))?;
            std::thread::sleep(Duration::from_millis(fastrand::u64(1..10)));
        }
        Ok(())
    }

    /// Has it reset all of its connections.
    pub fn reset(&mut self) -> Result<()> {
        plain::get(self.address, "/reset").map(drop)
    }
}

/// Requests that may arrive once at most, and how often they did arrive over all targets if that was more.
pub fn arrived_twice(targets: &[Target]) -> Result<HashMap<u64, u32>> {
    let mut seen = HashMap::new();
    for target in targets {
        for id in journal::read(&target.journal)? {
            *seen.entry(id).or_default() += 1;
        }
    }
    seen.retain(|_, count| *count > 1);
    Ok(seen)
}

fn launch(name: &str, address: SocketAddr, journal: &Path, log: &Path) -> Result<Process> {
    let program = std::env::current_exe()?.to_string_lossy().into_owned();
    let (http, journal) = (address.to_string(), journal.to_string_lossy());
    let process = Process::start(
        &program,
        &["backend", "--http", &http, "--name", name, "--journal", &journal],
        Place::Anywhere,
        log,
    )?;
    plain::wait_for(address, false, "/health", Duration::from_secs(10)).with_context(|| format!("target {name}"))?;
    Ok(process)
}
