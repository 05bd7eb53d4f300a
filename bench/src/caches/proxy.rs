//! Ringway with one cache, and what it says of that.

use crate::plain;
use crate::process::{self, Place, Process};
use crate::runner::{inside, peer};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// For starting, and for ending.
const LIMIT: Duration = Duration::from_secs(40);

/// How it is to be.
pub struct Proxy<'a> {
    /// The binary.
    pub program: &'a str,
    /// Where its files are.
    pub directory: &'a Path,
    /// Where it listens.
    pub http: SocketAddr,
    /// Its metrics.
    pub admin: SocketAddr,
    config: PathBuf,
}

/// It runs.
pub struct Running {
    /// Its process.
    pub process: Process,
    /// When it was started.
    pub since: Instant,
    admin: SocketAddr,
}

/// Where a cache keeps things.
#[derive(Clone, Copy, Debug)]
pub enum Tier {
    Memory,
    Disk,
}

impl<'a> Proxy<'a> {
    /// With a cache of `memory` and, if there is a folder, a disk of 4 GiB, in front of `target`.
    pub fn new(
        program: &'a str,
        directory: &'a Path,
        target: SocketAddr,
        memory: &str,
        disk: Option<&Path>,
    ) -> Result<Self> {
        let (http, admin) = (plain::free_address()?, plain::free_address()?);
        let disk =
            disk.map(|folder| format!("disk = {{ path = {:?}, size = \"4GiB\" }}", folder.display().to_string()));
        let (http_port, admin_port) = (http.port().to_string(), admin.port().to_string());
        let (disk, target) = (disk.unwrap_or_default(), target.to_string());
        let values = [
            ("http", &*http_port),
            ("admin", &*admin_port),
            ("memory", memory),
            ("disk", &*disk),
            ("target", &*target),
        ];
        let config = peer::render("caches.toml", directory, &values)?;
        Ok(Self { program, directory, http, admin, config })
    }

    /// Starts it; does not wait for anything.
    pub fn start(&self) -> Result<Running> {
        let (config, since) = (self.config.to_string_lossy(), Instant::now());
        let process = Process::start(self.program, &["run", "-c", &config], Place::Anywhere, &self.log())?;
        Ok(Running { process, since, admin: self.admin })
    }

    /// Starts it, and waits until it serves.
    pub fn serve(&self) -> Result<Running> {
        let running = self.start()?;
        plain::wait_for(self.http, false, "/health", LIMIT).with_context(|| self.said())?;
        Ok(running)
    }

    /// All that it has said.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn log(&self) -> PathBuf {
        self.directory.join("ringway.log")
    }
}

impl Running {
    /// Its resident bytes.
    pub fn resident(&self) -> Result<u64> {
        process::resident(self.process.id())
    }

    /// A metric of its cache's tier.
    pub fn of_tier(&self, metric: &str, tier: Tier) -> Result<f64> {
        let tier = match tier {
            Tier::Memory => "memory",
            Tier::Disk => "disk",
        };
        inside::sum(self.admin, &format!("{metric}{{cache=\"site\",tier=\"{tier}\"}}"))
    }

    /// The sum of the metrics whose series begin with `start`.
    pub fn metric(&self, start: &str) -> Result<f64> {
        inside::sum(self.admin, start)
    }

    /// Ends it in order; how long that took.
    pub fn end(mut self) -> Result<Duration> {
        let start = Instant::now();
        let code = self.process.terminate(LIMIT)?;
        anyhow::ensure!(code == Some(0), "ended by SIGTERM with {code:?}");
        Ok(start.elapsed())
    }
}
