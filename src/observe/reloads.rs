//! What became of reloads and upgrades. Control is the only writer.

use super::counters::{Counter, Gauge};

/// What became of reloads.
#[derive(Debug, Default)]
pub struct Reloads {
    /// Those that were put into force.
    pub applied: Counter,
    /// Those that found nothing to change.
    pub unchanged: Counter,
    /// Those that failed, and changed nothing.
    pub failed: Counter,
    /// Those that were tried out and have not proven themselves.
    pub rolled_back: Counter,
    /// Whether one is being tried out: 1 or 0.
    pub trying: Gauge,
    /// Whether the last one failed: 1 or 0.
    pub last_failed: Gauge,
    /// New processes that took over.
    pub upgrades: Counter,
    /// Upgrades that came to nothing.
    pub upgrades_failed: Counter,
    /// Changes of the file of consumers that were put into force.
    pub consumers_changed: Counter,
    /// Those that could not be, so that who was known stayed so.
    pub consumers_failed: Counter,
    /// When one was last put into force, or the process started; seconds since 1970.
    pub last_success: Gauge,
}
