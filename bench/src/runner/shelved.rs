//! A cache whose answers are on the disk: filling it, and how many of its hits were read from there.

use super::inside;
use super::peer::Running;
use super::scenario::Scenario;
use crate::plain::Connection;
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// For each answer, and until all is written.
const LIMIT: Duration = Duration::from_secs(10);
/// The least share of the hits that are to be read from the disk.
const LEAST: f64 = 0.9;

/// Asks `peer` once for each key of `scenario`, and waits until Ringway has written all of them.
pub fn fill(scenario: &Scenario, peer: &Running) -> Result<()> {
    let mut connection = Connection::open(peer.http, peer.tls, LIMIT)?;
    for key in 0..scenario.keys {
        connection.ask(&scenario.path.replace("{key}", &key.to_string()))?;
        connection.answer().with_context(|| format!("{} is asked for key {key}", peer.name))?;
    }
    let Some(admin) = peer.admin else { return Ok(()) };
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        let written = inside::sum(admin, "ringway_cache_objects{cache=\"site\",tier=\"disk\"}")?;
        if written as usize >= scenario.keys {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    anyhow::bail!("{} has not written all keys within {LIMIT:?}", peer.name)
}

/// What Ringway's cache has done.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Reads {
    /// Requests that it answered.
    pub hits: f64,
    /// Requests that it did not.
    pub others: f64,
    /// Hits that were read from the disk.
    pub disk: f64,
}

impl Reads {
    /// Up to now.
    pub fn now(admin: SocketAddr) -> Result<Self> {
        let hits = inside::sum(admin, "ringway_cache_requests_total{cache=\"site\",result=\"hit\"")?;
        let all = inside::sum(admin, "ringway_cache_requests_total{")?;
        let disk = inside::sum(admin, "ringway_cache_disk_read_total{cache=\"site\"}")?;
        Ok(Self { hits, others: all - hits, disk })
    }

    /// Since `before`. Fails if it was not the disk that was asked.
    pub fn since(self, before: Self) -> Result<Self> {
        let (hits, others) = (self.hits - before.hits, self.others - before.others);
        let reads = Self { hits, others, disk: self.disk - before.disk };
        ensure!(reads.others == 0.0, "{others} requests were no hits");
        ensure!(reads.share() >= LEAST, "{:.0} % of the hits came from memory", (1.0 - reads.share()) * 100.0);
        Ok(reads)
    }

    /// The share of the hits that were read from the disk.
    pub fn share(&self) -> f64 {
        self.disk / self.hits.max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_that_came_from_memory_and_misses_are_no_reads_of_the_disk() {
        let before = Reads { hits: 10.0, others: 5.0, disk: 3.0 };
        let reads = |hits, others, disk| Reads { hits, others, disk }.since(before);
        assert_eq!(reads(110.0, 5.0, 98.0).unwrap().share(), 0.95);
        assert!(reads(110.0, 5.0, 43.0).is_err());
        assert!(reads(110.0, 6.0, 98.0).is_err());
    }
}
