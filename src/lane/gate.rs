//! A worker's side of a listener, and the connections that came in by it.

use super::register::Ticket;
use super::{Era, Lane};
use crate::net::{Accepted, Peer, Signal};
use crate::observe::counters::{ListenerSet, Shared};
use crate::plan::{Listener, ListenerTimeouts};
use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use xxhash_rust::xxh3::xxh3_64;

/// A worker's side of a listener, over all plans that have it.
pub struct Gate {
    era: RefCell<Rc<Era>>,
    /// The listener's position in the era's plan.
    listener: Cell<usize>,
    /// An era that is tried out, and how many lots of all draw it.
    trial: RefCell<Option<(Rc<Era>, Share)>>,
    /// Raised when whoever came in is to leave after what is under way: the listener is gone, or the process ends.
    pub leaving: Signal,
}

/// A share of all connections, as lots are drawn: those below it are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u32);

/// A listener in one era.
pub struct Seat {
    /// The era.
    pub era: Rc<Era>,
    listener: usize,
}

/// One connection of a client, counted for as long as it is open, also when its task panics.
pub struct Visit {
    /// Where it is served.
    pub lane: Rc<Lane>,
    /// By which way it came in.
    pub gate: Rc<Gate>,
    /// What is drawn by lot for this client draws this: the same for as long as its address and port are.
    pub lot: u32,
    /// Its place among the worker's connections.
    pub ticket: Ticket,
    counters: Shared<ListenerSet>,
}

impl Gate {
    pub(super) fn new(era: Rc<Era>, listener: usize) -> Self {
        let (era, listener) = (RefCell::new(era), Cell::new(listener));
        Self { era, listener, trial: RefCell::default(), leaving: Signal::default() }
    }

    /// What begins now goes by `era`, and nothing is tried out any more.
    pub(super) fn go_by(&self, era: Rc<Era>, listener: usize) {
        self.trial.take();
        self.era.replace(era);
        self.listener.set(listener);
    }

    /// A share of what begins now goes by `era`, which has the same listeners.
    pub(super) fn try_out(&self, era: Rc<Era>, share: Share) {
        self.trial.replace(Some((era, share)));
    }

    /// What begins now goes by this, for a client that has drawn `lot`.
    pub fn seat(&self, lot: u32) -> Seat {
        let listener = self.listener.get();
        match &*self.trial.borrow() {
            Some((era, share)) if share.has(lot) => Seat { era: era.clone(), listener },
            _ => Seat { era: self.era.borrow().clone(), listener },
        }
    }

    /// Whether what begins now still goes by `era`.
    #[inline]
    pub fn is_in(&self, era: &Rc<Era>, lot: u32) -> bool {
        match &*self.trial.borrow() {
            Some((tried, share)) if share.has(lot) => Rc::ptr_eq(tried, era),
            _ => Rc::ptr_eq(&self.era.borrow(), era),
        }
    }

    /// What clients may take, as of now.
    pub fn timeouts(&self) -> ListenerTimeouts {
        self.era.borrow().plan.listeners[self.listener.get()].timeouts
    }
}

impl Share {
    /// A share, 0 to 1, of all.
    pub fn of(share: f64) -> Self {
        // A float to integer cast saturates.
        Self((share * f64::from(u32::MAX)) as u32)
    }

    fn has(self, lot: u32) -> bool {
        lot < self.0
    }
}

impl Seat {
    /// The listener.
    #[inline]
    pub fn listener(&self) -> &Listener {
        &self.era.plan.listeners[self.listener]
    }

    /// What the worker counts of the listener.
    #[inline]
    pub fn counters(&self) -> &Shared<ListenerSet> {
        self.era.counters.listener(self.listener)
    }
}

impl Visit {
    /// A connection that has just come in.
    pub fn begin(lane: Rc<Lane>, gate: Rc<Gate>, accepted: &Accepted) -> Self {
        let Accepted { stream, peer, .. } = accepted;
        let lot = lot(*peer);
        let counters = gate.seat(lot).counters().clone();
        lane.worker.connections.add(1);
        counters.accepted.inc();
        counters.open.add(1);
        let ticket = lane.register.enter(gate.clone(), *peer, stream.handle());
        Self { lane, gate, lot, ticket, counters }
    }
}

impl Visit {
    /// What begins now goes by this.
    pub fn seat(&self) -> Seat {
        self.gate.seat(self.lot)
    }

    /// Whether what begins now still goes by `era`.
    #[inline]
    pub fn is_in(&self, era: &Rc<Era>) -> bool {
        self.gate.is_in(era, self.lot)
    }

    /// Whose connection it is, and what that client has dialled, has been said by a proxy in between.
    pub fn is_of(&mut self, client: Peer, destination: SocketAddr) {
        self.lot = lot(client);
        self.lane.register.is_of(self.ticket, client, destination);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.lane.register.leave(self.ticket);
        self.lane.worker.connections.sub(1);
        self.counters.open.sub(1);
    }
}

/// What is drawn by lot for a client draws this.
pub fn lot(peer: Peer) -> u32 {
    let mut bytes = [0; 18];
    match peer.ip {
        IpAddr::V4(ip) => bytes[..4].copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => bytes[..16].copy_from_slice(&ip.octets()),
    }
    bytes[16..].copy_from_slice(&peer.port.to_be_bytes());
    (xxh3_64(&bytes) >> 32) as u32
}
