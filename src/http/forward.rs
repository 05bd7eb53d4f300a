//! A request to a pool: a target is chosen, tried, and another one where [`super::tries`] allows that.
//!
//! What always holds: a request that must not be sent twice goes out on a fresh connection or one that was used just now
//! (RFC 9112 §9.3.1). What a try held of its target is given back before another one is chosen.

use super::answer::{Broken, Passed};
use super::body::{Body, BodyError};
use super::connection::Connection;
use super::exchange::Exchange;
use super::h1::Incoming;
use super::link::{Leased, Link};
use super::reply::Reply;
use super::request;
use super::sticky;
use super::switched::Switched;
use super::trace;
use super::transfer::{Transfer, transfer};
use super::tries::{Lost, Next, Tries, Way};
use crate::lane::InFlight;
use crate::net::{self, Lease};
use crate::observe::reason::{Failure, Reason};
use crate::plan::{self, path};
use crate::upstream::{Ask, Attempt};
use std::time::Duration;

/// How the path was read, and what the target gets of it.
#[derive(Clone, Copy)]
pub(super) struct Path {
    /// Whether the raw path is its own normal form; if not, that is in the exchange's buffer.
    pub(super) plain: bool,
    /// Which of the two goes on.
    pub(super) send: path::Forward,
}

/// Forwards the request and passes the answer on. Returns what was received beyond it if the client's connection goes on.
pub(super) async fn forward(
    exchange: &mut Exchange<'_>,
    rule: &plan::Forward,
    path: Path,
    incoming: &Incoming,
    received: Lease,
) -> Option<Lease> {
    let era = exchange.connection.era;
    let limit = era.plan.limits.request_body.unwrap_or(u64::MAX);
    let mut body = match Body::new(incoming.framing, received, limit) {
        Ok(body) => body,
        Err(error) => {
            exchange.answer(refusal_of(&error), true).await;
            exchange.linger().await;
            return None;
        }
    };
    exchange.outcome.bytes_in += body.first().len() as u64;
    let counters = era.counters.pool(rule.pool);
    counters.requests.inc();
    let in_flight = InFlight::enter(counters.own());
    let result = Forwarding { exchange, rule, path, incoming }.run(&mut body).await;
    if let Some(stuck) = exchange.heads.sticky {
        counters.stuck(stuck.stands(exchange.outcome.target.map(|(_, target)| target)), stuck.owner);
    }
    match &mut exchange.switched {
        Some(switched) => switched.in_flight = Some(in_flight),
        None => drop(in_flight),
    }
    let answered = match result {
        Ok(()) => true,
        Err(Some(reply)) => {
            exchange.answer(reply, !body.is_ended()).await;
            true
        }
        Err(None) => false,
    };
    let quiet = body.is_ended() && !body.has_beyond();
    match (answered, exchange.keep_alive && body.is_ended()) {
        (true, true) => Some(body.into_beyond()),
        (true, false) if !quiet => {
            exchange.linger().await;
            None
        }
        _ => None,
    }
}

/// A request on its way to a target.
pub(super) struct Forwarding<'e, 'a> {
    pub(super) exchange: &'e mut Exchange<'a>,
    pub(super) rule: &'e plan::Forward,
    path: Path,
    incoming: &'e Incoming,
}

/// What a failed try counts as for the `latency` policy: a target that fails at once must not look fast.
const FAILED: Duration = Duration::from_secs(1);

impl Forwarding<'_, '_> {
    /// Tries targets until one has answered. `Err(None)`: nothing can be said to the client any more.
    async fn run(&mut self, body: &mut Body) -> Result<(), Option<Reply>> {
        let key = self.key();
        self.look_where_it_belongs();
        let mut tries = Tries::default();
        let mut again: Option<Attempt> = None;
        loop {
            let attempt = match again.take() {
                Some(same) => same,
                None => match self.choose(key, &mut tries) {
                    Some(attempt) => attempt,
                    // Rarer than a target with room, and larger.
                    None => Box::pin(self.line_up(key, &tries)).await?,
                },
            };
            let now = net::coarse_now();
            self.begin(&attempt);
            let repeatable = self.exchange.heads.request.method.is_idempotent() && body.is_held();
            let lost = match self.connect(&attempt, !repeatable, tries.fresh, now).await {
                Err(failure) => Lost { failure, on: Way::None, repeatable: true },
                Ok(leased) => {
                    let on = if leased.reused { Way::Reused } else { Way::Fresh };
                    match self.attempt(&attempt, leased, body).await {
                        Ok(None) => return Ok(()),
                        Ok(Some(mut switched)) => {
                            switched.attempt = Some(attempt);
                            self.exchange.switched = Some(switched);
                            return Ok(());
                        }
                        Err(Broken::Target { failure, answered, unsent }) => {
                            let repeatable = !answered && body.is_held() && (repeatable || unsent);
                            Lost { failure, on, repeatable }
                        }
                        Err(broken) => return Err(self.ended(&attempt, broken)),
                    }
                }
            };
            self.failed(&attempt, lost.failure);
            match tries.after(&lost, self.rule, attempt.index()) {
                Next::Nothing => return Err(Some(Reply::failure(lost.failure))),
                Next::Same => again = Some(attempt),
                Next::Other => {}
            }
            self.exchange.outcome.recovered();
        }
    }

    /// A target that was not tried yet.
    fn choose(&mut self, key: u64, tries: &mut Tries) -> Option<Attempt> {
        tries.choosing();
        let local = &self.exchange.connection.era.pools[self.rule.pool];
        local.choose(&self.ask(key, tries), net::coarse_now())
    }

    /// There is no target to choose. Returns what to say to the client.
    pub(super) fn without_target(&mut self, tries: &Tries) -> Option<Reply> {
        let counters = self.exchange.connection.era.counters.pool(self.rule.pool);
        let failure = tries.last().unwrap_or_else(|| {
            let bound = self.exchange.heads.sticky.is_some_and(|stuck| stuck.is_bound());
            let none = if bound { Failure::StickyTarget } else { Failure::NoTarget };
            counters.failures.failed(none);
            none
        });
        self.exchange.outcome.target_failed(failure);
        Some(Reply::failure(failure))
    }

    /// A try begins: it is counted and shown.
    fn begin(&mut self, attempt: &Attempt) {
        let Connection { era, lane, ticket, .. } = self.exchange.connection;
        let counters = era.counters.pool(self.rule.pool);
        lane.asks(ticket, attempt.target().id);
        let outcome = &mut self.exchange.outcome;
        outcome.target = Some((self.rule.pool, attempt.index()));
        outcome.tries += 1;
        if outcome.tries > 1 {
            counters.retries.inc();
        }
        if let (Some(stuck), Some(sticky)) = (&self.exchange.heads.sticky, &attempt.pool().sticky) {
            stuck.chosen(sticky, attempt.index());
        }
        trace::try_begins(self.exchange, attempt.index());
        counters.target(attempt.index()).requests.inc();
    }

    /// A try has failed in a way that the client has seen nothing of.
    fn failed(&mut self, attempt: &Attempt, failure: Failure) {
        let local = &self.exchange.connection.era.pools[self.rule.pool];
        self.count_failure(attempt, failure);
        local.observe(attempt.index(), FAILED, net::coarse_now());
    }

    fn count_failure(&mut self, attempt: &Attempt, failure: Failure) {
        let counters = self.exchange.connection.era.counters.pool(self.rule.pool);
        trace::failed(self.exchange, failure);
        counters.failures.failed(failure);
        counters.target(attempt.index()).failures.inc();
        self.exchange.outcome.target_failed(failure);
    }

    /// A try has ended so that none can follow. Returns what to say to the client, if anything can be said.
    fn ended(&mut self, attempt: &Attempt, broken: Broken) -> Option<Reply> {
        match broken {
            Broken::Client(reply) => {
                if reply.is_none() {
                    self.exchange.outcome.client_left();
                    let counters = self.exchange.connection.era.counters.pool(self.rule.pool);
                    counters.failures.failed(Failure::ClientAbort);
                }
                reply
            }
            Broken::Stalled => {
                self.exchange.outcome.client_stalled();
                None
            }
            Broken::Cut(failure) => {
                self.count_failure(attempt, failure);
                None
            }
            Broken::Target { failure, .. } => {
                self.failed(attempt, failure);
                Some(Reply::failure(failure))
            }
        }
    }

    /// Sees where the client belongs, in a pool that is sticky.
    fn look_where_it_belongs(&mut self) {
        if let Some(sticky) = &self.exchange.connection.era.pools[self.rule.pool].pool().sticky {
            sticky::look(self.exchange, sticky);
        }
    }

    /// What a target is chosen by.
    pub(super) fn ask<'t>(&self, key: u64, tries: &'t Tries) -> Ask<'t> {
        match &self.exchange.heads.sticky {
            None => Ask::any(key, &tries.tried),
            Some(stuck) => Ask { key, tried: &tries.tried, owner: stuck.owner, only_owner: stuck.is_bound() },
        }
    }

    fn key(&self) -> u64 {
        let Exchange { connection, heads, text, outcome, .. } = &*self.exchange;
        let Some(key) = &connection.era.plan.pools[self.rule.pool].key else { return 0 };
        let path = if self.path.plain { heads.request.path.of(text) } else { &heads.path };
        request::hash_key(key, heads, text, outcome.client.ip(), path)
    }

    /// One try: sends the request, passes the answer on, and keeps the connection if it can be used again. What was switched to
    /// another protocol is returned.
    async fn attempt(
        &mut self,
        attempt: &Attempt,
        leased: Leased,
        body: &mut Body,
    ) -> Result<Option<Box<Switched>>, Broken> {
        let connection = self.exchange.connection;
        let local = &connection.era.pools[self.rule.pool];
        let timeouts = local.pool().timeouts;
        let try_at = Transfer {
            connection,
            target: leased.link.channel(),
            timeouts,
            attempt,
            rule: self.rule,
            path: self.path,
            incoming: self.incoming,
        };
        let passed = transfer(&try_at, self.exchange, body).await?;
        let now = net::coarse_now();
        local.observe(attempt.index(), passed.first_byte, now);
        let first_byte = u64::try_from(passed.first_byte.as_nanos()).unwrap_or(u64::MAX);
        connection.era.latencies.first_byte(self.rule.pool, first_byte);
        match passed {
            Passed { switched: Some(received), .. } => {
                let sent = std::mem::replace(body.beyond(), Lease::empty());
                let stall = connection.listener.timeouts.write_stall;
                return Ok(Some(Switched::new(leased.link, timeouts.tunnel, stall, sent, received)));
            }
            Passed { reusable: true, keep_alive, .. } => {
                let (kept, header) = match leased.link {
                    Link::Own(stream) => ((stream, None), None),
                    Link::Secure(stream, session) => ((stream, Some(session)), None),
                    Link::Shared(_) => return Ok(None),
                    Link::Announced(link) => ((link.stream, link.session), Some(link.header)),
                };
                local.keep(attempt.index(), kept, header, keep_alive, now);
            }
            _ => leased.link.end(),
        }
        Ok(None)
    }
}

/// The answer to a body that could not be read.
pub(super) fn refusal_of(error: &BodyError) -> Reply {
    match error {
        BodyError::Malformed(word) => Reply::bad_body(word),
        BodyError::Truncated => Reply::refusal(400, Reason::BadFraming),
        BodyError::TooLarge => Reply::refusal(413, Reason::BodyTooLarge),
        BodyError::Io(_) => Reply::refusal(408, Reason::BodyTimeout),
    }
}
