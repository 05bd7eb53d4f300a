//! Taking connections from a slot, within the process's bound.

use super::{Place, Vital};
use crate::lane::Lane;
use crate::net::{self, Accepted, Either, Listener as Socket, Signal, race};
use crate::observe::counters::WorkerCounters;
use crate::plan::{Listener, Protocol};
use crate::tls::{Channel, Clear};
use crate::{http, stream};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// The bound on client connections over all workers.
#[derive(Debug)]
pub struct Admission {
    workers: Vec<Arc<WorkerCounters>>,
    max: u64,
}

/// Connections taken in one go before the loop turns.
const BATCH: usize = 64;
/// How often a paused listener looks for room.
const PAUSE: Duration = Duration::from_millis(20);

impl Admission {
    /// At most `max` connections, as the workers count them.
    pub fn new(workers: Vec<Arc<WorkerCounters>>, max: usize) -> Self {
        Self { workers, max: max as u64 }
    }

    fn has_room(&self) -> bool {
        self.workers.iter().map(|counters| counters.worker.connections.get()).sum::<u64>() < self.max
    }
}

/// Accepts from `place` until `stop` is raised; then takes what still waits in the queue.
pub(super) async fn accept(lane: Rc<Lane>, place: Place, admission: Arc<Admission>, stop: Signal, _vital: Vital) {
    let socket = match Socket::new(&place.slot) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(listener = place.listener.name, %error, "cannot accept: the listening socket is not watched");
            return;
        }
    };
    let mut paused = false;
    loop {
        let stopped = matches!(race(socket.ready(), stop.raised()).await, Either::Right(()));
        match take_batch(&lane, &socket, &place.listener, &admission) {
            Ok(0) => {}
            Ok(_) => {
                if std::mem::take(&mut paused) {
                    tracing::info!(listener = place.listener.name, "accept goes on");
                }
            }
            Err(why) => {
                if !std::mem::replace(&mut paused, true) {
                    lane.counters.worker.accept_pauses.inc();
                    tracing::warn!(listener = place.listener.name, limit = admission.max, "accept pauses: {why}");
                }
                net::sleep(PAUSE).await;
            }
        }
        if stopped {
            // Whoever waits in the queue was let in: closing the socket would reset them.
            while take_batch(&lane, &socket, &place.listener, &admission).is_ok_and(|taken| taken > 0) {}
            return;
        }
    }
}

/// Takes what waits, up to a batch. Fails with the reason if a connection waits that cannot be taken now.
fn take_batch(
    lane: &Rc<Lane>,
    socket: &Socket,
    listener: &Arc<Listener>,
    admission: &Admission,
) -> Result<usize, String> {
    for taken in 0..BATCH {
        if !admission.has_room() {
            return if taken == 0 { Err("the connection limit is reached".to_owned()) } else { Ok(taken) };
        }
        match socket.accept() {
            Ok(Some(accepted)) => {
                let open = Open::new(lane.clone(), listener.index);
                net::spawn(serve(open, listener.clone(), accepted));
            }
            Ok(None) => return Ok(taken),
            Err(error) if taken == 0 => return Err(error.to_string()),
            Err(_) => return Ok(taken),
        }
    }
    Ok(BATCH)
}

#[expect(clippy::manual_async_fn, reason = "an async function would keep its arguments twice in every idle connection")]
fn serve(open: Open, listener: Arc<Listener>, accepted: Accepted) -> impl Future<Output = ()> {
    async move {
        if listener.tls.is_some() {
            // Connections in clear must not be as large as those with TLS.
            return Box::pin(serve_secure(&open.lane, &listener, &accepted)).await;
        }
        match &listener.protocol {
            Protocol::Tcp { pool } => {
                Box::pin(stream::serve(&open.lane, &listener, *pool, &accepted, None)).await;
            }
            Protocol::Http(_) => http::serve(&open.lane, &listener, &accepted, Clear).await,
        }
    }
}

async fn serve_secure(lane: &Rc<Lane>, listener: &Listener, accepted: &Accepted) {
    let Some(edge) = &listener.tls else { return };
    // A handshake's state is large, and soon over.
    let Some(session) = Box::pin(stream::secure(lane, listener, edge, accepted)).await else { return };
    match &listener.protocol {
        Protocol::Tcp { pool } => {
            Box::pin(stream::serve(lane, listener, *pool, accepted, Some(&session))).await;
        }
        Protocol::Http(_) => http::serve(lane, listener, accepted, &*session).await,
    }
    Box::pin(Channel::new(&accepted.stream, Some(&session)).finish()).await;
}

/// Counts a connection while it is open, also when its task panics.
struct Open {
    lane: Rc<Lane>,
    listener: usize,
}

impl Open {
    fn new(lane: Rc<Lane>, listener: usize) -> Self {
        lane.counters.worker.connections.add(1);
        lane.counters.listener(listener).accepted.inc();
        lane.counters.listener(listener).open.add(1);
        Self { lane, listener }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.lane.counters.worker.connections.sub(1);
        self.lane.counters.listener(self.listener).open.sub(1);
    }
}
