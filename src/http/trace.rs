//! An exchange's part in a trace: where it comes from, what its target is told, and what becomes of it in the end. Without
//! `[tracing]` nothing of this is done.

use super::connection::Connection;
use super::exchange::{Exchange, Heads};
use super::h1;
use super::head::{Name, RequestHead};
use super::outcome::Context;
use crate::net::{self, Peer};
use crate::observe::access::Record;
use crate::observe::reason::Failure;
use crate::observe::trace::{self, Facts, Parent};
use crate::plan::Tracing;
use crate::upstream::Target;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Instant;

/// Takes the exchange's place in the trace that its request names, or in a new one.
pub(super) fn begin(connection: &Connection<'_>, heads: &mut Heads, text: &[u8]) {
    let Connection { lane, era, http, peer, .. } = *connection;
    let Some(tracing) = &era.plan.tracing else { return };
    let parent = parent(&heads.request, text);
    let trusted = parent.is_some() && http.trusts(peer.ip);
    heads.trace.begin(lane.tracer.place(&tracing.rules, parent, trusted));
}

/// What the request's `traceparent` names. More than one is none (W3C Trace Context §3.2, §4.3).
fn parent(head: &RequestHead, text: &[u8]) -> Option<Parent> {
    let mut named = head.fields.iter().filter(|field| field.kind == Name::Traceparent);
    let only = named.next().filter(|_| named.next().is_none());
    only.and_then(|field| Parent::parse(field.value.of(text)))
}

/// What the target that is tried is told.
pub(super) fn onward(facts: &Facts) -> Option<h1::Trace> {
    let (place, parent) = facts.context().zip(facts.traceparent())?;
    Some(h1::Trace { parent, keeps_state: place.parent != 0 })
}

/// What a target would be told, with ids that are nobody's.
pub(super) fn would_be(tracing: &Tracing, trusted: bool, head: &RequestHead, text: &[u8]) -> h1::Trace {
    let mut random = fastrand::Rng::with_seed(0);
    let place = tracing.rules.place(parent(head, text), trusted, &mut random);
    h1::Trace { parent: place.value(random.u64(1..)), keeps_state: place.parent != 0 }
}

/// Takes the place of a part of the answer of an exchange that has this one.
pub(super) fn begin_part(connection: &Connection<'_>, heads: &mut Heads, of: Option<&trace::Context>) {
    if let Some(of) = of {
        let span_id = connection.lane.tracer.span_id();
        let ids = trace::Ids { span_id, ..of.ids };
        heads.trace.begin(trace::Context { ids, parent: of.ids.span_id, ..*of });
    }
}

/// The same for an exchange that has answered without having understood its request.
pub(super) fn settle(exchange: &mut Exchange<'_>) {
    if exchange.outcome.status != 0 && exchange.heads.trace.context().is_none() {
        begin(&exchange.connection, exchange.heads, &exchange.text);
    }
}

/// A try at the target at `target` begins.
pub(super) fn try_begins(exchange: &mut Exchange<'_>, target: usize) {
    if exchange.heads.trace.context().is_some() {
        let span = exchange.connection.lane.tracer.span_id();
        exchange.heads.trace.try_begins(target, span);
    }
}

/// The try has failed.
pub(super) fn failed(exchange: &mut Exchange<'_>, failure: Failure) {
    exchange.heads.trace.failed(failure.word(), net::now);
}

/// What is known of an exchange once it is over.
pub(super) struct Ended<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) heads: &'a Heads,
    pub(super) text: &'a [u8],
    pub(super) started: Instant,
    /// The part of an answer that it was asked for; empty: it is a client's own.
    pub(super) part: &'a str,
}

impl Ended<'_> {
    /// Hands the exchange's spans to whoever delivers them: `always`, or if it is an error.
    pub(super) fn tell(&self, record: &Record<'_>, always: bool) {
        let Heads { request, trace, .. } = self.heads;
        let Origin { scheme, peer } = self.context.origin;
        let state = match trace.context() {
            Some(place) if place.parent != 0 => self.state(),
            _ => Cow::Borrowed(&b""[..]),
        };
        let exchange = trace::Exchange {
            record,
            facts: trace,
            started: self.started,
            part: self.part,
            // What stands for no route has parentheses, as no name has.
            routed: !record.route.starts_with('('),
            path: request.path.of(self.text),
            scheme,
            peer: SocketAddr::new(peer.ip, peer.port),
            state: &state,
            target: &|at| self.context.targets.name(at),
        };
        if always || exchange.is_error() {
            self.context.lane.tracer.write(&exchange);
        }
    }

    /// The members of all `tracestate` fields, which stand for one (W3C Trace Context §3.3).
    fn state(&self) -> Cow<'_, [u8]> {
        let fields = self.heads.request.fields.iter().filter(|field| field.kind == Name::Tracestate);
        let mut values = fields.map(|field| field.value.of(self.text));
        let first = values.next().unwrap_or_default();
        values.fold(Cow::Borrowed(first), |all, next| Cow::Owned([&*all, next].join(&b',')))
    }
}

/// How requests came.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    scheme: &'static str,
    peer: Peer,
}

impl Origin {
    pub(super) fn of(connection: &Connection<'_>) -> Self {
        Self { scheme: connection.listener.scheme(), peer: connection.peer }
    }
}

/// The targets that were tried, by their positions in the pool.
#[derive(Clone, Copy)]
pub(super) enum Targets<'a> {
    /// They are still at hand.
    Pool(&'a [Target]),
    /// Their names are, for an exchange that has let go of its plan.
    Noted(&'a [(usize, String)]),
}

impl<'a> Targets<'a> {
    fn name(self, at: usize) -> &'a str {
        match self {
            Self::Pool(targets) => targets.get(at).map_or("", |target| &target.name),
            Self::Noted(names) => names.iter().find(|(place, _)| *place == at).map_or("", |(_, name)| name),
        }
    }

    /// The names of those that were tried.
    pub(super) fn noted(self, facts: &Facts) -> Vec<(usize, String)> {
        facts.tries().iter().map(|one| (one.target, self.name(one.target).to_owned())).collect()
    }
}
