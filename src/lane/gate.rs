//! A worker's side of a listener, and the connections that came in by it.

use super::{Era, Lane};
use crate::net::{Peer, Signal};
use crate::observe::counters::{ListenerSet, Shared};
use crate::plan::{Listener, ListenerTimeouts};
use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use xxhash_rust::xxh3::xxh3_64;

/// A worker's side of a listener, over all plans that have it.
pub struct Gate {
    era: RefCell<Rc<Era>>,
    /// The listener's position in the era's plan.
    listener: Cell<usize>,
    /// Raised when whoever came in is to leave after what is under way: the listener is gone, or the process ends.
    pub leaving: Signal,
}

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
    counters: Shared<ListenerSet>,
}

impl Gate {
    pub(super) fn new(era: Rc<Era>, listener: usize) -> Self {
        Self { era: RefCell::new(era), listener: Cell::new(listener), leaving: Signal::default() }
    }

    /// What begins now goes by `era`.
    pub(super) fn go_by(&self, era: Rc<Era>, listener: usize) {
        self.era.replace(era);
        self.listener.set(listener);
    }

    /// What begins now goes by this.
    pub fn seat(&self) -> Seat {
        Seat { era: self.era.borrow().clone(), listener: self.listener.get() }
    }

    /// Whether what begins now still goes by `era`.
    #[inline]
    pub fn is_in(&self, era: &Rc<Era>) -> bool {
        Rc::ptr_eq(&self.era.borrow(), era)
    }

    /// What clients may take, as of now.
    pub fn timeouts(&self) -> ListenerTimeouts {
        self.era.borrow().plan.listeners[self.listener.get()].timeouts
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
    pub fn begin(lane: Rc<Lane>, gate: Rc<Gate>, peer: Peer) -> Self {
        let counters = gate.seat().counters().clone();
        lane.worker.connections.add(1);
        counters.accepted.inc();
        counters.open.add(1);
        Self { lane, gate, lot: lot(peer), counters }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.lane.worker.connections.sub(1);
        self.counters.open.sub(1);
    }
}

fn lot(peer: Peer) -> u32 {
    let mut bytes = [0; 18];
    match peer.ip {
        IpAddr::V4(ip) => bytes[..4].copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => bytes[..16].copy_from_slice(&ip.octets()),
    }
    bytes[16..].copy_from_slice(&peer.port.to_be_bytes());
    (xxh3_64(&bytes) >> 32) as u32
}
