//! What is listened on: each address once per worker, in numbered slots.
//!
//! What always holds: a slot is kept for as long as its address is listened on, as closing one of a group resets who waits in
//! its queue; a plan finds the slots of every address that it has in common with the one before.

use crate::net::{self, Address, Slot};
use crate::plan::{Plan, SocketSetup};
use crate::worker::{DoorId, Place};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
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
    /// A port of UDP is another one than that of TCP.
    datagrams: bool,
    place: Option<(String, usize)>,
}

struct Door {
    id: DoorId,
    /// Dealt to the workers in turn: one for each, unless another process made them.
    slots: Vec<Slot>,
}

/// A door on its way to another process.
#[derive(Debug, Serialize, Deserialize)]
pub struct DoorText {
    /// As the configuration has it.
    address: String,
    /// Where it is in the configuration, if its port is 0.
    place: Option<(String, usize)>,
    /// How many descriptors it has.
    slots: usize,
    /// Whether it is the supervisor's.
    #[serde(default)]
    lent: bool,
    /// Whether it is for datagrams.
    #[serde(default)]
    datagrams: bool,
}

/// Addresses that were bound for a plan that is to follow.
#[derive(Default)]
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
                write!(f, "\n  help: another process has it; `ss -ltunp` shows which")
            }
            io::ErrorKind::PermissionDenied if matches!(self.address, Address::Ip(ip) if ip.port() < 1024) => {
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

    /// What another process handed over, with the descriptors in the order of `doors`. What `plan` does not listen on, or cannot be
    /// used, is left to that process: its place among `doors` is returned.
    pub fn inherit(workers: usize, plan: &Plan, doors: &[DoorText], descriptors: Vec<OwnedFd>) -> (Self, Vec<usize>) {
        let mut sockets = Self::new(workers);
        let wanted = keys(plan);
        let mut descriptors = descriptors.into_iter();
        let mut spare = Vec::new();
        for (place, text) in doors.iter().enumerate() {
            let slots: Vec<OwnedFd> = descriptors.by_ref().take(text.slots).collect();
            let found = wanted.iter().find(|(key, _)| text.is(key));
            let setup = setup(plan, found);
            let adopted: io::Result<Vec<Slot>> = slots.into_iter().map(|slot| Slot::adopt(slot, text.lent)).collect();
            match (found, adopted.and_then(|slots| complete(slots, workers, &setup))) {
                (Some((key, _)), Ok(slots)) => sockets.insert(key.clone(), slots),
                _ => spare.push(place),
            }
        }
        (sockets, spare)
    }

    /// What a supervisor has opened for this process. What `plan` does not listen on is closed, and named.
    pub fn activate(workers: usize, plan: &Plan, slots: Vec<Slot>) -> Self {
        let mut sockets = Self::new(workers);
        let wanted = keys(plan);
        for slot in slots {
            let address = slot.address().clone();
            let datagrams = slot.is_datagrams();
            let found = wanted.iter().find(|(key, _)| key.address == address && key.datagrams == datagrams);
            match (found, complete(vec![slot], workers, &setup(plan, found))) {
                (Some((key, _)), Ok(slots)) => {
                    tracing::info!(%address, "listening on a socket of the supervisor's");
                    sockets.insert(key.clone(), slots);
                }
                _ => tracing::warn!(%address, "no listener has this address: the supervisor's socket is closed"),
            }
        }
        sockets
    }

    /// What it listens on, for another process.
    pub fn hand_over(&self) -> io::Result<(Vec<DoorText>, Vec<OwnedFd>)> {
        let mut texts = Vec::new();
        let mut descriptors = Vec::new();
        for (key, door) in &self.doors {
            texts.push(DoorText {
                address: key.address.to_string(),
                place: key.place.clone(),
                slots: door.slots.len(),
                lent: door.slots.first().is_some_and(Slot::is_lent),
                datagrams: key.datagrams,
            });
            for slot in &door.slots {
                descriptors.push(slot.descriptor().try_clone_to_owned()?);
            }
        }
        Ok((texts, descriptors))
    }

    /// All of them.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.doors.values().flat_map(|door| &door.slots)
    }

    /// Listens everywhere again: a process that has followed may have ended that, for both.
    pub fn revive(&self) {
        for slot in self.slots() {
            if let Err(error) = slot.revive() {
                tracing::error!(address = %slot.address(), %error, "cannot listen again");
            }
        }
    }

    /// Lets go of all, which another process has now: files of Unix sockets stay.
    pub fn leave(&mut self) {
        self.doors.clear();
    }

    /// Lets go of those at these places, of what was handed over, which nobody listens on any more.
    pub fn close_some(&mut self, places: &[usize]) {
        let mut place = 0;
        self.doors.retain(|_, door| {
            let gone = places.contains(&place);
            place += 1;
            if gone {
                remove_file(door);
            }
            !gone
        });
    }

    fn insert(&mut self, key: Key, slots: Vec<Slot>) {
        self.doors.insert(key, Door { id: self.next, slots });
        self.next += 1;
    }

    /// What a plan needs that is not bound yet, to be bound by [`Missing::bind`].
    pub fn missing(&self, plan: &Plan) -> Missing {
        let wanted = keys(plan).into_iter().filter(|(key, _)| !self.doors.contains_key(key));
        let wanted = wanted.map(|(key, listener)| {
            let listener = &plan.listeners[listener];
            (key, listener.name.clone(), listener.sockets.clone())
        });
        let own = self.doors.iter().filter_map(|(key, door)| match door.slots.first()?.address() {
            Address::Ip(ip) => Some((*ip, key.datagrams)),
            Address::Unix(_) => None,
        });
        Missing { wanted: wanted.collect(), workers: self.workers, own: own.collect() }
    }

    /// Adds what was bound.
    pub fn add(&mut self, bound: Bound) {
        bound.0.into_iter().for_each(|(key, slots)| self.insert(key, slots));
    }

    /// Has all of them listen as a plan has it.
    pub fn tune(&self, plan: &Plan) {
        for (key, listener) in keys(plan) {
            let listener = &plan.listeners[listener];
            for slot in self.doors.get(&key).into_iter().flat_map(|door| &door.slots) {
                if let Err(error) = slot.tune(&listener.sockets.listening) {
                    let address = slot.address();
                    tracing::error!(listener = listener.name, %address, %error, "not all options of its sockets can be set");
                }
            }
        }
    }

    /// Which listener of a plan each door is.
    pub fn doors(&self, plan: &Plan) -> Vec<(DoorId, usize)> {
        keys(plan).into_iter().filter_map(|(key, listener)| Some((self.doors.get(&key)?.id, listener))).collect()
    }

    /// What each listener of a plan listens on, by its position, with the real ports.
    pub fn addresses(&self, plan: &Plan) -> Vec<(usize, String)> {
        let slot = |key: &Key| Some(self.doors.get(key)?.slots.first()?.address().to_string());
        keys(plan).into_iter().filter_map(|(key, listener)| Some((listener, slot(&key)?))).collect()
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
        let slots = doors.flat_map(|door| {
            let own = door.slots.iter().enumerate().filter(|(index, _)| index % self.workers == worker);
            own.map(|(_, slot)| (door.id, slot))
        });
        slots.map(|(door, slot)| Ok(Place { door, slot: slot.share()? })).collect()
    }
}

impl DoorText {
    fn is(&self, key: &Key) -> bool {
        self.address == key.address.to_string() && self.place == key.place && self.datagrams == key.datagrams
    }
}

/// These slots and as many more as it takes for each worker to have one.
fn complete(mut slots: Vec<Slot>, workers: usize, setup: &SocketSetup) -> io::Result<Vec<Slot>> {
    let Some(first) = slots.first() else { return Err(io::ErrorKind::InvalidInput.into()) };
    let (address, own_queues, datagrams) = (first.address().clone(), first.is_shared(), first.is_datagrams());
    for _ in slots.len()..workers {
        let next = match &address {
            Address::Ip(ip) if own_queues && datagrams => net::bind_datagrams(*ip, true)?,
            Address::Ip(_) if own_queues => net::bind_by(&address, true, &setup.binding, &setup.listening)?,
            _ => slots[0].share()?,
        };
        slots.push(next);
    }
    Ok(slots)
}

/// How the sockets of what a plan listens on there are set up.
fn setup(plan: &Plan, found: Option<&(Key, usize)>) -> SocketSetup {
    found.map(|(_, listener)| plan.listeners[*listener].sockets.clone()).unwrap_or_default()
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
            let datagrams = listener.is_udp();
            let key = Key { address: address.clone(), datagrams, place: any.then(|| (listener.name.clone(), place)) };
            keys.push((key, listener.index));
        }
    }
    keys
}

/// Addresses that are to be bound.
pub struct Missing {
    wanted: Vec<(Key, String, SocketSetup)>,
    workers: usize,
    /// What this process listens on already, and whether for datagrams.
    own: Vec<(SocketAddr, bool)>,
}

impl Missing {
    /// Binds all of them. Fails at the first that cannot be had, leaving nothing bound.
    pub async fn bind(self) -> Result<Bound, BindError> {
        let mut bound = Vec::new();
        for (key, listener, setup) in self.wanted {
            let fail = |error| BindError { listener: listener.clone(), address: key.address.clone(), error };
            let slots = bind_patiently(&key, &setup, self.workers, &self.own).await.map_err(fail)?;
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
async fn bind_patiently(
    key: &Key,
    setup: &SocketSetup,
    workers: usize,
    own: &[(SocketAddr, bool)],
) -> io::Result<Vec<Slot>> {
    for _ in 0..BIND_TRIES {
        match bind_group(key, setup, workers, own) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => tokio::time::sleep(BIND_PAUSE).await,
            result => return result,
        }
    }
    bind_group(key, setup, workers, own)
}

const BIND_TRIES: usize = 9;
const BIND_PAUSE: Duration = Duration::from_millis(100);

/// One slot per worker. A Unix socket cannot be bound twice, so all workers accept from one.
fn bind_group(key: &Key, setup: &SocketSetup, workers: usize, own: &[(SocketAddr, bool)]) -> io::Result<Vec<Slot>> {
    let Key { address, datagrams, .. } = key;
    let SocketSetup { binding, listening } = setup;
    // One of our own on this port would be taken for somebody else.
    let is_own = |ip: &SocketAddr| own.iter().any(|(own, of_udp)| own.port() == ip.port() && of_udp == datagrams);
    let first = match address {
        Address::Ip(ip) if *datagrams => {
            if !is_own(ip) {
                net::probe_datagrams(*ip)?;
            }
            net::bind_datagrams(*ip, true)?
        }
        Address::Ip(ip) => {
            if !is_own(ip) {
                net::probe_bind(address, binding)?;
            }
            net::bind_by(address, true, binding, listening)?
        }
        Address::Unix(_) => net::bind(address, false)?,
    };
    let mut group = vec![first];
    for _ in 1..workers {
        let next = match group[0].address() {
            Address::Ip(ip) if *datagrams => net::bind_datagrams(*ip, true)?,
            Address::Ip(_) => net::bind_by(group[0].address(), true, binding, listening)?,
            Address::Unix(_) => group[0].share()?,
        };
        group.push(next);
    }
    Ok(group)
}
