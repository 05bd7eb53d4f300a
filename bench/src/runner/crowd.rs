//! Many keep-alive connections that mostly idle: what each costs in memory, and whether all of them hold.

use super::peer::Running;
use super::scenario::Scenario;
use crate::plain::Connection;
use crate::process;
use anyhow::Result;
use serde::Serialize;
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
    /// Resident bytes before the first connection, when the process has served a few requests: what code and tables it
    /// touches once is no connection's cost.
    pub before: u64,
    /// Resident bytes with all connections idle.
    pub after: u64,
    /// Resident bytes that one connection added.
    pub bytes_each: f64,
    /// Requests sent.
    pub requests: usize,
    /// Requests without their answer, and connections that could not be opened.
    pub failed: usize,
    /// The first failure.
    pub first_failure: Option<String>,
}

/// Opens the scenario's connections to `peer` and makes one request on each, then again after each of `pauses`.
pub fn gather(scenario: &Scenario, peer: &Running, pauses: &[Duration]) -> Result<Crowd> {
    let pid = peer.process.id();
    let mut failures = Vec::new();
    let mut first = Vec::new();
    for _ in 0..AT_ONCE {
        first.push(Connection::open(peer.http, LIMIT)?);
    }
    ask_all(&mut first, &scenario.path, &mut failures);
    drop(first);
    std::thread::sleep(SETTLE);
    let before = process::resident(pid)?;
    let mut open = Vec::with_capacity(scenario.connections);
    for _ in 0..scenario.connections {
        match Connection::open(peer.http, LIMIT) {
            Ok(connection) => open.push(connection),
            Err(error) => failures.push(format!("connection {}: {error:#}", open.len() + 1)),
        }
    }
    let mut requests = ask_all(&mut open, &scenario.path, &mut failures);
    std::thread::sleep(SETTLE);
    let after = process::resident(pid)?;
    for pause in pauses {
        std::thread::sleep(*pause);
        requests += ask_all(&mut open, &scenario.path, &mut failures);
    }
    let bytes_each = after.saturating_sub(before) as f64 / scenario.connections as f64;
    let (failed, first_failure) = (failures.len(), failures.into_iter().next());
    Ok(Crowd { before, after, bytes_each, requests, failed, first_failure })
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
