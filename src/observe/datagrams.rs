//! What is counted of datagrams.

use super::counters::{Counter, Counters, Gauge, ListenerSet};
use super::reason::Lost;

/// Per listener.
#[derive(Debug, Default)]
pub struct ListenerDatagrams {
    /// Datagrams received from clients.
    pub received: Counter,
    /// Datagrams sent to clients.
    pub sent: Counter,
    /// Sessions begun.
    pub begun: Counter,
    /// Sessions now.
    pub sessions: Gauge,
    /// Sessions that ended for others' sake.
    pub evicted: Counter,
    /// Sessions that went on with another target, as theirs was gone.
    pub moved: Counter,
    /// Sockets to targets now.
    pub sockets: Gauge,
    /// Datagrams that went no further.
    pub lost: Counters<{ Lost::COUNT }>,
}

/// Per target.
#[derive(Debug, Default)]
pub struct TargetDatagrams {
    /// Datagrams sent to the target.
    pub sent: Counter,
    /// Datagrams received from the target.
    pub received: Counter,
}

impl ListenerSet {
    /// Sets back what counts the living.
    pub(super) fn clear_gauges(&self) {
        self.open.set(0);
        self.datagrams.sessions.set(0);
        self.datagrams.sockets.set(0);
    }
}

impl Counters<{ Lost::COUNT }> {
    /// Counts `datagrams` that are lost.
    #[inline]
    pub fn lost(&self, why: Lost, datagrams: u64) {
        self.0[why.index()].add(datagrams);
    }
}
