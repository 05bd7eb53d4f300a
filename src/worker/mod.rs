//! The pinned thread: accept, mailbox, drain, and taking on plans.
//!
//! What always holds: a worker accepts from the slots it was dealt and, while a sibling is stuck or dead, from that
//! sibling's; it beats its [`Pulse`] about ten times a second; it takes on the newest plan that control has for it within a
//! beat, whether or not its mailbox has room; it returns only when it was told to drain and nothing is live any more, or to cut what is.
//!
//! May depend on `stream`, `http`, `lane` and what is below them.

mod accept;
mod datagrams;
mod doors;

use crate::compress;
use crate::http;
use crate::lane::Desk;
use crate::lane::bans::Bans;
use crate::lane::{Choice, Guest, GuestId, Lane, LogChange, TriedPlan};
use crate::net::{self, Backend, Either, Mailbox, Signal, Slot, race};
use crate::observe::access::Log;
use crate::observe::counters::WorkerCounters;
use crate::observe::latency::LatenciesSnapshot;
use crate::observe::trace;
use crate::observe::{analytics, file};
use crate::plan::Plan;
use crossbeam::queue::ArrayQueue;
use doors::Doors;
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU64, Ordering};
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
    /// Which of the plan's listeners each door is.
    pub doors: Vec<(DoorId, usize)>,
    /// Where to accept.
    pub places: Vec<Place>,
    /// Where control's messages come in.
    pub mailbox: Mailbox<Message>,
    /// Where the next plan comes in.
    pub inbox: Arc<Inbox>,
    /// What it counts.
    pub counters: Arc<WorkerCounters>,
    /// Whether there is room for another connection.
    pub admission: Arc<Admission>,
    /// Who is refused.
    pub bans: Arc<Bans>,
    /// Where others are asked.
    pub desk: Desk,
    /// Where it logs requests.
    pub log: Option<Log>,
    /// Where its spans go.
    pub traces: trace::Queue,
    /// Where what it sums up goes.
    pub sums: analytics::Queue,
    /// Where its records for hooks go.
    pub hooks: file::Queue,
    /// How control sees that it lives.
    pub pulse: Arc<Pulse>,
}

/// An address that is listened on, for as long as it is.
pub type DoorId = u64;

/// A slot, and at which door it is.
pub struct Place {
    /// Its door.
    pub door: DoorId,
    /// The slot.
    pub slot: Slot,
}

/// A plan to take on.
pub struct Next {
    /// Its number: each has a higher one than those before.
    pub number: u64,
    /// The plan.
    pub plan: Arc<Plan>,
    /// What is counted under it.
    pub counters: Arc<WorkerCounters>,
    /// Which of its listeners each door is; those that are not here are shut.
    pub doors: Vec<(DoorId, usize)>,
    /// Where to accept beyond what the worker has.
    pub places: Vec<Place>,
    /// Where requests are logged.
    pub log: LogChange,
    /// What is tried out beside it, if anything is.
    pub trial: Option<TriedPlan>,
}

/// Where the next plan comes in. Control replaces one that was not taken yet; see [`Inbox::put`].
pub struct Inbox(ArrayQueue<Next>);

/// How a worker answers: what is done with the answer must not wait.
pub type Reply<T> = Box<dyn FnOnce(T) + Send>;

/// What control tells a worker.
pub enum Message {
    /// Look into the inbox.
    Look,
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
    /// Send a copy of some of the histograms, from this place on, with the plan that they are of and where to go on.
    Snapshot(usize, Reply<Page>),
    /// Tell of some of these connections, from this place on, and where to go on.
    Guests(Choice, usize, Reply<(Vec<Guest>, Option<usize>)>),
    /// End some of these connections, from this place on; tell how many, and where to go on.
    CutAll(Choice, usize, Reply<(usize, Option<usize>)>),
    /// End a connection; tell whether it was there.
    Cut(GuestId, Reply<bool>),
    /// Look what the order is.
    Obey,
}

/// Some of a worker's histograms.
pub struct Page {
    /// The plan that they are of.
    pub plan: Arc<Plan>,
    /// The histograms.
    pub latencies: LatenciesSnapshot,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<usize>,
}

/// How control sees that a worker lives.
#[derive(Debug, Default)]
pub struct Pulse {
    beats: AtomicU64,
    /// The number of the last [`Next`] that it has taken on.
    taken: AtomicU64,
    /// An [`Order`].
    order: AtomicU8,
    thread: AtomicI32,
}

/// What a worker is to do with those who come, and with those who have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Serve them.
    #[default]
    Serve,
    /// Let nobody in, once the queues are empty, and have those who came leave after what is under way; then return.
    Drain,
    /// Let nobody in: another process accepts from the same queues. Those who came leave when they like, at their next answer at
    /// the latest; then return.
    HandOver,
    /// As it was told before, and end the tunnels, too.
    End,
    /// End with all that is live.
    Cut,
}

impl Order {
    fn of(number: u8) -> Self {
        [Self::Serve, Self::Drain, Self::HandOver, Self::End, Self::Cut]
            .get(usize::from(number))
            .copied()
            .unwrap_or_default()
    }
}

const TICK: Duration = Duration::from_millis(100);
/// A turn that takes this long is worth a line in the log.
const STANDSTILL: Duration = Duration::from_millis(100);
/// Ticks over which it is told how busy the worker is, the last ones weighing most.
const BUSY_OVER: u64 = 4;
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
    let Orders {
        index,
        plan,
        doors: ids,
        places,
        mailbox,
        inbox,
        counters,
        admission,
        bans,
        desk,
        log,
        traces,
        sums,
        hooks,
        pulse,
        ..
    } = orders;
    let lane = Rc::new(Lane::new(plan, index, counters, bans, desk, log, (traces, sums, hooks)));
    let lost = Signal::default();
    let doors = Rc::new(Doors::new(lane.clone(), admission, lost.clone()));
    doors.set(&ids, places);
    let (obeyed, patient) = (Cell::default(), Cell::new(false));
    let worker = Rc::new(Worker { index, lane, doors, inbox, pulse, obeyed, patient });
    let vital = Vital { ended: Vec::new(), lost: lost.clone() };
    let listening = worker.clone();
    net::spawn("mailbox", async move {
        let _vital = vital;
        if let Err(error) = mailbox.receive(|message| listening.handle(message)).await {
            tracing::error!(worker = index, %error, "the worker cannot hear control");
        }
    });
    worker.pulse.start();
    match race(worker.tick(), lost.raised()).await {
        Either::Left(()) => Ok(()),
        Either::Right(()) => Err(io::Error::other("a task that the worker cannot do without has ended")),
    }
}

struct Worker {
    index: usize,
    lane: Rc<Lane>,
    doors: Rc<Doors>,
    inbox: Arc<Inbox>,
    pulse: Arc<Pulse>,
    obeyed: Cell<Order>,
    /// Whether those who wait between two requests are left in peace.
    patient: Cell<bool>,
}

/// Held by the tasks that a worker cannot do without. If one ends before its time, by an error or a panic, so does the
/// worker, and control starts it again.
struct Vital {
    /// The task may end once one of these is raised.
    ended: Vec<Signal>,
    lost: Signal,
}

impl Drop for Vital {
    fn drop(&mut self) {
        if !self.ended.iter().any(Signal::is_raised) {
            self.lost.raise();
        }
    }
}

impl Worker {
    fn handle(&self, message: Message) {
        let begun = net::now();
        self.do_as_told(message);
        // A turn that is over before the next tick would be seen by chance only.
        self.lane.worker.longest_turn.record(nanos(begun.elapsed()), nanos(net::coarse_now()));
    }

    fn do_as_told(&self, message: Message) {
        match message {
            Message::Look => {
                self.obey();
                self.take_on();
            }
            Message::TakeOver { of, places } => self.doors.take_over(of, places),
            Message::GiveBack { of } => self.doors.give_back(of),
            Message::Snapshot(from, reply) => {
                let era = self.lane.era();
                let (latencies, next) = era.latencies.page(from);
                reply(Page { plan: era.plan.clone(), latencies, next });
            }
            Message::Guests(choice, from, reply) => reply(self.lane.guests(&choice, from)),
            Message::CutAll(choice, from, reply) => reply(self.lane.cut_all(&choice, from)),
            Message::Cut(id, reply) => reply(self.lane.cut_one(id)),
            Message::Obey => self.obey(),
        }
    }

    /// Takes on the plan that waits in the inbox, if one does.
    fn take_on(&self) {
        let Some(next) = self.inbox.0.pop() else { return };
        let Next { number, plan, counters, doors, places, log, trial } = next;
        // It may go by that plan already, and only what is beside it is new.
        let goes_by_it = Arc::ptr_eq(&self.lane.era().plan, &plan) && matches!(log, LogChange::None);
        match trial {
            Some(tried) if goes_by_it => self.lane.try_out(tried),
            trial => self.lane.take_on(plan, counters, log, trial),
        }
        self.doors.set(&doors, places);
        self.pulse.taken.store(number, Ordering::Release);
    }

    /// Does what is ordered, if it was not done before.
    fn obey(&self) {
        let order = self.pulse.order();
        let before = self.obeyed.replace(order);
        if before == order {
            return;
        }
        match order {
            // Where to accept again comes with the next plan.
            Order::Serve => self.lane.stop_draining(),
            Order::Drain | Order::HandOver => {
                self.patient.set(order == Order::HandOver);
                self.lane.drain();
                self.doors.shut(order == Order::HandOver);
            }
            Order::End => self.lane.ending.raise(),
            Order::Cut => {
                self.lane.ending.raise();
                self.lane.cut();
            }
        }
    }

    /// Tells what kept everybody on this worker waiting, if anything did.
    fn tell_slow(&self, turn: Duration) {
        let slow = net::take_slow();
        if slow.is_empty() && turn < STANDSTILL {
            return;
        }
        self.lane.worker.long_turns.inc();
        let era = self.lane.era();
        for net::Slow { kind, mark, took } in &slow {
            let route = usize::try_from(*mark).ok().and_then(|mark| era.plan.shape.routes.get(mark.checked_sub(1)?));
            tracing::warn!(
                worker = self.index,
                task = kind,
                route,
                ?took,
                "a task kept all others of its worker waiting"
            );
        }
        if slow.is_empty() {
            let took = Duration::from_millis(u64::try_from(turn.as_millis()).unwrap_or(u64::MAX));
            tracing::warn!(
                worker = self.index,
                ?took,
                "the worker was held up, by the kernel or by others on its core"
            );
        }
    }

    /// The worker was at work for `work` of a `time`. What counts is about the last second.
    fn note_busy(&self, work: Duration, time: Duration) {
        let share = work.as_micros().min(time.as_micros()) * 1000 / time.as_micros().max(1);
        let counted = &self.lane.worker;
        let busy = (counted.busy.get() * (BUSY_OVER - 1) + u64::try_from(share).unwrap_or(0)) / BUSY_OVER;
        counted.busy.set(busy);
        let (live, idle) = compress::held();
        counted.compression.held.set((live + idle) as u64);
    }

    /// Whether nothing is left to be done.
    fn is_done(&self) -> bool {
        let lane = &self.lane;
        // Who waits between two requests may send one at any time, and is not cut off for another process's sake.
        lane.is_draining() && lane.busy() == 0 && !(self.patient.get() && lane.worker.connections.get() > 0)
    }

    /// The worker's own time: deadlines, idle connections, its pulse; returns when it has drained.
    async fn tick(&self) {
        let Self { lane, pulse, .. } = self;
        let (mut last, mut worked) = (net::now(), net::thread_time());
        let (mut drained, mut cut) = (0, 0);
        for round in 1u64.. {
            net::sleep(TICK).await;
            let now = net::now();
            let late = (now - last).saturating_sub(TICK);
            let work = net::thread_time();
            self.note_busy(work.saturating_sub(worked), now - last);
            (last, worked) = (now, work);
            self.obey();
            self.take_on();
            net::sweep();
            lane.sweep();
            pulse.beat();
            // What came between two ticks shows as the lateness of the second one.
            let turn = late.max(now.elapsed());
            lane.worker.longest_turn.record(nanos(turn), nanos(net::coarse_now()));
            self.tell_slow(turn);
            if round.is_multiple_of(TRIM_EVERY) {
                net::trim_leases();
                http::trim();
                compress::trim();
            }
            // Two quiet ticks in a row: what the clients had sent by the time of the order has been read by then.
            drained = if self.is_done() { drained + 1 } else { 0 };
            // Tunnels have had a turn to end by themselves; whatever else is live ends with the loop.
            cut += u32::from(self.obeyed.get() == Order::Cut);
            if drained == 2 || cut == 2 {
                return;
            }
        }
    }
}

impl Inbox {
    /// An empty one.
    pub fn new() -> Self {
        Self(ArrayQueue::new(1))
    }

    /// Puts a plan where the worker finds it. Returns the one before it if the worker has not taken that: the new one must say
    /// again what only that one has said.
    pub fn put(&self, next: Next) -> Option<Next> {
        self.0.force_push(next)
    }

    /// Takes a plan back that the worker has not taken.
    pub fn take_back(&self) -> Option<Next> {
        self.0.pop()
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
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

    /// The number of the last [`Next`] that it has taken on.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    /// Says which number it starts with.
    pub fn starts_by(&self, number: u64) {
        self.taken.store(number, Ordering::Release);
    }

    /// Tells the worker what to do from its next beat on, whether or not its mailbox has room.
    pub fn set_order(&self, order: Order) {
        self.order.store(order as u8, Ordering::Release);
    }

    /// What it is told.
    pub fn order(&self) -> Order {
        Order::of(self.order.load(Ordering::Acquire))
    }

    fn start(&self) {
        self.thread.store(net::thread_id(), Ordering::Release);
        self.beat();
    }

    fn beat(&self) {
        self.beats.fetch_add(1, Ordering::AcqRel);
    }
}
