//! Ringway with the configuration that is changed.

use super::variety;
use crate::plain;
use crate::runner::peer;
use crate::succession::{LIMIT, Succession};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where everything is.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// The HTTP listener.
    pub http: SocketAddr,
    /// A TCP listener to the HTTP targets.
    pub tcp: SocketAddr,
    /// A TCP listener to what gives back every byte.
    pub echo: SocketAddr,
    /// An HTTP listener that comes and goes.
    pub guest: SocketAddr,
    /// Metrics.
    pub admin: SocketAddr,
    /// The HTTP target's port on every loopback address.
    pub backend: SocketAddr,
    /// The target that gives back every byte.
    pub echo_backend: SocketAddr,
}

impl Addresses {
    /// Free ones.
    pub fn free() -> Result<Self> {
        let free = plain::free_address;
        let (http, tcp, echo, guest) = (free()?, free()?, free()?, free()?);
        Ok(Self { http, tcp, echo, guest, admin: free()?, backend: free()?, echo_backend: free()? })
    }
}

/// The processes, and what they are configured by.
pub struct Proxy {
    /// The processes.
    pub processes: Succession,
    /// Where they listen.
    pub at: Addresses,
    directory: PathBuf,
    drain: &'static str,
    config: String,
}

impl Proxy {
    /// Starts `program` with the configuration 0, its files in `directory`, and waits until it serves.
    pub fn start(program: &str, at: Addresses, directory: &Path, drain: &'static str) -> Result<Self> {
        let (config, log) = (write(0, &at, directory, drain)?, directory.join(format!("ringway-{drain}.log")));
        let processes = Succession::start(program, &config, at.admin, log)?;
        plain::wait_for(at.http, false, "/health", LIMIT).with_context(|| processes.log_end())?;
        Ok(Self { processes, at, directory: directory.to_owned(), drain, config })
    }

    /// Puts the configuration `number` into force by SIGHUP; how long that took.
    pub fn reload(&mut self, number: usize) -> Result<Duration> {
        write(number, &self.at, &self.directory, self.drain)?;
        self.processes.reload().with_context(|| format!("reload {number}"))
    }

    /// Reloads `text`, which has a fault; whether that changed nothing.
    pub fn reload_fault(&mut self, text: &str) -> Result<bool> {
        std::fs::write(&self.config, text)?;
        self.processes.reload_fault()
    }
}

fn write(number: usize, at: &Addresses, directory: &Path, drain: &str) -> Result<String> {
    let values = variety::values(number, at, directory, drain);
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Ok(peer::render("changes.toml", directory, &values)?.to_string_lossy().into_owned())
}
