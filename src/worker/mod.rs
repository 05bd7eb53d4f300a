//! The pinned thread: accept, mailbox, drain.
//!
//! What always holds: a worker accepts from the slots it was dealt and, while a sibling is stuck or dead, from that
//! sibling's; it beats its [`Pulse`] about ten times a second; it returns only when it was told to drain and nothing
//! is live any more.
//!
//! May depend on `stream`, `http`, `lane` and what is below them.

mod accept;

use crate::http;
use crate::lane::Lane;
use crate::net::{self, Backend, Either, Mailbox, Signal, Slot, race};
use crate::observe::access::Log;
use crate::observe::counters::WorkerCounters;
use crate::observe::latency::LatenciesSnapshot;
use crate::plan::{Listener, Plan};
use accept::accept;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

pub use accept::Admission;

/// All that a worker starts with.
pub struct Orders {
    /// Which worker it is.
    pub index: usize,
    /// The core to run on.
    pub core: usize,
    /// What to run on.
    pub backend: Backend,
    /// The plan.
    pub plan: Arc<Plan>,
    /// Where to accept.
    pub posts: Vec<Place>,
    /// Where control's messages come in.
    pub mailbox: Mailbox<Message>,
    /// What it counts.
    pub counters: Arc<WorkerCounters>,
    /// Whether there is room for another connection.
    pub admission: Arc<Admission>,
    /// Where it logs requests.
    pub log: Option<Log>,
    /// How control sees that it lives.
    pub pulse: Arc<Pulse>,
}

/// A slot and the listener that it belongs to.
pub struct Place {
    /// The slot.
    pub slot: Slot,
    /// Its listener.
    pub listener: Arc<Listener>,
}

/// What control tells a worker.
pub enum Message {
    /// Accept from the slots of worker `of` too.
    TakeOver {
        /// Whose slots they are.
        of: usize,
        /// The slots.
        places: Vec<Place>,
    },
    /// Worker `of` accepts by itself again.
    GiveBack {
        /// Whose slots they are.
        of: usize,
    },
    /// Send a copy of the histograms.
    Snapshot(Box<dyn FnOnce(LatenciesSnapshot) + Send>),
    /// Stop accepting, finish what is live, and return.
    Drain,
}

/// How control sees that a worker lives.
#[derive(Debug, Default)]
pub struct Pulse {
    beats: AtomicU64,
    to_drain: AtomicBool,
    thread: AtomicI32,
}

const TICK: Duration = Duration::from_millis(100);
/// Ticks between two looks at the pool of buffers.
const TRIM_EVERY: u64 = 20;

/// Runs a worker on the calling thread until it has drained. Fails if its event loop cannot be made.
pub fn run(orders: Orders) -> io::Result<()> {
    net::name_thread(&format!("ringway-w{}", orders.index));
    if !net::pin(orders.core) {
        tracing::warn!(worker = orders.index, core = orders.core, "the kernel did not let the worker be pinned");
    }
    let (backend, index) = (orders.backend, orders.index);
    net::enter(backend, index, serve(orders))?
}

async fn serve(orders: Orders) -> io::Result<()> {
    let Orders { index, plan, posts, mailbox, counters, admission, log, pulse, .. } = orders;
    let lane = Rc::new(Lane::new(plan, index, counters, log));
    let lost = Signal::default();
    for place in posts {
        let vital = Vital { ended: lane.draining.clone(), lost: lost.clone() };
        net::spawn(accept(lane.clone(), place, admission.clone(), lane.draining.clone(), vital));
    }
    let borrowed: Rc<RefCell<Vec<(usize, Signal)>>> = Rc::default();
    let handler = {
        let (lane, borrowed, lost) = (lane.clone(), borrowed.clone(), lost.clone());
        move |message| handle(message, &lane, &admission, &borrowed, &lost)
    };
    let vital = Vital { ended: Signal::default(), lost: lost.clone() };
    net::spawn(async move {
        let _vital = vital;
        if let Err(error) = mailbox.receive(handler).await {
            tracing::error!(worker = index, %error, "the worker cannot hear control");
        }
    });
    pulse.start();
    match race(tick(&lane, &pulse), lost.raised()).await {
        Either::Left(()) => Ok(()),
        Either::Right(()) => Err(io::Error::other("a task that the worker cannot do without has ended")),
    }
}

/// Held by the tasks that a worker cannot do without. If one ends before its time, by an error or a panic, so does the
/// worker, and control starts it again.
struct Vital {
    /// Raised when the task may end.
    ended: Signal,
    lost: Signal,
}

impl Drop for Vital {
    fn drop(&mut self) {
        if !self.ended.is_raised() {
            self.lost.raise();
        }
    }
}

fn handle(
    message: Message,
    lane: &Rc<Lane>,
    admission: &Arc<Admission>,
    borrowed: &RefCell<Vec<(usize, Signal)>>,
    lost: &Signal,
) {
    match message {
        Message::TakeOver { of, places } => {
            let stop = Signal::default();
            for place in places {
                let vital = Vital { ended: stop.clone(), lost: lost.clone() };
                net::spawn(accept(lane.clone(), place, admission.clone(), stop.clone(), vital));
            }
            borrowed.borrow_mut().push((of, stop));
        }
        Message::GiveBack { of } => borrowed.borrow_mut().retain(|(owner, stop)| {
            if *owner == of {
                stop.raise();
            }
            *owner != of
        }),
        Message::Snapshot(reply) => reply(lane.latencies.borrow().snapshot()),
        Message::Drain => {
            lane.draining.raise();
            borrowed.take().iter().for_each(|(_, stop)| stop.raise());
        }
    }
}

/// The worker's own time: deadlines, idle connections, its pulse; returns when it has drained.
async fn tick(lane: &Lane, pulse: &Pulse) {
    let mut last = net::now();
    let mut drained = 0;
    for round in 1u64.. {
        net::sleep(TICK).await;
        let now = net::now();
        let late = (now - last).saturating_sub(TICK);
        last = now;
        let worker = &lane.counters.worker;
        net::sweep();
        lane.sweep();
        pulse.beat();
        // What came between two ticks shows as the lateness of the second one.
        let turn = late.max(now.elapsed());
        worker.longest_turn.record(nanos(turn), nanos(net::coarse_now()));
        if round.is_multiple_of(TRIM_EVERY) {
            net::trim_leases();
            http::trim();
        }
        if pulse.is_to_drain() {
            lane.draining.raise();
        }
        // Two quiet ticks in a row: what the clients had sent by the time of the order has been read by then.
        drained = if lane.draining.is_raised() && lane.busy() == 0 { drained + 1 } else { 0 };
        if drained == 2 {
            return;
        }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

impl Pulse {
    /// Beats since the worker started; 0 until it accepts.
    pub fn beats(&self) -> u64 {
        self.beats.load(Ordering::Acquire)
    }

    /// The kernel's id of the worker's thread, once it accepts.
    pub fn thread(&self) -> Option<i32> {
        Some(self.thread.load(Ordering::Acquire)).filter(|&id| id != 0)
    }

    /// Tells the worker to drain at its next beat, whether or not its mailbox has room.
    pub fn ask_to_drain(&self) {
        self.to_drain.store(true, Ordering::Release);
    }

    fn is_to_drain(&self) -> bool {
        self.to_drain.load(Ordering::Acquire)
    }

    fn start(&self) {
        self.thread.store(net::thread_id(), Ordering::Release);
        self.beat();
    }

    fn beat(&self) {
        self.beats.fetch_add(1, Ordering::AcqRel);
    }
}
