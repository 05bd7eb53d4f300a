//! What control counts: health checks, and files that are looked at.

use super::{Counter, Counters, Gauge, Peak, PoolHealth, Shape, TargetHealth, places, taken_over, zeroed};
use crate::observe::reason::{Delivered, PasswordCheck};
use arc_swap::ArcSwap;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What the control thread counts under one plan; it is the only writer.
#[derive(Debug)]
pub struct ControlCounters {
    /// How late checks started, ns: the longest recent delay.
    pub check_lateness: Arc<Peak>,
    /// What became of the spans that the workers handed over.
    pub spans: Arc<Counters<{ Delivered::COUNT }>>,
    /// Passwords that were looked at.
    pub passwords: Arc<Passwords>,
    /// What became of what quotas have counted.
    pub quotas: Arc<Quotas>,
    /// What became of what analytics have summed up.
    pub analytics: Arc<Analytics>,
    /// What was asked of the server through which hosts share.
    pub store: Arc<Store>,
    listeners: Box<[Arc<CertificateFiles>]>,
    pools: Box<[Arc<PoolHealth>]>,
    pool_files: Box<[Arc<CertificateFiles>]>,
    targets: Box<[Box<[Arc<TargetHealth>]>]>,
}

/// What came of passwords of which rules had to know whether they fit.
#[derive(Debug, Default)]
pub struct Passwords {
    /// By what came of each.
    pub checks: Counters<{ PasswordCheck::COUNT }>,
    /// Those that wait now, or are looked at.
    pub waiting: Gauge,
}

/// What became of what quotas have counted.
#[derive(Debug, Default)]
pub struct Quotas {
    /// Times that it was written.
    pub kept: Counter,
    /// Times that it could not be.
    pub failed: Counter,
    /// Whether it could not be the last time.
    pub failing: Gauge,
}

/// What became of what analytics have summed up.
#[derive(Debug, Default)]
pub struct Analytics {
    /// Times that it was written.
    pub kept: Counter,
    /// Times that it could not be.
    pub failed: Counter,
    /// Requests that are in memory alone.
    pub waiting: Gauge,
    /// Requests whose consumer is not told apart, as there are too many.
    pub folded: Counter,
    /// Requests that are in no sum.
    pub lost: Counter,
    /// What became of records for hooks, by the hook's name.
    pub hooks: ArcSwap<BTreeMap<String, Arc<HookCounts>>>,
}

/// What became of records for a hook.
#[derive(Debug, Default)]
pub struct HookCounts {
    /// Records that it took.
    pub sent: Counter,
    /// Records that it refused for good.
    pub rejected: Counter,
    /// Records that were more than may wait.
    pub dropped: Counter,
    /// Bytes that wait.
    pub waiting: Gauge,
}

/// What was asked of the server through which hosts share.
#[derive(Debug, Default)]
pub struct Store {
    /// Whether it answers.
    pub up: Gauge,
    /// Calls that were made.
    pub calls: Counter,
    /// Those that came to nothing.
    pub failures: Counter,
    /// Times that it was asked: several calls are made at once.
    pub questions: Counter,
    /// How long all of that took, in microseconds.
    pub micros: Counter,
    /// How long the last took, in microseconds.
    pub latency: Gauge,
    /// Hosts that share, this one included.
    pub hosts: Gauge,
    /// Times that it had no room for one more key of a quota.
    pub no_room: Counter,
}

/// What became of changes of the files that the TLS of a listener or a pool is made from, and of what authorities were asked for.
#[derive(Debug, Default)]
pub struct CertificateFiles {
    /// Certificates that were replaced, added or taken away.
    pub changes: Counter,
    /// Files that could not be used, so that what was there before stayed in service, and OCSP responses not stapled.
    pub failures: Counter,
    /// Certificates that an authority issued.
    pub issued: Counter,
    /// When it did so last, in seconds since 1970; 0: never.
    pub last_issued: Gauge,
    /// Times that asking for one came to nothing.
    pub refused: Counter,
    /// When it did so last, in seconds since 1970; 0: never.
    pub last_refused: Gauge,
}

impl ControlCounters {
    /// No check has run and every target of `shape` is up.
    pub fn new(shape: &Shape) -> Self {
        Self {
            check_lateness: Arc::default(),
            spans: Arc::default(),
            passwords: Arc::default(),
            quotas: Arc::default(),
            analytics: Arc::default(),
            store: Arc::default(),
            listeners: zeroed(shape.listeners.len()),
            pools: zeroed(shape.pools.len()),
            pool_files: zeroed(shape.pools.len()),
            targets: shape.pools.iter().map(|(_, targets)| zeroed(targets.len())).collect(),
        }
    }

    /// For `next`, as [`WorkerCounters::succeed`] does it.
    pub fn succeed(&self, last: &Shape, next: &Shape) -> Self {
        let names = |shape: &Shape| -> Vec<String> { shape.pools.iter().map(|(name, _)| name.clone()).collect() };
        let pools: HashMap<&str, usize> = places(last.pools.iter().map(|(name, _)| name));
        let targets = |(name, targets): &(String, Vec<String>)| match pools.get(name.as_str()) {
            None => zeroed(targets.len()),
            Some(&old) => taken_over(&last.pools[old].1, targets, &self.targets[old]),
        };
        Self {
            check_lateness: self.check_lateness.clone(),
            spans: self.spans.clone(),
            passwords: self.passwords.clone(),
            quotas: self.quotas.clone(),
            analytics: self.analytics.clone(),
            store: self.store.clone(),
            listeners: taken_over(&last.listeners, &next.listeners, &self.listeners),
            pools: taken_over(&names(last), &names(next), &self.pools),
            pool_files: taken_over(&names(last), &names(next), &self.pool_files),
            targets: next.pools.iter().map(targets).collect(),
        }
    }

    /// The files of listener `i` of the shape; panics as [`WorkerCounters::listener`] does.
    pub fn certificates(&self, i: usize) -> &Arc<CertificateFiles> {
        &self.listeners[i]
    }

    /// The files of pool `i` of the shape; panics as [`WorkerCounters::listener`] does.
    pub fn pool_certificates(&self, i: usize) -> &CertificateFiles {
        &self.pool_files[i]
    }

    /// The checks of pool `i` of the shape; panics as [`WorkerCounters::listener`] does.
    pub fn pool(&self, i: usize) -> &Arc<PoolHealth> {
        &self.pools[i]
    }

    /// Target `target` of pool `pool` of the shape; panics as [`WorkerCounters::listener`] does.
    pub fn target(&self, pool: usize, target: usize) -> &Arc<TargetHealth> {
        &self.targets[pool][target]
    }
}
