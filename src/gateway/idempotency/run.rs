//! A request with a key that is carried out.
//!
//! What always holds: it is told once what came of it, be it that its task panics; what its answer took of the memory is given back or stays
//! with the answer.

use super::shard::What;
use super::{Bounds, Ended, Flight, Kept, Print, Scope, Store, Unkept};
use crate::net::Call;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// A request that is carried out. Dropped, it came to no answer, and its key is free again.
#[derive(Debug)]
pub struct Run<W: Call> {
    store: Arc<Store<W>>,
    scope: Scope,
    print: Print,
    flight: Arc<Flight<W>>,
    bounds: Bounds,
    charged: usize,
    is_over: bool,
}

impl<W: Call> Run<W> {
    pub(super) fn new(
        store: Arc<Store<W>>,
        (scope, print): (Scope, Print),
        flight: Arc<Flight<W>>,
        bounds: Bounds,
    ) -> Self {
        store.figures.executed.fetch_add(1, Relaxed);
        Self { store, scope, print, flight, bounds, charged: 0, is_over: false }
    }

    /// Its answer takes so many bytes more. False: there is no room for them.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let has_room = self.store.charge(bytes, self.bounds);
        if has_room {
            self.charged += bytes;
        }
        has_room
    }

    /// This is its answer, which is given again until then.
    pub fn store(mut self, kept: Arc<Kept>, until: Duration) {
        self.store.figures.stored.fetch_add(1, Relaxed);
        let charged = std::mem::take(&mut self.charged);
        self.settle(What::Answer(kept, charged), until);
    }

    /// It was carried out, and its answer is not kept: until then it is not carried out again.
    pub fn spend(mut self, why: Unkept, until: Duration) {
        let figures = &self.store.figures;
        let counted = match why {
            Unkept::TooLarge => &figures.too_large,
            Unkept::Broken => &figures.broken,
            Unkept::Memory | Unkept::Elsewhere => &figures.no_room,
        };
        counted.fetch_add(1, Relaxed);
        self.settle(What::Unkept(why), until);
    }

    /// This is its answer, which is for those alone who wait for it: the key is free again.
    pub fn share(mut self, kept: Arc<Kept>) {
        self.end(Ended::Answered(kept));
    }

    fn settle(&mut self, what: What, until: Duration) {
        let ended = what.ended();
        self.is_over = true;
        // Before those who wait are told: who comes then finds it.
        self.store.settle(self.scope, self.print, until, what);
        self.flight.end(ended);
        self.give_back();
    }

    fn end(&mut self, ended: Ended) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.store.free(&self.scope);
            self.flight.end(ended);
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        self.store.discharge(std::mem::take(&mut self.charged));
    }
}

impl<W: Call> Drop for Run<W> {
    fn drop(&mut self) {
        self.end(Ended::Lost);
    }
}
