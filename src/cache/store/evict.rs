//! What gives way to others for want of room.

use super::figures::Figures;
use super::{Held, Key};
use quick_cache::Lifecycle;
use std::sync::Arc;

/// Counts it. What gives way is let go of when the table's lock is given back.
#[derive(Clone, Debug)]
pub(super) struct Evict(pub(super) Arc<Figures>);

impl Lifecycle<Key, Held> for Evict {
    type RequestState = [Option<Held>; 2];

    fn on_evict(&self, state: &mut Self::RequestState, _: Key, held: Held) {
        self.0.evicted.add(1);
        if let Some(room) = state.iter_mut().find(|room| room.is_none()) {
            *room = Some(held);
        }
    }
}
