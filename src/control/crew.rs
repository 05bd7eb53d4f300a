//! The workers' lives: starting them, watching their pulse, standing in for those that stopped.

use super::sockets::Sockets;
use crate::net::{self, Backend, Post};
use crate::observe::access::{Format, Log};
use crate::observe::counters::WorkerCounters;
use crate::observe::file::Queue;
use crate::plan::Plan;
use crate::worker::{self, Admission, Message, Orders, Pulse};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// All workers of the process.
pub struct Crew {
    plan: Arc<Plan>,
    sockets: Sockets,
    backend: Backend,
    cores: Vec<usize>,
    admission: Arc<Admission>,
    counters: Vec<Arc<WorkerCounters>>,
    log: Option<LogTo>,
    members: Vec<Member>,
}

/// Where and how the workers log requests.
pub struct LogTo {
    /// How a line looks.
    pub format: Format,
    /// The share of records that is written, 0 to 1.
    pub sample: f64,
    /// The way to the file thread.
    pub queue: Queue,
}

struct Member {
    post: Post<Message>,
    pulse: Arc<Pulse>,
    thread: JoinHandle<()>,
    beats: u64,
    since: Instant,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Well,
    /// Its siblings accept for it.
    StandingStill,
}

/// A worker without a beat for this long stands still.
const STILL: Duration = Duration::from_millis(500);
/// Messages that a worker may be behind.
const MAILBOX: usize = 256;

impl LogTo {
    fn open(&self, counters: Arc<WorkerCounters>) -> Log {
        Log::new(self.format, self.sample, fastrand::u64(..), self.queue.clone(), counters)
    }
}

impl Crew {
    /// Starts a worker per slot.
    pub fn start(
        plan: Arc<Plan>,
        sockets: Sockets,
        backend: Backend,
        max_connections: usize,
        log: Option<LogTo>,
    ) -> io::Result<Self> {
        let cores = net::allowed_cores();
        let counters: Vec<Arc<WorkerCounters>> =
            (0..plan.runtime.workers).map(|_| Arc::new(WorkerCounters::new(&plan.shape))).collect();
        let admission = Arc::new(Admission::new(counters.clone(), max_connections));
        let mut crew = Self { plan, sockets, backend, cores, admission, counters, log, members: Vec::new() };
        for index in 0..crew.counters.len() {
            let member = crew.hire(index)?;
            crew.members.push(member);
        }
        Ok(crew)
    }

    /// Every worker's counters, by number.
    pub fn counters(&self) -> &[Arc<WorkerCounters>] {
        &self.counters
    }

    /// Whether every worker accepts.
    pub fn is_ready(&self) -> bool {
        self.members.iter().all(|member| member.pulse.beats() > 0)
    }

    /// Whether a worker has ended.
    pub fn has_lost_one(&self) -> bool {
        self.members.iter().any(|member| member.thread.is_finished())
    }

    /// Whether every worker has ended.
    pub fn is_gone(&self) -> bool {
        self.members.iter().all(|member| member.thread.is_finished())
    }

    /// Tells every worker to stop accepting and to finish what is live.
    pub fn drain(&self) {
        for member in &self.members {
            member.pulse.ask_to_drain();
            // The message only makes it quicker.
            let _ = member.post.send(Message::Drain);
        }
    }

    /// Closes what it listened on, once the workers have emptied the queues.
    pub fn close_sockets(&mut self) {
        self.sockets.close();
    }

    /// The ways to all workers, as they are now.
    pub fn posts(&self) -> Vec<Post<Message>> {
        self.members.iter().map(|member| member.post.clone()).collect()
    }

    /// Looks after every worker once: to be called several times a second. Returns whether one was started again.
    pub fn watch(&mut self) -> bool {
        let mut replaced = false;
        for index in 0..self.members.len() {
            let member = &mut self.members[index];
            let beats = member.pulse.beats();
            let gone = member.thread.is_finished() || member.pulse.thread().is_some_and(|id| !net::thread_alive(id));
            if beats != member.beats {
                (member.beats, member.since) = (beats, Instant::now());
            }
            let still = member.since.elapsed() >= STILL;
            match (member.state, gone, still) {
                (_, true, _) => {
                    self.replace(index);
                    replaced = true;
                }
                (State::Well, false, true) => self.stand_in(index),
                (State::StandingStill, false, false) => self.give_back(index),
                _ => {}
            }
        }
        replaced
    }

    fn hire(&self, index: usize) -> io::Result<Member> {
        let (post, mailbox) = net::mailbox(MAILBOX)?;
        let pulse = Arc::new(Pulse::default());
        let orders = Orders {
            index,
            core: self.cores[index % self.cores.len()],
            backend: self.backend,
            plan: self.plan.clone(),
            posts: self.sockets.deal(index)?,
            mailbox,
            counters: self.counters[index].clone(),
            admission: self.admission.clone(),
            log: self.log.as_ref().map(|log| log.open(self.counters[index].clone())),
            pulse: pulse.clone(),
        };
        let thread = std::thread::Builder::new().name(format!("ringway-w{index}")).spawn(move || {
            if let Err(error) = worker::run(orders) {
                tracing::error!(worker = index, %error, "the worker's event loop failed");
            }
        })?;
        Ok(Member { post, pulse, thread, beats: 0, since: Instant::now(), state: State::Well })
    }

    fn stand_in(&mut self, index: usize) {
        tracing::error!(worker = index, "the worker stands still; its siblings accept for it");
        self.members[index].state = State::StandingStill;
        for sibling in (0..self.members.len()).filter(|&sibling| sibling != index) {
            match self.sockets.deal(index) {
                Ok(places) => {
                    let _ = self.members[sibling].post.send(Message::TakeOver { of: index, places });
                }
                Err(error) => tracing::error!(worker = index, %error, "cannot share its slots"),
            }
        }
    }

    fn give_back(&mut self, index: usize) {
        tracing::warn!(worker = index, "the worker moves again");
        self.members[index].state = State::Well;
        for sibling in (0..self.members.len()).filter(|&sibling| sibling != index) {
            let _ = self.members[sibling].post.send(Message::GiveBack { of: index });
        }
    }

    /// Starts a worker again that is gone. What it held is closed first, as nobody else ever would.
    fn replace(&mut self, index: usize) {
        let closed = net::abandon(index);
        self.counters[index].clear_gauges();
        for target in self.plan.pools.iter().flat_map(|pool| &pool.shared.targets) {
            target.forget(index);
        }
        tracing::error!(worker = index, closed, "the worker is gone; it is started again");
        match self.hire(index) {
            Ok(member) => {
                let was = std::mem::replace(&mut self.members[index], member).state;
                if was == State::StandingStill {
                    self.give_back(index);
                }
            }
            Err(error) => {
                tracing::error!(worker = index, %error, "cannot start it again");
                if self.members[index].state == State::Well {
                    self.stand_in(index);
                }
            }
        }
    }
}
