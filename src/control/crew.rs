//! The workers' lives: starting them, handing them plans, watching their pulse, standing in for those that stopped.

use super::present::Present;
use super::sockets::Sockets;
use crate::lane::Desk;
use crate::lane::bans::Bans;
use crate::lane::{LogChange, Share, TriedPlan};
use crate::net::{self, Backend, Post};
use crate::observe::access::{Log, Policy};
use crate::observe::counters::{Shared, WorkerSet};
use crate::observe::file::Queue;
use crate::observe::tally::Tally;
use crate::observe::{analytics, file, trace};
use crate::plan::guard::Table;
use crate::worker::{self, Admission, DoorId, Inbox, Message, Next, Order, Orders, Place, Pulse};
use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// All workers of the process.
pub struct Crew {
    present: Arc<Present>,
    sockets: Sockets,
    backend: Backend,
    cores: Vec<usize>,
    admission: Arc<Admission>,
    bans: Arc<Bans>,
    desk: Desk,
    log: Option<LogTo>,
    traces: trace::Queue,
    sums: analytics::Queue,
    hooks: file::Queue,
    members: Vec<Member>,
    /// The number of what was last handed to the workers.
    handed: u64,
}

/// A plan that is tried out: its share of connections, and where is counted how the present one and it do.
pub struct Trial {
    /// The plan, with what is counted under it.
    pub candidate: Arc<Present>,
    /// Its share of connections.
    pub share: Share,
    /// The present plan's tally, and its own.
    pub tallies: [Arc<Tally>; 2],
}

/// Where and how the workers log requests.
pub struct LogTo {
    /// What they go by.
    pub policy: Arc<Policy>,
    /// The way to the log's thread.
    pub queue: Queue,
}

struct Member {
    post: Post<Message>,
    inbox: Arc<Inbox>,
    /// Where it accepts, or will once it has taken on what is in its inbox.
    doors: HashSet<DoorId>,
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

impl Trial {
    fn of_worker(&self, index: usize) -> TriedPlan {
        let (plan, counters) = (self.candidate.plan.clone(), self.candidate.workers[index].clone());
        TriedPlan { plan, counters, share: self.share, tallies: self.tallies.clone() }
    }
}

impl LogTo {
    fn open(&self, counters: Shared<WorkerSet>) -> Log {
        Log::new(self.policy.clone(), fastrand::u64(..), self.queue.clone(), counters)
    }
}

impl Crew {
    /// Starts the workers of a process.
    pub fn start(
        present: Arc<Present>,
        sockets: Sockets,
        backend: Backend,
        max_connections: usize,
        log: Option<LogTo>,
        desk: Desk,
        (traces, sums, hooks): (trace::Queue, analytics::Queue, file::Queue),
    ) -> io::Result<Self> {
        let cores = net::allowed_cores();
        let counters = present.workers.iter().map(|worker| worker.worker.clone()).collect();
        let admission = Arc::new(Admission::new(counters, max_connections));
        let (bans, members) = (Arc::default(), Vec::new());
        let mut crew = Self {
            present,
            sockets,
            backend,
            cores,
            admission,
            bans,
            desk,
            log,
            traces,
            sums,
            hooks,
            members,
            handed: 0,
        };
        for index in 0..crew.present.workers.len() {
            let member = crew.hire(index)?;
            crew.members.push(member);
        }
        Ok(crew)
    }

    /// What it listens on.
    pub fn sockets(&mut self) -> &mut Sockets {
        &mut self.sockets
    }

    /// Who is refused.
    pub fn bans(&self) -> &Arc<Bans> {
        &self.bans
    }

    /// The bound on connections.
    pub fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// Hands a plan to every worker, and what is tried out beside it. What it listens on must have been added to the sockets.
    /// `log`: where requests are logged from now on, if that changes.
    pub fn take_on(
        &mut self,
        present: Arc<Present>,
        max_connections: usize,
        log: Option<Option<LogTo>>,
        trial: Option<&Trial>,
    ) -> io::Result<()> {
        let doors = self.sockets.doors(&present.plan);
        let ids: HashSet<DoorId> = doors.iter().map(|(id, _)| *id).collect();
        // All that can fail comes first.
        let mut places = Vec::new();
        for (index, member) in self.members.iter().enumerate() {
            places.push(self.sockets.deal(index, |id| ids.contains(&id) && !member.doors.contains(&id))?);
        }
        let changes = log.is_some();
        if let Some(log) = log {
            self.log = log;
        }
        self.admission.set_max(max_connections);
        for ((index, counters), places) in present.workers.iter().enumerate().zip(places) {
            let log = match changes {
                true => LogChange::To(self.log.as_ref().map(|to| Box::new(to.open(counters.worker.clone())))),
                false => LogChange::None,
            };
            let (plan, counters, doors) = (present.plan.clone(), counters.clone(), doors.clone());
            let trial = trial.map(|trial| trial.of_worker(index));
            self.hand(index, Next { number: self.handed + 1, plan, counters, doors, places, log, trial });
            self.members[index].doors.clone_from(&ids);
        }
        self.handed += 1;
        self.present = present;
        Ok(())
    }

    /// Hands a plan to every worker that is tried out beside the present one. It has the same listeners.
    pub fn try_out(&mut self, trial: &Trial) {
        let doors = self.sockets.doors(&self.present.plan);
        for (index, counters) in self.present.workers.iter().enumerate() {
            let next = Next {
                number: self.handed + 1,
                plan: self.present.plan.clone(),
                counters: counters.clone(),
                doors: doors.clone(),
                places: Vec::new(),
                log: LogChange::None,
                trial: Some(trial.of_worker(index)),
            };
            self.hand(index, next);
        }
        self.handed += 1;
    }

    /// Hands something to a worker.
    fn hand(&self, index: usize, mut next: Next) {
        let member = &self.members[index];
        // What it has not taken on says what this must say, too.
        if let Some(missed) = member.inbox.take_back() {
            let is_open = |place: &Place| next.doors.iter().any(|(id, _)| *id == place.door);
            next.places.extend(missed.places.into_iter().filter(is_open));
            if matches!(next.log, LogChange::None) {
                next.log = missed.log;
            }
        }
        member.inbox.put(next);
        // The message only makes it quicker.
        let _ = member.post.send(Message::Look);
    }

    /// The workers that have not taken on yet what was last handed to them.
    pub fn behind(&self) -> Vec<usize> {
        let members = self.members.iter().enumerate();
        members.filter(|(_, member)| member.pulse.taken() != self.handed).map(|(index, _)| index).collect()
    }

    /// Whether every worker accepts.
    pub fn is_ready(&self) -> bool {
        self.members.iter().all(|member| member.pulse.beats() > 0)
    }

    /// Whether no worker stands still.
    pub fn is_well(&self) -> bool {
        self.members.iter().all(|member| member.state == State::Well)
    }

    /// Whether a worker has ended.
    pub fn has_lost_one(&self) -> bool {
        self.members.iter().any(|member| member.thread.is_finished())
    }

    /// Whether every worker has ended.
    pub fn is_gone(&self) -> bool {
        self.members.iter().all(|member| member.thread.is_finished())
    }

    /// Tells every worker what to do with those who come, and with those who have.
    pub fn order(&self, order: Order) {
        for member in &self.members {
            member.pulse.set_order(order);
            // The message only makes it quicker.
            let _ = member.post.send(Message::Obey);
        }
    }

    /// Has every worker accept again, after it had left its queues to another process. Those that have ended are started anew.
    pub fn resume(&mut self, present: Arc<Present>, max_connections: usize) -> io::Result<()> {
        for index in 0..self.members.len() {
            if self.members[index].thread.is_finished() {
                self.members[index] = self.hire(index)?;
            } else {
                let member = &mut self.members[index];
                member.pulse.set_order(Order::Serve);
                member.doors.clear();
            }
        }
        self.take_on(present, max_connections, None, None)
    }

    /// Has every worker end with what is live, and gives them `limit` to log it.
    pub async fn cut(&self, limit: Duration) {
        self.order(Order::Cut);
        let deadline = Instant::now() + limit;
        while !self.is_gone() && Instant::now() < deadline {
            tokio::time::sleep(limit / 50).await;
        }
    }

    /// Client connections that are open.
    pub fn connections(&self) -> u64 {
        self.present.workers.iter().map(|worker| worker.worker.connections.get()).sum()
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
        let (pulse, inbox) = (Arc::new(Pulse::default()), Arc::new(Inbox::new()));
        pulse.starts_by(self.handed);
        let doors = self.sockets.doors(&self.present.plan);
        let ids: HashSet<DoorId> = doors.iter().map(|(id, _)| *id).collect();
        let counters = self.present.workers[index].clone();
        let orders = Orders {
            index,
            core: self.cores[index % self.cores.len()],
            backend: self.backend,
            plan: self.present.plan.clone(),
            places: self.sockets.deal(index, |id| ids.contains(&id))?,
            doors,
            mailbox,
            inbox: inbox.clone(),
            log: self.log.as_ref().map(|log| log.open(counters.worker.clone())),
            counters,
            admission: self.admission.clone(),
            traces: self.traces.clone(),
            sums: self.sums.clone(),
            hooks: self.hooks.clone(),
            bans: self.bans.clone(),
            desk: self.desk.clone(),
            pulse: pulse.clone(),
        };
        let thread = std::thread::Builder::new().name(format!("ringway-w{index}")).spawn(move || {
            if let Err(error) = worker::run(orders) {
                tracing::error!(worker = index, %error, "the worker's event loop failed");
            }
        })?;
        Ok(Member { post, inbox, doors: ids, pulse, thread, beats: 0, since: Instant::now(), state: State::Well })
    }

    fn stand_in(&mut self, index: usize) {
        tracing::error!(worker = index, "the worker stands still; its siblings accept for it");
        self.members[index].state = State::StandingStill;
        for sibling in (0..self.members.len()).filter(|&sibling| sibling != index) {
            match self.sockets.deal(index, |_| true) {
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
        self.present.workers[index].clear_gauges();
        self.present.plan.pools.iter().for_each(|pool| pool.shared.forget(index));
        self.present.plan.guards().filter_map(|(_, guard)| guard.table()).for_each(Table::forget_open);
        self.present.plan.lasting.flights().iter().for_each(|kept| kept.flight.table().forget_open());
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
