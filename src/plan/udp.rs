//! What is particular to a listener for datagrams.

use crate::config::model;
use std::time::Duration;

/// What is particular to a listener for datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp {
    /// Position of the pool.
    pub pool: usize,
    /// Silence both ways after which a session ends.
    pub idle: Duration,
    /// Answers to each datagram of a client after which a session ends; `None`: any number. With 0 there are no sessions.
    pub responses: Option<u32>,
    /// Datagrams of a client in a session; `None`: any number.
    pub requests: Option<u32>,
    /// Sessions of a worker on each address.
    pub max_sessions: usize,
    /// Sockets of a worker to each target on each address.
    pub max_sockets: usize,
}

impl Udp {
    pub(super) fn compile(udp: &model::Udp, pool: usize, workers: usize) -> Self {
        Self {
            pool,
            idle: udp.idle.0,
            responses: udp.responses,
            requests: udp.requests,
            max_sessions: udp.max_sessions.div_ceil(workers.max(1)),
            max_sockets: udp.max_sockets.div_ceil(workers.max(1)),
        }
    }
}
