//! A request with a key that is carried out.
//!
//! What always holds: it is told once what came of it, be it that its task panics; what its answer took of the memory is given back or stays
//! with the answer. Where keys are those of all hosts, it is noted that they are to be told.

use super::shard::What;
use super::{Bounds, Ended, Flight, Kept, Print, Scope, Store, Terms, Unkept};
use crate::net::Call;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// A request that is carried out, or is about to be. Dropped, it came to no answer, and its key is free again.
#[derive(Debug)]
pub struct Run<W: Call> {
    store: Arc<Store<W>>,
    scope: Scope,
    print: Print,
    flight: Arc<Flight<W>>,
    bounds: Bounds,
    charged: usize,
    is_over: bool,
    /// Whether other hosts are to be told what it came to.
    is_shared: bool,
    /// Whether they may have been told that it is under way here.
    is_claimed: bool,
    /// Until when it is known that another process or host had it under way: unless others know what came of that, it is not carried out.
    doubt: Option<Duration>,
}

impl<W: Call> Run<W> {
    pub(super) fn new(
        store: Arc<Store<W>>,
        (scope, print): (Scope, Print),
        flight: Arc<Flight<W>>,
        terms: &Terms,
    ) -> Self {
        let (bounds, is_shared) = (terms.bounds, terms.shared.is_some());
        Self {
            store,
            scope,
            print,
            flight,
            bounds,
            charged: 0,
            is_over: false,
            is_shared,
            is_claimed: false,
            doubt: None,
        }
    }

    pub(super) fn doubtful(mut self, until: Option<Duration>) -> Self {
        self.doubt = until;
        self
    }

    /// Nobody knows what came of it at another process or host. If it was under way there it counts as carried out, and others are told so; else it
    /// is still to be.
    pub fn resolve(self) -> Option<Self> {
        let Some(until) = self.doubt else { return Some(self) };
        self.spend(Unkept::Broken, until);
        None
    }

    /// What its key is known by, and what tells it from others with that.
    pub fn known_by(&self) -> (&Scope, &Print) {
        (&self.scope, &self.print)
    }

    /// What is known of keys.
    pub fn keys(&self) -> &Arc<Store<W>> {
        &self.store
    }

    /// For those who wait for it.
    pub fn flight(&self) -> &Arc<Flight<W>> {
        &self.flight
    }

    /// It may be known to other hosts that it is under way here.
    pub fn claimed(&mut self) {
        self.is_claimed = true;
    }

    /// It is carried out here from now on.
    pub fn begin(&self) {
        self.flight.begin();
        self.store.figures.executed.fetch_add(1, Relaxed);
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

    /// Nobody knows what comes of it, as the process ends. To other hosts it stays under way, and here it counts as that until then; where there are no
    /// others its key is free.
    pub fn abandon(mut self, until: Duration) {
        match std::mem::take(&mut self.is_shared) {
            true => self.settle(What::Unkept(Unkept::Elsewhere), until),
            false => self.end(Ended::Lost),
        }
    }

    /// Whether another process or host had it under way, and it is not known what came of that.
    pub fn is_doubtful(&self) -> bool {
        self.doubt.is_some()
    }

    /// There it came to no answer.
    pub fn freed(&mut self) {
        self.doubt = None;
    }

    /// Another host has carried it out, and this is known of it, until then.
    pub fn adopt(mut self, known: Result<Arc<Kept>, Unkept>, until: Duration) {
        self.is_shared = false;
        match known {
            Ok(kept) if self.grow(kept.weight()) => {
                let charged = std::mem::take(&mut self.charged);
                self.settle(What::Answer(kept, charged), until);
            }
            // Others have it still.
            Ok(kept) => self.end(Ended::Answered(kept)),
            Err(why) => self.settle(What::Unkept(why), until),
        }
    }

    fn settle(&mut self, what: What, until: Duration) {
        let ended = what.ended();
        self.is_over = true;
        // Before those who wait are told: who comes then finds it.
        self.store.settle(self.scope, self.print, until, what);
        if self.is_shared {
            self.store.note_first(self.scope, self.bounds);
        }
        self.flight.end(ended);
        self.give_back();
    }

    fn end(&mut self, ended: Ended) {
        if self.is_over {
            return;
        }
        if let (Some(until), Ended::Lost) = (self.doubt, &ended) {
            // It is known as well as before.
            self.is_shared = false;
            return self.settle(What::Unkept(Unkept::Elsewhere), until);
        }
        self.is_over = true;
        if self.flight.is_here() {
            self.store.figures.freed.fetch_add(1, Relaxed);
        }
        self.store.free(&self.scope);
        // It may have been told again since that it is under way.
        if self.is_shared && (self.is_claimed || self.flight.is_here()) {
            self.store.note_first(self.scope, self.bounds);
        }
        self.flight.end(ended);
        self.give_back();
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
