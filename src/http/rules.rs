//! The rules of a route, asked of a request whose head was read and that has found its route.
//!
//! What always holds: they are asked before anything that the route does, be it to forward, to answer by itself or from a cache; a request
//! that one refuses is answered here, counted for the rule and logged with its word. What a rule needs to know of others is asked
//! while the request waits, a bounded number of times.

use super::decide::raw_path;
use super::dry::{Judgement, Says};
use super::exchange::{Exchange, Heads};
use super::head::{Field, RequestHead};
use super::reply::Reply;
use crate::gateway::condition::{self, Condition};
use crate::gateway::jwt::Cache;
use crate::gateway::{
    self, Answer, Asked, Certificate, Chain, Denial, Failure, Note, Question, Reading, Refused, Secure, Stop, Who,
};
use crate::net::coarse_now;
use crate::observe::counters::Shape;
use crate::observe::reason::Reason;
use crate::observe::wall;
use crate::plan::path::{self, Forms, Verdict};
use crate::plan::{self, Choice, Listener, Split, host};
use crate::tls::Facts;
use std::borrow::Cow;
use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;

/// What rules have said of a request, for its log record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ruled {
    /// The place of the rule that refused it.
    denied: Option<usize>,
    /// That of the first in shadow mode that would have.
    shadowed: Option<usize>,
    /// That of the one that kept it waiting.
    held: Option<usize>,
}

/// What rules and conditions see of a request.
#[derive(Clone, Copy)]
pub(super) struct Sent<'a> {
    pub(super) head: &'a RequestHead,
    pub(super) text: &'a [u8],
    /// The normal form of its path, where it is another.
    pub(super) normal: &'a [u8],
    /// The method that it goes by in place of its own.
    pub(super) instead: Option<&'a [u8]>,
    pub(super) listener: &'a Listener,
    /// What the handshake agreed on; `None` in clear.
    pub(super) session: Option<&'a Facts>,
    /// Whether it is a call of gRPC.
    pub(super) is_call: bool,
}

/// Questions that rules may ask of one request.
const QUESTIONS: usize = 8;

impl gateway::Request for Sent<'_> {
    fn method(&self) -> &[u8] {
        self.instead.unwrap_or(self.head.method_text.of(self.text))
    }

    fn scheme(&self) -> &str {
        self.listener.scheme()
    }

    fn is_call(&self) -> bool {
        self.is_call
    }

    fn authority(&self) -> &[u8] {
        self.head.authority.of(self.text)
    }

    fn path(&self) -> &[u8] {
        match self.normal {
            [] => raw_path(self.head.form, self.head.path.of(self.text)),
            normal => normal,
        }
    }

    fn sent_path(&self) -> &[u8] {
        raw_path(self.head.form, self.head.path.of(self.text))
    }

    fn query(&self) -> Option<&[u8]> {
        self.head.query.map(|query| query.of(self.text))
    }

    fn each(&self, name: &str, see: &mut dyn FnMut(&[u8])) {
        self.head.values(self.text, name.as_bytes()).for_each(see);
    }

    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let is_it = |field: &&Field| field.name.of(self.text).eq_ignore_ascii_case(name.as_bytes());
        let mut values = self.head.fields.iter().filter(is_it).map(|field| field.value.of(self.text));
        let first = values.next()?;
        let Some(second) = values.next() else { return Some(first.into()) };
        let mut all = [first, second].join(&b", "[..]);
        for value in values {
            all.extend_from_slice(b", ");
            all.extend_from_slice(value);
        }
        Some(all.into())
    }

    fn each_name(&self, see: &mut dyn FnMut(&[u8])) {
        self.head.fields.iter().for_each(|field| see(field.name.of(self.text)));
    }

    fn host(&self) -> Cow<'_, [u8]> {
        let mut room = host::Buffer::new();
        match host::canonical(self.authority(), self.listener.own_port(), &mut room) {
            Ok(host) => host.name.to_vec().into(),
            Err(_) => Cow::default(),
        }
    }

    fn secure(&self) -> Option<Secure<'_>> {
        let facts = self.session?;
        let certificate = facts.identity.as_deref().map(|identity| Certificate {
            common_name: identity.common_name.as_deref().unwrap_or_default(),
            subject: identity.told("X-Client-Cert-Subject"),
            names: identity.told("X-Client-Cert-San"),
            fingerprint: identity.told("X-Client-Cert-Fingerprint"),
        });
        Some(Secure { name: facts.name.as_deref().unwrap_or_default(), version: facts.version, certificate })
    }

    fn listener(&self) -> &str {
        &self.listener.name
    }
}

/// The ways in which a target may read a path beside its normal form, where rules ask for it and the route does not allow what they rest on.
fn readings(chain: &Chain, allowed: Forms, sent: &Sent<'_>) -> Vec<Reading> {
    let (mut all, mut normal) = (Vec::new(), Vec::new());
    if chain.names_path()
        && let Verdict::Ambiguous(forms) = path::normalise(gateway::Request::sent_path(sent), &mut normal)
    {
        path::readings(&normal, forms, &mut Vec::new(), |path, used| {
            let disputed = used.without(allowed);
            if !disputed.is_empty() {
                all.push(Reading { path: path.into(), word: disputed.reason() });
            }
            true
        });
    }
    all
}

/// Asks the rules of a route without counting, and nobody else: a rule that would ask lets through. `tell` hears what each says.
///
/// # Errors
/// The first that refuses.
pub(super) fn would(
    chain: &Chain,
    (route, client): (&plan::Route, IpAddr),
    sent: Sent<'_>,
    who: &mut Who,
    mut tell: impl FnMut(Judgement),
) -> Result<(), Refused> {
    let (tokens, now) = (RefCell::new(Cache::new(0)), coarse_now());
    let (request, readings) = (&sent, &readings(chain, route.allowed, &sent));
    let (route, clock) = (&route.name, wall::now());
    let asked = Asked { client, route, request, now, clock, tokens: &tokens, readings, answers: &[], dry: true };
    let mut from = 0;
    loop {
        let decided = chain.decide(from, &asked, who, |note| {
            // That a condition is unclear says nothing yet.
            if note.unclear.is_none() {
                tell(Judgement::of(&note));
            }
        });
        match decided {
            Ok(()) => return Ok(()),
            Err(Stop::Refused(refused)) => return Err(refused),
            Err(Stop::Asks(at, _)) => {
                let unasked = |rule| Judgement { rule, verdict: Says::Unasked, word: "" };
                chain.asking(at).map(unasked).into_iter().for_each(&mut tell);
                from = at + 1;
            }
        }
    }
}

/// The pool that a request is for, of those that its route's are divided among, without counting: where it goes by chance, the first.
pub(super) fn choose(split: &Split, (route, client): (&str, IpAddr), sent: &Sent<'_>, who: &Who) -> (usize, Choice) {
    let (tokens, now) = (RefCell::new(Cache::new(0)), coarse_now());
    let (clock, tokens, request) = (wall::now(), &tokens, sent);
    let asked = Asked { client, route, request, now, clock, tokens, readings: &[], answers: &[], dry: true };
    split.choose(&asked, who, || 0)
}

impl Ruled {
    /// The place of the rule that refused it.
    pub(super) fn refused_by(&self) -> Option<usize> {
        self.denied
    }

    /// The rule at this place keeps it waiting.
    pub(super) fn held_by(&mut self, rule: usize) {
        self.held = Some(rule);
    }

    /// The names of the rule that refused, of the first in shadow mode that would have, and of the one that kept it waiting; empty where there is
    /// none.
    pub(super) fn names<'a>(&self, shape: &'a Shape) -> (&'a str, &'a str, &'a str) {
        let name = |rule: Option<usize>| rule.and_then(|rule| shape.rules.get(rule)).map_or("", String::as_str);
        (name(self.denied), name(self.shadowed), name(self.held))
    }
}

/// What the rules of a request's route make of it.
pub(super) enum Judged {
    /// It goes on.
    Passed,
    /// It is answered so.
    Refused(Reply),
    /// A rule asks something. With the answer it goes on at this position.
    Asks(usize, Box<Question>),
}

/// Tells that a condition could not say anything: as a warning now and then, so that it is seen and floods nothing.
#[cold]
pub(super) fn tell_unclear(when: &Condition, error: condition::Error, (kind, name): (&str, &str)) {
    let reason = error.word();
    match when.is_worth_a_warning(coarse_now()) {
        true => tracing::warn!(kind, name, reason, when = %when, "a condition cannot say anything: {error}"),
        false => tracing::debug!(kind, name, reason, "a condition cannot say anything: {error}"),
    }
}

impl<'a> Exchange<'a> {
    /// The rules of the request's route; `None`: it has none.
    #[inline]
    pub(super) fn rules(&self) -> Option<&'a Chain> {
        self.connection.era.plan.routes.get(self.outcome.route)?.rules.as_deref()
    }

    /// How the pool is forwarded to that this request is for, of those that its route's are divided among.
    #[cold]
    pub(super) fn member<'s>(&mut self, split: &'s Split) -> Option<&'s Arc<plan::Forward>> {
        let Heads { request, path, who, .. } = &*self.heads;
        let (listener, session) = (self.connection.listener, self.connection.client.facts());
        let is_call = self.grpc;
        let sent = Sent { head: request, text: &self.text, normal: path, instead: None, listener, session, is_call };
        let route = self.connection.era.plan.routes.get(self.outcome.route).map_or("", |route| &route.name);
        let (client, now, clock, tokens) =
            (self.outcome.client.ip(), coarse_now(), wall::now(), &self.connection.lane.tokens);
        let (request, readings, answers) = (&sent, &[][..], &[][..]);
        let asked = Asked { client, route, request, now, clock, tokens, readings, answers, dry: false };
        let (member, _) = split.choose(&asked, who, || fastrand::u64(..));
        self.outcome.member = Some(member);
        split.forward(member)
    }

    /// Asks others what rules need to know. Returns what is answered, if a rule refuses then.
    #[cold]
    pub(super) async fn ruled_with_answers(&mut self, mut at: usize, mut question: Box<Question>) -> Option<Reply> {
        let chain = self.connection.era.plan.routes.get(self.outcome.route)?.rules.clone()?;
        let mut answers = Vec::new();
        loop {
            let rule = question.rule;
            if answers.len() == QUESTIONS {
                return Some(Reply::denied(Denial::new(500, Reason::Unanswered, "too-many-questions")));
            }
            let said = self.connection.lane.desk.rules.ask(*question).await.unwrap_or(Err(Failure::Busy));
            answers.push(Answer { rule, said });
            match self.ask_rules(&chain, at, &answers) {
                Judged::Passed => return None,
                Judged::Refused(reply) => return Some(reply),
                Judged::Asks(next, more) => (at, question) = (next, more),
            }
        }
    }

    /// Counts what the rule at this place has said of a body. `admitted`: the request goes on.
    pub(super) fn count_body(&mut self, rule: usize, admitted: bool) {
        self.count_preflight(rule, admitted);
    }

    /// Counts that the rule at this place, which is in shadow mode, would refuse a body.
    pub(super) fn count_shadowed(&mut self, rule: usize) {
        self.connection.era.counters.rule(rule).shadowed.inc();
        let ruled = &mut self.heads.ruled;
        ruled.shadowed = ruled.shadowed.or(Some(rule));
    }

    /// Counts what the rule at this place has said to a browser that asks beforehand.
    pub(super) fn count_preflight(&mut self, rule: usize, admitted: bool) {
        let counts = self.connection.era.counters.rule(rule);
        if admitted {
            counts.passed.inc();
        } else {
            counts.denied.inc();
            self.heads.ruled.denied = Some(rule);
        }
    }

    /// Asks rules, beginning at a position, with what others have said so far.
    #[inline(never)]
    pub(super) fn ask_rules(&mut self, chain: &Chain, from: usize, answers: &[Answer]) -> Judged {
        let counters = &self.connection.era.counters;
        let client = self.outcome.client.ip();
        let Heads { request, path, who, ruled, .. } = &mut *self.heads;
        let (listener, session) = (self.connection.listener, self.connection.client.facts());
        let is_call = self.grpc;
        let sent = Sent { head: request, text: &self.text, normal: path, instead: None, listener, session, is_call };
        let route = self.connection.era.plan.routes.get(self.outcome.route);
        let readings = &readings(chain, route.map_or(Forms::NONE, |route| route.allowed), &sent);
        let route = route.map_or("", |route| &route.name);
        let (now, clock, tokens) = (coarse_now(), wall::now(), &self.connection.lane.tokens);
        let asked = Asked { client, route, request: &sent, now, clock, tokens, readings, answers, dry: false };
        let decided = chain.decide(from, &asked, who, |Note { rule, shadow, denial, unclear, awaits }| {
            let counts = counters.rule(rule);
            if let Some((when, error)) = unclear {
                counts.unclear.inc();
                let name = self.connection.era.plan.shape.rules.get(rule).map_or("", String::as_str);
                return tell_unclear(when, error, ("rule", name));
            }
            match (denial, shadow) {
                // It is counted once the body has been seen.
                (None, _) if awaits => {}
                (None, _) => counts.passed.inc(),
                (Some(_), false) => {
                    ruled.denied = Some(rule);
                    counts.denied.inc();
                }
                (Some(_), true) => {
                    ruled.shadowed = ruled.shadowed.or(Some(rule));
                    counts.shadowed.inc();
                }
            }
        });
        match decided {
            Ok(()) => Judged::Passed,
            Err(Stop::Refused(refused)) => Judged::Refused(Reply::denied(refused.denial)),
            Err(Stop::Asks(at, question)) => Judged::Asks(at, question),
        }
    }
}
