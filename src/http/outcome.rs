//! What an exchange came to: gathered on the way, counted and logged once at its end.

mod told;

use super::connection::Connection;
use super::trace::{Origin, Targets};
use crate::cache::store::flight::Trail;
use crate::lane::{Era, Lane};
use crate::net;
use crate::observe::access::{Places, Times};
use crate::observe::counters::{ListenerSet, PoolSet, RouteSet};
use crate::observe::reason::{Cached, Cause, Failure, Phase, Reason, Termination};
use crate::tls::Channel;
use crate::upstream::Target;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

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
    /// Those that were tried.
    pub(super) targets: Targets<'a>,
    pub(super) origin: Origin,
}

/// Names of the configuration; empty where there is none.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) listener: &'a str,
    /// Where it stands: it is read by who tells it alone.
    pub(super) route: &'a String,
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
            targets: Targets::Pool(pool.map_or(&[], |pool| &pool.targets)),
            origin: Origin::of(connection),
        }
    }

    /// The version of the API that a route serves; empty where it says none.
    fn version(&self, route: usize) -> &'a str {
        self.era.plan.routes.get(route).map_or("", |route| &route.version)
    }
}

/// Whose exchange is carried out beside it.
pub(super) struct Beside {
    client: SocketAddr,
    route: usize,
    member: Option<usize>,
    id: u64,
}

/// What an exchange came to that was carried out for another one.
pub(super) struct CameTo {
    trail: Trail,
    places: Places,
    reason: &'static str,
    termination: Termination,
    refusal: Option<Reason>,
}

/// What an exchange came to.
pub(super) struct Outcome {
    /// Who asks: the peer, or whom a trusted proxy names.
    pub(super) client: SocketAddr,
    /// The route's position in the plan; that of "no route" until one is found.
    pub(super) route: usize,
    /// Which of the pools that its route's requests are divided among it went to; `None`: they are not divided.
    pub(super) member: Option<usize>,
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
    /// Whether it waits for a target with room.
    queueing: bool,
    places: Places,
    /// How long it took until the answer was out, where more came after it.
    answered: Option<Duration>,
    times: Times,
    /// What connections cost that came to nothing.
    dialled: Duration,
    reason: &'static str,
    termination: Termination,
    refusal: Option<Reason>,
    id: u64,
    /// Whether the peer is on a Unix socket.
    is_local: bool,
    finished: bool,
    /// What a cache did for it, where its route has one.
    cached: Option<Cached>,
    /// How it came to the answer of another request with its key; empty: it has none.
    shared: &'static str,
    /// The head of the answer as the client got it, where lines of the log show headers of it.
    answer: Vec<u8>,
}

impl Outcome {
    pub(super) fn begin(Connection { era, peer, .. }: &Connection<'_>) -> Self {
        Self {
            client: SocketAddr::new(peer.ip, peer.port),
            route: era.plan.routes.len(),
            member: None,
            target: None,
            tries: 0,
            status: 0,
            bytes_in: 0,
            bytes_out: 0,
            body_out: 0,
            started: net::now(),
            waited: false,
            queueing: false,
            places: Places::default(),
            answered: None,
            times: Times::default(),
            dialled: Duration::ZERO,
            reason: "",
            termination: Termination::DONE,
            refusal: None,
            id: fastrand::u64(..),
            is_local: peer.local,
            finished: false,
            cached: None,
            shared: "",
            answer: Vec::new(),
        }
    }

    /// That of an exchange about which all is said elsewhere.
    pub(super) fn told(connection: &Connection<'_>) -> Self {
        Self { finished: true, ..Self::begin(connection) }
    }

    /// Whose it is, for one that is carried out beside it.
    pub(super) fn beside(&self) -> Beside {
        let Self { client, route, member, id, .. } = *self;
        Beside { client, route, member, id }
    }

    /// That of an exchange which is carried out beside another one, where all is said about it.
    pub(super) fn of_beside(connection: &Connection<'_>, Beside { client, route, member, id }: Beside) -> Self {
        Self { client, route, member, id, ..Self::told(connection) }
    }

    /// What it came to, for the one that it was carried out for.
    pub(super) fn came_to(&self) -> CameTo {
        let Self { places, reason, termination, refusal, .. } = *self;
        CameTo { trail: self.trail(), places, reason, termination, refusal }
    }

    /// It comes to what another one has come to. What happened to its own client weighs more.
    pub(super) fn comes_to(&mut self, CameTo { trail, places, reason, termination, refusal }: CameTo) {
        self.follows(&trail);
        self.places += places;
        if self.reason.is_empty() || !reason.is_empty() {
            (self.reason, self.termination, self.refusal) = (reason, termination, refusal);
        }
    }

    /// The answer is one that another request was given; `how` says how that came.
    pub(super) fn given_again(&mut self, how: &'static str) {
        self.shares(how);
        self.end("", Cause::Local, Phase::Request);
    }

    /// How the request came to be carried out, or not to be, by its Idempotency-Key.
    pub(super) fn shares(&mut self, how: &'static str) {
        self.shared = how;
    }

    /// The id that ties a reply to its line in the log.
    pub(super) fn request_id(&self) -> RequestId {
        let mut digits = self.id;
        RequestId(std::array::from_fn(|_| {
            digits = digits.rotate_left(4);
            b"0123456789abcdef"[(digits & 15) as usize]
        }))
    }

    /// The final answer begins with `head`, which ends at an empty line.
    #[inline]
    pub(super) fn answers_with(&mut self, era: &Era, head: &[u8]) {
        if era.log.as_ref().is_some_and(|log| log.borrow().wants_answer()) {
            let end = memchr::memmem::find(head, b"\r\n\r\n").unwrap_or(head.len());
            self.answer = head[..end].to_vec();
        }
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

    /// The request's head is complete. One that came at once took no time.
    pub(super) fn head_read(&mut self) {
        self.times.request_head = Some(if self.waited { nanos(self.started.elapsed()) } else { 0 });
    }

    /// A pool is asked, of whose targets none may be tried.
    pub(super) fn asks(&mut self, pool: usize) {
        self.target.get_or_insert((pool, usize::MAX));
    }

    /// It waits for a target with room.
    pub(super) fn queues(&mut self, pool: usize) {
        self.asks(pool);
        (self.waited, self.queueing) = (true, true);
    }

    /// It has waited for `took`, from this place in line on.
    pub(super) fn queued(&mut self, took: Duration, places: Places) {
        self.queueing = false;
        self.places += places;
        self.times.queue = Some(self.times.queue.unwrap_or(0).saturating_add(nanos(took)));
    }

    /// A connection to a target stands, `took` after it was asked for.
    pub(super) fn connected(&mut self, took: Duration) {
        self.times.queue.get_or_insert(0);
        self.times.connect = Some(nanos(self.dialled + took));
    }

    /// A connection to a target came to nothing, `took` after it was asked for.
    pub(super) fn not_connected(&mut self, took: Duration) {
        self.dialled += took;
    }

    /// The target's first byte came, `took` after the request was sent.
    pub(super) fn first_byte(&mut self, took: Duration) {
        self.times.first_byte = Some(nanos(took));
    }

    /// The answer is out; what is still to come is no part of it.
    pub(super) fn answered(&mut self) {
        self.answered = Some(self.started.elapsed());
    }

    /// The answer came from a cache.
    pub(super) fn cached(&mut self) {
        self.cached = Some(Cached::Hit);
        self.end("", Cause::Local, Phase::Request);
    }

    /// This is what a cache did for it.
    pub(super) fn looked_up(&mut self, how: Cached) {
        self.cached = Some(how);
    }

    /// What a question to a pool came to, for those who wait for its answer.
    pub(super) fn trail(&self) -> Trail {
        Trail { target: self.target, tries: self.tries, times: self.times }
    }

    /// The answer is one to a question that was put for this exchange.
    pub(super) fn follows(&mut self, trail: &Trail) {
        let Trail { target, tries, times } = *trail;
        (self.target, self.tries) = (target, tries);
        (self.times.queue, self.times.connect, self.times.first_byte) = (times.queue, times.connect, times.first_byte);
    }

    /// The answer is our own, as the configuration wants it.
    pub(super) fn answered_here(&mut self) {
        if self.reason.is_empty() {
            self.end("", Cause::Local, Phase::Request);
        }
    }

    /// We refused the request.
    pub(super) fn refused(&mut self, reason: Reason, word: &'static str) {
        self.refusal = Some(reason);
        let (cause, phase) = match reason {
            Reason::HeadTimeout => (Cause::ClientTimeout, Phase::Request),
            Reason::BodyTimeout => (Cause::ClientTimeout, self.phase()),
            Reason::NoRoute | Reason::NoFile | Reason::Maintenance | Reason::Sunset | Reason::BrownOut => {
                (Cause::Local, Phase::Request)
            }
            Reason::File | Reason::Buffer | Reason::Internal => (Cause::Internal, self.phase()),
            // Its body turned out to be wrong while it was passed on.
            _ if self.target.is_some() => (Cause::Proxy, Phase::Data),
            _ => (Cause::Proxy, Phase::Request),
        };
        self.end(word, cause, phase);
    }

    /// The client left before it had its answer.
    pub(super) fn client_left(&mut self) {
        self.end(Failure::ClientAbort.word(), Cause::Client, self.phase());
    }

    /// The client took no byte for too long.
    pub(super) fn client_stalled(&mut self) {
        self.refusal = Some(Reason::WriteStall);
        self.end(Reason::WriteStall.word(), Cause::ClientTimeout, self.phase());
    }

    /// Our own answer did not get through. What led to it weighs more.
    pub(super) fn unsent(&mut self, error: &std::io::Error) {
        match error.kind() {
            _ if !self.reason.is_empty() => {}
            std::io::ErrorKind::TimedOut => self.client_stalled(),
            _ => self.client_left(),
        }
    }

    /// How far it has come.
    fn phase(&self) -> Phase {
        match (self.times.request_head, self.status) {
            _ if self.queueing => Phase::Queue,
            (None, 0) => Phase::Request,
            (_, 0) => Phase::Headers,
            _ => Phase::Data,
        }
    }

    /// The process ends, and what was under way with it.
    pub(super) fn ended_by_us(&mut self) {
        self.end(Reason::Draining.word(), Cause::Killed, Phase::Data);
    }

    /// A target failed.
    pub(super) fn target_failed(&mut self, failure: Failure) {
        let (cause, phase) = match failure {
            Failure::Connect
            | Failure::NoTarget
            | Failure::StickyTarget
            | Failure::Handshake
            | Failure::Certificate => (Cause::Target, Phase::Connect),
            Failure::QueueFull => (Cause::Proxy, Phase::Queue),
            Failure::QueueTimeout => (Cause::TargetTimeout, Phase::Queue),
            Failure::ConnectTimeout => (Cause::TargetTimeout, Phase::Connect),
            Failure::ResponseTimeout | Failure::IdleTimeout | Failure::TunnelTimeout | Failure::WriteStall => {
                (Cause::TargetTimeout, self.phase())
            }
            Failure::Down => (Cause::Down, self.phase()),
            // What must not go on to a client is held back.
            Failure::BadResponse => (Cause::Proxy, self.phase()),
            Failure::Internal => (Cause::Internal, self.phase()),
            _ => (Cause::Target, self.phase()),
        };
        self.end(failure.word(), cause, phase);
    }

    /// It is given up in the middle: the process ends, its connection has ended, or its task panics.
    pub(super) fn given_up(&mut self, lane: &Lane) {
        if std::thread::panicking() {
            self.end(Reason::Internal.word(), Cause::Internal, self.phase());
        } else if lane.is_cut() {
            self.end(Reason::Draining.word(), Cause::Killed, self.phase());
        } else if self.reason.is_empty() {
            self.client_left();
        }
    }

    /// Whether all is said about it.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Why it ended otherwise than normally, in a word; empty for a normal end.
    pub(super) fn why(&self) -> &'static str {
        self.reason
    }

    /// A try after a failed one succeeded: the end is normal after all.
    pub(super) fn recovered(&mut self) {
        (self.reason, self.termination) = ("", Termination::DONE);
    }

    fn end(&mut self, reason: &'static str, cause: Cause, phase: Phase) {
        (self.reason, self.termination) = (reason, Termination { cause, phase });
    }
}

/// An id in hexadecimal digits.
pub(super) struct RequestId([u8; 16]);

impl RequestId {
    /// That of a request which nobody has sent.
    pub(super) fn sample() -> Self {
        Self(*b"0123456789abcdef")
    }

    pub(super) fn as_str(&self) -> &str {
        // They are digits.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
