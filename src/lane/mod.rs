//! One worker's side of plans: what an exchange or a tunnel needs beyond its own streams.
//!
//! A [`Lane`] lasts as long as its worker. An [`Era`] is the worker's side of one plan: it begins when the worker takes the
//! plan on and ends when nothing goes by it any more. A [`Gate`] is the worker's side of a listener over all plans that have
//! it; a [`Visit`] is one connection that came in by it.
//!
//! What always holds: a lane belongs to one thread; what others may read of it are the counters, which it alone writes. An
//! exchange holds the era that it began in; a connection that waits holds none, so that an old plan goes with its last
//! exchange.
//!
//! May depend on `plan`, `upstream`, `gateway`, `net` and `observe`.

pub mod bans;
mod era;
pub mod feed;
mod gate;
mod guard;
mod register;
mod rooms;

pub use era::Era;
pub use gate::{Gate, Seat, Share, Visit, lot};
pub use register::{AT_ONCE, Choice, Guest, GuestId, LOOKED_AT, Passed, Speech, Ticket, piece};
pub use rooms::Sessions;

use crate::gateway::idempotency::{Claimed, Claiming};
use crate::gateway::jwt::Cache;
use crate::gateway::{Failure, Question, Said};
use crate::net::{self, Caller, Signal};
use crate::observe::access::{Format, Log, Policy, Settings};
use crate::observe::analytics::{self, Book};
use crate::observe::counters::{PoolSet, Shared, WorkerCounters, WorkerSet};
use crate::observe::file;
use crate::observe::tally::Tally;
use crate::observe::trace::{self, Tracer};
use crate::plan::{Plan, Respond, Store};
use bans::Bans;
use register::Register;
use rooms::Rooms;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::SystemTime;

/// Where rules ask others, which the control thread does for them.
#[derive(Clone, Debug)]
pub struct Desk {
    /// What rules ask.
    pub rules: net::Desk<Question, Result<Said, Failure>>,
    /// What is asked of other hosts about Idempotency-Keys.
    pub keys: net::Desk<Claiming<Caller>, Claimed<Caller>>,
}

/// One worker's side of all plans.
pub struct Lane {
    /// What the worker counts of itself.
    pub worker: Shared<WorkerSet>,
    /// Where it tells of requests as traces, if their plan has it so.
    pub tracer: Tracer,
    /// Where it sums up exchanges, if the present plan has it so.
    pub book: RefCell<Option<Book>>,
    /// Where it puts records for hooks, if the present plan has any.
    pub records: RefCell<Option<Log>>,
    /// Where these are handed over.
    hooks: file::Queue,
    /// Where that is handed over.
    sums: analytics::Queue,
    /// The answer to `OPTIONS` that ends here (RFC 9110 §7.6.2).
    pub options: Arc<Respond>,
    /// Raised when tunnels have to end.
    pub ending: Signal,
    draining: Cell<bool>,
    cut: Cell<bool>,
    /// Who is refused.
    pub bans: Arc<Bans>,
    /// Where others are asked.
    pub desk: Desk,
    /// Tokens that rules have found to be signed well.
    pub tokens: RefCell<Cache>,
    register: Register,
    rooms: Rooms,
    era: RefCell<Rc<Era>>,
    /// One that is tried out beside it.
    trial: RefCell<Option<Rc<Era>>>,
    /// In the order of the plan's listeners.
    gates: RefCell<Vec<Rc<Gate>>>,
    busy: Cell<usize>,
    date: RefCell<String>,
}

/// Counts an exchange or tunnel as live: draining waits for it.
pub struct Busy(Rc<Lane>);

/// Counts an exchange or tunnel as in flight in a pool, also when its task panics.
pub struct InFlight(Shared<PoolSet>);

/// Where a plan's requests are logged, as a worker is told with it.
pub enum LogChange {
    /// Where they were logged before.
    None,
    /// There from now on, or nowhere.
    To(Option<Box<Log>>),
}

/// A plan that is tried out beside the present one. It has the same listeners.
pub struct TriedPlan {
    /// The plan.
    pub plan: Arc<Plan>,
    /// What is counted under it.
    pub counters: Arc<WorkerCounters>,
    /// The share of connections that go by it.
    pub share: Share,
    /// Where is counted how each of the two does, the present one first.
    pub tallies: [Arc<Tally>; 2],
}

/// What a worker's part of verified tokens may take, in bytes.
fn share_of_tokens(plan: &Plan) -> u64 {
    plan.limits.verified_tokens / plan.runtime.workers.max(1) as u64
}

/// Where records for hooks are put, if there are any: as the access log has them, in JSON.
fn records(plan: &Plan, worker: &Shared<WorkerSet>, hooks: &file::Queue) -> Option<Log> {
    plan.config.analytics.as_ref().filter(|of| !of.hooks.is_empty())?;
    let settings = Settings { redact_query: plan.config.secret_queries(), ..Settings::new(Format::Json) };
    let log = Log::new(Arc::new(Policy::new(settings)), 0, hooks.clone(), worker.clone());
    Some(log.counting(|of| &of.hook_records_dropped))
}

impl Lane {
    /// The lane of worker `index`, whose spans go to `traces`, and whose sums to `sums` and records to `hooks`.
    pub fn new(
        plan: Arc<Plan>,
        index: usize,
        counters: Arc<WorkerCounters>,
        bans: Arc<Bans>,
        desk: Desk,
        log: Option<Log>,
        (traces, sums, hooks): (trace::Queue, analytics::Queue, file::Queue),
    ) -> Self {
        let worker = counters.worker.clone();
        let tokens = RefCell::new(Cache::new(share_of_tokens(&plan)));
        let era = Rc::new(Era::new(plan, index, counters, log));
        let gates = (0..era.plan.listeners.len()).map(|listener| Rc::new(Gate::new(era.clone(), listener))).collect();
        Self {
            tracer: Tracer::new(traces, worker.clone()),
            book: RefCell::new(era.plan.config.analytics.as_ref().map(|of| Book::new(of.max_series, sums.clone()))),
            records: RefCell::new(records(&era.plan, &worker, &hooks)),
            sums,
            hooks,
            worker,
            options: Arc::new(Respond::options()),
            ending: Signal::default(),
            draining: Cell::new(false),
            cut: Cell::new(false),
            bans,
            desk,
            tokens,
            register: Register::default(),
            rooms: Rooms::default(),
            era: RefCell::new(era),
            trial: RefCell::default(),
            gates: RefCell::new(gates),
            busy: Cell::new(0),
            date: RefCell::new(httpdate::fmt_http_date(SystemTime::now())),
        }
    }

    /// The present era.
    pub fn era(&self) -> Rc<Era> {
        self.era.borrow().clone()
    }

    /// The gate of a listener of the present plan, by its position.
    pub fn gate(&self, listener: usize) -> Option<Rc<Gate>> {
        self.gates.borrow().get(listener).cloned()
    }

    /// Takes a plan on: what begins from now on goes by it. What keeps its name goes on with its connections, counts and
    /// times; who came in by a listener that is gone, or is another one now, is told to leave. `tried` is tried out beside it.
    pub fn take_on(&self, plan: Arc<Plan>, counters: Arc<WorkerCounters>, log: LogChange, tried: Option<TriedPlan>) {
        self.tokens.borrow_mut().resize(share_of_tokens(&plan));
        self.keep_book(&plan);
        let old = self.era();
        old.tally_by(None);
        let last = self.trial.take();
        let era = match &last {
            // It has proven itself.
            Some(tried) if Arc::ptr_eq(&tried.plan, &plan) => {
                tried.tally_by(None);
                tried.clone()
            }
            _ => Rc::new(old.succeed(plan, counters, log, None)),
        };
        let before = self.gates.take();
        let mut gates = Vec::with_capacity(era.plan.listeners.len());
        let origins = era::origins(old.plan.listener_names(), era.plan.listener_names());
        for (place, origin) in origins.into_iter().enumerate() {
            let listener = &era.plan.listeners[place];
            let continued = origin.filter(|&origin| listener.continues(&old.plan.listeners[origin]));
            match continued.and_then(|origin| before.get(origin)) {
                Some(gate) => {
                    gate.go_by(era.clone(), place);
                    gates.push(gate.clone());
                }
                None => gates.push(Rc::new(Gate::new(era.clone(), place))),
            }
        }
        for gate in before {
            if !gates.iter().any(|kept| Rc::ptr_eq(kept, &gate)) {
                gate.leaving.raise();
            }
        }
        if self.draining.get() {
            gates.iter().for_each(|gate| gate.leaving.raise());
        }
        self.gates.replace(gates);
        era.pools.iter().for_each(|pool| pool.pool().take_force());
        era.plan.caches.iter().for_each(Store::take_force);
        self.era.replace(era);
        if let Some(tried) = tried {
            self.begin_trial(tried, last.as_deref());
        }
    }

    /// Sums up exchanges from now on, or no more.
    fn keep_book(&self, plan: &Plan) {
        let book = &mut *self.book.borrow_mut();
        match (&plan.config.analytics, &mut *book) {
            (Some(of), Some(book)) => book.resize(of.max_series),
            (Some(of), None) => *book = Some(Book::new(of.max_series, self.sums.clone())),
            (None, Some(book)) => book.close(),
            (None, None) => {}
        }
        if self.era().plan.config.analytics != plan.config.analytics
            || self.era().plan.config.rules != plan.config.rules
        {
            *self.records.borrow_mut() = records(plan, &self.worker, &self.hooks);
        }
    }

    /// Has a share of connections go by another plan. One that was tried out before has this one go on with its connections.
    pub fn try_out(&self, tried: TriedPlan) {
        let before = self.trial.take();
        self.begin_trial(tried, before.as_deref());
    }

    fn begin_trial(&self, TriedPlan { plan, counters, share, tallies }: TriedPlan, before: Option<&Era>) {
        let [own, tried] = tallies;
        let present = self.era();
        let era = Rc::new(present.succeed(plan, counters, LogChange::None, before));
        present.tally_by(Some(own));
        era.tally_by(Some(tried));
        self.gates.borrow().iter().for_each(|gate| gate.try_out(era.clone(), share));
        self.trial.replace(Some(era));
    }

    /// Whether whoever came in is to leave.
    pub fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Has whoever came in leave after what is under way: answers say `Connection: close` from now on.
    pub fn drain(&self) {
        self.draining.set(true);
        let gates = self.gates.borrow().clone();
        gates.iter().for_each(|gate| gate.leaving.raise());
    }

    /// What is live ends now, as the process does.
    pub fn cut(&self) {
        self.cut.set(true);
    }

    /// Whether what ends, ends because the process does.
    pub fn is_cut(&self) -> bool {
        self.cut.get()
    }

    /// Whoever comes in from now on may stay.
    pub fn stop_draining(&self) {
        self.draining.set(false);
        let era = self.era();
        let gates = (0..era.plan.listeners.len()).map(|listener| Rc::new(Gate::new(era.clone(), listener))).collect();
        self.gates.replace(gates);
    }

    /// Something else is spoken on a connection from now on.
    pub fn speaks(&self, ticket: Ticket, speech: Speech) {
        self.register.speaks(ticket, speech);
    }

    /// A target is asked for what came on a connection, by its hash.
    #[inline]
    pub fn asks(&self, ticket: Ticket, target: u64) {
        self.register.asks(ticket, target);
    }

    /// What the client of a connection has dialled, if it is an IP address. Costs a system call unless a proxy has said it.
    pub fn destination(&self, ticket: Ticket) -> Option<SocketAddr> {
        self.register.destination(ticket)
    }

    /// Shows the sessions of an address beside the connections, for as long as they are there.
    pub fn shows(&self, sessions: Weak<dyn Sessions>) {
        self.rooms.add(sessions);
    }

    /// Some of the connections and sessions that are meant, from this place on, and where to go on.
    pub fn guests(&self, choice: &Choice, from: usize) -> (Vec<Guest>, Option<usize>) {
        let first = |from| self.register.page(choice, from);
        let (mut guests, next) = self.rooms.visit(from, first, |sessions, from| sessions.page(choice, from));
        rooms::name(from, &mut guests);
        (guests, next)
    }

    /// Ends some of those that are meant, from this place on. Returns how many, and where to go on.
    pub fn cut_all(&self, choice: &Choice, from: usize) -> (usize, Option<usize>) {
        let first = |from| self.register.cut_all(choice, from);
        self.rooms.visit(from, first, |sessions, from| sessions.cut_all(choice, from))
    }

    /// Ends one. False: it is not there any more.
    pub fn cut_one(&self, id: GuestId) -> bool {
        self.rooms.with(id, |id| self.register.cut(id), |sessions, id| sessions.cut(id)).unwrap_or(false)
    }

    /// Marks the start of an exchange or tunnel; its end is when the guard is dropped.
    pub fn enter(self: &Rc<Self>) -> Busy {
        self.busy.set(self.busy.get() + 1);
        Busy(self.clone())
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
        let era = self.era();
        era.pools.iter().for_each(|pool| pool.sweep());
        self.worker.idle_connections.set(era.pools.iter().map(|pool| pool.idle() as u64).sum());
        self.worker.panics.add(net::take_panics());
        let tokens = self.tokens.borrow();
        self.worker.tokens_known.set(tokens.hits());
        self.worker.tokens_verified.set(tokens.misses());
        self.worker.token_bytes.set(tokens.bytes());
        drop(tokens);
        if let Some(trial) = &*self.trial.borrow() {
            trial
                .pools
                .iter()
                .filter(|pool| !era.pools.iter().any(|own| Rc::ptr_eq(own, pool)))
                .for_each(|pool| pool.sweep());
        }
        self.register.trim();
        if let Some(log) = &era.log {
            log.borrow_mut().flush();
        }
        let book = &mut *self.book.borrow_mut();
        if let Some(kept) = book {
            kept.sweep(self.draining.get());
            if kept.is_done() {
                *book = None;
            }
        }
        if let Some(records) = &mut *self.records.borrow_mut() {
            records.flush();
        }
        self.tracer.flush();
    }
}

impl InFlight {
    /// Counts one in flight in the pool of these counters.
    pub fn enter(pool: &Shared<PoolSet>) -> Self {
        pool.in_flight.add(1);
        Self(pool.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.sub(1);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.set(self.0.busy.get() - 1);
    }
}
