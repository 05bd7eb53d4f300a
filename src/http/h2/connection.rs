//! The one task of a client's connection: it moves bytes between the client and the session, and runs an exchange for each
//! stream.

use super::PREFACE;
use super::frame::Code;
use super::session::{Arrival, Limits, Role, Session};
use super::stream::{Held, Kind, Shared};
use super::wire::Wire;
use crate::http::connection::{Connection, PeerText, keep_heads, linger, take_heads};
use crate::http::exchange::{After, Exchange};
use crate::lane::{Speech, Visit};
use crate::net::{Accepted, Lease, coarse_now};
use crate::observe::counters::{self, ListenerSet};
use crate::observe::reason::Reason;
use crate::plan::Protocol;
use crate::tls::Channel;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// Streams that a client may have open at a time.
const STREAMS: u32 = 128;
/// What a client may send on one stream before the far side has taken it.
const STREAM_WINDOW: u32 = 256 << 10;
/// The same on all of them together.
const CONNECTION_WINDOW: u32 = 1 << 20;
/// How long a connection that is to end waits for its client to do so.
const LINGER: Duration = Duration::from_secs(10);

/// Serves a connection of HTTP/2, of which `first` came already.
pub(in crate::http) async fn serve(visit: &Visit, accepted: &Accepted, client: Channel<'_>, first: Lease) {
    // Streams go by the plan of their time; what is said at the start of the connection holds for all of it.
    let Some((limits, counters)) = begin(visit) else { return };
    let timeouts = visit.gate.timeouts();
    counters.h2_connections.inc();
    visit.lane.speaks(visit.ticket, Speech::Http2);
    let session: Shared = Rc::new(RefCell::new(Session::new(Role::Server, limits)));
    let mut wire = Wire::new(client, session.clone(), timeouts.write_stall);
    wire.feed(&first);
    drop(first);
    wire.set_limit(timeouts.request_head);
    let peer_text = PeerText::new(accepted.peer.ip);
    let guest = Guest { visit, accepted, client, peer_text: &peer_text };
    let mut exchanges = FuturesUnordered::new();
    let mut leaving = pin!(visit.gate.leaving.raised());
    let (mut told, mut settled) = (false, false);
    poll_fn(|cx| {
        loop {
            match wire.poll(cx).map(|error| error.kind()) {
                Poll::Pending => {}
                Poll::Ready(ErrorKind::TimedOut) if !settled => {
                    visit.seat().refuse(&visit.lane, accepted.peer, Reason::HeadTimeout);
                    wire.break_off();
                }
                // Nothing was heard for long. If nothing is under way either, that is the end.
                Poll::Ready(ErrorKind::TimedOut) => {
                    if exchanges.is_empty() && told {
                        return Poll::Ready(());
                    }
                    if exchanges.is_empty() {
                        told = true;
                        wire.set_limit(LINGER);
                        session.borrow_mut().announce_end();
                    } else {
                        wire.doubt();
                    }
                    continue;
                }
                Poll::Ready(_) => wire.break_off(),
            }
            let mut now = session.borrow_mut();
            if let Some(flood) = now.flood.take() {
                counters.flooded(flood);
            }
            // A head that comes drop by drop is never silent.
            let late = |since| coarse_now() >= since + timeouts.request_head;
            if !now.failed && now.reading.block_since().is_some_and(late) {
                visit.seat().refuse(&visit.lane, accepted.peer, Reason::HeadTimeout);
                now.fail(Code::ENHANCE_YOUR_CALM);
            }
            if !settled && now.is_settled() {
                settled = true;
                wire.set_limit(timeouts.idle);
            }
            if !told && leaving.as_mut().poll(cx).is_ready() {
                told = true;
                wire.set_limit(LINGER);
                now.announce_end();
            }
            for _ in 0..std::mem::take(&mut now.malformed) {
                visit.seat().refuse(&visit.lane, accepted.peer, Reason::BadRequest);
            }
            drop(now);
            while let Some(arrival) = next(&session) {
                counters.h2_streams.inc();
                // Made where it stays: to make it first and move it then would copy all of it.
                let room = Box::new_uninit();
                let exchange: Pin<Box<_>> = Box::into_pin(Box::write(room, one(guest, &session, arrival)));
                exchanges.push(exchange);
            }
            let mut finished = false;
            while let Poll::Ready(Some(())) = exchanges.poll_next_unpin(cx) {
                finished = true;
            }
            if session.borrow().is_over() && exchanges.is_empty() {
                return Poll::Ready(());
            }
            if !finished && !wire.has_work() {
                return Poll::Pending;
            }
        }
    })
    .await;
    if !settled && !wire.broken {
        visit.seat().refuse(&visit.lane, accepted.peer, Reason::BadRequest);
    }
    drop(exchanges);
    let in_order = !wire.broken && !session.borrow().failed;
    wire.finish().await;
    if in_order {
        // Whatever the client says yet, as that it has room for more, must not cost it what is on its way.
        linger(client).await;
    }
}

/// The next request. Those that their client has taken back come to nothing.
fn next(session: &Shared) -> Option<Arrival> {
    let mut session = session.borrow_mut();
    loop {
        let arrival = session.arrivals.pop_front()?;
        if session.streams.get(arrival.key).is_some_and(|stream| stream.broken.is_none()) {
            return Some(arrival);
        }
        session.release(arrival.key, Code::CANCEL);
    }
}

/// Whom a connection's streams are from.
#[derive(Clone, Copy)]
struct Guest<'a> {
    visit: &'a Visit,
    accepted: &'a Accepted,
    client: Channel<'a>,
    peer_text: &'a PeerText,
}

/// What a connection that begins now is allowed, and where it is counted.
fn begin(visit: &Visit) -> Option<(Limits, counters::Shared<ListenerSet>)> {
    let seat = visit.seat();
    let Protocol::Http(http) = &seat.listener().protocol else { return None };
    let limits = Limits {
        streams: STREAMS,
        stream_window: STREAM_WINDOW,
        connection_window: CONNECTION_WINDOW,
        head: seat.era.plan.limits.request_head,
        websockets: http.websocket,
    };
    Some((limits, seat.counters().clone()))
}

/// One stream: its request, its exchange, its answer.
async fn one(guest: Guest<'_>, session: &Shared, arrival: Arrival) {
    let Guest { visit, accepted, client, peer_text } = guest;
    let Arrival { key, text, to_head } = arrival;
    let stream = Held::new(session.clone(), key, Kind::Answer { to_head }, client.facts());
    let channel = Channel::Multiplexed(&stream);
    let after = {
        let seat = visit.seat();
        let Some(connection) = Connection::new(visit, &seat, accepted, channel, peer_text) else { return };
        let mut heads = take_heads();
        let after = {
            let mut exchange = Exchange::begin(connection, &mut heads);
            let next = exchange.drive(text).await;
            exchange.end(next)
        };
        keep_heads(heads);
        after
    };
    if let After::Tunnel(tunnel) = after {
        Box::pin(tunnel.run(&visit.lane, channel)).await;
    }
}

/// Reads on until the preface is whole; what there is if it turns out to be none.
pub(in crate::http) async fn preface(client: Channel<'_>, mut first: Lease) -> io::Result<Lease> {
    while first.len() < PREFACE.len() && super::begins(&first) {
        first.reserve(PREFACE.len());
        if client.recv_into(&mut first).await? == 0 {
            break;
        }
    }
    Ok(first)
}
