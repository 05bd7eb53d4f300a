//! A pool and its targets, as all workers see them.

use super::agent::{Said, Word};
use super::balance;
use super::live::Live;
use super::outlier::{Ejection, Outlier, Traffic};
use super::queue::{Adaptive, Queue, Room};
use super::sticky::Sticky;
use super::ties::{OnDown, OnUp};
use crate::net::proxy_protocol::Form;
use crate::net::{self, Address, Peer};
use crate::tls::Outbound;
use crossbeam::utils::CachePadded;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// A named group of targets that requests are balanced over.
#[derive(Debug)]
pub struct Pool {
    /// Its name in the configuration.
    pub name: String,
    /// How a target is chosen.
    pub balance: balance::Kind,
    /// The targets, in the order of the configuration.
    pub targets: Vec<Target>,
    /// What keeps clients with their targets; `None`: nothing does.
    pub sticky: Option<Sticky>,
    /// Whether targets are used although all are down (else the answer is 503).
    pub open_when_down: bool,
    /// Bounds on what targets may take.
    pub timeouts: Timeouts,
    /// When targets are ejected for what live traffic shows of them; `None`: never.
    pub outlier: Option<Outlier>,
    /// The share of the targets that must be usable, 0 to 1, or their health is not believed; `None`: it always is.
    pub panic: Option<f64>,
    /// How long a target that came up takes until it has its whole share; `None`: it has it at once.
    pub slow_start: Option<Duration>,
    /// What becomes of the connections of a target that goes down.
    pub on_down: OnDown,
    /// What becomes of those of backups when another target comes up.
    pub on_up: OnUp,
    /// What is kept of idle connections.
    pub keepalive: Keepalive,
    /// What targets speak.
    pub protocol: Protocol,
    /// What TLS with targets is done with; `None`: they are spoken to in clear.
    pub tls: Option<Arc<Outbound>>,
    /// By which headers targets are told of clients, if they are.
    pub send_proxy: Option<Form>,
    /// How targets are connected to; `None`: as the kernel has it.
    pub egress: Option<Arc<net::Egress>>,
    /// Whether it is HTTP/1.1 in clear without headers, and not by the client's address, which asks for nothing before a connection is used.
    pub is_plain: bool,
    /// Where requests wait for room; `None`: the pool has no limits.
    pub queue: Option<Queue>,
}

/// What targets speak to exchanges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1
    #[default]
    Http1,
    /// HTTP/2
    Http2,
    /// Either, as each target chooses in the handshake.
    Agreed,
}

/// One server of a pool.
#[derive(Debug)]
pub struct Target {
    /// Where it listens.
    pub address: Address,
    /// Its address as text: its name in logs and metrics, and the default `Host` of `host = "target"`.
    pub name: String,
    /// A hash of the name, for consistent hashing.
    pub id: u64,
    /// Its share among the others by the configuration; 0 takes nothing.
    pub weight: u32,
    /// Whether it is used only when no other target can be.
    pub backup: bool,
    /// Exchanges or connections that it may have in hand by the configuration; `None`: any.
    pub max_in_flight: Option<u32>,
    /// The targets that this one is as healthy as, where it follows others; they are one after the other.
    pub leads: Box<[Patient]>,
    /// Its limit that follows its latency; `None`: it has none.
    pub adaptive: Option<Arc<Adaptive>>,
    /// What plans that follow each other share.
    state: Arc<State>,
}

/// What is known of a target, whatever the plan.
#[derive(Debug)]
struct State {
    /// Whether the last check left it up.
    up: AtomicBool,
    mode: AtomicU8,
    /// A weight that goes before the configuration's; [`NO_WEIGHT`]: none does.
    weight: AtomicU32,
    /// What an agent says, as far as it counts.
    agent: Word,
    /// What it has said, whether or not it counts.
    heard: Word,
    /// Whether an operator has it that it does not.
    deaf: AtomicBool,
    /// What live traffic says of it.
    live: Live,
    /// One count per worker, which alone writes it.
    in_flight: Box<[CachePadded<AtomicU32>]>,
    room: CachePadded<Room>,
}

/// What an operator wants of a target, whatever its checks say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It works.
    #[default]
    Ready,
    /// It takes no new work and finishes what it has.
    Drain,
    /// It is taken for down.
    Maintenance,
}

const NO_WEIGHT: u32 = u32::MAX;

/// A target as its checks know it, whatever the plan.
#[derive(Clone, Debug)]
pub struct Patient(Arc<State>);

impl Patient {
    /// Whether it is the same target as `other`.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether the last check left it up.
    pub fn is_up(&self) -> bool {
        self.0.up.load(Ordering::Relaxed)
    }

    /// Takes it into or out of balancing.
    pub fn set_up(&self, up: bool) {
        self.0.set_up(up);
    }

    /// Whether nothing that looks at it keeps it from being used: neither checks nor an agent.
    pub fn passes(&self) -> bool {
        self.0.passes()
    }

    /// What an agent says of it, whether or not that counts.
    pub fn said(&self) -> Said {
        self.0.heard.get()
    }

    /// An agent says this.
    pub fn hear(&self, said: Said) {
        self.0.heard.set(said);
        self.0.go_by_agent();
    }
}

impl State {
    fn set_up(&self, up: bool) {
        if !self.up.swap(up, Ordering::Relaxed) && up {
            // Checks that had failed and pass again say more than what went wrong before.
            self.live.rises(net::coarse_now());
        }
    }

    fn set_mode(&self, mode: Mode) {
        let before = self.mode.swap(mode as u8, Ordering::Relaxed);
        if before == Mode::Maintenance as u8 && mode != Mode::Maintenance {
            self.live.comes_up(net::coarse_now());
        }
    }

    /// Goes by what an agent has said, or not.
    fn go_by_agent(&self) {
        let before = self.passes();
        let said = if self.deaf.load(Ordering::Relaxed) { Said::default() } else { self.heard.get() };
        self.agent.set(said);
        if !before && self.passes() {
            self.live.rises(net::coarse_now());
        }
    }

    #[inline]
    fn passes(&self) -> bool {
        self.up.load(Ordering::Relaxed) && !self.agent.forbids()
    }

    #[inline]
    fn is_in_maintenance(&self) -> bool {
        self.mode.load(Ordering::Relaxed) == Mode::Maintenance as u8 || self.agent.is_in_maintenance()
    }

    #[inline]
    fn is_draining(&self) -> bool {
        self.mode.load(Ordering::Relaxed) == Mode::Drain as u8
    }
}

/// Bounds on what targets may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// Waiting for a target with room.
    pub queue: Duration,
    /// From the request's end to the response's head.
    pub response_head: Duration,
    /// Silence within a response.
    pub response_idle: Duration,
    /// Silence in a tunnel.
    pub tunnel: Duration,
}

/// What is kept of idle connections.
#[derive(Clone, Copy, Debug)]
pub struct Keepalive {
    /// Idle connections kept per target, over all workers.
    pub max_idle: usize,
    /// How long one may stay idle.
    pub idle: Duration,
}

impl Target {
    /// A target that is taken for up until a check says otherwise, for a process of `workers`.
    pub fn new(address: Address, weight: u32, backup: bool, workers: usize) -> Self {
        let name = address.to_string();
        let id = xxh3_64(name.as_bytes());
        let state = Arc::new(State {
            up: AtomicBool::new(true),
            mode: AtomicU8::new(Mode::Ready as u8),
            weight: AtomicU32::new(NO_WEIGHT),
            agent: Word::default(),
            heard: Word::default(),
            deaf: AtomicBool::new(false),
            live: Live::new(workers),
            in_flight: (0..workers).map(|_| CachePadded::default()).collect(),
            room: CachePadded::new(Room::new(workers)),
        });
        Self { address, name, id, weight, backup, max_in_flight: None, adaptive: None, leads: Box::default(), state }
    }

    /// The same target under another plan. It follows nobody yet.
    pub fn succeed(&self, weight: u32, backup: bool) -> Self {
        let Self { address, name, id, state, .. } = self;
        let (address, name, state) = (address.clone(), name.clone(), state.clone());
        Self {
            address,
            name,
            id: *id,
            weight,
            backup,
            max_in_flight: None,
            adaptive: None,
            leads: Box::default(),
            state,
        }
    }

    /// The same with limits to what it may have in hand. On a target that is new they hold at once, else from when its plan is in
    /// force.
    pub fn limited(self, max_in_flight: Option<u32>, adaptive: Option<Arc<Adaptive>>, is_new: bool) -> Self {
        let limited = Self { max_in_flight, adaptive, ..self };
        if is_new {
            limited.take_force();
        }
        limited
    }

    /// The target as its checks know it.
    pub fn patient(&self) -> Patient {
        Patient(self.state.clone())
    }

    /// What a `Host` field that names the target says.
    pub fn authority(&self) -> &[u8] {
        match &self.address {
            Address::Ip(_) => self.name.as_bytes(),
            Address::Unix(_) => b"localhost",
        }
    }

    /// Whether it may be used: the last check left it up, neither an operator nor an agent has it down or in maintenance, and it is not
    /// ejected or may be tried.
    #[inline]
    pub fn is_up(&self) -> bool {
        !self.is_down() && self.state.live.ejection.admits(net::coarse_now)
    }

    /// Whether it is down: by its last check, or as an operator has it in maintenance. One that is ejected is not.
    #[inline]
    pub fn is_down(&self) -> bool {
        !self.passes_checks() || self.is_in_maintenance()
    }

    /// Where it stands with those that are ejected.
    #[inline]
    pub fn ejection(&self) -> &Ejection {
        &self.state.live.ejection
    }

    /// What the workers count of it, if they do.
    #[inline]
    pub fn traffic(&self) -> Option<&Traffic> {
        self.state.live.traffic.get()
    }

    /// Has the workers count what becomes of its requests from now on.
    pub fn count_traffic(&self) {
        self.state.live.count();
    }

    /// It takes requests again from now on, or for the first time: what it takes is to grow slowly, where its pool wants that.
    pub fn comes_up(&self, now: Duration) {
        self.state.live.comes_up(now);
    }

    /// How long ago it came up; where it follows others, the last of them or itself.
    pub fn up_for(&self, now: Duration) -> Duration {
        let leads = self.leads.iter().map(|lead| lead.0.live.up_for(now));
        leads.fold(self.state.live.up_for(now), Duration::min)
    }

    /// What is to be remembered of live traffic.
    pub fn live(&self) -> &Live {
        &self.state.live
    }

    /// Whether the last check left it up, and no agent says otherwise, nor what it follows.
    #[inline]
    pub fn passes_checks(&self) -> bool {
        self.state.passes() && self.leads.iter().all(|lead| lead.passes() && !lead.0.is_in_maintenance())
    }

    /// What an agent says of it, whether or not that counts.
    pub fn said(&self) -> Said {
        self.state.heard.get()
    }

    /// Whether what an agent says of it counts.
    pub fn heeds_agent(&self) -> bool {
        !self.state.deaf.load(Ordering::Relaxed)
    }

    /// Has what an agent says of it count, or not: an operator goes before it.
    pub fn heed_agent(&self, heed: bool) {
        if self.state.deaf.swap(!heed, Ordering::Relaxed) == heed {
            self.state.go_by_agent();
        }
    }

    /// How much an agent says that it takes at a time, if that counts; `None`: there is no such limit.
    pub fn agent_limit(&self) -> Option<u32> {
        self.state.agent.get().limit
    }

    /// Whether an operator or an agent has it in maintenance.
    #[inline]
    pub fn is_in_maintenance(&self) -> bool {
        self.state.is_in_maintenance() || self.leads.iter().any(|lead| lead.0.is_in_maintenance())
    }

    /// Takes it into or out of balancing, as its checks say.
    pub fn set_up(&self, up: bool) {
        self.state.set_up(up);
    }

    /// What an operator wants of it.
    pub fn mode(&self) -> Mode {
        match self.state.mode.load(Ordering::Relaxed) {
            mode if mode == Mode::Drain as u8 => Mode::Drain,
            mode if mode == Mode::Maintenance as u8 => Mode::Maintenance,
            _ => Mode::Ready,
        }
    }

    /// Says what an operator wants of it, and its weight if that is not the configuration's.
    pub fn set_mode(&self, mode: Mode, weight: Option<u32>) {
        self.state.set_mode(mode);
        self.state.weight.store(weight.unwrap_or(NO_WEIGHT), Ordering::Relaxed);
    }

    /// Its share among the others; 0 takes nothing. What an operator says goes before what an agent does.
    #[inline]
    pub fn weight(&self) -> u32 {
        if self.state.is_draining() || self.leads.iter().any(|lead| lead.0.is_draining()) {
            return 0;
        }
        match self.state.weight.load(Ordering::Relaxed) {
            NO_WEIGHT => self.state.agent.get().of(self.weight),
            weight => weight,
        }
    }

    /// Exchanges and tunnels that it serves now, over all workers.
    pub fn in_flight(&self) -> u32 {
        self.in_flight_by_worker().sum()
    }

    pub(super) fn in_flight_by_worker(&self) -> impl Iterator<Item = u32> {
        self.state.in_flight.iter().map(|count| count.load(Ordering::Relaxed))
    }

    pub(super) fn room(&self) -> &Room {
        &self.state.room
    }

    /// Forgets what worker `worker` had in flight: it died with it.
    pub fn forget(&self, worker: usize) {
        if let Some(count) = self.state.in_flight.get(worker) {
            count.store(0, Ordering::Relaxed);
        }
        self.state.room.forget(worker);
    }

    pub(super) fn enter(&self, worker: usize) {
        if let Some(count) = self.state.in_flight.get(worker) {
            count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    pub(super) fn leave(&self, worker: usize) {
        if let Some(count) = self.state.in_flight.get(worker) {
            let before = count.load(Ordering::Relaxed);
            debug_assert!(before > 0, "every leave has its enter");
            count.store(before.saturating_sub(1), Ordering::Relaxed);
        }
    }
}

impl Pool {
    /// From which address its targets are connected to for a client: `None` if from no client's.
    pub fn source_for(&self, client: Peer) -> Option<IpAddr> {
        let by_client = self.egress.as_ref().is_some_and(|egress| egress.source == net::Origin::Client);
        client.address().filter(|_| by_client).map(|address| address.ip())
    }

    /// Whether any target that takes traffic is up.
    pub fn any_up(&self) -> bool {
        self.targets.iter().any(|target| target.weight() > 0 && target.is_up())
    }
}
