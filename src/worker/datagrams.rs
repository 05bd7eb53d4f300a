//! Receiving datagrams from a slot.

use super::Vital;
use super::doors::Door;
use crate::lane::Lane;
use crate::net::{Signal, Slot};
use crate::stream::udp;
use std::rc::Rc;

/// Passes on what is sent to `slot` until its door is shut or `stop` is raised.
pub(super) async fn receive(lane: Rc<Lane>, door: Rc<Door>, slot: Slot, stop: Signal, _vital: Vital) {
    let (of_gate, of_queue) = (door.clone(), door.clone());
    let entrance = udp::Entrance {
        lane,
        gate: Box::new(move || of_gate.gate()),
        stop,
        shut: door.shut.clone(),
        leaves_queue: Box::new(move || of_queue.leaves_queue.get()),
    };
    if let Err(error) = udp::serve(entrance, slot).await {
        let listener = door.gate().seat(u32::MAX).listener().name.clone();
        tracing::error!(listener, %error, "datagrams cannot be received");
    }
}
