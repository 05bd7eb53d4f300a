//! What is listened on: each address once per worker, in numbered slots.
//!
//! What always holds: a slot is kept for as long as its address is listened on, as closing one of a group resets who waits in
//! its queue; a plan finds the slots of every address that it has in common with the one before.

use crate::net::{self, Address, Slot};
use crate::plan::Plan;
use crate::worker::{DoorId, Place};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// The slots of a process, by what the configuration calls their addresses.
pub struct Sockets {
    workers: usize,
    doors: BTreeMap<Key, Door>,
    next: DoorId,
}

/// What is listened on, as the configuration has it. Port 0 is another one at each place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    address: Address,
    place: Option<(String, usize)>,
}

struct Door {
    id: DoorId,
    /// One for each worker.
    slots: Vec<Slot>,
}

/// Addresses that were bound for a plan that is to follow.
pub struct Bound(Vec<(Key, Vec<Slot>)>);

/// An address that could not be bound.
#[derive(Debug)]
pub struct BindError {
    listener: String,
    address: Address,
    error: io::Error,
}

impl std::fmt::Display for BindError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "listener `{}` cannot listen on {}: {}", self.listener, self.address, self.error)?;
        match self.error.kind() {
            io::ErrorKind::AddrInUse => {
                write!(f, "\n  help: another process has it; `ss -ltnp` shows which")
            }
            io::ErrorKind::PermissionDenied => {
                write!(
                    f,
                    "\n  help: ports below 1024 need CAP_NET_BIND_SERVICE (`setcap cap_net_bind_service+ep` on the program)"
                )
            }
            io::ErrorKind::AddrNotAvailable => {
                write!(f, "\n  help: this host has no such address; `ip address` lists them")
            }
            _ => Ok(()),
        }
    }
}

impl Sockets {
    /// Nothing yet, for this many workers.
    pub fn new(workers: usize) -> Self {
        Self { workers, doors: BTreeMap::new(), next: 0 }
    }

    /// What a plan needs that is not bound yet, to be bound by [`Missing::bind`].
    pub fn missing(&self, plan: &Plan) -> Missing {
        let wanted = keys(plan).into_iter().filter(|(key, _)| !self.doors.contains_key(key));
        let wanted = wanted.map(|(key, listener)| (key, plan.listeners[listener].name.clone())).collect();
        let own = self.doors.values().filter_map(|door| match door.slots.first()?.address() {
            Address::Ip(ip) => Some(*ip),
            Address::Unix(_) => None,
        });
        Missing { wanted, workers: self.workers, own: own.collect() }
    }

    /// Adds what was bound.
    pub fn add(&mut self, bound: Bound) {
        for (key, slots) in bound.0 {
            self.doors.insert(key, Door { id: self.next, slots });
            self.next += 1;
        }
    }

    /// Which listener of a plan each door is.
    pub fn doors(&self, plan: &Plan) -> Vec<(DoorId, usize)> {
        keys(plan).into_iter().filter_map(|(key, listener)| Some((self.doors.get(&key)?.id, listener))).collect()
    }

    /// Lets go of what a plan does not listen on. Workers have descriptors of their own; a socket closes when the last one has
    /// emptied its queue.
    pub fn retain(&mut self, plan: &Plan) {
        let wanted = keys(plan);
        let gone: Vec<Key> =
            self.doors.keys().filter(|key| !wanted.iter().any(|(wanted, _)| wanted == *key)).cloned().collect();
        for door in gone.iter().filter_map(|key| self.doors.remove(key)) {
            if let Some(slot) = door.slots.first() {
                tracing::info!(address = %slot.address(), "no longer listening");
            }
            remove_file(&door);
        }
    }

    /// Closes all sockets, so that who comes now is refused, and removes the files of Unix ones.
    pub fn close(&mut self) {
        std::mem::take(&mut self.doors).values().for_each(remove_file);
    }

    /// What worker `worker` accepts from at these doors, on descriptors of its own.
    pub fn deal(&self, worker: usize, wanted: impl Fn(DoorId) -> bool) -> io::Result<Vec<Place>> {
        let doors = self.doors.values().filter(|door| wanted(door.id));
        let slots = doors.filter_map(|door| Some((door.id, door.slots.get(worker)?)));
        slots.map(|(door, slot)| Ok(Place { door, slot: slot.share()? })).collect()
    }
}

fn remove_file(door: &Door) {
    if let Some(Address::Unix(path)) = door.slots.first().map(Slot::address) {
        let _ = std::fs::remove_file(path);
    }
}

/// What a plan listens on, with the position of the listener.
fn keys(plan: &Plan) -> Vec<(Key, usize)> {
    let mut keys = Vec::new();
    for listener in &plan.listeners {
        for (place, address) in listener.addresses.iter().enumerate() {
            let any = matches!(address, Address::Ip(ip) if ip.port() == 0);
            let key = Key { address: address.clone(), place: any.then(|| (listener.name.clone(), place)) };
            keys.push((key, listener.index));
        }
    }
    keys
}

/// Addresses that are to be bound.
pub struct Missing {
    wanted: Vec<(Key, String)>,
    workers: usize,
    /// What this process listens on already.
    own: Vec<SocketAddr>,
}

impl Missing {
    /// Binds all of them. Fails at the first that cannot be had, leaving nothing bound.
    pub async fn bind(self) -> Result<Bound, BindError> {
        let mut bound = Vec::new();
        for (key, listener) in self.wanted {
            let fail = |error| BindError { listener: listener.clone(), address: key.address.clone(), error };
            let slots = bind_patiently(&key.address, self.workers, &self.own).await.map_err(fail)?;
            if let Some(slot) = slots.first() {
                tracing::info!(listener, address = %slot.address(), "listening");
            }
            bound.push((key, slots));
        }
        Ok(Bound(bound))
    }
}

/// Binds, waiting a moment for an address that is taken: the rings of a process that was killed give its sockets back a
/// little after its end.
async fn bind_patiently(address: &Address, workers: usize, own: &[SocketAddr]) -> io::Result<Vec<Slot>> {
    for _ in 0..BIND_TRIES {
        match bind_group(address, workers, own) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => tokio::time::sleep(BIND_PAUSE).await,
            result => return result,
        }
    }
    bind_group(address, workers, own)
}

const BIND_TRIES: usize = 9;
const BIND_PAUSE: Duration = Duration::from_millis(100);

/// One slot per worker. A Unix socket cannot be bound twice, so all workers accept from one.
fn bind_group(address: &Address, workers: usize, own: &[SocketAddr]) -> io::Result<Vec<Slot>> {
    let first = match address {
        Address::Ip(ip) => {
            // One of our own on this port would be taken for somebody else.
            if !own.iter().any(|own| own.port() == ip.port()) {
                net::probe_bind(address)?;
            }
            net::bind(address, true)?
        }
        Address::Unix(_) => net::bind(address, false)?,
    };
    let mut group = vec![first];
    for _ in 1..workers {
        let next = match address {
            Address::Ip(_) => net::bind(group[0].address(), true)?,
            Address::Unix(_) => group[0].share()?,
        };
        group.push(next);
    }
    Ok(group)
}
