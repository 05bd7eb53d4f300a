//! Taking connections from a slot, within the process's bound.

use super::Vital;
use super::doors::Door;
use crate::lane::{Lane, Visit};
use crate::net::{self, Accepted, Either, Listener as Socket, Signal, Slot, race};
use crate::observe::counters::{Shared, WorkerSet};
use crate::observe::reason::Reason;
use crate::plan::Protocol;
use crate::plan::guard::Held;
use crate::stream::Lead;
use crate::tls::{Channel, Clear, Session};
use crate::{http, stream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The bound on client connections over all workers.
#[derive(Debug)]
pub struct Admission {
    workers: Vec<Shared<WorkerSet>>,
    max: AtomicU64,
}

/// Connections taken in one go before the loop turns.
const BATCH: usize = 64;
/// How often a paused listener looks for room.
const PAUSE: Duration = Duration::from_millis(20);
/// How long those may take to come into the queue who were on their way when a listener began to close: a round trip.
const ARRIVING: Duration = Duration::from_millis(200);

impl Admission {
    /// At most `max` connections, as the workers count them.
    pub fn new(workers: Vec<Shared<WorkerSet>>, max: usize) -> Self {
        Self { workers, max: AtomicU64::new(max as u64) }
    }

    /// At most `max` from now on.
    pub fn set_max(&self, max: usize) {
        self.max.store(max as u64, Ordering::Relaxed);
    }

    /// How many there may be.
    pub fn max(&self) -> u64 {
        self.max.load(Ordering::Relaxed)
    }

    fn has_room(&self) -> bool {
        self.workers.iter().map(|counters| counters.connections.get()).sum::<u64>() < self.max()
    }
}

/// Accepts from `slot` until its door is shut or `stop` is raised; then takes what still waits in the queue, unless that is
/// left to somebody else.
pub(super) async fn accept(
    lane: Rc<Lane>,
    door: Rc<Door>,
    slot: Slot,
    admission: Arc<Admission>,
    stop: Signal,
    _vital: Vital,
) {
    let name = || door.gate().seat(u32::MAX).listener().name.clone();
    let socket = match Socket::new(&slot) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(listener = name(), %error, "cannot accept: the listening socket is not watched");
            return;
        }
    };
    let mut paused = false;
    loop {
        let ends = race(stop.raised(), door.shut.raised());
        let stopped = matches!(race(socket.ready(), ends).await, Either::Right(_));
        if stopped && (stop.is_raised() || door.leaves_queue.get()) {
            return;
        }
        match take_batch(&lane, &socket, &door, &admission) {
            Ok(0) => {}
            Ok(_) => {
                if std::mem::take(&mut paused) {
                    tracing::info!(listener = name(), "accept goes on");
                }
            }
            Err(why) => {
                if !std::mem::replace(&mut paused, true) {
                    lane.worker.accept_pauses.inc();
                    tracing::warn!(listener = name(), limit = admission.max(), "accept pauses: {why}");
                }
                net::sleep(PAUSE).await;
            }
        }
        if stopped {
            let _busy = lane.enter();
            socket.hold_off();
            empty(&lane, &socket, &door, &admission);
            net::sleep(ARRIVING).await;
            empty(&lane, &socket, &door, &admission);
            socket.end();
            return;
        }
    }
}

/// Takes whoever waits in the queue. They were let in: closing the socket would reset them.
fn empty(lane: &Rc<Lane>, socket: &Socket, door: &Door, admission: &Admission) {
    while take_batch(lane, socket, door, admission).is_ok_and(|taken| taken > 0) {}
}

/// Takes what waits, up to a batch. Fails with the reason if a connection waits that cannot be taken now.
fn take_batch(lane: &Rc<Lane>, socket: &Socket, door: &Door, admission: &Admission) -> Result<usize, String> {
    for taken in 0..BATCH {
        if !admission.has_room() {
            return if taken == 0 { Err("the connection limit is reached".to_owned()) } else { Ok(taken) };
        }
        match socket.accept() {
            // A Unix socket's peer has no port, and no address that could be meant.
            Ok(Some(accepted)) if !accepted.peer.local && lane.bans.holds(accepted.peer.ip, net::coarse_now()) => {
                door.gate().seat(0).counters().refusals.refused(Reason::Banned);
            }
            Ok(Some(accepted)) => {
                let gate = door.gate();
                let seat = gate.seat(u32::MAX);
                let Ok(held) = seat.admit(lane, &accepted) else { continue };
                drop(seat);
                let visit = Visit::begin(lane.clone(), gate, &accepted);
                match held {
                    None => net::spawn("connection of a client", serve(visit, accepted)),
                    Some(held) => net::spawn("connection of a client", serve_counted(visit, accepted, held)),
                }
            }
            Ok(None) => return Ok(taken),
            Err(error) if taken == 0 => return Err(error.to_string()),
            Err(_) => return Ok(taken),
        }
    }
    Ok(BATCH)
}

#[expect(clippy::manual_async_fn, reason = "an async function would keep its arguments twice in every idle connection")]
fn serve(visit: Visit, accepted: Accepted) -> impl Future<Output = ()> {
    async move {
        match nature(&visit) {
            // Others must not be as large.
            (true, secure, tcp) => Box::pin(serve_fronted(visit, accepted, secure, tcp)).await,
            // Connections in clear must not be as large as those with TLS.
            (false, true, _) => Box::pin(serve_secure(&visit, &accepted)).await,
            (false, false, true) => Box::pin(stream::serve(&visit, &accepted, None, None)).await,
            (false, false, false) => http::serve(&visit, &accepted, Clear).await,
        }
    }
}

/// Whether something may precede TLS and the protocol, whether there is TLS, and whether what comes is no HTTP.
fn nature(visit: &Visit) -> (bool, bool, bool) {
    let seat = visit.seat();
    let listener = seat.listener();
    (listener.front.is_some(), listener.tls.is_some(), matches!(listener.protocol, Protocol::Tcp { .. }))
}

/// Serves a connection that is counted among those of its client.
#[expect(clippy::manual_async_fn, reason = "as above")]
fn serve_counted(visit: Visit, accepted: Accepted, held: Held) -> impl Future<Output = ()> {
    async move {
        serve(visit, accepted).await;
        drop(held);
    }
}

/// Serves a connection where something may precede TLS and the protocol.
async fn serve_fronted(mut visit: Visit, mut accepted: Accepted, secure: bool, tcp: bool) {
    let mut held = None;
    match Box::pin(stream::pass_front(&mut visit, &mut accepted, &mut held)).await {
        Lead::Own => {}
        Lead::Passage(passage) => return Box::pin(stream::serve(&visit, &accepted, None, Some(passage))).await,
        Lead::Nowhere => return,
    }
    match (secure, tcp) {
        (true, _) => Box::pin(serve_secure(&visit, &accepted)).await,
        (false, true) => Box::pin(stream::serve(&visit, &accepted, None, None)).await,
        (false, false) => http::serve(&visit, &accepted, Clear).await,
    }
}

async fn serve_secure(visit: &Visit, accepted: &Accepted) {
    let Some(session) = Box::pin(handshake(visit, accepted)).await else { return };
    if session.1 {
        Box::pin(stream::serve(visit, accepted, Some(&session.0), None)).await;
    } else {
        http::serve(visit, accepted, &*session.0).await;
    }
    Box::pin(Channel::new(&accepted.stream, Some(&session.0)).finish()).await;
}

/// A handshake's state is large, and soon over. Says, too, whether what comes is no HTTP.
async fn handshake(visit: &Visit, accepted: &Accepted) -> Option<(Box<Session>, bool)> {
    let seat = visit.seat();
    let listener = seat.listener();
    let edge = listener.tls.as_ref()?;
    let session = stream::secure(&visit.lane, &seat, edge, accepted).await?;
    Some((session, matches!(listener.protocol, Protocol::Tcp { .. })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<F>(_: impl FnOnce(Visit, Accepted) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_that_is_idle_is_a_small_task() {
        let size = size(serve);
        assert!(size <= 176, "{size} bytes: see what is kept over more than one wait");
    }
}
