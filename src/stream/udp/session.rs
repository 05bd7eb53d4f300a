//! One session: who, with whom, what passed, and its line in the log.

use super::links::Link;
use super::terms::Terms;
use crate::lane::{InFlight, Lane};
use crate::net::{self, Local};
use crate::observe::access::{Gist, Load, Record, Times};
use crate::observe::counters::{Shared, TargetSet};
use crate::observe::reason::{Cause, Failure, Phase, Reason, Termination};
use crate::upstream::Attempt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Who sends to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) client: SocketAddr,
    pub(super) local: Local,
}

/// What a client has with a target.
pub(super) struct Session {
    pub(super) key: Key,
    pub(super) terms: Rc<Terms>,
    pub(super) link: Rc<Link>,
    pub(super) attempt: Attempt,
    /// What is counted of the target.
    pub(super) target: Shared<TargetSet>,
    pub(super) in_flight: InFlight,
    /// Whether the target has refused what was sent to it.
    pub(super) refused: bool,
    /// Whether the pool has the target no more.
    pub(super) gone: bool,
    /// Whether the target has shown that it serves.
    pub(super) spoken: bool,
    /// Answers that are still to come, where it is known how many there will be.
    pub(super) owed: u64,
    /// Datagrams of the client.
    pub(super) requests: u64,
    /// Datagrams of the target.
    pub(super) answers: u64,
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) started: Instant,
    /// When it began, in seconds since the boot of the host, and which one of that second it is.
    pub(super) since: u32,
    pub(super) serial: u8,
    pub(super) first_answer: Option<Duration>,
    pub(super) tries: u32,
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All answers have come, or nobody was heard of for a while and none was missing.
    Done,
    /// Nobody was heard of for a while, and answers are missing.
    Silence,
    /// It made room for another.
    Evicted,
    /// No target is left.
    NoTarget,
    /// The listener or the process ends.
    Ours,
    /// An operator has ended it.
    Operator,
}

impl Session {
    /// Whether nothing is owed that could come late.
    pub(super) fn is_square(&self) -> bool {
        self.terms.udp.responses.is_some() && self.owed == 0
    }

    /// How it ends when nobody is heard of any more.
    pub(super) fn end_of_silence(&self) -> End {
        if self.owed > 0 || self.refused { End::Silence } else { End::Done }
    }

    /// Datagrams of the client have gone to the target.
    pub(super) fn asked(&mut self, datagrams: u64, bytes: usize) {
        self.requests += datagrams;
        self.sent += bytes as u64;
        self.owed += datagrams * u64::from(self.terms.udp.responses.unwrap_or(0));
        self.target.sent.add(bytes as u64);
        self.target.datagrams.sent.add(datagrams);
    }

    /// Datagrams of the target have come.
    pub(super) fn answered(&mut self, datagrams: u64, bytes: usize, now: Duration) {
        self.answers += datagrams;
        self.received += bytes as u64;
        let owed = self.owed;
        self.owed = owed.saturating_sub(datagrams);
        self.target.received.add(bytes as u64);
        self.target.datagrams.received.add(datagrams);
        if self.first_answer.is_none() {
            self.answered_first();
        }
        let first = !std::mem::replace(&mut self.spoken, true);
        let serves = if self.terms.udp.responses.is_some() { owed > 0 && self.owed == 0 } else { first };
        if serves {
            self.attempt.has_spoken(now);
        }
    }

    /// What the end says of the target, beyond what was counted before.
    pub(super) fn judge(&self, end: End, now: Duration) {
        match end {
            End::Silence if !self.refused => self.attempt.failed(Failure::ResponseTimeout, now),
            // Nobody knows whether it was to answer: it has refused nothing.
            End::Done if self.attempt.is_trial() => self.attempt.has_spoken(now),
            _ => {}
        }
    }

    /// Goes on under another plan.
    pub(super) fn go_by(&mut self, terms: &Rc<Terms>) {
        match terms.target(self.link.links.target) {
            Some((_, counters)) => self.target = counters.clone(),
            None => self.gone = true,
        }
        self.terms.counters.datagrams.sessions.sub(1);
        terms.counters.datagrams.sessions.add(1);
        self.in_flight = InFlight::enter(terms.pool.own());
        self.terms = terms.clone();
    }

    /// Whether it must go on with another target, if there is one.
    pub(super) fn is_stranded(&self) -> bool {
        self.refused || self.gone || self.link.closed.get() || !self.terms.local.keeps(&self.attempt)
    }

    pub(super) fn log(&self, lane: &Lane, end: End) {
        let era = lane.era();
        let (reason, cause, failed) = match end {
            End::Done => ("", Cause::Done, false),
            End::Silence => (Failure::ResponseTimeout.word(), Cause::TargetTimeout, true),
            End::Evicted => (Failure::Evicted.word(), Cause::Resource, true),
            End::NoTarget => (Failure::NoTarget.word(), Cause::Target, true),
            End::Ours => (Reason::Draining.word(), Cause::Killed, true),
            End::Operator => (Failure::Operator.word(), Cause::Killed, true),
        };
        let total = nanos(self.started.elapsed());
        era.ended(failed, total);
        let Some(log) = &era.log else { return };
        let mut log = log.borrow_mut();
        let listener = &self.terms.listener;
        if !log.wants(&Gist { listener, route: "", status: None, total, failed }) {
            return;
        }
        let pool = self.terms.local.pool();
        let target = self.attempt.target();
        let phase = if failed { Phase::Data } else { Phase::Done };
        let start_ns = log.wall(self.started);
        log.write(&Record {
            start_ns,
            client: Some(SocketAddr::new(self.key.client.ip().to_canonical(), self.key.client.port())),
            listener,
            route: "",
            pool: &pool.name,
            target: &target.name,
            http: None,
            datagrams: Some((self.requests, self.answers)),
            tls: None,
            bytes_in: self.sent,
            bytes_out: self.received,
            times: Times {
                queue: Some(0),
                connect: Some(0),
                first_byte: self.first_answer.map(nanos),
                total,
                ..Times::default()
            },
            tries: self.tries,
            reason,
            termination: Termination { cause, phase },
            load: Load {
                process: lane.worker.connections.get(),
                listener: self.terms.counters.datagrams.sessions.get(),
                pool: self.terms.pool.in_flight.get(),
                target: u64::from(target.in_flight()),
                ..Load::default()
            },
            headers: None,
        });
    }

    fn answered_first(&mut self) {
        let took = self.started.elapsed();
        self.first_answer = Some(took);
        self.attempt.joined(took);
        if self.terms.times_answers
            && let Some((place, _)) = self.terms.target(self.link.links.target)
        {
            self.terms.local.observe(place, took, net::coarse_now());
        }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
