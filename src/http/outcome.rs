//! What an exchange came to: gathered on the way, counted and logged once at its end.

use super::connection::Connection;
use super::exchange::Heads;
use super::head::{Name, RequestHead, Version};
use super::trace::{self, Origin, Targets};
use crate::cache::store::flight::Trail;
use crate::lane::{Era, Lane};
use crate::net;
use crate::observe::access::{self, Gist, Headers, Http, Load, Log, Places, Record, Side, Times};
use crate::observe::analytics::Seen;
use crate::observe::counters::{ListenerSet, PoolSet, RouteSet};
use crate::observe::reason::{Cached, Cause, Failure, Phase, Reason, Termination};
use crate::observe::remark::Kind;
use crate::observe::trace::Rules;
use crate::plan::{Action, Route};
use crate::tls::{Channel, Facts};
use crate::upstream::Target;
use std::net::SocketAddr;
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
            answer: Vec::new(),
        }
    }

    /// That of an exchange about which all is said elsewhere.
    pub(super) fn told(connection: &Connection<'_>) -> Self {
        Self { finished: true, ..Self::begin(connection) }
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
            Reason::NoRoute | Reason::NoFile | Reason::Maintenance => (Cause::Local, Phase::Request),
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

    /// A try after a failed one succeeded: the end is normal after all.
    pub(super) fn recovered(&mut self) {
        (self.reason, self.termination) = ("", Termination::DONE);
    }

    fn end(&mut self, reason: &'static str, cause: Cause, phase: Phase) {
        (self.reason, self.termination) = (reason, Termination { cause, phase });
    }

    /// Counts and logs. Called once.
    pub(super) fn finish(&mut self, context: &Context<'_>, heads: &Heads, text: &[u8]) {
        let Context { era, listener: counted, client, .. } = context;
        self.finished = true;
        if self.termination.cause == Cause::Client && client.is_cut() {
            self.end(Failure::Operator.word(), Cause::Killed, self.termination.phase);
        }
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
        if let Some(how) = self.cached {
            self.count_cached(era, how);
        }
        self.member.inspect(|member| self.count_member(context, *member, total));
        self.times.total = total;
        if let Some(slow) = era.plan.runtime.slow
            && (total > slow || self.status >= 500 || !self.reason.is_empty())
        {
            self.remark(slow, context, heads, text);
        }
        if let Some(book) = &mut *context.lane.book.borrow_mut() {
            book.count(&self.seen(context, heads));
        }
        if let Some(records) = &mut *context.lane.records.borrow_mut() {
            self.log(records, context, heads, text);
        }
        // The log of the era that it began in may have ended with that.
        if let Some(log) = &context.lane.era().log {
            self.log(&mut log.borrow_mut(), context, heads, text);
        }
        if let Some(tracing) = &era.plan.tracing {
            self.trace(&tracing.rules, context, heads, text);
        }
    }

    /// Counts what a cache did for it. What follows a 101 is no answer but a tunnel.
    fn count_cached(&self, era: &Era, how: Cached) {
        let route = era.plan.routes.get(self.route).filter(|_| self.status != 101);
        let Some(Action::Forward(rule)) = route.map(|route| &route.action) else { return };
        if let Some(caching) = &rule.cache {
            era.counters.cache(caching.index).served(how, self.body_out);
        }
    }

    /// What analytics count of it.
    fn seen<'a>(&self, context: &Context<'a>, heads: &'a Heads) -> Seen<'a> {
        let by_us = matches!(self.termination.cause, Cause::Resource | Cause::Internal | Cause::Down);
        let broke_off = by_us || matches!(self.termination.cause, Cause::Target | Cause::TargetTimeout);
        Seen {
            consumer: heads.who.name().unwrap_or_default(),
            route: context.names.route,
            version: context.version(self.route),
            status: self.status,
            // A tunnel ends as both sides like.
            is_error: self.status >= 500 || broke_off && self.status != 101,
            total_ns: self.times.total,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
        }
    }

    /// Counts it for the pool that it went to of those that its route's requests are divided among.
    #[cold]
    fn count_member(&self, context: &Context<'_>, member: usize, total: u64) {
        let era = context.era;
        let Some(split) = era.plan.routes.get(self.route).and_then(Route::split) else { return };
        let (Some(part), Some(forward)) = (split.shared.parts().get(member), split.forward(member)) else { return };
        // A client that leaves says nothing of it, nor does what a cache has.
        if self.status >= 500 || self.target.is_some() && self.termination.cause != Cause::Client {
            // A tunnel lasts and ends as both sides like.
            let (cut, total) = match self.termination.cause {
                _ if self.status == 101 => (false, 0),
                cause => (matches!(cause, Cause::Target | Cause::TargetTimeout | Cause::Down), total),
            };
            part.ended(era.pools[forward.pool].worker(), self.status >= 500 || cut, Duration::from_nanos(total));
        }
    }

    /// Logs it, if that is wanted.
    fn log(&self, log: &mut Log, context: &Context<'_>, heads: &Heads, text: &[u8]) {
        let Context { names, .. } = context;
        let gist = Gist {
            listener: names.listener,
            route: names.route,
            status: Some(self.status),
            total: self.times.total,
            failed: !self.reason.is_empty(),
        };
        if log.wants(&gist) {
            let id = self.request_id();
            let headers = Fields { head: &heads.request, text, answer: &self.answer };
            let start_ns = log.wall(self.started);
            let record = self.record(context, heads, text, &id.0);
            log.write(&Record { start_ns, headers: Some(&headers), ..record });
        }
    }

    /// Notes it if it is worth a look.
    #[cold]
    fn remark(&self, slow: u64, context: &Context<'_>, heads: &Heads, text: &[u8]) {
        let id = self.request_id();
        let record = Record { start_ns: self.wall(), ..self.record(context, heads, text, &id.0) };
        if let Some(kind) = Kind::of(&record, slow) {
            context.lane.worker.remarks.note(kind, &record);
        }
    }

    /// When it began, by the wall's clock, ns since 1970.
    fn wall(&self) -> u64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, nanos);
        now.saturating_sub(nanos(self.started.elapsed()))
    }

    /// Tells of it as a trace, if that is wanted.
    fn trace(&self, rules: &Rules, context: &Context<'_>, heads: &Heads, text: &[u8]) {
        let Some(place) = heads.trace.context() else { return };
        // A tunnel lasts for as long as both sides like.
        let slow = self.status != 101 && rules.is_slow(self.times.total);
        let failed = self.status >= 500 || self.status < 400 && !self.reason.is_empty();
        if place.sampled || slow || failed {
            let id = self.request_id();
            let record = Record { start_ns: self.wall(), ..self.record(context, heads, text, &id.0) };
            trace::Ended { context, heads, text, started: self.started }.tell(&record, place.sampled || slow);
        }
    }

    fn record<'a>(&self, context: &Context<'a>, heads: &'a Heads, text: &'a [u8], id: &'a [u8]) -> Record<'a> {
        let Context { names, client, .. } = context;
        let head = &heads.request;
        let (mut user_agent, mut referer): (&[u8], &[u8]) = (b"", b"");
        for field in head.fields.iter().filter(|field| field.kind == Name::Other).rev() {
            match field.name.len() {
                10 if field.name.of(text).eq_ignore_ascii_case(b"user-agent") => user_agent = field.value.of(text),
                7 if field.name.of(text).eq_ignore_ascii_case(b"referer") => referer = field.value.of(text),
                _ => {}
            }
        }
        let (denied_by, shadow_denied_by, held_by) = heads.ruled.names(&context.era.plan.shape);
        Record {
            start_ns: 0,
            // Nobody else has an address without a port, but whom a proxy names without one.
            client: (!self.is_local || self.client.port() != 0 || !self.client.ip().is_loopback())
                .then_some(self.client),
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
                user_agent,
                referer,
                status: self.status,
                body_out: self.body_out,
                request_id: id,
                trace: heads.trace.context().map(|place| place.ids),
                cache: self.cached.map_or("", Cached::result),
                denied_by,
                shadow_denied_by,
                held_by,
                version_label: context.version(self.route),
                consumer: heads.who.name().unwrap_or_default(),
                cookies: heads
                    .sticky
                    .map(|stuck| stuck.cookies(self.target.map(|(_, target)| target)))
                    .unwrap_or_default(),
            }),
            datagrams: None,
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
                places: self.places,
            },
            headers: None,
        }
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

/// The headers of an exchange, for lines that show some.
#[derive(Debug)]
struct Fields<'a> {
    head: &'a RequestHead,
    text: &'a [u8],
    answer: &'a [u8],
}

impl Headers for Fields<'_> {
    fn each(&self, side: Side, name: &str, each: &mut dyn FnMut(&[u8])) {
        if side == Side::Request {
            return self.head.values(self.text, name.as_bytes()).for_each(each);
        }
        for line in self.answer.split(|byte| *byte == b'\n').skip(1) {
            if let Some(colon) = memchr::memchr(b':', line)
                && line[..colon].eq_ignore_ascii_case(name.as_bytes())
            {
                each(line[colon + 1..].trim_ascii());
            }
        }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
