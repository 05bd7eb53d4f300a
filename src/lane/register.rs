//! A worker's open connections, for operators who look at them or end them.
//!
//! What always holds: an entry is there for as long as its connection's stream is. An entry is small, since idle connections are
//! many; who came in, by which gate and when, is all that it knows.

use super::Gate;
use crate::net::{self, Handle, Peer};
use slab::Slab;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

/// The open connections of a worker.
#[derive(Default)]
pub(super) struct Register(RefCell<Table>);

#[derive(Default)]
struct Table {
    entries: Slab<Entry>,
    /// What clients have dialled in whose name a proxy has come.
    destinations: HashMap<u32, SocketAddr>,
    serial: u8,
}

/// A connection's place in the register.
#[derive(Clone, Copy, Debug)]
pub struct Ticket(u32);

impl Ticket {
    /// Nobody's.
    pub const NONE: Self = Self(u32::MAX);
}

struct Entry {
    gate: Rc<Gate>,
    /// IPv4 as mapped into IPv6.
    client: [u8; 16],
    port: u16,
    speech: Speech,
    /// Tells apart who had the place one after the other within a second.
    serial: u8,
    /// Seconds since the boot of the host.
    since: u32,
    stream: Handle,
    /// A piece of the hash of the target that it is joined with, or that was asked last; 0: none.
    target: u32,
}

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speech {
    /// HTTP/1, or nothing yet.
    #[default]
    Http1,
    /// HTTP/2
    Http2,
    /// Bytes both ways: TCP, or what an Upgrade has made of HTTP.
    Tunnel,
    /// Datagrams, which make a session.
    Datagrams,
}

/// One connection as it is shown.
#[derive(Clone, Debug)]
pub struct Guest {
    /// What it is known by within its worker: see [`Lane::cut_one`](super::Lane::cut_one).
    pub id: GuestId,
    /// The listener's name.
    pub listener: String,
    /// The client's address.
    pub client: IpAddr,
    /// The client's port; 0 on a Unix socket.
    pub port: u16,
    /// Seconds that it has been open.
    pub age: u64,
    /// What is spoken.
    pub speech: Speech,
    /// A piece of the hash of its target, as [`piece`] has it.
    pub target: u32,
    /// What has passed, where it is a session of datagrams.
    pub passed: Option<Passed>,
}

/// What has passed in a session of datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Datagrams of the client, and those that were sent to it.
    pub datagrams: [u64; 2],
    /// Their bytes.
    pub bytes: [u64; 2],
}

/// What a connection is known by within its worker: the place, and who of those that had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GuestId {
    /// The place.
    pub place: u64,
    /// When it came, in seconds since the boot of the host.
    pub since: u32,
    /// Which one of that second.
    pub serial: u8,
}

/// Which connections are meant.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Of this listener.
    pub listener: Option<String>,
    /// Of these clients.
    pub client: Option<ipnet::IpNet>,
    /// Those of this target, by [`piece`] of its hash.
    pub target: Option<u32>,
}

/// Places looked at in one go: far less than a millisecond's worth.
pub const LOOKED_AT: usize = 4096;
/// Connections shown or ended in one go.
pub const AT_ONCE: usize = 256;

/// The piece of a target's hash that a connection remembers.
pub fn piece(hash: u64) -> u32 {
    (hash >> 32) as u32 | 1
}

impl Choice {
    /// Whether everybody is meant.
    pub fn is_open(&self) -> bool {
        self.listener.is_none() && self.client.is_none() && self.target.is_none()
    }
}

impl Entry {
    fn client(&self) -> IpAddr {
        Ipv6Addr::from(self.client).to_canonical()
    }

    fn id(&self, place: usize) -> GuestId {
        GuestId { place: place as u64, since: self.since, serial: self.serial }
    }

    fn is_meant(&self, choice: &Choice) -> bool {
        choice.target.is_none_or(|target| target == self.target)
            && choice.client.is_none_or(|net| net.contains(&self.client()))
            && choice.listener.as_ref().is_none_or(|name| *name == self.gate.seat(0).listener().name)
    }
}

impl Register {
    pub(super) fn enter(&self, gate: Rc<Gate>, peer: Peer, stream: Handle) -> Ticket {
        let mut table = self.0.borrow_mut();
        table.serial = table.serial.wrapping_add(1);
        let client = mapped(peer.ip);
        let since = u32::try_from(net::coarse_now().as_secs()).unwrap_or(u32::MAX);
        let (port, serial) = (peer.port, table.serial);
        let entry = Entry { gate, client, port, speech: Speech::default(), serial, since, stream, target: 0 };
        // Descriptors are numbered by 31 bits, and each connection has one.
        Ticket(table.entries.insert(entry) as u32)
    }

    pub(super) fn leave(&self, ticket: Ticket) {
        let mut table = self.0.borrow_mut();
        table.entries.try_remove(ticket.0 as usize);
        if !table.destinations.is_empty() {
            table.destinations.remove(&ticket.0);
        }
    }

    pub(super) fn is_of(&self, ticket: Ticket, client: Peer, destination: SocketAddr) {
        let mut table = self.0.borrow_mut();
        if let Some(entry) = table.entries.get_mut(ticket.0 as usize) {
            (entry.client, entry.port) = (mapped(client.ip), client.port);
            table.destinations.insert(ticket.0, destination);
        }
    }

    /// What the client of a connection has dialled, if it is an IP address.
    pub(super) fn destination(&self, ticket: Ticket) -> Option<SocketAddr> {
        let table = self.0.borrow();
        let told = table.destinations.get(&ticket.0).copied();
        told.or_else(|| table.entries.get(ticket.0 as usize)?.stream.local_address())
    }

    /// Gives back what a burst has taken, once all are gone.
    pub(super) fn trim(&self) {
        let mut table = self.0.borrow_mut();
        if table.entries.is_empty() && table.entries.capacity() > LOOKED_AT {
            table.entries.shrink_to_fit();
            table.destinations.shrink_to_fit();
        }
    }

    pub(super) fn speaks(&self, ticket: Ticket, speech: Speech) {
        if let Some(entry) = self.0.borrow_mut().entries.get_mut(ticket.0 as usize) {
            entry.speech = speech;
        }
    }

    pub(super) fn asks(&self, ticket: Ticket, target: u64) {
        if let Some(entry) = self.0.borrow_mut().entries.get_mut(ticket.0 as usize) {
            entry.target = piece(target);
        }
    }

    /// Some of those that are meant, from this place on, and where to go on.
    pub(super) fn page(&self, choice: &Choice, from: usize) -> (Vec<Guest>, Option<usize>) {
        let table = self.0.borrow();
        let now = net::coarse_now().as_secs();
        let mut guests = Vec::new();
        let next = table.walk(from, |place, entry| {
            if entry.is_meant(choice) {
                guests.push(Guest {
                    id: entry.id(place),
                    listener: entry.gate.seat(0).listener().name.clone(),
                    client: entry.client(),
                    port: entry.port,
                    age: now.saturating_sub(u64::from(entry.since)),
                    speech: entry.speech,
                    target: entry.target,
                    passed: None,
                });
            }
            guests.len() < AT_ONCE
        });
        (guests, next)
    }

    /// Ends some of those that are meant, from this place on. Returns how many, and where to go on.
    pub(super) fn cut_all(&self, choice: &Choice, from: usize) -> (usize, Option<usize>) {
        let mut cut = Vec::new();
        let next = self.0.borrow().walk(from, |_, entry| {
            if entry.is_meant(choice) {
                cut.push(entry.stream);
            }
            cut.len() < AT_ONCE
        });
        (cut.into_iter().filter(|stream| stream.cut()).count(), next)
    }

    /// Ends one. False: it is not there any more.
    pub(super) fn cut(&self, id: GuestId) -> bool {
        let place = usize::try_from(id.place).unwrap_or(usize::MAX);
        let stream =
            self.0.borrow().entries.get(place).and_then(|entry| (entry.id(place) == id).then_some(entry.stream));
        stream.is_some_and(Handle::cut)
    }
}

/// An address as an entry has it.
fn mapped(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

impl Table {
    /// Looks at the entries from a place on, for as long as `look` says and the time for one go lasts. Returns where to go on.
    fn walk(&self, from: usize, mut look: impl FnMut(usize, &Entry) -> bool) -> Option<usize> {
        let end = from.saturating_add(LOOKED_AT).min(self.entries.capacity());
        for place in from..end {
            if let Some(entry) = self.entries.get(place)
                && !look(place, entry)
            {
                return Some(place + 1);
            }
        }
        (end < self.entries.capacity()).then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_costs_forty_bytes_here() {
        enum Place {
            #[expect(dead_code, reason = "as the slab has it")]
            Free(usize),
            #[expect(dead_code, reason = "as the slab has it")]
            Taken(Entry),
        }
        assert!(size_of::<Place>() <= 40, "{}", size_of::<Place>());
    }
}
