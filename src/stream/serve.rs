//! One TCP connection from accept to close.

use super::pump::{Done, End, Tunnel, tunnel};
use crate::lane::Lane;
use crate::net::{self, Accepted, Stream};
use crate::observe::reason::Failure;
use crate::plan::Listener;
use crate::upstream::{Attempt, Tried};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::rc::Rc;
use xxhash_rust::xxh3::xxh3_64;

/// Tries beyond the first to open a connection.
const RETRIES: usize = 3;

/// Serves one TCP connection: connects to a target of pool `pool` and pumps until both sides have ended.
pub async fn serve(lane: &Rc<Lane>, listener: &Listener, pool: usize, accepted: Accepted) {
    let _busy = lane.enter();
    let Accepted { stream: client, peer, .. } = accepted;
    let Some((attempt, target)) = connect(lane, pool, peer.ip).await else {
        client.reset_on_close();
        return;
    };
    let silence = lane.pools[pool].pool().timeouts.tunnel;
    let stall = listener.timeouts.write_stall;
    let done = Box::pin(tunnel(Tunnel { client: &client, target: &target, silence, stall })).await;
    count(lane, listener, pool, &attempt, &done);
}

/// Opens a connection to a target of the pool, trying others when one does not take it.
async fn connect(lane: &Lane, pool: usize, client: IpAddr) -> Option<(Attempt, Stream)> {
    let local = &lane.pools[pool];
    let counters = lane.counters.pool(pool);
    counters.requests.inc();
    let key = hash_ip(client);
    let mut tried = Tried::default();
    for retry in 0..=RETRIES {
        let started = net::now();
        let Some(attempt) = local.choose(key, &tried, net::coarse_now()) else {
            counters.failures.failed(Failure::NoTarget);
            return None;
        };
        if retry > 0 {
            counters.retries.inc();
        }
        let target = counters.target(attempt.index());
        target.requests.inc();
        match net::connect(&attempt.target().address, local.pool().timeouts.connect).await {
            Ok(stream) => {
                target.connects.inc();
                let took = started.elapsed();
                local.observe(attempt.index(), took, net::coarse_now());
                lane.latencies.borrow_mut().connect(pool, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
                return Some((attempt, stream));
            }
            Err(error) => {
                target.failures.inc();
                let timed_out = error.kind() == ErrorKind::TimedOut;
                counters.failures.failed(if timed_out { Failure::ConnectTimeout } else { Failure::Connect });
                tracing::debug!(pool = local.pool().name, target = attempt.target().name, %error, "cannot connect");
                tried.add(attempt.index());
            }
        }
    }
    None
}

fn count(lane: &Lane, listener: &Listener, pool: usize, attempt: &Attempt, done: &Done) {
    let client = lane.counters.listener(listener.index);
    client.received.add(done.sent);
    client.sent.add(done.received);
    let pool = lane.counters.pool(pool);
    let target = pool.target(attempt.index());
    target.sent.add(done.sent);
    target.received.add(done.received);
    match done.end {
        End::Both => {}
        End::Silence => pool.failures.failed(Failure::TunnelTimeout),
        End::Client(_) => pool.failures.failed(Failure::ClientAbort),
        End::Target(_) => pool.failures.failed(Failure::Reset),
    }
}

fn hash_ip(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(ip) => xxh3_64(&ip.octets()),
        IpAddr::V6(ip) => xxh3_64(&ip.octets()),
    }
}
