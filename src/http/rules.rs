//! The rules of a route, asked of a request whose head was read and that has found its route.
//!
//! What always holds: they are asked before anything that the route does, be it to forward, to answer by itself or from a cache; a request
//! that one refuses is answered here, counted for the rule and logged with its word. What a rule needs to know of others is asked
//! while the request waits, a bounded number of times.

use super::decide::raw_path;
use super::exchange::Exchange;
use super::head::RequestHead;
use super::reply::Reply;
use crate::gateway::{self, Answer, Asked, Chain, Denial, Failure, Note, Question, Refused, Stop, Who};
use crate::net::coarse_now;
use crate::observe::counters::Shape;
use crate::observe::reason::Reason;
use std::net::IpAddr;
use std::time::SystemTime;

/// What rules have said of a request, for its log record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ruled {
    /// The place of the rule that refused it.
    denied: Option<usize>,
    /// That of the first in shadow mode that would have.
    shadowed: Option<usize>,
}

/// What rules see of a request.
#[derive(Clone, Copy)]
pub(super) struct Sent<'a> {
    pub(super) head: &'a RequestHead,
    pub(super) text: &'a [u8],
    /// The normal form of its path, where it is another.
    pub(super) normal: &'a [u8],
    pub(super) scheme: &'a str,
}

/// Questions that rules may ask of one request.
const QUESTIONS: usize = 8;

impl gateway::Request for Sent<'_> {
    fn method(&self) -> &[u8] {
        self.head.method_text.of(self.text)
    }

    fn scheme(&self) -> &str {
        self.scheme
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
}

/// Asks the rules of a route without counting, and nobody else: a rule that would ask lets through.
///
/// # Errors
/// The first that refuses.
pub(super) fn would(
    chain: &Chain,
    (route, client): (&str, IpAddr),
    sent: Sent<'_>,
    who: &mut Who,
) -> Result<(), Refused> {
    let asked = Asked { client, route, request: &sent, now: coarse_now(), clock: clock(), answers: &[], dry: true };
    let mut from = 0;
    loop {
        match chain.decide(from, &asked, who, |_| {}) {
            Ok(()) => return Ok(()),
            Err(Stop::Refused(refused)) => return Err(refused),
            Err(Stop::Asks(at, _)) => from = at + 1,
        }
    }
}

impl Ruled {
    /// The names of the rule that refused, and of the first in shadow mode that would have; empty where there is none.
    pub(super) fn names<'a>(&self, shape: &'a Shape) -> (&'a str, &'a str) {
        let name = |rule: Option<usize>| rule.and_then(|rule| shape.rules.get(rule)).map_or("", String::as_str);
        (name(self.denied), name(self.shadowed))
    }
}

/// Seconds since 1970.
fn clock() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

/// What the rules of a request's route make of it.
pub(super) enum Verdict {
    /// It goes on.
    Passed,
    /// It is answered so.
    Refused(Reply),
    /// A rule asks something. With the answer it goes on at this position.
    Asks(usize, Box<Question>),
}

impl Exchange<'_> {
    /// Asks the rules of the request's route, as far as they know by themselves.
    #[inline]
    pub(super) fn ruled(&mut self) -> Verdict {
        match self.connection.era.plan.routes.get(self.outcome.route).and_then(|route| route.rules.as_deref()) {
            Some(chain) => self.ask_rules(chain, 0, &[]),
            None => Verdict::Passed,
        }
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
            let said = self.connection.lane.desk.ask(*question).await.unwrap_or(Err(Failure::Busy));
            answers.push(Answer { rule, said });
            match self.ask_rules(&chain, at, &answers) {
                Verdict::Passed => return None,
                Verdict::Refused(reply) => return Some(reply),
                Verdict::Asks(next, more) => (at, question) = (next, more),
            }
        }
    }

    /// Counts what the rule at this place has said of a body. `admitted`: the request goes on.
    pub(super) fn count_body(&mut self, rule: usize, admitted: bool) {
        self.count_preflight(rule, admitted);
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

    #[inline(never)]
    fn ask_rules(&mut self, chain: &Chain, from: usize, answers: &[Answer]) -> Verdict {
        let counters = &self.connection.era.counters;
        let client = self.outcome.client.ip();
        let super::exchange::Heads { request, path, who, ruled, .. } = &mut *self.heads;
        let scheme = self.connection.listener.scheme();
        let sent = Sent { head: request, text: &self.text, normal: path, scheme };
        let route = self.connection.era.plan.routes.get(self.outcome.route).map_or("", |route| &route.name);
        let (now, clock) = (coarse_now(), clock());
        let asked = Asked { client, route, request: &sent, now, clock, answers, dry: false };
        let decided = chain.decide(from, &asked, who, |Note { rule, shadow, denial }| {
            let counts = counters.rule(rule);
            match (denial, shadow) {
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
            Ok(()) => Verdict::Passed,
            Err(Stop::Refused(refused)) => Verdict::Refused(Reply::denied(refused.denial)),
            Err(Stop::Asks(at, question)) => Verdict::Asks(at, question),
        }
    }
}
