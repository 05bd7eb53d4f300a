//! Many keep-alive connections that mostly idle: what each costs in memory, and whether all of them hold.

use super::peer::Running;
use super::scenario::Scenario;
use crate::plain::Connection;
use crate::process;
use anyhow::Result;
use serde::Serialize;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// How many requests are under way at a time.
const AT_ONCE: usize = 64;
/// For connecting, and for each answer.
const LIMIT: Duration = Duration::from_secs(10);

/// Until what a burst left behind is gone: buffers, and connections to the backend that nobody uses.
const SETTLE: Duration = Duration::from_secs(6);

/// What a crowd cost a peer.
#[derive(Clone, Debug, Serialize)]
pub struct Crowd {
    /// Resident bytes that one connection added, since before the first, when the process has served a few requests:
    /// what code and tables it touches once is no connection's cost.
    pub process: f64,
    /// Bytes of the kernel's slab that one connection added beyond its two sockets, which every proxy needs: what the
    /// proxy's way of waiting costs.
    pub kernel: f64,
    /// Requests sent.
    pub requests: usize,
    /// Requests without their answer, and connections that could not be opened.
    pub failed: usize,
    /// The first failure.
    pub first_failure: Option<String>,
}

impl Crowd {
    /// Bytes that one connection costs.
    pub fn bytes_each(&self) -> f64 {
        self.process + self.kernel
    }
}

/// What a peer's memory was.
struct Memory {
    process: u64,
    slab: u64,
}

impl Memory {
    fn now(peer: &Running) -> Result<Self> {
        Ok(Self { process: process::resident(peer.process.id())?, slab: process::slab()? })
    }
}

/// Opens the scenario's connections to `peer` and makes one request on each, then again after each of `pauses`.
/// `sockets` is what [`sockets`] said.
pub fn gather(scenario: &Scenario, peer: &Running, pauses: &[Duration], sockets: f64) -> Result<Crowd> {
    let mut crowd = Gathered::begin(scenario, peer)?;
    let mut requests = ask_all(&mut crowd.open, &scenario.path, &mut crowd.failures);
    std::thread::sleep(SETTLE);
    let after = Memory::now(peer)?;
    for pause in pauses {
        std::thread::sleep(*pause);
        requests += ask_all(&mut crowd.open, &scenario.path, &mut crowd.failures);
    }
    Ok(crowd.end(scenario, after, requests, sockets))
}

/// The same with clients that ask all at once and do not read until the memory has been looked at.
pub fn stall(scenario: &Scenario, peer: &Running) -> Result<Crowd> {
    let mut crowd = Gathered::begin(scenario, peer)?;
    let asked: Vec<_> = crowd.open.iter_mut().map(|connection| connection.ask(&scenario.path)).collect();
    std::thread::sleep(SETTLE);
    let after = Memory::now(peer)?;
    for (connection, asked) in crowd.open.iter_mut().zip(asked) {
        if let Err(error) = asked.and_then(|()| connection.answer()) {
            crowd.failures.push(format!("{error:#}"));
        }
    }
    let requests = crowd.open.len();
    // What waits in the sockets' buffers is slab too, and no choice of the proxy's.
    let nothing = Memory { slab: crowd.before.slab, ..after };
    Ok(crowd.end(scenario, nothing, requests, 0.0))
}

/// Slab bytes of one connection's two sockets, of `count` that nobody does anything with.
pub fn sockets(count: usize) -> Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let before = process::slab()?;
    let mut held = Vec::with_capacity(2 * count);
    for _ in 0..count {
        held.push(TcpStream::connect(listener.local_addr()?)?);
        held.push(listener.accept()?.0);
    }
    std::thread::sleep(Duration::from_secs(2));
    Ok(process::slab()?.saturating_sub(before) as f64 / count as f64)
}

struct Gathered {
    before: Memory,
    open: Vec<Connection>,
    failures: Vec<String>,
}

impl Gathered {
    fn begin(scenario: &Scenario, peer: &Running) -> Result<Self> {
        let mut failures = Vec::new();
        let mut first = Vec::new();
        for _ in 0..AT_ONCE {
            first.push(Connection::open(peer.http, peer.tls, LIMIT)?);
        }
        ask_all(&mut first, &scenario.path, &mut failures);
        drop(first);
        std::thread::sleep(SETTLE);
        let before = Memory::now(peer)?;
        let mut open = Vec::with_capacity(scenario.connections);
        for _ in 0..scenario.connections {
            match Connection::open(peer.http, peer.tls, LIMIT) {
                Ok(connection) => open.push(connection),
                Err(error) => failures.push(format!("connection {}: {error:#}", open.len() + 1)),
            }
        }
        Ok(Self { before, open, failures })
    }

    fn end(self, scenario: &Scenario, after: Memory, requests: usize, sockets: f64) -> Crowd {
        let each = |after: u64, before: u64| after.saturating_sub(before) as f64 / scenario.connections as f64;
        let (failed, first_failure) = (self.failures.len(), self.failures.into_iter().next());
        Crowd {
            process: each(after.process, self.before.process),
            kernel: (each(after.slab, self.before.slab) - sockets).max(0.0),
            requests,
            failed,
            first_failure,
        }
    }
}

fn ask_all(open: &mut [Connection], path: &str, failures: &mut Vec<String>) -> usize {
    for batch in open.chunks_mut(AT_ONCE) {
        let asked: Vec<_> = batch.iter_mut().map(|connection| connection.ask(path)).collect();
        for (connection, asked) in batch.iter_mut().zip(asked) {
            if let Err(error) = asked.and_then(|()| connection.answer()) {
                failures.push(format!("{error:#}"));
            }
        }
    }
    open.len()
}
