//! What an exchange came to: gathered on the way, counted and logged once at its end.

use super::connection::Connection;
use super::head::{RequestHead, Version};
use crate::lane::{Era, Lane};
use crate::net;
use crate::observe::access::{self, Http, Load, Record, Times};
use crate::observe::counters::{ListenerSet, PoolSet, RouteSet};
use crate::observe::reason::{Cause, Failure, Phase, Reason, Termination};
use crate::tls::{Channel, Facts};
use crate::upstream::Target;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

/// Where an exchange is counted and what its record names.
pub(super) struct Context<'a> {
    pub(super) lane: &'a Lane,
    pub(super) era: &'a Era,
    pub(super) client: Channel<'a>,
    pub(super) names: Names<'a>,
    pub(super) listener: &'a ListenerSet,
    pub(super) route: &'a RouteSet,
    /// The pool that was asked.
    pub(super) pool: Option<&'a PoolSet>,
    /// The target that was tried last.
    pub(super) target: Option<&'a Target>,
}

/// Names of the configuration; empty where there is none.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) listener: &'a str,
    pub(super) route: &'a str,
    pub(super) pool: &'a str,
}

impl<'a> Context<'a> {
    /// That of an exchange which has come to `outcome`.
    pub(super) fn of(connection: &Connection<'a>, outcome: &Outcome) -> Self {
        let Connection { lane, era, listener, client, .. } = *connection;
        let pool = outcome.target.map(|(pool, _)| &era.plan.pools[pool].shared);
        Self {
            lane,
            era,
            client,
            names: Names {
                listener: &listener.name,
                route: &era.plan.shape.routes[outcome.route],
                pool: pool.map_or("", |pool| &pool.name),
            },
            listener: era.counters.listener(listener.index),
            route: era.counters.route(outcome.route),
            pool: outcome.target.map(|(pool, _)| &**era.counters.pool(pool)),
            target: pool.zip(outcome.target).and_then(|(pool, (_, target))| pool.targets.get(target)),
        }
    }
}

/// What an exchange came to.
pub(super) struct Outcome {
    /// Who asks: the peer, or whom a trusted proxy names.
    pub(super) client: SocketAddr,
    /// The route's position in the plan; that of "no route" until one is found.
    pub(super) route: usize,
    /// The pool that was asked and the position of the target that was tried last.
    pub(super) target: Option<(usize, usize)>,
    /// Tries sent to targets.
    pub(super) tries: u32,
    /// The status sent; 0 if none was.
    pub(super) status: u16,
    /// Bytes received from the client.
    pub(super) bytes_in: u64,
    /// Bytes sent to the client.
    pub(super) bytes_out: u64,
    /// Bytes of the response's content sent to the client.
    pub(super) body_out: u64,
    started: Instant,
    /// Whether anything was waited for since.
    waited: bool,
    /// How long it took until the answer was out, where more came after it.
    answered: Option<Duration>,
    times: Times,
    reason: &'static str,
    termination: Termination,
    refusal: Option<Reason>,
    id: u64,
}

impl Outcome {
    pub(super) fn begin(era: &Era) -> Self {
        Self {
            client: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            route: era.plan.routes.len(),
            target: None,
            tries: 0,
            status: 0,
            bytes_in: 0,
            bytes_out: 0,
            body_out: 0,
            started: net::now(),
            waited: false,
            answered: None,
            times: Times::default(),
            reason: "",
            termination: Termination::DONE,
            refusal: None,
            id: fastrand::u64(..),
        }
    }

    /// The id that ties a reply to its line in the log.
    pub(super) fn request_id(&self) -> String {
        format!("{:016x}", self.id)
    }

    /// It takes time from here on: the next look at the clock is a new one.
    pub(super) fn waits(&mut self) {
        self.waited = true;
    }

    /// When the request goes out to a target, which is now.
    pub(super) fn sending(&mut self) -> Instant {
        let now = if self.waited { net::now() } else { self.started };
        self.waited = true;
        now
    }

    /// The request's head is complete.
    pub(super) fn head_read(&mut self) {
        self.times.request_head = Some(0);
    }

    /// A connection to a target stands, `took` after it was asked for.
    pub(super) fn connected(&mut self, took: Duration) {
        self.times.queue = Some(0);
        self.times.connect = Some(self.times.connect.unwrap_or(0) + nanos(took));
    }

    /// The target's first byte came, `took` after the request was sent.
    pub(super) fn first_byte(&mut self, took: Duration) {
        self.times.first_byte = Some(nanos(took));
    }

    /// The answer is out; what is still to come is no part of it.
    pub(super) fn answered(&mut self) {
        self.answered = Some(self.started.elapsed());
    }

    /// We refused the request.
    pub(super) fn refused(&mut self, reason: Reason, word: &'static str) {
        self.refusal = Some(reason);
        self.end(word, Cause::Proxy, Phase::Request);
    }

    /// The client left before it had its answer.
    pub(super) fn client_left(&mut self) {
        let phase = if self.status == 0 { Phase::Headers } else { Phase::Data };
        self.end(Failure::ClientAbort.word(), Cause::Client, phase);
    }

    /// The client took no byte for too long.
    pub(super) fn client_stalled(&mut self) {
        self.refusal = Some(Reason::WriteStall);
        self.end(Reason::WriteStall.word(), Cause::ClientTimeout, Phase::Data);
    }

    /// The process ends, and what was under way with it.
    pub(super) fn ended_by_us(&mut self) {
        self.end(Reason::Draining.word(), Cause::Killed, Phase::Data);
    }

    /// A target failed.
    pub(super) fn target_failed(&mut self, failure: Failure) {
        let phase = match failure {
            Failure::Connect | Failure::ConnectTimeout | Failure::NoTarget => Phase::Connect,
            Failure::Handshake | Failure::Certificate => Phase::Connect,
            _ if self.status == 0 => Phase::Headers,
            _ => Phase::Data,
        };
        let cause = match failure {
            Failure::ConnectTimeout | Failure::ResponseTimeout | Failure::IdleTimeout => Cause::TargetTimeout,
            _ => Cause::Target,
        };
        self.end(failure.word(), cause, phase);
    }

    /// A try after a failed one succeeded: the end is normal after all.
    pub(super) fn recovered(&mut self) {
        (self.reason, self.termination) = ("", Termination::DONE);
    }

    fn end(&mut self, reason: &'static str, cause: Cause, phase: Phase) {
        (self.reason, self.termination) = (reason, Termination { cause, phase });
    }

    /// Counts and logs. Called once.
    pub(super) fn finish(&mut self, context: &Context<'_>, head: &RequestHead, text: &[u8]) {
        let Context { era, listener: counted, .. } = context;
        let total = nanos(self.answered.unwrap_or_else(|| self.started.elapsed()));
        counted.received.add(self.bytes_in);
        counted.sent.add(self.bytes_out);
        if self.status != 0 {
            counted.requests.status(self.status);
            context.route.requests.status(self.status);
            // What follows a 101 is no answer but a tunnel.
            if self.status != 101 {
                era.latencies.request(self.route, total);
                era.ended(self.status >= 500, total);
            }
        }
        if let Some(reason) = self.refusal {
            counted.refusals.refused(reason);
        }
        if let Some(log) = &era.log
            && let mut log = log.borrow_mut()
            && log.wants()
        {
            self.times.total = total;
            let id = self.request_id();
            log.write(&self.record(context, head, text, id.as_bytes()));
        }
    }

    fn record<'a>(&self, context: &Context<'a>, head: &'a RequestHead, text: &'a [u8], id: &'a [u8]) -> Record<'a> {
        let Context { names, client, .. } = context;
        let value = |name: &'a [u8]| head.values(text, name).next().unwrap_or_default();
        let start = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, nanos);
        Record {
            start_ns: start.saturating_sub(self.times.total),
            client: Some(self.client),
            listener: names.listener,
            route: names.route,
            pool: names.pool,
            target: context.target.map_or("", |target| &target.name),
            http: Some(Http {
                method: head.method_text.of(text),
                target: head.target.of(text),
                version: match head.version {
                    _ if client.is_multiplexed() => access::Version::Http2,
                    Version::Http10 => access::Version::Http10,
                    Version::Http11 => access::Version::Http11,
                },
                host: head.authority.of(text),
                user_agent: value(b"user-agent"),
                referer: value(b"referer"),
                status: self.status,
                body_out: self.body_out,
                request_id: id,
            }),
            tls: client.facts().map(Facts::record),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            times: self.times,
            tries: self.tries,
            reason: self.reason,
            termination: self.termination,
            load: Load {
                process: context.lane.worker.connections.get(),
                listener: context.listener.open.get(),
                pool: context.pool.map_or(0, |pool| pool.in_flight.get()),
                target: context.target.map_or(0, |target| u64::from(target.in_flight())),
            },
        }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
