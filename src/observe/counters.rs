//! Counters that one thread writes and anyone reads.
//!
//! Each worker has a [`WorkerCounters`] of its own and is its only writer; control has a [`ControlCounters`]. That is
//! why adding needs no atomic read-modify-write: it is a plain load, add and store that other threads may observe at
//! any moment. A second writer would lose counts, never worse. Every set has cache lines of its own, so that two
//! workers never share one.
//!
//! Sets are reached by index, in the order of the [`Shape`] they were made from. What succeeds a shape takes over the
//! sets of the names that both have, so that what counts under an old plan counts on.

mod cached;
mod control;
mod ruled;
mod stuck;

pub use super::checked::{LastCheck, PoolHealth, TargetHealth};
use super::compression::Compression;
use super::datagrams::{ListenerDatagrams, TargetDatagrams};
use super::reason::{Class, Delivered, Failure, Flood, Handshake, Outcome, PasswordCheck, Reason, Retried, Sticking};
use super::remark::Remarks;
pub use cached::CacheSet;
pub use control::{Analytics, CertificateFiles, ControlCounters, HookCounts, Passwords, Quotas, Store};
use crossbeam::utils::CachePadded;
pub use ruled::RuleSet;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that only grows. One writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`, wrapping at 2⁶⁴.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// The value; any thread may ask.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down, never below zero. One writer.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Adds `n`.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Takes `n` away again.
    #[inline]
    pub fn sub(&self, n: u64) {
        let now = self.0.load(Relaxed);
        debug_assert!(now >= n, "a gauge gave back more than it took: {now} - {n}");
        self.0.store(now.saturating_sub(n), Relaxed);
    }

    /// Sets the value.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// The value; any thread may ask.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The largest value of the last minute or two. One writer.
///
/// It rotates by time and not when it is read, so that several readers see the same and a scrape every minute misses
/// nothing.
#[derive(Debug, Default)]
pub struct Peak {
    current: AtomicU64,
    previous: AtomicU64,
    window: AtomicU64,
}

impl Peak {
    const WINDOW_NS: u64 = 60_000_000_000;

    /// Notes `value`, seen at `now_ns` of a monotonic clock.
    #[inline]
    pub fn record(&self, value: u64, now_ns: u64) {
        let window = now_ns / Self::WINDOW_NS;
        let last = self.window.load(Relaxed);
        if window != last {
            let previous = if window == last + 1 { self.current.load(Relaxed) } else { 0 };
            self.previous.store(previous, Relaxed);
            self.current.store(value, Relaxed);
            self.window.store(window, Relaxed);
        } else if value > self.current.load(Relaxed) {
            self.current.store(value, Relaxed);
        }
    }

    /// The largest value noted in this window and the one before.
    pub fn get(&self) -> u64 {
        self.current.load(Relaxed).max(self.previous.load(Relaxed))
    }
}

/// One [`Counter`] per value of a closed vocabulary.
#[derive(Debug)]
pub struct Counters<const N: usize>(pub(super) [Counter; N]);

impl<const N: usize> Default for Counters<N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl Counters<{ Class::COUNT }> {
    /// Counts one response of `status`; 0 means that none was sent.
    #[inline]
    pub fn status(&self, status: u16) {
        self.0[Class::of(status).index()].inc();
    }
}

impl Counters<{ Reason::COUNT }> {
    /// Counts one refusal.
    #[inline]
    pub fn refused(&self, reason: Reason) {
        self.0[reason.index()].inc();
    }
}

impl Counters<{ Failure::COUNT }> {
    /// Counts one failure.
    #[inline]
    pub fn failed(&self, failure: Failure) {
        self.0[failure.index()].inc();
    }
}

impl Counters<{ Flood::COUNT }> {
    /// Counts one flood.
    #[inline]
    pub fn flooded(&self, kind: Flood) {
        self.0[kind.index()].inc();
    }
}

impl Counters<{ Outcome::COUNT }> {
    /// Counts one check.
    pub fn checked(&self, outcome: Outcome) {
        self.0[outcome.index()].inc();
    }
}

impl Counters<{ Handshake::COUNT }> {
    /// Counts one handshake.
    #[inline]
    pub fn shaken(&self, kind: Handshake) {
        self.0[kind.index()].inc();
    }
}

impl Counters<{ Retried::COUNT }> {
    /// Counts one try beyond the first.
    #[inline]
    pub fn retried(&self, why: Retried) {
        self.0[why.index()].inc();
    }
}

impl Counters<{ Delivered::COUNT }> {
    /// Counts what became of `spans` spans.
    pub fn delivered(&self, how: Delivered, spans: u64) {
        self.0[how.index()].add(spans);
    }
}

impl Counters<{ PasswordCheck::COUNT }> {
    /// Counts one password.
    pub fn count(&self, what: PasswordCheck) {
        self.0[what.index()].inc();
    }
}

impl<const N: usize> Counters<N> {
    /// The values, by the index of the vocabulary.
    pub fn get(&self) -> [u64; N] {
        std::array::from_fn(|i| self.0[i].get())
    }
}

/// What there is to count for: the names of a plan's listeners, routes, pools and targets, in the plan's order. The
/// names become label values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Names of the listeners.
    pub listeners: Vec<String>,
    /// Names of the routes.
    pub routes: Vec<String>,
    /// The positions of routes that pass TLS on.
    pub passing: Vec<usize>,
    /// The positions of routes that have a condition.
    pub conditional_routes: Vec<usize>,
    /// Names of the pools, each with its targets' addresses.
    pub pools: Vec<(String, Vec<String>)>,
    /// Names of the caches.
    pub caches: Vec<String>,
    /// Names of the rules.
    pub rules: Vec<String>,
    /// The positions of rules that ban clients.
    pub banning: Vec<usize>,
    /// The positions of rules that slow down requests.
    pub slowing: Vec<usize>,
    /// The positions of those that have a condition.
    pub conditional_rules: Vec<usize>,
}

/// A set with cache lines of its own, which plans that follow each other share.
pub type Shared<T> = Arc<CachePadded<T>>;

/// All counters of one worker under one plan.
#[derive(Debug)]
pub struct WorkerCounters {
    /// The thread's own.
    pub worker: Shared<WorkerSet>,
    listeners: Box<[Shared<ListenerSet>]>,
    routes: Box<[Shared<RouteSet>]>,
    pools: Box<[PoolCounters]>,
    caches: Box<[Shared<CacheSet>]>,
    rules: Box<[Shared<RuleSet>]>,
}

/// The counters of a pool and its targets.
#[derive(Clone, Debug, Default)]
pub struct PoolCounters {
    set: Shared<PoolSet>,
    targets: Box<[Shared<TargetSet>]>,
}

impl Deref for PoolCounters {
    type Target = PoolSet;

    fn deref(&self) -> &PoolSet {
        &self.set
    }
}

/// What a worker counts about itself.
#[derive(Debug, Default)]
pub struct WorkerSet {
    /// The longest recent turn, ns.
    pub longest_turn: Peak,
    /// Looks at the clock, ten a second, that found a turn of over 100 ms.
    pub long_turns: Counter,
    /// Times that accepting stopped because the connection or file limit was reached.
    pub accept_pauses: Counter,
    /// Client connections open now.
    pub connections: Gauge,
    /// Panics caught; each ended one connection.
    pub panics: Counter,
    /// Access log lines dropped because the file thread did not keep up.
    pub log_lines_dropped: Counter,
    /// Records for hooks dropped because control did not keep up.
    pub hook_records_dropped: Counter,
    /// Spans dropped because there was no room for them in the queue.
    pub spans_dropped: Counter,
    /// Connections to targets that wait to be used again.
    pub idle_connections: Gauge,
    /// Bytes of requests' bodies that are held for another try.
    pub retry_bytes: Gauge,
    /// Bodies that are not held any more because they are too long for that, or because there is no room.
    pub retry_bodies_dropped: Counter,
    /// Thousandths of its time that the worker has been busy of late.
    pub busy: Gauge,
    /// What it has compressed.
    pub compression: Compression,
    /// Tokens that were known to be signed well.
    pub tokens_known: Gauge,
    /// Tokens whose signatures had to be verified.
    pub tokens_verified: Gauge,
    /// Bytes that tokens take that are known.
    pub token_bytes: Gauge,
    /// Bytes of bodies that routes buffer in memory.
    pub buffered_bytes: Gauge,
    /// Bodies that were to be buffered and are too long for that, or found no room.
    pub buffers_full: Counter,
    /// Bytes of the disk that files of bodies take.
    pub buffered_disk_bytes: Gauge,
    /// Bodies that found no more room on the disk.
    pub buffers_disk_full: Counter,
    /// Bodies of which something could not be written to the disk, or not be read from it.
    pub buffers_disk_errors: Counter,
    /// Exchanges that are worth a look.
    pub remarks: Remarks,
}

/// Per listener.
#[derive(Debug, Default)]
pub struct ListenerSet {
    /// Connections accepted.
    pub accepted: Counter,
    /// Connections open now.
    pub open: Gauge,
    /// Bytes received from clients.
    pub received: Counter,
    /// Bytes sent to clients.
    pub sent: Counter,
    /// HTTP requests by class of the status sent.
    pub requests: Counters<{ Class::COUNT }>,
    /// Requests and connections that Ringway refused.
    pub refusals: Counters<{ Reason::COUNT }>,
    /// TLS handshakes that were completed.
    pub handshakes: Counters<{ Handshake::COUNT }>,
    /// Connections on which HTTP/2 was spoken.
    pub h2_connections: Counter,
    /// Streams that began on them.
    pub h2_streams: Counter,
    /// Connections that were ended for a flood of frames.
    pub floods: Counters<{ Flood::COUNT }>,
    /// What came and went as datagrams.
    pub datagrams: ListenerDatagrams,
}

/// Per route.
#[derive(Debug, Default)]
pub struct RouteSet {
    /// Connections passed on.
    pub connections: Counter,
    /// Requests of which its condition could not say anything.
    pub unclear: Counter,
    /// Requests by class of the status sent.
    pub requests: Counters<{ Class::COUNT }>,
}

/// Per pool.
#[derive(Debug, Default)]
pub struct PoolSet {
    /// Exchanges (HTTP) or connections (TCP) given to the pool.
    pub requests: Counter,
    /// Tries beyond the first, by why they were needed.
    pub retries: Counters<{ Retried::COUNT }>,
    /// Tries that a budget did not allow.
    pub denied: Counter,
    /// Times that a second target, asked while the first was slow, answered first.
    pub hedges_won: Counter,
    /// Exchanges in flight now.
    pub in_flight: Gauge,
    /// Times that somebody waited for a target with room.
    pub queued: Counter,
    /// What went wrong; a try that was repeated with success counts too.
    pub failures: Counters<{ Failure::COUNT }>,
    /// TLS handshakes with targets that were completed.
    pub handshakes: Counters<{ Handshake::COUNT }>,
    /// Connections to targets on which HTTP/2 is spoken.
    pub h2_connections: Counter,
    /// Exchanges that began on them.
    pub h2_streams: Counter,
    /// Where clients stood to the targets, in a pool that is sticky.
    pub sticky: Counters<{ Sticking::COUNT }>,
}

/// Per target.
#[derive(Debug, Default)]
pub struct TargetSet {
    /// Tries sent to the target.
    pub requests: Counter,
    /// Tries in flight now.
    pub in_flight: Gauge,
    /// Connections opened to it; the rest of the requests went over used ones.
    pub connects: Counter,
    /// Tries that failed.
    pub failures: Counter,
    /// Bytes sent to the target.
    pub sent: Counter,
    /// Bytes received from the target.
    pub received: Counter,
    /// Exchanges and connections of clients that belong to it.
    pub kept: Counter,
    /// What came and went as datagrams.
    pub datagrams: TargetDatagrams,
}

impl WorkerCounters {
    /// All zero, for `shape`.
    pub fn new(shape: &Shape) -> Self {
        Self {
            worker: Shared::default(),
            listeners: zeroed(shape.listeners.len()),
            routes: zeroed(shape.routes.len()),
            pools: shape.pools.iter().map(|(_, targets)| PoolCounters::new(targets.len())).collect(),
            caches: zeroed(shape.caches.len()),
            rules: zeroed(shape.rules.len()),
        }
    }

    /// For `next`: what has the same name as under `last`, which these are for, counts on; the rest begins at zero.
    pub fn succeed(&self, last: &Shape, next: &Shape) -> Self {
        let pools: HashMap<&str, usize> = places(last.pools.iter().map(|(name, _)| name));
        let pool = |(name, targets): &(String, Vec<String>)| match pools.get(name.as_str()) {
            None => PoolCounters::new(targets.len()),
            Some(&old) => {
                let set = self.pools[old].set.clone();
                PoolCounters { set, targets: taken_over(&last.pools[old].1, targets, &self.pools[old].targets) }
            }
        };
        Self {
            worker: self.worker.clone(),
            listeners: taken_over(&last.listeners, &next.listeners, &self.listeners),
            routes: taken_over(&last.routes, &next.routes, &self.routes),
            pools: next.pools.iter().map(pool).collect(),
            caches: taken_over(&last.caches, &next.caches, &self.caches),
            rules: taken_over(&last.rules, &next.rules, &self.rules),
        }
    }

    /// Sets back what counts the living: the worker that did is gone and so are they. For control alone, while no
    /// worker writes.
    pub fn clear_gauges(&self) {
        self.worker.connections.set(0);
        self.worker.idle_connections.set(0);
        self.worker.retry_bytes.set(0);
        self.worker.busy.set(0);
        self.worker.compression.held.set(0);
        self.worker.buffered_bytes.set(0);
        self.worker.buffered_disk_bytes.set(0);
        self.listeners.iter().for_each(|listener| listener.clear_gauges());
        for pool in &self.pools {
            pool.in_flight.set(0);
            pool.targets.iter().for_each(|target| target.in_flight.set(0));
        }
    }

    /// Listener `i` of the shape. Panics when there is none: an index comes from the same plan as the shape.
    #[inline]
    pub fn listener(&self, i: usize) -> &Shared<ListenerSet> {
        &self.listeners[i]
    }

    /// Route `i` of the shape; panics as [`Self::listener`] does.
    #[inline]
    pub fn route(&self, i: usize) -> &Shared<RouteSet> {
        &self.routes[i]
    }

    /// Pool `i` of the shape; panics as [`Self::listener`] does.
    #[inline]
    pub fn pool(&self, i: usize) -> &PoolCounters {
        &self.pools[i]
    }

    /// Cache `i` of the shape; panics as [`Self::listener`] does.
    #[inline]
    pub fn cache(&self, i: usize) -> &Shared<CacheSet> {
        &self.caches[i]
    }

    /// Rule `i` of the shape; panics as [`Self::listener`] does.
    #[inline]
    pub fn rule(&self, i: usize) -> &Shared<RuleSet> {
        &self.rules[i]
    }
}

impl PoolCounters {
    fn new(targets: usize) -> Self {
        Self { set: Shared::default(), targets: zeroed(targets) }
    }

    /// The pool's own, to be kept for longer than the plan.
    pub fn own(&self) -> &Shared<PoolSet> {
        &self.set
    }

    /// Target `i` of the pool; panics as [`WorkerCounters::listener`] does.
    #[inline]
    pub fn target(&self, i: usize) -> &Shared<TargetSet> {
        &self.targets[i]
    }
}

impl ListenerSet {
    /// Counts a connection that is ended for a flood.
    pub fn flooded(&self, kind: Flood) {
        self.refusals.refused(Reason::Flood);
        self.floods.flooded(kind);
    }
}

fn zeroed<T: Default>(count: usize) -> Box<[Arc<T>]> {
    (0..count).map(|_| Arc::default()).collect()
}

fn places<'a>(names: impl Iterator<Item = &'a String>) -> HashMap<&'a str, usize> {
    names.enumerate().map(|(place, name)| (name.as_str(), place)).collect()
}

/// One for each of `next`: that of the same name among `last`, if there is one.
fn taken_over<T: Default>(last: &[String], next: &[String], sets: &[Arc<T>]) -> Box<[Arc<T>]> {
    let places = places(last.iter());
    let set = |name: &String| places.get(name.as_str()).map_or_else(Arc::default, |&place| sets[place].clone());
    next.iter().map(set).collect()
}

#[cfg(test)]
mod tests;
