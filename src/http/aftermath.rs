//! What comes of a refusal: who is refused too often is banned, and who is refused may have to wait for the answer.
//!
//! What always holds: who is kept waiting holds a place of a bounded number, and gives it back when the answer goes out, the client leaves,
//! or the process wants to end.

use super::exchange::Exchange;
use crate::gateway::{Refusal, Stay, Tarpit};
use crate::net::{self, race};
use crate::observe::reason::Reason;
use std::sync::Arc;
use std::time::Duration;

impl Exchange<'_> {
    /// Whether anything comes of refusals here.
    #[inline]
    pub(super) fn has_aftermath(&self) -> bool {
        let route = self.connection.era.plan.routes.get(self.outcome.route);
        self.connection.listener.aftermath.is_some() || route.is_some_and(|route| route.aftermath.is_some())
    }

    /// Has come of a refusal what does.
    #[cold]
    pub(super) async fn comes_of(&mut self, reason: Reason, status: u16) {
        let refusal = Refusal { rule: self.heads.ruled.refused_by(), reason, status: Some(status) };
        self.strike(&refusal);
        let Some((delay, _stay)) = self.tarpit(&refusal) else { return };
        let (client, gate) = (self.connection.client, self.connection.gate);
        client.set_deadline(None);
        let ends = async {
            // It has sent more than its request: it is still there, and can be watched no further.
            if !client.closed().await {
                std::future::pending::<()>().await;
            }
        };
        let _ = net::timeout(delay, race(ends, gate.leaving.raised())).await;
    }

    fn strike(&self, refusal: &Refusal) {
        let (connection, client) = (&self.connection, self.outcome.client.ip());
        // Who comes by a Unix socket has no address of its own.
        let is_nobody = connection.peer.local && client == connection.peer.ip;
        if is_nobody || connection.listener.is_fronted_by(client) {
            return;
        }
        let of_listener = connection.listener.aftermath.as_deref().map_or(&[][..], |of| &of.strikes);
        let route = connection.era.plan.routes.get(self.outcome.route).and_then(|route| route.aftermath.as_deref());
        let of_route = route.map_or(&[][..], |of| &of.strikes);
        let is_there = |index: usize| of_listener.iter().any(|strikes| strikes.index == index);
        for strikes in of_listener.iter().chain(of_route.iter().filter(|strikes| !is_there(strikes.index))) {
            connection.lane.strike(connection.era, strikes, client, refusal);
        }
    }

    /// A place among those who are kept waiting for a refusal, and for how long.
    fn tarpit(&mut self, refusal: &Refusal) -> Option<(Duration, Stay)> {
        let connection = &self.connection;
        let route = connection.era.plan.routes.get(self.outcome.route).and_then(|route| route.aftermath.as_deref());
        let mut all = route.into_iter().chain(connection.listener.aftermath.as_deref()).flat_map(|of| &of.tarpits);
        let tarpit: &Arc<Tarpit> = all.find(|tarpit| tarpit.is_for(refusal))?;
        let counts = connection.era.counters.rule(tarpit.index);
        let stay = if tarpit.shadow { None } else { tarpit.enter() };
        match stay {
            Some(stay) => {
                counts.held.inc();
                self.heads.ruled.held_by(tarpit.index);
                Some((tarpit.delay, stay))
            }
            None => {
                counts.unheld.inc();
                None
            }
        }
    }
}
