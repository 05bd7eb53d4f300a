//! What comes after a `101 Switching Protocols`: bytes both ways.
//!
//! What always holds: it goes by no plan any more, and holds none, however long it lasts; it is counted and logged once, when
//! it is over.

use super::connection::{Connection, keep_heads, take_heads};
use super::exchange::{Exchange, Heads};
use super::link::Link;
use super::outcome::{Context, Names, Outcome};
use super::trace::{Origin, Targets};
use crate::lane::{Busy, InFlight, Lane};
use crate::net::Lease;
use crate::observe::counters::{ListenerSet, PoolSet, RouteSet, Shared};
use crate::observe::reason::Failure;
use crate::stream::{End, Tunnel, tunnel};
use crate::tls::Channel;
use crate::upstream::Attempt;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

/// A client and a target that are to be joined.
pub(super) struct Switched {
    link: Link,
    silence: Duration,
    stall: Duration,
    /// What either has sent for the tunnel already.
    sent: Lease,
    received: Lease,
    /// Counts it as in flight at its target.
    pub(super) attempt: Option<Attempt>,
    /// Counts it as in flight in its pool.
    pub(super) in_flight: Option<InFlight>,
    exchange: Option<Ended>,
}

/// What its exchange leaves behind.
struct Ended {
    outcome: Outcome,
    heads: Box<Heads>,
    text: Lease,
    listener: (String, Shared<ListenerSet>),
    route: (String, Shared<RouteSet>),
    pool: Option<(String, Shared<PoolSet>)>,
    targets: Vec<(usize, String)>,
    origin: Origin,
    _busy: Option<Busy>,
}

impl Switched {
    pub(super) fn new(link: Link, silence: Duration, stall: Duration, sent: Lease, received: Lease) -> Box<Self> {
        Box::new(Self { link, silence, stall, sent, received, attempt: None, in_flight: None, exchange: None })
    }

    /// Takes from the exchange what is told when the tunnel is over.
    pub(super) fn take_along(&mut self, exchange: &mut Exchange<'_>) {
        let Connection { era, listener, .. } = exchange.connection;
        let context = Context::of(&exchange.connection, &exchange.outcome);
        let mut heads = take_heads();
        std::mem::swap(&mut *heads, exchange.heads);
        let outcome = std::mem::replace(&mut exchange.outcome, Outcome::told(&exchange.connection));
        let pool = outcome
            .target
            .map(|(pool, _)| (era.plan.pools[pool].shared.name.clone(), era.counters.pool(pool).own().clone()));
        self.exchange = Some(Ended {
            text: std::mem::replace(&mut exchange.text, Lease::empty()),
            listener: (listener.name.clone(), era.counters.listener(listener.index).clone()),
            route: (era.plan.shape.routes[outcome.route].clone(), era.counters.route(outcome.route).clone()),
            pool,
            targets: context.targets.noted(&heads.trace),
            origin: context.origin,
            heads,
            outcome,
            _busy: exchange.busy.take(),
        });
    }

    /// Joins both until they have ended or one is broken, and tells how it went.
    pub(super) async fn run(mut self: Box<Self>, lane: &Rc<Lane>, client: Channel<'_>) {
        let Some(mut ended) = self.exchange.take() else { return };
        self.pump(lane, client, &mut ended).await;
        let target = self.attempt.as_ref().map(Attempt::target);
        let Ended { outcome, heads, text, listener, route, pool, targets, origin, .. } = &mut ended;
        let context = Context {
            lane,
            era: &lane.era(),
            client,
            names: Names { listener: &listener.0, route: &route.0, pool: pool.as_ref().map_or("", |(name, _)| name) },
            listener: &listener.1,
            route: &route.1,
            pool: pool.as_ref().map(|(_, counters)| &***counters),
            target,
            targets: Targets::Noted(targets),
            origin: *origin,
        };
        outcome.finish(&context, heads, text);
        ended.heads.clear();
        keep_heads(ended.heads);
    }

    async fn pump(&mut self, lane: &Lane, client: Channel<'_>, ended: &mut Ended) {
        let (silence, stall) = (self.silence, self.stall);
        let (sent, received) =
            (std::mem::replace(&mut self.sent, Lease::empty()), std::mem::replace(&mut self.received, Lease::empty()));
        let (early_sent, early_received) = (sent.len() as u64, received.len() as u64);
        let target = self.link.channel();
        let early = async {
            target.send(sent, stall).await?;
            client.send(received, stall).await
        };
        let outcome = &mut ended.outcome;
        if early.await.is_err() {
            return outcome.target_failed(Failure::Reset);
        }
        let (ending, attempt) = (&lane.ending, self.attempt.as_ref());
        let done = tunnel(Tunnel { client, target, silence, stall, ending, websocket: true, attempt }).await;
        outcome.bytes_in += early_sent + done.sent;
        outcome.bytes_out += early_received + done.received;
        if done.end == End::Ours {
            outcome.ended_by_us();
        }
        if let Some(failure) = done.end.failure() {
            if let Some((_, pool)) = &ended.pool {
                pool.failures.failed(failure);
            }
            match (&done.end, failure) {
                (End::Client(ErrorKind::TimedOut), _) => outcome.client_stalled(),
                (End::Client(_), _) => outcome.client_left(),
                (_, failure) => outcome.target_failed(failure),
            }
        }
    }
}
