//! A request to a pool: a target is chosen, tried, and another one where [`super::tries`] allows that.
//!
//! What always holds: a request that must not be sent twice goes out on a fresh connection or one that was used just now
//! (RFC 9112 §9.3.1). What a try held of its target is given back before another one is chosen.

use super::answer::{Broken, Passed};
use super::body::Body;
use super::buffer;
use super::connection::Connection;
use super::edit;
use super::exchange::Exchange;
use super::h1::{Framing, Incoming};
use super::head::TargetForm;
use super::intake;
use super::kept::Kept;
use super::link::{Leased, Link};
use super::mirror;
use super::reply::Reply;
use super::request;
use super::seen::Seen;
use super::sticky;
use super::switched::Switched;
use super::trace;
use super::transfer::{Transfer, transfer};
use super::translated;
use super::tries::{Lost, Next, Tries, Way, has_target, is_granted, is_repeatable};
use crate::lane::InFlight;
use crate::net::{self, Either, Lease, race};
use crate::observe::reason::Failure;
use crate::plan::{self, Rewrite, path};
use crate::tls::{Channel, Converted};
use crate::upstream::{Ask, Attempt, Local, Protocol, Tried};
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
    if let Some(rewrite) = &rule.rewrite
        && let Err(reply) = rewrites(exchange, rewrite, rule, path)
    {
        return Box::pin(exchange.answer_with_body_unread(reply, incoming, received)).await;
    }
    let mut body = match intake::begin(exchange, rule, incoming, received) {
        Ok(body) => body,
        Err(error) => return intake::refuse(exchange, &error).await,
    };
    let seen = Seen::of(exchange);
    // What is looked at of a body is what its client has sent, and not what becomes of it.
    let edited = match seen {
        None => edit_body(exchange, rule, incoming, &mut body).await?,
        Some(_) => None,
    };
    let held = match (rule.buffer_request, &seen) {
        (_, None) if edited.is_some() => edited,
        (most, Some(seen)) if !body.is_ended() => {
            let most = seen.most().max(most.unwrap_or(0));
            Some(Box::pin(buffer::hold(exchange, rule, most, incoming, &mut body)).await?)
        }
        (Some(most), None) if !body.is_ended() && !exchange.grpc => {
            Some(Box::pin(buffer::hold(exchange, rule, most, incoming, &mut body)).await?)
        }
        _ => None,
    };
    if let Some(seen) = &seen
        && let Err(reply) = Box::pin(seen.look(exchange, &mut body)).await
    {
        return answer_instead(exchange, reply, body).await;
    }
    let held = match seen {
        Some(_) => {
            let incoming = held.as_ref().map_or(incoming, |held| &held.incoming);
            edit_body(exchange, rule, incoming, &mut body).await?.or(held)
        }
        None => held,
    };
    let held = match &rule.translate {
        None => held,
        Some(all) => {
            let incoming = held.as_ref().map_or(incoming, |held| &held.incoming);
            match Box::pin(translated::request(exchange, rule, all, path, incoming, &mut body)).await {
                Ok(translated) => translated.or(held),
                Err(Some(reply)) => return answer_instead(exchange, reply, body).await,
                Err(None) => return None,
            }
        }
    };
    let incoming = held.as_ref().map_or(incoming, |held| &held.incoming);
    if !body.is_ended() && !body.is_aside() {
        keep(exchange, rule, incoming, &mut body);
    }
    if let Some(mirror) = &rule.mirror {
        mirror::begin(exchange, mirror, path, incoming, &mut body);
    }
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
        Ok(()) => match exchange.backlog.take() {
            None => true,
            Some(backlog) => {
                body.let_go();
                drop(held);
                Box::pin(buffer::drain(exchange, backlog)).await
            }
        },
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

/// Answers a request that goes no further, of which this has been read.
pub(super) async fn answer_instead(exchange: &mut Exchange<'_>, reply: Reply, body: Body) -> Option<Lease> {
    Box::pin(exchange.answer(reply, !body.is_ended())).await;
    if exchange.keep_alive && body.is_ended() {
        return Some(body.into_beyond());
    }
    Box::pin(exchange.linger()).await;
    None
}

/// Edits the body of a request as rules say; `Some(None)`: they do not. `None`: it was answered instead, or its client has left.
async fn edit_body(
    exchange: &mut Exchange<'_>,
    rule: &plan::Forward,
    incoming: &Incoming,
    body: &mut Body,
) -> Option<Option<Box<buffer::Held>>> {
    match &rule.bodies {
        Some(bodies) if !bodies.request.is_empty() => {
            Box::pin(buffer::edit(exchange, &bodies.request, incoming, body)).await.ok()
        }
        _ => Some(None),
    }
}

/// Finds what targets get as path and query, before one is chosen.
#[cold]
fn rewrites(exchange: &mut Exchange<'_>, rewrite: &Rewrite, rule: &plan::Forward, path: Path) -> Result<(), Reply> {
    if exchange.heads.request.form == TargetForm::Asterisk {
        return Ok(());
    }
    let raw = exchange.heads.request.path.of(&exchange.text);
    let paths = (if raw.is_empty() { b"/" } else { raw }, &exchange.heads.path[..]);
    let rewritten = edit::rewritten(rewrite, rule, path, paths, &exchange.facts());
    exchange.heads.rewritten = Some(Box::new(rewritten.map_err(|refusal| Reply::ambiguous_path(refusal.reason()))?));
    Ok(())
}

/// Has the rest of a body kept as it goes out, if the request could be sent again and it is not too long for that.
fn keep(exchange: &Exchange<'_>, rule: &plan::Forward, incoming: &Incoming, body: &mut Body) {
    let Connection { era, lane, .. } = exchange.connection;
    let pool = era.pools[rule.pool].pool();
    // A target of HTTP/2 may say that it has not looked at a request, whatever its method.
    let useful = pool.protocol != Protocol::Http1 || is_repeatable(rule, &exchange.heads.request, &exchange.text);
    let most = rule.retry.body.saturating_sub(body.first().len());
    let fits = match incoming.framing {
        Framing::Length(length) => usize::try_from(length).is_ok_and(|length| length <= rule.retry.body),
        _ => most > 0,
    };
    if useful && fits {
        body.keep(Kept::new(most, era.plan.limits.retry_bodies / era.plan.runtime.workers.max(1), &lane.worker));
    }
}

/// A request on its way to a target.
pub(super) struct Forwarding<'e, 'a> {
    pub(super) exchange: &'e mut Exchange<'a>,
    pub(super) rule: &'e plan::Forward,
    pub(super) path: Path,
    pub(super) incoming: &'e Incoming,
}

/// What a failed try counts as for the `latency` policy: a target that fails at once must not look fast.
const FAILED: Duration = Duration::from_secs(1);

impl<'e, 'a> Forwarding<'e, 'a> {
    /// Tries targets until one has answered. `Err(None)`: nothing can be said to the client any more.
    async fn run(&mut self, body: &mut Body) -> Result<(), Option<Reply>> {
        let (key, retry) = (self.key(), &self.rule.retry);
        if let Some(budget) = &retry.budget {
            budget.earn(self.local().worker());
        }
        self.look_where_it_belongs();
        let mut tries = Tries::default();
        let mut again: Option<Attempt> = None;
        loop {
            let mut attempt = match again.take() {
                Some(same) => same,
                None => match self.choose(key, &mut tries) {
                    Some(attempt) => attempt,
                    // Rarer than a target with room, and larger.
                    None => Box::pin(self.choose_later(key, &mut tries)).await?,
                },
            };
            let now = net::coarse_now();
            self.begin(&attempt, &tries);
            let twice = self.may_be_sent_twice();
            let mut lost = match self.reach_within(&attempt, !(twice && body.is_ended()), tries.fresh, now).await {
                Err(failure) => Lost { failure, on: Way::None, repeatable: true },
                Ok(leased) => {
                    let mut on = if leased.reused { Way::Reused } else { Way::Fresh };
                    let ended = if let Some(after) = self.hedges_after(twice, attempt.index()) {
                        // Rarer than one try at a time, and larger.
                        let ended = self.hedged((attempt, leased, now), (key, after), &mut tries, body);
                        let ended = Box::pin(ended).await;
                        (attempt, on) = (ended.0, ended.1);
                        ended.2
                    } else {
                        let by_status = twice && self.may_follow_status(&tries);
                        self.attempt(&attempt, leased, body, now, by_status.then_some(&tries)).await
                    };
                    match ended {
                        Ok(None) => return Ok(()),
                        Ok(Some(mut switched)) => {
                            switched.attempt = Some(attempt);
                            self.exchange.switched = Some(switched);
                            return Ok(());
                        }
                        Err(Broken::Target { failure, answered, unsent }) => {
                            let unseen = !answered || failure == Failure::BadResponse;
                            // Of a body that has not come whole, what is missing could not be made up for; of one that its
                            // client still holds back, nothing is missing.
                            let whole = twice && (body.is_ended() || body.is_unread());
                            Lost { failure, on, repeatable: unseen && body.is_held() && (whole || unsent) }
                        }
                        Err(Broken::GivenUp { .. }) => Lost { failure: Failure::Status, on, repeatable: true },
                        Err(broken) => return Err(self.ended(&attempt, broken)),
                    }
                }
            };
            if attempt.untie() && lost.failure == Failure::Reset {
                lost.failure = Failure::Down;
            }
            if lost.is_its_fault(tries.fresh, self.exchange.hurried) {
                attempt.failed(lost.failure, net::coarse_now());
            }
            self.failed(&attempt, lost.failure);
            match tries.after(&lost, retry, attempt.index()) {
                Next::Same => again = Some(attempt),
                // It was found to be so before the answer was given up.
                Next::Other if lost.failure == Failure::Status => {}
                Next::Other if self.may_ask_another(&tries) => {}
                _ => return Err(Some(Reply::failure(lost.failure))),
            }
            body.rewind();
            self.exchange.outcome.recovered();
        }
    }

    pub(super) fn local(&self) -> &Local {
        &self.exchange.connection.era.pools[self.rule.pool]
    }

    /// Whether it may be sent again although a target may have seen it, if its body allows.
    fn may_be_sent_twice(&self) -> bool {
        self.exchange.again || is_repeatable(self.rule, &self.exchange.heads.request, &self.exchange.text)
    }

    /// Whether its client belongs to one target and is to go to no other.
    fn is_bound(&self) -> bool {
        self.exchange.heads.sticky.is_some_and(|stuck| stuck.is_bound())
    }

    /// Whether the status of an answer may lead to another try, of what may be sent twice.
    pub(super) fn may_follow_status(&self, tries: &Tries) -> bool {
        let retry = &self.rule.retry;
        !retry.on.statuses.is_empty() && tries.has_more(retry) && !self.is_bound()
    }

    /// Whether another target is asked: if there is one, and the budget allows it.
    fn may_ask_another(&self, tries: &Tries) -> bool {
        let retry = &self.rule.retry;
        if self.is_bound() && retry.backoff.is_none() || !has_target(retry, self.local(), &tries.tried) {
            return false;
        }
        let granted = is_granted(retry);
        if !granted {
            self.exchange.connection.era.counters.pool(self.rule.pool).denied.inc();
        }
        granted
    }

    /// A target that was not tried yet.
    fn choose(&mut self, key: u64, tries: &mut Tries) -> Option<Attempt> {
        tries.choosing();
        self.local().choose(&self.ask(key, tries), net::coarse_now())
    }

    /// A target that was tried, after a while, where the route has it so; else one that has room again.
    async fn choose_later(&mut self, key: u64, tries: &mut Tries) -> Result<Attempt, Option<Reply>> {
        let all_tried = !tries.tried.is_empty() && (self.is_bound() || !self.local().has_other(&tries.tried));
        if let Some(backoff) = self.rule.retry.backoff.filter(|_| all_tried) {
            self.exchange.outcome.waits();
            let client = self.exchange.connection.client;
            client.set_deadline(None);
            match race(net::sleep(backoff), client.closed()).await {
                Either::Left(()) => {}
                Either::Right(true) => {
                    self.client_left();
                    return Err(None);
                }
                // The client has sent more: it is still there, and can be watched no further.
                Either::Right(false) => net::sleep(backoff).await,
            }
            tries.tried = Tried::default();
            if let Some(attempt) = self.local().choose(&self.ask(key, tries), net::coarse_now()) {
                return Ok(attempt);
            }
        }
        self.line_up(key, tries).await
    }

    /// There is no target to choose. Returns what to say to the client.
    pub(super) fn without_target(&mut self, tries: &Tries) -> Option<Reply> {
        let counters = self.exchange.connection.era.counters.pool(self.rule.pool);
        let failure = tries.last().unwrap_or_else(|| {
            let none = if self.is_bound() { Failure::StickyTarget } else { Failure::NoTarget };
            counters.failures.failed(none);
            none
        });
        self.exchange.outcome.target_failed(failure);
        Some(Reply::failure(failure))
    }

    /// As [`Forwarding::connect`], within the time that one try has.
    async fn reach_within(
        &mut self,
        attempt: &Attempt,
        once: bool,
        fresh: bool,
        now: Duration,
    ) -> Result<Leased, Failure> {
        match self.rule.retry.per_try {
            Some(limit) if limit < attempt.pool().timeouts.connect => {
                // A timer of its own, and not for those who have no use for it.
                let connected = Box::pin(net::timeout(limit, self.connect(attempt, once, fresh, now))).await;
                connected.unwrap_or_else(|| {
                    self.exchange.outcome.not_connected(limit);
                    Err(Failure::ConnectTimeout)
                })
            }
            _ => self.connect(attempt, once, fresh, now).await,
        }
    }

    /// A try begins: it is counted and shown.
    pub(super) fn begin(&mut self, attempt: &Attempt, tries: &Tries) {
        let Connection { era, lane, ticket, .. } = self.exchange.connection;
        let counters = era.counters.pool(self.rule.pool);
        lane.asks(ticket, attempt.target().id);
        let outcome = &mut self.exchange.outcome;
        outcome.target = Some((self.rule.pool, attempt.index()));
        outcome.tries += 1;
        if let Some(why) = tries.why {
            counters.retries.retried(why);
        }
        if let (Some(stuck), Some(sticky)) = (&self.exchange.heads.sticky, &attempt.pool().sticky) {
            stuck.chosen(sticky, attempt.index());
        }
        trace::try_begins(self.exchange, attempt.index());
        counters.target(attempt.index()).requests.inc();
    }

    /// A try has failed in a way that the client has seen nothing of.
    pub(super) fn failed(&mut self, attempt: &Attempt, failure: Failure) {
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

    fn client_left(&mut self) {
        self.exchange.outcome.client_left();
        self.exchange.connection.era.counters.pool(self.rule.pool).failures.failed(Failure::ClientAbort);
    }

    /// A try has ended so that none can follow. Returns what to say to the client, if anything can be said.
    fn ended(&mut self, attempt: &Attempt, broken: Broken) -> Option<Reply> {
        match broken {
            Broken::Client(reply) => {
                if reply.is_none() {
                    self.client_left();
                }
                reply
            }
            Broken::Stalled => {
                self.exchange.outcome.client_stalled();
                None
            }
            Broken::Unreadable => {
                self.exchange.unreadable();
                None
            }
            Broken::Cut(failure) => {
                attempt.failed(failure, net::coarse_now());
                self.count_failure(attempt, failure);
                None
            }
            Broken::Target { failure, .. } => {
                self.failed(attempt, failure);
                Some(Reply::failure(failure))
            }
            Broken::GivenUp { .. } => {
                self.failed(attempt, Failure::Status);
                Some(Reply::failure(Failure::Status))
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

    /// What a try at `target` needs to know.
    pub(super) fn try_at<'t>(
        &self,
        attempt: &'t Attempt,
        target: Channel<'t>,
        begun: Duration,
        tries: Option<&'t Tries>,
    ) -> Transfer<'t>
    where
        'e: 't,
        'a: 't,
    {
        attempt.tie(self.local(), target.handle());
        Transfer {
            connection: self.exchange.connection,
            target,
            timeouts: attempt.pool().timeouts,
            attempt,
            rule: self.rule,
            path: self.path,
            incoming: self.incoming,
            begun,
            tries,
        }
    }

    /// One try: sends the request, passes the answer on, and keeps the connection if it can be used again. What was switched to
    /// another protocol is returned.
    async fn attempt(
        &mut self,
        attempt: &Attempt,
        leased: Leased,
        body: &mut Body,
        begun: Duration,
        tries: Option<&Tries>,
    ) -> Result<Option<Box<Switched>>, Broken> {
        if let Some(translated) = &self.exchange.heads.translated {
            let by = translated.convert();
            // Rarer than an answer that stays what it is, and larger.
            return Box::pin(async move {
                let passed = {
                    let converted = Converted::new(leased.link.channel(), by);
                    let try_at = self.try_at(attempt, Channel::Converted(&converted), begun, tries);
                    transfer(&try_at, self.exchange, body).await
                };
                self.settle(attempt, leased.link, passed, body)
            })
            .await;
        }
        let try_at = self.try_at(attempt, leased.link.channel(), begun, tries);
        let passed = transfer(&try_at, self.exchange, body).await;
        self.settle(attempt, leased.link, passed, body)
    }

    /// What a try came to: its time is noted, and its connection kept if it can be used again.
    pub(super) fn settle(
        &mut self,
        attempt: &Attempt,
        link: Link,
        passed: Result<Passed, Broken>,
        body: &mut Body,
    ) -> Result<Option<Box<Switched>>, Broken> {
        let connection = self.exchange.connection;
        let local = &connection.era.pools[self.rule.pool];
        let now = net::coarse_now();
        let cut = attempt.untie();
        let passed = match passed {
            Ok(passed) => passed,
            Err(broken) if cut => return Err(broken.by_its_end()),
            Err(Broken::GivenUp { reusable, keep_alive }) if !reusable => {
                attempt.gave(self.exchange.heads.response.status, now);
                return Err(Broken::GivenUp { reusable, keep_alive });
            }
            Err(Broken::GivenUp { reusable: true, keep_alive }) => {
                attempt.gave(self.exchange.heads.response.status, now);
                if let Some((kept, header)) = link.into_kept() {
                    local.keep(attempt.index(), kept, header, keep_alive, now);
                }
                return Err(Broken::GivenUp { reusable: true, keep_alive });
            }
            Err(broken) => return Err(broken),
        };
        local.observe(attempt.index(), passed.first_byte, now);
        // What the client got may be a page in its place.
        attempt.answered(self.exchange.heads.response.status, passed.first_byte, now);
        local.answered(attempt.index(), passed.first_byte, now);
        let first_byte = u64::try_from(passed.first_byte.as_nanos()).unwrap_or(u64::MAX);
        connection.era.latencies.first_byte(self.rule.pool, first_byte);
        match passed {
            Passed { switched: Some(received), .. } => {
                let sent = std::mem::replace(body.beyond(), Lease::empty());
                let stall = connection.listener.timeouts.write_stall;
                attempt.tie(local, link.channel().handle());
                return Ok(Some(Switched::new(link, attempt.pool().timeouts.tunnel, stall, sent, received)));
            }
            Passed { reusable: true, keep_alive, .. } => {
                if let Some((kept, header)) = link.into_kept() {
                    local.keep(attempt.index(), kept, header, keep_alive, now);
                }
            }
            _ => link.end(),
        }
        Ok(None)
    }
}
