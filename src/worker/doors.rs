//! Where a worker accepts: one door for each address, whoever's slot it is.
//!
//! What always holds: a door leads to the listener that the present plan has at its address; one that no plan has any more is
//! shut, once its queue is empty.

use super::accept::{Admission, accept};
use super::datagrams;
use super::{DoorId, Place, Vital};
use crate::lane::{Gate, Lane};
use crate::net::{self, Signal};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// The doors of a worker.
pub(super) struct Doors {
    lane: Rc<Lane>,
    admission: Arc<Admission>,
    lost: Signal,
    open: RefCell<HashMap<DoorId, Rc<Door>>>,
    /// Whose slots are accepted from, too, and what ends that.
    borrowed: RefCell<Vec<(usize, Signal)>>,
}

/// Where connections come in.
pub(super) struct Door {
    gate: RefCell<Rc<Gate>>,
    /// Raised when nobody is let in any more.
    pub(super) shut: Signal,
    /// Whether who waits in the queue is left to another process.
    pub(super) leaves_queue: Cell<bool>,
}

impl Door {
    fn new(gate: Rc<Gate>) -> Self {
        Self { gate: RefCell::new(gate), shut: Signal::default(), leaves_queue: Cell::new(false) }
    }

    /// To where it leads.
    pub(super) fn gate(&self) -> Rc<Gate> {
        self.gate.borrow().clone()
    }
}

impl Doors {
    pub(super) fn new(lane: Rc<Lane>, admission: Arc<Admission>, lost: Signal) -> Self {
        Self { lane, admission, lost, open: RefCell::default(), borrowed: RefCell::default() }
    }

    /// Has each door lead to its listener of the present plan, shuts the others, and accepts from `places`, too.
    pub(super) fn set(&self, doors: &[(DoorId, usize)], places: Vec<Place>) {
        let mut before = self.open.take();
        let mut open = HashMap::with_capacity(doors.len());
        for &(id, listener) in doors {
            let Some(gate) = self.lane.gate(listener) else { continue };
            // One that was shut lets nobody in any more.
            let door = match before.remove(&id).filter(|door| !door.shut.is_raised()) {
                Some(door) => {
                    door.gate.replace(gate);
                    door
                }
                None => Rc::new(Door::new(gate)),
            };
            open.insert(id, door);
        }
        before.values().for_each(|door| door.shut.raise());
        self.open.replace(open);
        let stop = Signal::default();
        places.into_iter().for_each(|place| self.accept(place, &stop));
    }

    /// Accepts from the slots of a sibling.
    pub(super) fn take_over(&self, of: usize, places: Vec<Place>) {
        let stop = Signal::default();
        places.into_iter().for_each(|place| self.accept(place, &stop));
        self.borrowed.borrow_mut().push((of, stop));
    }

    /// Accepts from them no more.
    pub(super) fn give_back(&self, of: usize) {
        self.borrowed.borrow_mut().retain(|(owner, stop)| {
            if *owner == of {
                stop.raise();
            }
            *owner != of
        });
    }

    /// Lets nobody in any more. `leave_queues`: another process takes who waits.
    pub(super) fn shut(&self, leave_queues: bool) {
        let open = self.open.borrow();
        open.values().for_each(|door| door.leaves_queue.set(leave_queues));
        open.values().for_each(|door| door.shut.raise());
    }

    fn accept(&self, place: Place, stop: &Signal) {
        // A plan that came in between may have shut it.
        let Some(door) = self.open.borrow().get(&place.door).cloned() else { return };
        let vital = Vital { ended: vec![door.shut.clone(), stop.clone()], lost: self.lost.clone() };
        if place.slot.is_datagrams() {
            let receiving = datagrams::receive(self.lane.clone(), door, place.slot, stop.clone(), vital);
            return net::spawn("datagrams", receiving);
        }
        net::spawn("accept", accept(self.lane.clone(), door, place.slot, self.admission.clone(), stop.clone(), vital));
    }
}
