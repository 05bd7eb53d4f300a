//! The TLS handshake of a connection: counted, and logged if it comes to nothing.

use crate::lane::{Lane, Seat};
use crate::net::{self, Accepted};
use crate::observe::access::{Gist, Load, Record, Times};
use crate::observe::reason::{Cause, Phase, Reason, Termination};
use crate::plan::Protocol;
use crate::tls::{self, Edge, Session};
use std::time::Instant;

/// Does the handshake of a connection. `None`: it came to nothing, and all is said.
pub async fn secure(lane: &Lane, seat: &Seat, edge: &Edge, accepted: &Accepted) -> Option<Box<Session>> {
    let started = net::now();
    let listener = seat.listener();
    let http = matches!(listener.protocol, Protocol::Http(_));
    let refusal = match tls::accept(edge, &accepted.stream, http).await {
        Ok(session) => {
            seat.counters().handshakes.shaken(session.facts().kind());
            return Some(session);
        }
        Err(refusal) => refusal,
    };
    if let Some(reason) = refusal.reason() {
        seat.refuse(lane, accepted.peer, reason);
        tracing::debug!(listener = listener.name, client = %accepted.peer.ip, %refusal, "handshake refused");
        log_refusal(lane, seat, accepted, started, reason);
    }
    None
}

/// Writes that a connection came to nothing before its protocol began.
pub(super) fn log_refusal(lane: &Lane, seat: &Seat, accepted: &Accepted, started: Instant, reason: Reason) {
    let Some(log) = &seat.era.log else { return };
    let mut log = log.borrow_mut();
    let total = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let listener = &seat.listener().name;
    if !log.wants(&Gist { listener, route: "", status: None, total, failed: true }) {
        return;
    }
    let start_ns = log.wall(started);
    let cause = match reason {
        Reason::HandshakeTimeout => Cause::ClientTimeout,
        Reason::Handshake => Cause::Client,
        _ => Cause::Proxy,
    };
    log.write(&Record {
        start_ns,
        client: accepted.peer.address(),
        listener,
        route: "",
        pool: "",
        target: "",
        http: None,
        datagrams: None,
        tls: None,
        bytes_in: 0,
        bytes_out: 0,
        times: Times { total, ..Times::default() },
        tries: 0,
        reason: reason.word(),
        termination: Termination { cause, phase: Phase::Request },
        load: Load { process: lane.worker.connections.get(), listener: seat.counters().open.get(), ..Load::default() },
        headers: None,
    });
}
