//! What the proxy holds: memory and descriptors, under load and at rest.

use crate::process;
use anyhow::Result;
use std::time::{Duration, Instant};

/// A look at the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Resident bytes.
    pub resident: u64,
    /// Open descriptors.
    pub descriptors: usize,
}

/// Resident memory that counts as noise of the allocator: this much or a tenth, whichever is more.
const NOISE: u64 = 4 << 20;
/// Descriptors that may differ at rest: a health check under way.
const SPARE: usize = 8;

impl Held {
    /// As it is now.
    pub fn now(pid: u32) -> Result<Self> {
        Ok(Self { resident: process::resident(pid)?, descriptors: process::descriptors(pid) })
    }

    /// Waits until the load's connections are gone: the descriptors have not become fewer for `calm`; at most `limit`.
    pub fn at_rest(pid: u32, calm: Duration, limit: Duration) -> Result<Self> {
        let start = Instant::now();
        let (mut least, mut since) = (usize::MAX, start);
        while since.elapsed() < calm && start.elapsed() < limit {
            let now = process::descriptors(pid);
            if now < least {
                (least, since) = (now, Instant::now());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Self::now(pid)
    }

    /// Memory as large as `before`, but for noise.
    pub fn memory_is_flat_since(&self, before: &Held) -> bool {
        self.resident <= before.resident + NOISE.max(before.resident / 10)
    }

    /// Descriptors as many as `before`, but for a health check's.
    pub fn descriptors_are_flat_since(&self, before: &Held) -> bool {
        self.descriptors <= before.descriptors + SPARE
    }
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} MiB resident, {} descriptors", self.resident as f64 / f64::from(1 << 20), self.descriptors)
    }
}
