//! One client connection: exchanges one after the other until either side has had enough.

use super::exchange;
use crate::lane::Lane;
use crate::net::{Accepted, Peer, Stream};
use crate::observe::reason::Reason;
use crate::plan::{Http, Listener, Protocol};
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

/// What the exchanges of a connection have in common.
#[derive(Clone, Copy)]
pub(super) struct Connection<'a> {
    pub(super) lane: &'a Rc<Lane>,
    pub(super) listener: &'a Listener,
    pub(super) http: &'a Http,
    pub(super) client: &'a Stream,
    pub(super) peer: Peer,
    /// The port of ours that the client dialled.
    pub(super) port: u16,
}

/// How long a closing connection may go on sending before it is cut.
const LINGER: Duration = Duration::from_secs(10);
/// How long a closing connection may be silent.
const LINGER_SILENCE: Duration = Duration::from_secs(2);

/// Serves one HTTP connection. Between requests it holds no buffer.
#[expect(clippy::manual_async_fn, reason = "an async function would keep its arguments twice in every idle connection")]
pub fn serve<'a>(lane: &'a Rc<Lane>, listener: &'a Listener, accepted: &'a Accepted) -> impl Future<Output = ()> + 'a {
    async move {
        let mut first = true;
        loop {
            let timeouts = &listener.timeouts;
            accepted.stream.expect_little();
            accepted.stream.set_deadline(Some(if first { timeouts.request_head } else { timeouts.idle }));
            let mut held = match accepted.stream.recv().await {
                Ok(bytes) if !bytes.is_empty() => bytes,
                Err(error) if first && error.kind() == ErrorKind::TimedOut => {
                    lane.counters.listener(listener.index).refusals.refused(Reason::HeadTimeout);
                    return;
                }
                _ => return,
            };
            first = false;
            while !held.is_empty() {
                let Protocol::Http(http) = &listener.protocol else { return };
                let Accepted { stream: client, peer, port } = accepted;
                let connection = Connection { lane, listener, http, client, peer: *peer, port: *port };
                // An exchange's state is large and short-lived: in a box of its own it costs an idle connection nothing.
                match Box::pin(exchange::run(connection, held)).await {
                    Some(next) => held = next,
                    None => return,
                }
            }
        }
    }
}

/// Ends our side and reads on for a while, so that the client gets our last answer although it is still sending
/// (RFC 9112 §9.6).
pub(super) async fn linger(client: &Stream) {
    client.shutdown();
    let deadline = crate::net::coarse_now() + LINGER;
    while crate::net::coarse_now() < deadline {
        client.set_deadline(Some(LINGER_SILENCE));
        match client.recv().await {
            Ok(bytes) if !bytes.is_empty() => {}
            _ => return,
        }
    }
}
