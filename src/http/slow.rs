//! An exchange whose client is slowed down by rules of its route.
//!
//! What always holds: all of it that follows the rules goes through the slowed channel, be it from a target, a cache, a file or from here; then
//! it is the exchange of the client's own channel again, with what has come for the next one. A tunnel is as fast as it can be.

use super::connection::Connection;
use super::decide::Decision;
use super::exchange::Exchange;
use super::h1::{Framing, Incoming};
use super::outcome::Outcome;
use crate::gateway::{Rein, Way as Load};
use crate::net::{Lease, coarse_now};
use crate::observe::counters::WorkerCounters;
use crate::tls::{Brake, Channel, Slowed, Way};
use std::cell::Cell;
use std::time::Duration;

/// What slows down a client.
struct Reins<'a> {
    all: Vec<Rein>,
    counters: &'a WorkerCounters,
    /// The rules that have those wait the longest that wait, of each way.
    slowest: [Cell<Option<usize>>; 2],
}

impl<'a> Reins<'a> {
    fn new(all: Vec<Rein>, counters: &'a WorkerCounters) -> Self {
        Self { all, counters, slowest: Default::default() }
    }

    fn longest(&self, way: Way, wait: impl Fn(&Rein) -> Duration) -> Duration {
        let waits = self.all.iter().map(|rein| (wait(rein), rein.rule()));
        let longest = waits.max_by_key(|(wait, _)| *wait);
        self.slowest[way as usize].set(longest.map(|(_, rule)| rule));
        longest.map_or(Duration::ZERO, |(wait, _)| wait)
    }
}

impl Brake for Reins<'_> {
    fn at_once(&self, way: Way) -> Option<usize> {
        self.all.iter().filter_map(|rein| rein.piece(way.into())).min()
    }

    fn take(&self, way: Way, bytes: usize) -> Duration {
        let now = coarse_now();
        self.longest(way, |rein| rein.take(way.into(), bytes as u64, now))
    }

    fn waits(&self, way: Way, bytes: usize) -> Duration {
        let now = coarse_now();
        self.longest(way, |rein| rein.waits(way.into(), bytes as u64, now))
    }

    fn waited(&self, way: Way, time: Duration) {
        if let Some(rule) = self.slowest[way as usize].get() {
            self.counters.rule(rule).slowed.add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        }
    }

    fn give_back(&self, way: Way, bytes: usize) {
        let now = coarse_now();
        self.all.iter().for_each(|rein| rein.give_back(way.into(), bytes as u64, now));
    }
}

impl From<Way> for Load {
    fn from(way: Way) -> Self {
        match way {
            Way::Out => Self::Down,
            Way::In => Self::Up,
        }
    }
}

/// How much of what came along with a head is of the request's body.
fn along(incoming: &Incoming, received: &Lease) -> usize {
    match incoming.framing {
        Framing::Length(length) => usize::try_from(length).unwrap_or(usize::MAX).min(received.len()),
        Framing::Chunked | Framing::UntilClose => received.len(),
        Framing::None => 0,
    }
}

impl Exchange<'_> {
    /// Carries out what was decided, as slowly as these say.
    pub(super) async fn carry_out_slowly(
        &mut self,
        reins: Vec<Rein>,
        decision: Decision<'_>,
        incoming: &Incoming,
        received: Lease,
    ) -> Option<Lease> {
        let reins = Reins::new(reins, &self.connection.era.counters);
        let slowed = Slowed::new(self.connection.client, &reins);
        let along = along(incoming, &received);
        if along > 0
            && reins.at_once(Way::In).is_some()
            && let Err(error) = slowed.hold(Way::In, along).await
        {
            self.gone(&error);
            return None;
        }
        let next = {
            let connection = Connection { client: Channel::Slowed(&slowed), ..self.connection };
            // Whichever of the two is given up, what it came to is told once.
            let told = Outcome::told(&self.connection);
            let mut slow = Exchange {
                connection,
                heads: &mut *self.heads,
                text: std::mem::take(&mut self.text),
                outcome: std::mem::replace(&mut self.outcome, told),
                keep_alive: self.keep_alive,
                grpc: self.grpc,
                web: self.web,
                continued: self.continued,
                hurried: self.hurried,
                again: self.again,
                switched: None,
                backlog: None,
                busy: self.busy.take(),
                taker: self.taker,
                watch: None,
            };
            let next = slow.carry_out(decision, incoming, received).await;
            std::mem::swap(&mut self.outcome, &mut slow.outcome);
            self.text = std::mem::take(&mut slow.text);
            (self.busy, self.switched) = (slow.busy.take(), slow.switched.take());
            (self.keep_alive, self.continued, self.hurried) = (slow.keep_alive, slow.continued, slow.hurried);
            next
        };
        let rest = slowed.into_rest();
        next.map(|mut next| {
            next.reserve(rest.len());
            next.buffer().extend_from_slice(&rest);
            next
        })
    }
}
