//! A request to a pool: a target is chosen, tried, and another one where that is allowed.
//!
//! What always holds: a request that may have reached a target is sent again only if its method is idempotent
//! (RFC 9110 §9.2.2), all of its body is still held, and not a byte of an answer has come. One that must not be sent
//! twice goes out on a fresh connection or one that was used just now (RFC 9112 §9.3.1).

use super::answer::{Broken, Passed};
use super::body::{Body, BodyError};
use super::connection::Connection;
use super::exchange::Exchange;
use super::h1::Incoming;
use super::link::{Leased, Link};
use super::reply::Reply;
use super::request;
use super::switched::Switched;
use super::trace;
use super::transfer::{Transfer, transfer};
use crate::lane::InFlight;
use crate::net::{self, Lease};
use crate::observe::reason::{Failure, Reason};
use crate::plan::{self, path};
use crate::upstream::{Ask, Attempt, Tried};
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
        let era = self.exchange.connection.era;
        let local = &era.pools[self.rule.pool];
        let counters = era.counters.pool(self.rule.pool);
        let key = self.key();
        let mut tried = Tried::default();
        let mut last = None;
        let mut fresh = false;
        let mut attempts = 0;
        let mut again: Option<Attempt> = None;
        loop {
            let now = net::coarse_now();
            let chosen = match again.take() {
                Some(same) => Some(same),
                None => {
                    attempts += 1;
                    local.choose(&Ask::any(key, &tried), now)
                }
            };
            let Some(attempt) = chosen else {
                let failure = last.unwrap_or(Failure::NoTarget);
                if last.is_none() {
                    counters.failures.failed(failure);
                }
                self.exchange.outcome.target_failed(failure);
                return Err(Some(Reply::failure(failure)));
            };
            let Connection { lane, ticket, .. } = self.exchange.connection;
            lane.asks(ticket, attempt.target().id);
            let outcome = &mut self.exchange.outcome;
            outcome.target = Some((self.rule.pool, attempt.index()));
            outcome.tries += 1;
            if outcome.tries > 1 {
                counters.retries.inc();
            }
            trace::try_begins(self.exchange, attempt.index());
            let target = counters.target(attempt.index());
            target.requests.inc();
            let repeatable = self.exchange.heads.request.method.is_idempotent() && body.is_held();
            let tries_left = attempts <= self.rule.attempts;
            let leased = match self.connect(&attempt, !repeatable, fresh, now).await {
                Ok(leased) => leased,
                Err(failure) => {
                    trace::failed(self.exchange, failure);
                    counters.failures.failed(failure);
                    target.failures.inc();
                    last = Some(failure);
                    tried.add(attempt.index());
                    local.observe(attempt.index(), FAILED, net::coarse_now());
                    if self.rule.retry_connect && tries_left {
                        continue;
                    }
                    self.exchange.outcome.target_failed(failure);
                    return Err(Some(Reply::failure(failure)));
                }
            };
            let (reused, index) = (leased.reused, attempt.index());
            match self.attempt(&attempt, leased, body).await {
                Ok(None) => return Ok(()),
                Ok(Some(mut switched)) => {
                    switched.attempt = Some(attempt);
                    self.exchange.switched = Some(switched);
                    return Ok(());
                }
                Err(Broken::Client(reply)) => {
                    if reply.is_none() {
                        self.exchange.outcome.client_left();
                        counters.failures.failed(Failure::ClientAbort);
                    }
                    return Err(reply);
                }
                Err(Broken::Target { failure, answered, unsent }) => {
                    trace::failed(self.exchange, failure);
                    counters.failures.failed(failure);
                    target.failures.inc();
                    local.observe(index, FAILED, net::coarse_now());
                    self.exchange.outcome.target_failed(failure);
                    let may_repeat = !answered && body.is_held() && (repeatable || unsent);
                    if may_repeat && failure == Failure::Reset {
                        // A connection that the target had just closed says nothing about the target.
                        if reused && !fresh {
                            fresh = true;
                            again = Some(attempt);
                            self.exchange.outcome.recovered();
                            continue;
                        }
                        if self.rule.retry_reset && tries_left {
                            tried.add(attempt.index());
                            last = Some(failure);
                            self.exchange.outcome.recovered();
                            continue;
                        }
                    }
                    return Err(Some(Reply::failure(failure)));
                }
                Err(Broken::Stalled) => {
                    self.exchange.outcome.client_stalled();
                    return Err(None);
                }
                Err(Broken::Cut(failure)) => {
                    trace::failed(self.exchange, failure);
                    counters.failures.failed(failure);
                    target.failures.inc();
                    self.exchange.outcome.target_failed(failure);
                    return Err(None);
                }
            }
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
                let kept = match leased.link {
                    Link::Own(stream) => (stream, None),
                    Link::Secure(stream, session) => (stream, Some(session)),
                    Link::Shared(_) => return Ok(None),
                };
                local.keep(attempt.index(), kept, keep_alive, now);
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
