//! Exchanges that no client's connection carries: what they keep of the one that they began on, and the client whose place is taken.
//!
//! What always holds: nobody is heard from in that client's place, and it never leaves, so that such an exchange ends by its target, or when whoever
//! polls it no longer does.

use super::connection::{Connection, PeerText};
use super::h1::{self, Incoming, Limits, Parsed, Scan};
use super::head::RequestHead;
use crate::lane::{Era, Gate, Lane, Ticket};
use crate::net::{Lease, Peer};
use crate::plan::Protocol;
use crate::tls::{Channel, Facts, Multiplexed};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// What an exchange keeps of the connection that it began on.
pub(super) struct Apart {
    lane: Rc<Lane>,
    gate: Rc<Gate>,
    era: Rc<Era>,
    /// The listener's position in the plan.
    listener: usize,
    peer: Peer,
    peer_text: PeerText,
    port: u16,
}

impl Apart {
    /// What is kept of this connection.
    pub(super) fn of(connection: &Connection<'_>) -> Self {
        let Connection { lane, gate, era, listener, peer, peer_text, port, .. } = *connection;
        let (lane, gate, era) = (lane.clone(), gate.clone(), era.clone());
        Self { lane, gate, era, listener: listener.index, peer, peer_text: peer_text.clone(), port }
    }

    /// The connection, with another in the place of its client. `None`: its listener speaks no HTTP.
    pub(super) fn connection<'a>(&'a self, client: Channel<'a>) -> Option<Connection<'a>> {
        let Self { lane, gate, era, peer, peer_text, port, .. } = self;
        let listener = era.plan.listeners.get(self.listener)?;
        let Protocol::Http(http) = &listener.protocol else { return None };
        let (peer, port, ticket) = (*peer, *port, Ticket::NONE);
        Some(Connection { lane, gate, era, listener, http, client, peer, peer_text, port, ticket })
    }
}

/// Reads a head that is one already: it was read before, or written by us. `None`: it is none.
pub(super) fn read_again(text: &[u8], head: &mut RequestHead) -> Option<Incoming> {
    let limits = Limits { head: usize::MAX, fields: h1::MAX_FIELDS };
    match h1::parse_request(text, &limits, &mut Scan::default(), head) {
        Ok(Parsed::Complete(incoming)) => Some(incoming),
        _ => None,
    }
}

/// Whoever takes the place of a client: it says nothing and stays.
pub(super) trait Silent {
    /// The client itself, where its connection goes on meanwhile.
    fn client(&self) -> Option<Channel<'_>> {
        None
    }

    /// Hears what is sent there, which goes no further.
    fn hears(&self, _: &Lease) {}
}

impl<T: Silent> Multiplexed for T {
    fn facts(&self) -> Option<&Facts> {
        self.client().and_then(Channel::facts)
    }

    fn is_cut(&self) -> bool {
        self.client().is_some_and(Channel::is_cut)
    }

    fn set_deadline(&self, _: Option<Duration>) {}

    fn poll_wait(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn take(&self) -> Option<Lease> {
        None
    }

    fn poll_closed(&self, _: &mut Context<'_>) -> Poll<bool> {
        Poll::Pending
    }

    fn push(&self, text: &mut Lease) -> io::Result<bool> {
        self.hears(text);
        text.advance(text.len());
        Ok(true)
    }

    fn poll_room(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn shutdown(&self) {}

    fn reset(&self) {}
}
