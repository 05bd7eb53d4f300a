//! Binding what the plan listens on: each address once per worker, in numbered slots.

use crate::net::{self, Address, Slot};
use crate::plan::{Listener, Plan};
use crate::worker::Place;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The slots of a process: `slots[worker]` is what that worker accepts from.
pub struct Sockets {
    slots: Vec<Vec<Place>>,
}

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
    /// Binds all of the plan's addresses. Fails at the first that cannot be had, leaving nothing bound.
    pub async fn bind(plan: &Plan) -> Result<Self, BindError> {
        let mut slots: Vec<Vec<Place>> = (0..plan.runtime.workers).map(|_| Vec::new()).collect();
        for listener in &plan.listeners {
            for address in &listener.addresses {
                let fail = |error| BindError { listener: listener.name.clone(), address: address.clone(), error };
                for (worker, slot) in
                    bind_patiently(address, plan.runtime.workers).await.map_err(fail)?.into_iter().enumerate()
                {
                    if worker == 0 {
                        tracing::info!(listener = listener.name, address = %slot.address(), "listening");
                    }
                    slots[worker].push(Place { slot, listener: listener.clone() });
                }
            }
        }
        Ok(Self { slots })
    }

    /// Closes all sockets, so that who comes now is refused, and removes the files of Unix ones.
    pub fn close(&mut self) {
        let slots = std::mem::take(&mut self.slots);
        for place in slots.first().into_iter().flatten() {
            if let Address::Unix(path) = place.slot.address() {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// What worker `worker` accepts from, on descriptors of its own.
    pub fn deal(&self, worker: usize) -> io::Result<Vec<Place>> {
        let share =
            |place: &Place| Ok(Place { slot: place.slot.share()?, listener: Arc::<Listener>::clone(&place.listener) });
        self.slots.get(worker).into_iter().flatten().map(share).collect()
    }
}

/// Binds, waiting a moment for an address that is taken: the rings of a process that was killed give its sockets back a
/// little after its end.
async fn bind_patiently(address: &Address, workers: usize) -> io::Result<Vec<Slot>> {
    for _ in 0..BIND_TRIES {
        match bind_group(address, workers) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => tokio::time::sleep(BIND_PAUSE).await,
            result => return result,
        }
    }
    bind_group(address, workers)
}

const BIND_TRIES: usize = 9;
const BIND_PAUSE: Duration = Duration::from_millis(100);

/// One slot per worker. A Unix socket cannot be bound twice, so all workers accept from one.
fn bind_group(address: &Address, workers: usize) -> io::Result<Vec<Slot>> {
    let first = match address {
        Address::Ip(_) => {
            net::probe_bind(address)?;
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
