//! A request waits for a target with room.
//!
//! What always holds: it waits for as long as its pool allows at most, and no longer than its client does.

use super::forward::Forwarding;
use super::reply::Reply;
use super::tries::Tries;
use crate::net::{self, Either, race};
use crate::observe::reason::Failure;
use crate::upstream::Attempt;
use std::pin::pin;
use std::time::Duration;

impl Forwarding<'_, '_> {
    /// Waits for a target that was not tried, if the pool has limits. Fails with what to say to the client, if it is there to hear
    /// it.
    pub(super) async fn line_up(&mut self, key: u64, tries: &Tries) -> Result<Attempt, Option<Reply>> {
        let (era, client) = (self.exchange.connection.era, self.exchange.connection.client);
        let local = &era.pools[self.rule.pool];
        let counters = era.counters.pool(self.rule.pool);
        let limit = local.pool().timeouts.queue;
        let mut waiting = match local.line_up(&self.ask(key, tries), self.rule.priority_class) {
            Ok(waiting) => pin!(waiting),
            Err(Failure::NoTarget) => return Err(self.without_target(tries)),
            Err(failure) => return Err(Some(self.turned_away(failure, limit))),
        };
        counters.queued.inc();
        let started = net::now();
        self.exchange.outcome.queues(self.rule.pool);
        client.set_deadline(None);
        let turn = async {
            match race(waiting.as_mut(), client.closed()).await {
                Either::Left(turn) => Some(turn),
                Either::Right(true) => None,
                // It has sent more than its request: it is still there, and can be watched no further.
                Either::Right(false) => Some(waiting.as_mut().await),
            }
        };
        let turn = net::timeout(limit, turn).await;
        let took = started.elapsed();
        era.latencies.queue(self.rule.pool, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        self.exchange.heads.trace.queued(started, took);
        if let Some(None) = turn {
            self.exchange.outcome.client_left();
            counters.failures.failed(Failure::ClientAbort);
        }
        self.exchange.outcome.queued(took, waiting.places());
        match turn {
            Some(Some(Ok(attempt))) => Ok(attempt),
            Some(Some(Err(_))) => Err(self.without_target(tries)),
            Some(None) => Err(None),
            None => Err(Some(self.turned_away(Failure::QueueTimeout, limit))),
        }
    }

    fn turned_away(&mut self, failure: Failure, limit: Duration) -> Reply {
        self.exchange.connection.era.counters.pool(self.rule.pool).failures.failed(failure);
        self.exchange.outcome.asks(self.rule.pool);
        self.exchange.outcome.target_failed(failure);
        Reply::busy(failure, limit)
    }
}
