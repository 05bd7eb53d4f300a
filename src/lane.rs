//! One worker's side of the plan: its pools, counters, histograms and log. Everything that an exchange or a tunnel needs
//! beyond its own streams.
//!
//! Invariant: a lane belongs to one thread; what others may read of it are the counters, which it alone writes.
//!
//! May depend on `plan`, `upstream`, `net` and `observe`.

use crate::net::{self, Signal};
use crate::observe::access::Log;
use crate::observe::counters::{PoolSet, WorkerCounters};
use crate::observe::latency::{DEFAULT_LIMIT, Latencies};
use crate::plan::{Plan, Respond};
use crate::upstream::Local;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

/// One worker's side of the plan.
pub struct Lane {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The worker's side of each pool, in the plan's order.
    pub pools: Vec<Local>,
    /// What the worker counts.
    pub counters: Arc<WorkerCounters>,
    /// What the worker measures.
    pub latencies: RefCell<Latencies>,
    /// Where it logs requests, if anywhere.
    pub log: Option<RefCell<Log>>,
    /// The answer to `OPTIONS` that ends here (RFC 9110 §7.6.2).
    pub options: Arc<Respond>,
    /// Raised when the process is told to end: answers then say `Connection: close`.
    pub draining: Signal,
    busy: Cell<usize>,
    date: RefCell<String>,
}

/// Counts an exchange or tunnel as live: draining waits for it.
pub struct Busy(Rc<Lane>);

/// Counts an exchange or tunnel as in flight in a pool, also when its task panics.
pub struct InFlight<'a>(&'a PoolSet);

impl Lane {
    /// The lane of worker `index`.
    pub fn new(plan: Arc<Plan>, index: usize, counters: Arc<WorkerCounters>, log: Option<Log>) -> Self {
        let workers = plan.runtime.workers;
        let pools: Vec<Local> = plan.pools.iter().map(|pool| Local::new(pool.shared.clone(), index, workers)).collect();
        let latencies = RefCell::new(Latencies::new(plan.shape.routes.len(), pools.len(), DEFAULT_LIMIT));
        Self {
            pools,
            counters,
            latencies,
            log: log.map(RefCell::new),
            options: Arc::new(Respond { status: 200, body: String::new(), content_type: "text/plain".to_owned() }),
            draining: Signal::default(),
            busy: Cell::new(0),
            date: RefCell::new(httpdate::fmt_http_date(SystemTime::now())),
            plan,
        }
    }

    /// Marks the start of an exchange or tunnel; its end is when the guard is dropped.
    pub fn enter(self: &Rc<Self>) -> Busy {
        self.busy.set(self.busy.get() + 1);
        Busy(self.clone())
    }

    /// Marks the start of an exchange or tunnel with pool `pool`; its end is when the guard is dropped.
    pub fn enter_pool(&self, pool: usize) -> InFlight<'_> {
        let counters = self.counters.pool(pool);
        counters.in_flight.add(1);
        InFlight(counters)
    }

    /// Exchanges and tunnels that live now.
    pub fn busy(&self) -> usize {
        self.busy.get()
    }

    /// Calls `use_date` with the time of day as a `Date` header has it (RFC 9110 §5.6.7), as of the last sweep.
    pub fn with_date<T>(&self, use_date: impl FnOnce(&str) -> T) -> T {
        use_date(&self.date.borrow())
    }

    /// What has to be done about ten times a second: idle connections, the log's batch, gauges.
    pub fn sweep(&self) {
        *self.date.borrow_mut() = httpdate::fmt_http_date(SystemTime::now());
        self.pools.iter().for_each(Local::sweep);
        self.counters.worker.idle_connections.set(self.pools.iter().map(|pool| pool.idle() as u64).sum());
        self.counters.worker.panics.add(net::take_panics());
        if let Some(log) = &self.log {
            log.borrow_mut().flush();
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.sub(1);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.set(self.0.busy.get() - 1);
    }
}
