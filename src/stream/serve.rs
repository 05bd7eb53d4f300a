//! One TCP connection from accept to close.

use super::announce::announce;
use super::front::Passage;
use super::pump::{Done, End, Tunnel, tunnel};
use super::queue;
use super::sticky::Belonging;
use crate::lane::{Era, InFlight, Lane, Speech, Visit};
use crate::net::proxy_protocol::Header;
use crate::net::{self, Accepted, Peer, Stream};
use crate::observe::access::{Gist, Load, Places, Record, Times, Tls};
use crate::observe::counters::{ListenerSet, PoolCounters, Shared};
use crate::observe::reason::{Cause, Failure, Phase, Reason, Retried, Termination};
use crate::observe::remark::Kind;
use crate::plan::{Key, Protocol};
use crate::tls::{self, Cargo, Channel, Facts};
use crate::upstream::{Ask, Attempt, Errand, Local, Tried};
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

/// Tries beyond the first to open a connection.
const RETRIES: usize = 3;

/// Serves one TCP connection, over TLS if it has a session: connects to a target of its listener's pool, or of the one that a
/// route passes it on to, and pumps until both sides have ended. Once both are joined it holds no plan.
pub async fn serve(visit: &Visit, accepted: &Accepted, secure: Option<&tls::Session>, passage: Option<Passage>) {
    let lane = &visit.lane;
    let _busy = lane.enter();
    lane.speaks(visit.ticket, Speech::Tunnel);
    let client = Channel::new(&accepted.stream, secure);
    let seat = visit.seat();
    let pool = match (&passage, &seat.listener().protocol) {
        (Some(passage), _) => passage.pool,
        (None, Protocol::Tcp { pool: Some(pool) }) => *pool,
        _ => return,
    };
    let passed = passage.map(|Passage { route, name, .. }| {
        seat.era.counters.route(route).connections.inc();
        Box::new(Passed { route: seat.era.plan.routes[route].name.clone(), name })
    });
    let mut session = Session {
        lane,
        told: false,
        listener: (seat.listener().name.clone(), seat.counters().clone()),
        local: seat.era.pools[pool].clone(),
        counters: seat.era.counters.pool(pool).clone(),
        peer: accepted.peer,
        tls: client.facts(),
        passed,
        started: net::now(),
        tries: 0,
        connected: None,
        queued: None,
        places: Places::default(),
        target: None,
    };
    let stall = seat.listener().timeouts.write_stall;
    let form = session.local.pool().send_proxy;
    let header = form.map(|form| announce(form, lane, visit.ticket, accepted.peer, client, session.name()));
    let connected = session.connect(&seat.era, pool, client, secure, header).await;
    drop(seat);
    let end = match connected {
        Ok((attempt, (target, secure))) => {
            lane.asks(visit.ticket, attempt.target().id);
            let _in_flight = InFlight::enter(session.counters.own());
            let silence = session.local.pool().timeouts.tunnel;
            let target = Channel::new(&target, secure.as_deref());
            attempt.tie(&session.local, target.handle());
            let ending = &lane.ending;
            let joined = Tunnel { client, target, silence, stall, ending, websocket: false, attempt: Some(&attempt) };
            let mut done = Box::pin(tunnel(joined)).await;
            // With TLS 1.3 a target refuses our certificate after the handshake.
            if done.received == 0
                && let Some(error) = target.failure()
            {
                attempt.tell_trouble(error);
                done.end = End::Unreached(Failure::Handshake);
            }
            match done.end {
                // One that took the connection and broke it before it had said a word is as good as one that took none.
                End::Target(_) if done.received == 0 && !done.client_ended => {
                    attempt.failed(Failure::Reset, net::coarse_now());
                }
                End::Unreached(failure) => attempt.failed(failure, net::coarse_now()),
                End::Both if done.received == 0 => attempt.has_spoken(net::coarse_now()),
                _ => {}
            }
            session.count(&attempt, &done);
            done
        }
        Err(failure) => {
            client.reset_on_close();
            Done { sent: 0, received: 0, end: End::Unreached(failure), client_ended: false }
        }
    };
    session.log(&end);
}

/// A connection as its line in the log tells it.
struct Session<'a> {
    lane: &'a Lane,
    /// Whether all is said about it.
    told: bool,
    listener: (String, Shared<ListenerSet>),
    local: Rc<Local>,
    counters: PoolCounters,
    peer: Peer,
    tls: Option<&'a Facts>,
    passed: Option<Box<Passed>>,
    started: Instant,
    tries: u32,
    connected: Option<Duration>,
    /// How long it waited for a target with room; `None`: it did not.
    queued: Option<Duration>,
    /// Where it stood in line.
    places: Places,
    target: Option<usize>,
}

/// What is known of TLS that was passed on.
struct Passed {
    /// By which route.
    route: String,
    /// The name that the client asks for.
    name: Option<Box<str>>,
}

impl Session<'_> {
    /// The name that the client asks for, where TLS does not end here.
    fn name(&self) -> Option<&str> {
        self.passed.as_ref()?.name.as_deref()
    }

    /// Opens a connection to a target of the pool, trying others when one does not take it.
    async fn connect(
        &mut self,
        era: &Era,
        pool: usize,
        client: Channel<'_>,
        secure: Option<&tls::Session>,
        header: Option<Header>,
    ) -> Result<(Attempt, (Stream, Option<Box<tls::Session>>)), Failure> {
        let local = &self.local.clone();
        let agreed = secure.filter(|_| local.pool().tls.is_some()).and_then(tls::Session::agreed);
        self.counters.requests.inc();
        let key = Key::hash_ip(self.peer.ip);
        let belonging = Belonging::look(local.pool(), self.peer.ip);
        let mut tried = Tried::default();
        let mut last = belonging.nowhere();
        for retry in 0..=RETRIES {
            let ask = belonging.ask(key, &tried);
            let chosen = match local.choose(&ask, net::coarse_now()) {
                None if local.pool().queue.is_some() => self.line_up(era, pool, &ask, client).await,
                chosen => chosen.ok_or(Failure::NoTarget),
            };
            let attempt = match chosen {
                Ok(attempt) => attempt,
                Err(Failure::NoTarget) => break,
                Err(failure) => {
                    self.counters.failures.failed(failure);
                    belonging.count(&self.counters, self.target);
                    return Err(failure);
                }
            };
            if retry > 0 {
                self.counters.retries.retried(Retried::Connect);
            }
            self.tries += 1;
            self.target = Some(attempt.index());
            let target = self.counters.target(attempt.index());
            target.requests.inc();
            belonging.chosen(attempt.index());
            let started = net::now();
            let purpose = local.pool().tls.as_ref().map(|tls| {
                // There is no Host here: what the client asked for by name is asked of the target.
                let asked = self.tls.and_then(|facts| facts.name.as_deref()).map(str::as_bytes);
                tls.purpose(asked.unwrap_or(attempt.target().authority()))
            });
            let errand = Errand { purpose, header: header.clone(), client: local.pool().source_for(self.peer) };
            match attempt.open(&errand, Cargo::Bytes(agreed.as_deref())).await {
                Ok(opened) => {
                    target.connects.inc();
                    if let Some(session) = &opened.1 {
                        self.counters.handshakes.shaken(session.facts().kind());
                    }
                    let took = started.elapsed();
                    local.observe(attempt.index(), took, net::coarse_now());
                    attempt.joined(took);
                    era.latencies.connect(pool, nanos(took));
                    self.connected = Some(self.started.elapsed());
                    belonging.connected(attempt.index(), retry > 0);
                    belonging.count(&self.counters, self.target);
                    return Ok((attempt, opened));
                }
                Err(failure) => {
                    target.failures.inc();
                    attempt.failed(failure, net::coarse_now());
                    last = failure;
                    self.counters.failures.failed(failure);
                    tried.add(attempt.index());
                }
            }
        }
        if last == belonging.nowhere() {
            self.counters.failures.failed(last);
        }
        belonging.count(&self.counters, self.target);
        Err(last)
    }

    /// Waits for a target with room.
    async fn line_up(
        &mut self,
        era: &Era,
        pool: usize,
        ask: &Ask<'_>,
        client: Channel<'_>,
    ) -> Result<Attempt, Failure> {
        let mut waiting = self.local.line_up(ask, 0)?;
        let limit = self.local.pool().timeouts.queue;
        self.counters.queued.inc();
        let started = net::now();
        let turn = Box::pin(queue::wait(&mut waiting, limit, client)).await;
        let took = started.elapsed();
        era.latencies.queue(pool, nanos(took));
        self.queued = Some(self.queued.unwrap_or_default() + took);
        self.places += waiting.places();
        turn
    }

    fn count(&self, attempt: &Attempt, done: &Done) {
        let (_, client) = &self.listener;
        client.received.add(done.sent);
        client.sent.add(done.received);
        let target = self.counters.target(attempt.index());
        target.sent.add(done.sent);
        target.received.add(done.received);
        if let Some(failure) = done.end.failure() {
            self.counters.failures.failed(failure);
        }
    }

    fn log(&mut self, done: &Done) {
        self.told = true;
        let lane = self.lane;
        let era = lane.era();
        let total = nanos(self.started.elapsed());
        let (reason, termination) = ending(&done.end);
        let record = |start_ns| Record { start_ns, reason, termination, ..self.record(done, total) };
        if let Some(slow) = era.plan.runtime.slow
            && !reason.is_empty()
        {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, nanos);
            let record = record(now.saturating_sub(total));
            if let Some(kind) = Kind::of(&record, slow) {
                lane.worker.remarks.note(kind, &record);
            }
        }
        let Some(log) = &era.log else { return };
        let mut log = log.borrow_mut();
        let (listener, route) = (&*self.listener.0, self.route());
        if log.wants(&Gist { listener, route, status: None, total, failed: !reason.is_empty() }) {
            let start_ns = log.wall(self.started);
            log.write(&record(start_ns));
        }
    }

    fn route(&self) -> &str {
        self.passed.as_ref().map_or("", |passed| &passed.route)
    }

    /// What there is to tell of it, but when it began and how it ended.
    fn record(&self, done: &Done, total: u64) -> Record<'_> {
        let (listener, counters) = &self.listener;
        let pool = self.local.pool();
        let target = self.target.map(|target| &pool.targets[target]);
        Record {
            start_ns: 0,
            client: self.peer.address(),
            listener,
            route: self.route(),
            pool: &pool.name,
            target: target.map_or("", |target| &target.name),
            http: None,
            datagrams: None,
            tls: self.tls.map(Facts::record).or_else(|| Some(Tls { version: "", cipher: "", name: self.name()? })),
            bytes_in: done.sent,
            bytes_out: done.received,
            times: Times {
                queue: self.queued.or(self.connected.map(|_| Duration::ZERO)).map(nanos),
                connect: self
                    .connected
                    .map(|connected| nanos(connected.saturating_sub(self.queued.unwrap_or_default()))),
                total,
                ..Times::default()
            },
            tries: self.tries,
            reason: "",
            termination: Termination::DONE,
            load: Load {
                process: self.lane.worker.connections.get(),
                listener: counters.open.get(),
                pool: self.counters.in_flight.get(),
                target: target.map_or(0, |target| u64::from(target.in_flight())),
                places: self.places,
            },
            headers: None,
        }
    }
}

impl Drop for Session<'_> {
    /// It is given up: the process ends while a target is looked for, or its task panics.
    fn drop(&mut self) {
        if !self.told {
            let end = if std::thread::panicking() { End::Unreached(Failure::Internal) } else { End::Ours };
            self.log(&Done { sent: 0, received: 0, end, client_ended: false });
        }
    }
}

/// How the log tells an end.
fn ending(end: &End) -> (&'static str, Termination) {
    if *end == End::Ours {
        return (Reason::Draining.word(), Termination { cause: Cause::Killed, phase: Phase::Data });
    }
    let Some(failure) = end.failure() else { return ("", Termination::DONE) };
    let (word, cause, phase) = match (end, failure) {
        (End::Cut, _) => (failure.word(), Cause::Killed, Phase::Data),
        (End::Down, _) => (failure.word(), Cause::Down, Phase::Data),
        (End::Client(ErrorKind::TimedOut), _) => (Reason::WriteStall.word(), Cause::ClientTimeout, Phase::Data),
        (End::Client(_), _) => (failure.word(), Cause::Client, Phase::Data),
        (End::Silence | End::Target(ErrorKind::TimedOut), _) => (failure.word(), Cause::TargetTimeout, Phase::Data),
        (_, Failure::Internal) => (failure.word(), Cause::Internal, Phase::Data),
        (End::Unreached(_), Failure::QueueFull) => (failure.word(), Cause::Proxy, Phase::Queue),
        (End::Unreached(_), Failure::QueueTimeout) => (failure.word(), Cause::TargetTimeout, Phase::Queue),
        (End::Unreached(_), Failure::ClientAbort) => (failure.word(), Cause::Client, Phase::Queue),
        (End::Unreached(_), Failure::ConnectTimeout) => (failure.word(), Cause::TargetTimeout, Phase::Connect),
        (End::Unreached(_), _) => (failure.word(), Cause::Target, Phase::Connect),
        _ => (failure.word(), Cause::Target, Phase::Data),
    };
    (word, Termination { cause, phase })
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
