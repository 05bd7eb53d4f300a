//! An exchange whose client is slowed down by rules of its route.
//!
//! What always holds: all of it that follows the rules goes through the slowed channel, be it from a target, a cache, a file or from here; then
//! it is the exchange of the client's own channel again, with what has come for the next one. A tunnel is as fast as it can be.

use super::connection::Connection;
use super::decide::Decision;
use super::exchange::Exchange;
use super::h1::Incoming;
use super::outcome::Outcome;
use crate::gateway::{Rein, Way};
use crate::net::{Lease, coarse_now};
use crate::tls::{Brake, Channel, Slowed};
use std::time::Duration;

/// What slows down a client.
struct Reins(Vec<Rein>);

impl Reins {
    fn at_once(&self, way: Way) -> Option<usize> {
        self.0.iter().filter_map(|rein| rein.piece(way)).min()
    }

    fn wait(&self, way: Way, bytes: usize) -> Duration {
        let now = coarse_now();
        self.0.iter().map(|rein| rein.take(way, bytes as u64, now)).max().unwrap_or_default()
    }
}

impl Brake for Reins {
    fn sends_at_once(&self) -> Option<usize> {
        self.at_once(Way::Down)
    }

    fn receives_at_once(&self) -> Option<usize> {
        self.at_once(Way::Up)
    }

    fn before_sending(&self, bytes: usize) -> Duration {
        self.wait(Way::Down, bytes)
    }

    fn after_receiving(&self, bytes: usize) -> Duration {
        self.wait(Way::Up, bytes)
    }
}

impl Exchange<'_> {
    /// Carries out what was decided, as slowly as these say.
    pub(super) async fn carry_out_slowly(
        &mut self,
        reins: Vec<Rein>,
        decision: Decision,
        incoming: &Incoming,
        received: Lease,
    ) -> Option<Lease> {
        let reins = Reins(reins);
        let slowed = Slowed::new(self.connection.client, &reins);
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
                continued: self.continued,
                hurried: self.hurried,
                switched: None,
                backlog: None,
                busy: self.busy.take(),
                filler: self.filler,
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
