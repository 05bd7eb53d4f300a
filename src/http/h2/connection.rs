//! The one task of a client's connection: it moves bytes between the client and the session, and runs an exchange for each
//! stream.

use super::PREFACE;
use super::frame::Code;
use super::session::{Arrival, Limits, Role, Session};
use super::stream::{Held, Kind, Shared};
use super::wire::Wire;
use crate::http::connection::{Connection, keep_heads, linger, take_heads};
use crate::http::exchange;
use crate::net::{Lease, coarse_now};
use crate::observe::reason::Reason;
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
pub(in crate::http) async fn serve(connection: Connection<'_>, first: Lease) {
    let Connection { lane, listener, http, client, .. } = connection;
    let counters = lane.counters.listener(listener.index);
    counters.h2_connections.inc();
    let limits = Limits {
        streams: STREAMS,
        stream_window: STREAM_WINDOW,
        connection_window: CONNECTION_WINDOW,
        head: lane.plan.limits.request_head,
        websockets: http.websocket,
    };
    let session: Shared = Rc::new(RefCell::new(Session::new(Role::Server, limits)));
    let mut wire = Wire::new(client, session.clone(), listener.timeouts.write_stall);
    wire.feed(&first);
    drop(first);
    wire.set_limit(listener.timeouts.request_head);
    let mut exchanges = FuturesUnordered::new();
    let mut draining = pin!(lane.draining.raised());
    let (mut told, mut settled) = (false, false);
    poll_fn(|cx| {
        loop {
            match wire.poll(cx).map(|error| error.kind()) {
                Poll::Pending => {}
                Poll::Ready(ErrorKind::TimedOut) if !settled => {
                    counters.refusals.refused(Reason::HeadTimeout);
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
            let late = |since| coarse_now() >= since + listener.timeouts.request_head;
            if !now.failed && now.reading.block_since().is_some_and(late) {
                counters.refusals.refused(Reason::HeadTimeout);
                now.fail(Code::ENHANCE_YOUR_CALM);
            }
            if !settled && now.is_settled() {
                settled = true;
                wire.set_limit(listener.timeouts.idle);
            }
            if !told && draining.as_mut().poll(cx).is_ready() {
                told = true;
                wire.set_limit(LINGER);
                now.announce_end();
            }
            for _ in 0..std::mem::take(&mut now.malformed) {
                counters.refusals.refused(Reason::BadRequest);
            }
            drop(now);
            while let Some(arrival) = next(&session) {
                counters.h2_streams.inc();
                // Made where it stays: to make it first and move it then would copy all of it.
                let room = Box::new_uninit();
                let exchange: Pin<Box<_>> = Box::into_pin(Box::write(room, one(connection, &session, arrival)));
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
        counters.refusals.refused(Reason::BadRequest);
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

/// One stream: its request, its exchange, its answer.
async fn one(connection: Connection<'_>, session: &Shared, arrival: Arrival) {
    let Arrival { key, text, to_head } = arrival;
    let stream = Held::new(session.clone(), key, Kind::Answer { to_head }, connection.client.facts());
    let mut heads = take_heads();
    exchange::run(Connection { client: Channel::Multiplexed(&stream), ..connection }, &mut heads, text).await;
    keep_heads(heads);
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
