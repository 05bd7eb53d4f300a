//! What an exchange came to: gathered on the way, counted and logged once at its end.

use super::connection::Connection;
use super::head::{RequestHead, Version};
use crate::lane::Lane;
use crate::net;
use crate::observe::access::{self, Http, Load, Record, Times};
use crate::observe::reason::{Cause, Failure, Phase, Reason, Termination};
use crate::tls::Facts;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

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
    pub(super) fn begin(lane: &Lane) -> Self {
        Self {
            client: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            route: lane.plan.routes.len(),
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
    pub(super) fn finish(&mut self, connection: &Connection<'_>, head: &RequestHead, text: &[u8]) {
        let Connection { lane, listener, .. } = connection;
        let total = nanos(self.answered.unwrap_or_else(|| self.started.elapsed()));
        let counted = lane.counters.listener(listener.index);
        counted.received.add(self.bytes_in);
        counted.sent.add(self.bytes_out);
        if self.status != 0 {
            counted.requests.status(self.status);
            lane.counters.route(self.route).requests.status(self.status);
            // What follows a 101 is no answer but a tunnel.
            if self.status != 101 {
                lane.latencies.borrow_mut().request(self.route, total);
            }
        }
        if let Some(reason) = self.refusal {
            counted.refusals.refused(reason);
        }
        if let Some(log) = &lane.log
            && let mut log = log.borrow_mut()
            && log.wants()
        {
            self.times.total = total;
            let id = self.request_id();
            log.write(&self.record(connection, head, text, id.as_bytes()));
        }
    }

    fn record<'a>(
        &self,
        connection: &Connection<'a>,
        head: &'a RequestHead,
        text: &'a [u8],
        id: &'a [u8],
    ) -> Record<'a> {
        let Connection { lane, listener, .. } = connection;
        let plan = &lane.plan;
        let pool = self.target.map(|(pool, _)| &plan.pools[pool].shared);
        let target = self.target.and_then(|(pool, target)| plan.pools[pool].shared.targets.get(target));
        let value = |name: &'a [u8]| head.values(text, name).next().unwrap_or_default();
        let start = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, nanos);
        Record {
            start_ns: start.saturating_sub(self.times.total),
            client: Some(self.client),
            listener: &listener.name,
            route: &plan.shape.routes[self.route],
            pool: pool.map_or("", |pool| &pool.name),
            target: target.map_or("", |target| &target.name),
            http: Some(Http {
                method: head.method_text.of(text),
                target: head.target.of(text),
                version: match head.version {
                    _ if connection.client.is_multiplexed() => access::Version::Http2,
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
            tls: connection.client.facts().map(Facts::record),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            times: self.times,
            tries: self.tries,
            reason: self.reason,
            termination: self.termination,
            load: Load {
                process: lane.counters.worker.connections.get(),
                listener: lane.counters.listener(listener.index).open.get(),
                pool: self.target.map_or(0, |(pool, _)| lane.counters.pool(pool).in_flight.get()),
                target: target.map_or(0, |target| u64::from(target.in_flight())),
            },
        }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
