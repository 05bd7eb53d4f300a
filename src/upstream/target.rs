//! A pool and its targets, as all workers see them.

use super::balance;
use crate::net::Address;
use crate::tls::Outbound;
use crossbeam::utils::CachePadded;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// A named group of targets that requests are balanced over.
#[derive(Debug)]
pub struct Pool {
    /// Its name in the configuration.
    pub name: String,
    /// Its position in the plan, which metrics are counted under.
    pub index: usize,
    /// How a target is chosen.
    pub balance: balance::Kind,
    /// The targets, in the order of the configuration.
    pub targets: Vec<Target>,
    /// Whether targets are used although all are down (else the answer is 503).
    pub open_when_down: bool,
    /// Bounds on what targets may take.
    pub timeouts: Timeouts,
    /// What is kept of idle connections.
    pub keepalive: Keepalive,
    /// What targets speak.
    pub protocol: Protocol,
    /// What TLS with targets is done with; `None`: they are spoken to in clear.
    pub tls: Option<Arc<Outbound>>,
    /// Whether it is HTTP/1.1 in clear, which asks for nothing before a connection is used.
    pub is_plain: bool,
}

/// What targets speak to exchanges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1
    #[default]
    Http1,
    /// HTTP/2
    Http2,
    /// Either, as each target chooses in the handshake.
    Agreed,
}

/// One server of a pool.
#[derive(Debug)]
pub struct Target {
    /// Where it listens.
    pub address: Address,
    /// Its address as text: its name in logs and metrics, and the default `Host` of `host = "target"`.
    pub name: String,
    /// A hash of the name, for consistent hashing.
    pub id: u64,
    /// Its share among the others; 0 takes nothing.
    pub weight: u32,
    /// Whether it is used only when no other target can be.
    pub backup: bool,
    up: AtomicBool,
    /// One count per worker, which alone writes it.
    in_flight: Box<[CachePadded<AtomicU32>]>,
}

/// Bounds on what targets may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// From the request's end to the response's head.
    pub response_head: Duration,
    /// Silence within a response.
    pub response_idle: Duration,
    /// Silence in a tunnel.
    pub tunnel: Duration,
}

/// What is kept of idle connections.
#[derive(Clone, Copy, Debug)]
pub struct Keepalive {
    /// Idle connections kept per target, over all workers.
    pub max_idle: usize,
    /// How long one may stay idle.
    pub idle: Duration,
}

impl Target {
    /// A target that is taken for up until a check says otherwise, for a process of `workers`.
    pub fn new(address: Address, weight: u32, backup: bool, workers: usize) -> Self {
        let name = address.to_string();
        let id = xxh3_64(name.as_bytes());
        let (up, in_flight) = (AtomicBool::new(true), (0..workers).map(|_| CachePadded::default()).collect());
        Self { address, name, id, weight, backup, up, in_flight }
    }

    /// What a `Host` field that names the target says.
    pub fn authority(&self) -> &[u8] {
        match &self.address {
            Address::Ip(_) => self.name.as_bytes(),
            Address::Unix(_) => b"localhost",
        }
    }

    /// Whether the last check left it up.
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Takes it into or out of balancing.
    pub fn set_up(&self, up: bool) {
        self.up.store(up, Ordering::Relaxed);
    }

    /// Exchanges and tunnels that it serves now, over all workers.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Forgets what worker `worker` had in flight: it died with it.
    pub fn forget(&self, worker: usize) {
        if let Some(count) = self.in_flight.get(worker) {
            count.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn enter(&self, worker: usize) {
        if let Some(count) = self.in_flight.get(worker) {
            count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    pub(super) fn leave(&self, worker: usize) {
        if let Some(count) = self.in_flight.get(worker) {
            let before = count.load(Ordering::Relaxed);
            debug_assert!(before > 0, "every leave has its enter");
            count.store(before.saturating_sub(1), Ordering::Relaxed);
        }
    }
}

impl Pool {
    /// Whether any target that takes traffic is up.
    pub fn any_up(&self) -> bool {
        self.targets.iter().any(|target| target.weight > 0 && target.is_up())
    }
}
