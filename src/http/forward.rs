//! A request to a pool: a target is chosen, tried, and another one where that is allowed.
//!
//! What always holds: a request that may have reached a target is sent again only if its method is idempotent
//! (RFC 9110 §9.2.2), all of its body is still held, and not a byte of an answer has come. One that must not be sent
//! twice goes out on a fresh connection or one that was used just now (RFC 9112 §9.3.1).

use super::body::{Body, BodyError};
use super::connection::linger;
use super::exchange::Exchange;
use super::h1::Parsed;
use super::reply::Reply;
use super::request;
use super::transfer::{self, Broken, Passed, Transfer};
use crate::net::{self, Lease, Stream};
use crate::observe::reason::{Failure, Reason};
use crate::plan::{self, path};
use crate::stream::{End, Tunnel, tunnel};
use crate::upstream::{Attempt, Tried};
use std::io::ErrorKind;
use std::time::Duration;

/// Forwards the request and passes the answer on. Returns what was received beyond it if the client's connection goes on.
pub(super) async fn forward(
    exchange: &mut Exchange<'_>,
    rule: &plan::Forward,
    path: path::Forward,
    matched: usize,
    parsed: &Parsed,
    received: Lease,
) -> Option<Lease> {
    let limit = exchange.connection.lane.plan.limits.request_body.unwrap_or(u64::MAX);
    exchange.outcome.bytes_in += received.len() as u64;
    let mut body = match Body::new(parsed.framing, received, limit) {
        Ok(body) => body,
        Err(error) => {
            exchange.answer(refusal_of(&error), true).await;
            linger(exchange.connection.client).await;
            return None;
        }
    };
    let lane = exchange.connection.lane;
    let counters = lane.counters.pool(rule.pool);
    counters.requests.inc();
    counters.in_flight.add(1);
    let result = Forwarding { exchange, rule, path, matched, parsed }.run(&mut body).await;
    counters.in_flight.sub(1);
    match result {
        Ok(Passed { client_ok: true, .. }) if exchange.keep_alive && body.is_ended() => Some(body.into_beyond()),
        Ok(passed) => {
            if passed.client_ok && (!body.is_ended() || body.has_beyond()) {
                linger(exchange.connection.client).await;
            }
            None
        }
        Err(Some(reply)) => {
            let framed = body.is_ended();
            exchange.answer(reply, !framed).await;
            if exchange.keep_alive {
                return Some(body.into_beyond());
            }
            if !framed || body.has_beyond() {
                linger(exchange.connection.client).await;
            }
            None
        }
        Err(None) => None,
    }
}

struct Forwarding<'e, 'a> {
    exchange: &'e mut Exchange<'a>,
    rule: &'e plan::Forward,
    path: path::Forward,
    matched: usize,
    parsed: &'e Parsed,
}

/// A stream to a target, and whether it has carried an exchange before.
struct Leased {
    stream: Stream,
    reused: bool,
}

impl Forwarding<'_, '_> {
    /// Tries targets until one has answered. `Err(None)`: nothing can be said to the client any more.
    async fn run(&mut self, body: &mut Body) -> Result<Passed, Option<Reply>> {
        let lane = self.exchange.connection.lane;
        let local = &lane.pools[self.rule.pool];
        let counters = lane.counters.pool(self.rule.pool);
        let key = self.key();
        let mut tried = Tried::default();
        let mut last = None;
        let mut fresh = false;
        let mut again: Option<Attempt> = None;
        loop {
            let chosen = again.take().or_else(|| local.choose(key, &tried, net::coarse_now()));
            let Some(attempt) = chosen else {
                let failure = last.unwrap_or(Failure::NoTarget);
                if last.is_none() {
                    counters.failures.failed(failure);
                }
                self.exchange.outcome.target_failed(failure);
                return Err(Some(Reply::failure(failure)));
            };
            let outcome = &mut self.exchange.outcome;
            outcome.target = Some((self.rule.pool, attempt.index()));
            outcome.tries += 1;
            if outcome.tries > 1 {
                counters.retries.inc();
            }
            let target = counters.target(attempt.index());
            target.requests.inc();
            let repeatable = self.exchange.heads.request.method.is_idempotent() && body.is_held();
            let tries_left = self.exchange.outcome.tries <= self.rule.attempts;
            let leased = match self.connect(&attempt, !repeatable, fresh).await {
                Ok(leased) => leased,
                Err(failure) => {
                    counters.failures.failed(failure);
                    target.failures.inc();
                    last = Some(failure);
                    tried.add(attempt.index());
                    if self.rule.retry_connect && tries_left {
                        continue;
                    }
                    self.exchange.outcome.target_failed(failure);
                    return Err(Some(Reply::failure(failure)));
                }
            };
            let reused = leased.reused;
            match self.attempt(&attempt, leased, body).await {
                Ok(passed) => {
                    if self.exchange.outcome.tries > 1 && passed.target_ok {
                        self.exchange.outcome.recovered();
                    }
                    return Ok(passed);
                }
                Err(Broken::Client(reply)) => return Err(reply),
                Err(Broken::Target { failure, answered, unsent }) => {
                    counters.failures.failed(failure);
                    target.failures.inc();
                    self.exchange.outcome.target_failed(failure);
                    let may_repeat = !answered && body.is_held() && (repeatable || unsent);
                    if may_repeat && failure == Failure::Reset {
                        // A connection that the target had just closed says nothing about the target.
                        if reused && !fresh {
                            fresh = true;
                            again = Some(attempt);
                            continue;
                        }
                        if self.rule.retry_reset && tries_left {
                            tried.add(attempt.index());
                            last = Some(failure);
                            continue;
                        }
                    }
                    return Err((!answered).then(|| Reply::failure(failure)));
                }
                Err(Broken::Cut { failure }) => {
                    counters.failures.failed(failure);
                    target.failures.inc();
                    self.exchange.outcome.target_failed(failure);
                    return Err(None);
                }
            }
        }
    }

    fn key(&self) -> u64 {
        let plan = &self.exchange.connection.lane.plan;
        match &plan.pools[self.rule.pool].key {
            Some(key) => request::hash_key(key, &self.exchange.heads, &self.exchange.text, self.exchange.outcome.client),
            None => 0,
        }
    }

    async fn connect(&mut self, attempt: &Attempt, once: bool, fresh: bool) -> Result<Leased, Failure> {
        let lane = self.exchange.connection.lane;
        let local = &lane.pools[self.rule.pool];
        if !fresh
            && let Some(stream) = local.lease(attempt.index(), once)
        {
            self.exchange.outcome.connected(Duration::ZERO);
            return Ok(Leased { stream, reused: true });
        }
        let started = net::now();
        match net::connect(&attempt.target().address, local.pool().timeouts.connect).await {
            Ok(stream) => {
                let took = started.elapsed();
                lane.counters.pool(self.rule.pool).target(attempt.index()).connects.inc();
                lane.latencies.borrow_mut().connect(self.rule.pool, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
                self.exchange.outcome.connected(took);
                Ok(Leased { stream, reused: false })
            }
            Err(error) => {
                tracing::debug!(pool = local.pool().name, target = attempt.target().name, %error, "cannot connect");
                let timed_out = error.kind() == ErrorKind::TimedOut;
                Err(if timed_out { Failure::ConnectTimeout } else { Failure::Connect })
            }
        }
    }

    /// One try: sends the request, passes the answer on, and keeps the connection if it can be used again.
    async fn attempt(&mut self, attempt: &Attempt, leased: Leased, body: &mut Body) -> Result<Passed, Broken> {
        let lane = self.exchange.connection.lane;
        let local = &lane.pools[self.rule.pool];
        let transfer = Transfer {
            connection: self.exchange.connection,
            target: &leased.stream,
            timeouts: local.pool().timeouts,
            attempt,
            rule: self.rule,
            path: self.path,
            matched: self.matched,
            parsed: self.parsed,
        };
        let passed = transfer::transfer(&transfer, self.exchange, body).await?;
        if let Some(first) = passed.first_byte {
            local.observe(attempt.index(), first, net::coarse_now());
        }
        if passed.switched {
            self.tunnel(&leased.stream, local.pool().timeouts.tunnel).await;
        } else if passed.reusable {
            local.keep(attempt.index(), leased.stream, passed.keep_alive);
        }
        Ok(passed)
    }

    /// Joins client and target after a `101 Switching Protocols`.
    async fn tunnel(&mut self, target: &Stream, silence: Duration) {
        let connection = self.exchange.connection;
        let stall = connection.listener.timeouts.write_stall;
        let done = tunnel(Tunnel { client: connection.client, target, silence, stall }).await;
        let outcome = &mut self.exchange.outcome;
        outcome.bytes_in += done.sent;
        outcome.bytes_out += done.received;
        match done.end {
            End::Both => {}
            End::Client(_) => outcome.client_left(),
            End::Target(_) => outcome.target_failed(Failure::Reset),
            End::Silence => outcome.target_failed(Failure::TunnelTimeout),
        }
    }
}

/// The answer to a body that could not be read.
pub(super) fn refusal_of(error: &BodyError) -> Reply {
    match error {
        BodyError::Malformed(_) | BodyError::Truncated => Reply::refusal(400, Reason::BadFraming),
        BodyError::TooLarge => Reply::refusal(413, Reason::BodyTooLarge),
        BodyError::Io(_) => Reply::refusal(408, Reason::BodyTimeout),
    }
}
