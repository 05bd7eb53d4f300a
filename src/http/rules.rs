//! The rules of a route, asked of a request whose head was read and that has found its route.
//!
//! What always holds: they are asked before anything that the route does, be it to forward, to answer by itself or from a cache; a request
//! that one refuses is answered here, counted for the rule and logged with its word.

use super::exchange::Exchange;
use super::head::RequestHead;
use super::reply::Reply;
use crate::gateway::{Asked, Chain, Lines, Refused, Who};
use crate::observe::counters::Shape;
use std::net::IpAddr;

/// What rules have said of a request, for its log record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ruled {
    /// The place of the rule that refused it.
    denied: Option<usize>,
    /// That of the first in shadow mode that would have.
    shadowed: Option<usize>,
}

/// The header lines of a request.
struct Sent<'a> {
    head: &'a RequestHead,
    text: &'a [u8],
}

impl Lines for Sent<'_> {
    fn each(&self, name: &str, see: &mut dyn FnMut(&[u8])) {
        self.head.values(self.text, name.as_bytes()).for_each(see);
    }
}

/// Asks the rules of a route, without counting. Returns what is answered, if one refuses.
pub(super) fn would(
    chain: &Chain,
    client: IpAddr,
    (head, text): (&RequestHead, &[u8]),
    who: &mut Who,
) -> Result<(), Refused> {
    chain.decide(&Asked { client, lines: &Sent { head, text } }, who, |_, _| {})
}

impl Ruled {
    /// The names of the rule that refused, and of the first in shadow mode that would have; empty where there is none.
    pub(super) fn names<'a>(&self, shape: &'a Shape) -> (&'a str, &'a str) {
        let name = |rule: Option<usize>| rule.and_then(|rule| shape.rules.get(rule)).map_or("", String::as_str);
        (name(self.denied), name(self.shadowed))
    }
}

impl Exchange<'_> {
    /// Asks the rules of the request's route. Returns what is answered, if one refuses.
    #[inline]
    pub(super) fn refused_by_rule(&mut self) -> Option<Reply> {
        let route = self.connection.era.plan.routes.get(self.outcome.route)?;
        self.ask(route.rules.as_deref()?)
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
    fn ask(&mut self, chain: &Chain) -> Option<Reply> {
        let counters = &self.connection.era.counters;
        let ruled = &mut self.heads.ruled;
        let client = self.outcome.client.ip();
        let asked = Asked { client, lines: &Sent { head: &self.heads.request, text: &self.text } };
        let decided = chain.decide(&asked, &mut self.heads.who, |link, denial| {
            let counts = counters.rule(link.index);
            match (denial, link.shadow) {
                (None, _) => counts.passed.inc(),
                (Some(_), false) => {
                    ruled.denied = Some(link.index);
                    counts.denied.inc();
                }
                (Some(_), true) => {
                    ruled.shadowed = ruled.shadowed.or(Some(link.index));
                    counts.shadowed.inc();
                }
            }
        });
        decided.err().map(|refused| Reply::denied(refused.denial))
    }
}
