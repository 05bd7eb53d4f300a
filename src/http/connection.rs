//! One client connection: exchanges one after the other until either side has had enough.

use super::exchange::{After, Exchange, Heads};
use super::h2;
use crate::lane::{Era, Gate, Lane, Seat, Speech, Ticket, Visit};
use crate::net::{Accepted, Lease, Peer, coarse_now};
use crate::observe::reason::Reason;
use crate::plan::{Http, Listener, Protocol};
use crate::tls::{Channel, Session};
use std::cell::RefCell;
use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::Duration;

/// What the exchanges of a connection have in common while they go by the same plan.
#[derive(Clone, Copy)]
pub(super) struct Connection<'a> {
    pub(super) lane: &'a Rc<Lane>,
    pub(super) gate: &'a Rc<Gate>,
    pub(super) era: &'a Rc<Era>,
    pub(super) listener: &'a Listener,
    pub(super) http: &'a Http,
    pub(super) client: Channel<'a>,
    pub(super) peer: Peer,
    pub(super) peer_text: &'a PeerText,
    /// The port of ours that the client dialled.
    pub(super) port: u16,
    /// Its place among the worker's connections.
    pub(super) ticket: Ticket,
}

impl<'a> Connection<'a> {
    /// A connection in an era. `None`: its listener speaks no HTTP any more.
    pub(super) fn new(
        visit: &'a Visit,
        seat: &'a Seat,
        accepted: &Accepted,
        client: Channel<'a>,
        peer_text: &'a PeerText,
    ) -> Option<Self> {
        let listener = seat.listener();
        let Protocol::Http(http) = &listener.protocol else { return None };
        let Accepted { peer, port, .. } = *accepted;
        let (lane, gate, era) = (&visit.lane, &visit.gate, &seat.era);
        let ticket = visit.ticket;
        Some(Self { lane, gate, era, listener, http, client, peer, peer_text, port, ticket })
    }

    /// Whether the client is to leave after what is under way.
    pub(super) fn is_leaving(&self) -> bool {
        self.gate.leaving.is_raised()
    }

    /// Whether a client is banned. Who comes by a Unix socket has no address of its own.
    pub(super) fn is_banned(&self, client: IpAddr) -> bool {
        let named = !self.peer.local || client != self.peer.ip;
        named && self.lane.bans.holds(client, coarse_now())
    }
}

/// How long a closing connection may go on sending before it is cut.
const LINGER: Duration = Duration::from_secs(10);
/// How long a closing connection may be silent.
const LINGER_SILENCE: Duration = Duration::from_secs(2);

/// Sets of heads that a worker keeps: for as many requests as are under way at a time.
const HEADS_KEPT: usize = 2048;

thread_local! {
    #[expect(clippy::vec_box, reason = "they are handed out and taken back as boxes")]
    static HEADS: RefCell<Vec<Box<Heads>>> = const { RefCell::new(Vec::new()) };
}

/// Serves one HTTP connection, through a session or in the clear. Between requests it holds no buffer and no plan.
#[expect(clippy::manual_async_fn, reason = "an async function would keep its arguments twice in every idle connection")]
pub fn serve<'a>(
    visit: &'a Visit,
    accepted: &'a Accepted,
    session: impl Into<Option<&'a Session>> + Copy + 'a,
) -> impl Future<Output = ()> + 'a {
    async move {
        // Over TLS the handshake has said which version it is (RFC 9113 §3.3).
        if session.into().is_some_and(|session| session.facts().h2) {
            return Box::pin(h2::serve(
                visit,
                accepted,
                Channel::new(&accepted.stream, session.into()),
                Lease::empty(),
            ))
            .await;
        }
        let mut first = true;
        // A client's first request comes along with its connection.
        accepted.stream.expect_now();
        // What is kept over more than one of these waits has a place of its own in every idle connection: so nothing is.
        loop {
            await_request(visit, accepted, first);
            let Some((held, h2)) = ({
                // As the channel does it, which would be kept twice in every idle connection.
                let received = match session.into() {
                    None => accepted.stream.recv().await,
                    Some(session) => Box::pin(session.recv(&accepted.stream)).await,
                };
                begun(visit, accepted.peer, received, first, session.into().is_some())
            }) else {
                return;
            };
            first = false;
            let after = if h2 {
                Box::pin(by_preface(visit, accepted, held)).await
            } else {
                // A busy connection's state is large: in a box of its own it costs an idle one nothing, and the next one that
                // becomes busy finds that memory in the core's cache. It is made where it stays: to make it first and move it
                // then would copy all of it.
                let room = Box::new_uninit();
                let client = Channel::new(&accepted.stream, session.into());
                Box::into_pin(Box::write(room, busy(visit, accepted, client, held))).await
            };
            match after {
                After::Next(_) => {}
                After::End => return,
                After::Tunnel(tunnel) => {
                    visit.lane.speaks(visit.ticket, Speech::Tunnel);
                    return Box::pin(tunnel.run(&visit.lane, Channel::new(&accepted.stream, session.into()))).await;
                }
            }
        }
    }
}

/// An idle connection gets the time that a client has until its next request, or its first.
fn await_request(visit: &Visit, accepted: &Accepted, first: bool) {
    let timeouts = visit.gate.timeouts();
    accepted.stream.expect_little();
    accepted.stream.set_deadline(Some(if first { timeouts.request_head } else { timeouts.idle }));
}

/// How a request begins, and whether that may be the preface of HTTP/2. `None`: nothing more comes.
fn begun(visit: &Visit, peer: Peer, received: io::Result<Lease>, first: bool, secure: bool) -> Option<(Lease, bool)> {
    match received {
        Ok(held) if !held.is_empty() => {
            let h2 = first && !secure && h2::begins(&held);
            Some((held, h2))
        }
        Err(error) if first && error.kind() == ErrorKind::TimedOut => {
            visit.seat().refuse(&visit.lane, peer, Reason::HeadTimeout);
            None
        }
        _ => None,
    }
}

/// Serves a connection in clear whose first bytes may be the preface of HTTP/2.
async fn by_preface(visit: &Visit, accepted: &Accepted, held: Lease) -> After {
    let client = Channel::from(&accepted.stream);
    match Box::pin(h2::preface(client, held)).await {
        Ok(whole) if h2::begins(&whole) => {
            Box::pin(h2::serve(visit, accepted, client, whole)).await;
            After::End
        }
        Ok(other) => Box::pin(busy(visit, accepted, client, other)).await,
        Err(_) => After::End,
    }
}

/// Halves what the worker keeps for exchanges, so that a burst's memory goes back. A worker calls this now and then.
pub fn trim() {
    HEADS.with_borrow_mut(|kept| {
        kept.truncate(kept.len() / 2);
        kept.shrink_to(64);
    });
}

/// Runs exchanges for as long as the client has sent the next one already, each by the plan that is in force when it begins.
#[expect(clippy::manual_async_fn, reason = "an async function would keep its arguments twice")]
fn busy<'a>(
    visit: &'a Visit,
    accepted: &'a Accepted,
    client: Channel<'a>,
    mut held: Lease,
) -> impl Future<Output = After> + 'a {
    async move {
        let peer_text = PeerText::new(accepted.peer.ip);
        let mut heads = take_heads();
        let after = 'plans: loop {
            let seat = visit.seat();
            let Some(connection) = Connection::new(visit, &seat, accepted, client, &peer_text) else {
                break After::End;
            };
            loop {
                let mut exchange = Exchange::begin(connection, &mut heads);
                let next = exchange.drive(held).await;
                match exchange.end(next) {
                    After::Next(next) if !next.is_empty() => held = next,
                    other => break 'plans other,
                }
                if !visit.is_in(&seat.era) {
                    break;
                }
            }
        };
        keep_heads(heads);
        after
    }
}

/// Heads for an exchange, to be given to [`keep_heads`] after it.
pub(super) fn take_heads() -> Box<Heads> {
    HEADS.with_borrow_mut(Vec::pop).unwrap_or_default()
}

pub(super) fn keep_heads(heads: Box<Heads>) {
    HEADS.with_borrow_mut(|kept| {
        if kept.len() < HEADS_KEPT {
            kept.push(heads);
        }
    });
}

/// An address as text, without a place on the heap.
#[derive(Clone)]
pub(super) struct PeerText {
    text: [u8; 46],
    length: u8,
}

impl PeerText {
    pub(super) fn new(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::dotted(ip),
            IpAddr::V6(ip) => {
                let mut text = [0; 46];
                let mut room = &mut text[..];
                // The longest address has 45 bytes.
                let written = write!(room, "{ip}");
                debug_assert!(written.is_ok());
                let length = (46 - room.len()) as u8;
                Self { text, length }
            }
        }
    }

    /// The most common kind, without the machinery of formatting.
    fn dotted(ip: Ipv4Addr) -> Self {
        let mut text = [0; 46];
        let mut length = 0;
        let mut push = |byte| {
            text[length] = byte;
            length += 1;
        };
        for (place, octet) in ip.octets().into_iter().enumerate() {
            if place > 0 {
                push(b'.');
            }
            if octet >= 100 {
                push(b'0' + octet / 100);
            }
            if octet >= 10 {
                push(b'0' + octet / 10 % 10);
            }
            push(b'0' + octet % 10);
        }
        let length = length as u8;
        Self { text, length }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.length)]
    }
}

/// Ends our side and reads on for a while, so that the client gets our last answer although it is still sending
/// (RFC 9112 §9.6).
pub(super) async fn linger(client: Channel<'_>) {
    client.shutdown().await;
    let deadline = coarse_now() + LINGER;
    while coarse_now() < deadline {
        client.set_deadline(Some(LINGER_SILENCE));
        match client.recv().await {
            Ok(bytes) if !bytes.is_empty() => {}
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_the_standard_library_does() {
        for ip in ["0.0.0.0", "1.20.100.255", "10.99.101.9", "::1", "2001:db8:1234:5678:9abc:def0:1234:5678"] {
            assert_eq!(PeerText::new(ip.parse().unwrap()).bytes(), ip.as_bytes());
        }
    }
}
