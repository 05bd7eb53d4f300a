//! Control's loop: looking after the workers, putting plans into force, and draining at the end.

use super::acme::Keepers;
use super::admin::Served;
use super::analytics::Analytics;
use super::bans::Herald;
use super::command::{Asker, Command, Job, Refused};
use super::crew::Crew;
use super::discovery::Discovery;
use super::edits::Ready;
use super::enrolment;
use super::files::Places;
use super::handover::{self, Answer};
use super::hooks::Hooks;
use super::issuers::Issuers;
use super::live::{self, Overseer};
use super::logs::{self, Opened};
use super::otlp::Traces;
use super::present::{Present, Shared};
use super::quotas::{Quotas, SharedQuotas};
use super::reload::{Prepared, Reader, Renewed, Result as Reloaded, Told};
use super::report::Report;
use super::shares::SharedLimits;
use super::shelves;
use super::signals::Signals;
use super::sockets::{BindError, Bound};
use super::staging::StagedReload;
use super::store::Link;
use super::store::idempotency::SharedKeys;
use super::systemd::{self, Watchdog};
use super::upgrade::{Origin, Risen, Rising};
use super::{egress, limits};
use crate::config::Loaded;
use crate::net::{self, Backend};
use crate::observe::wall::now;
use crate::plan::Plan;
use crate::upstream::health::Checks;
use std::collections::VecDeque;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot, watch};

/// How often control looks after its workers.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// How long the workers get to take a plan on before that is told; they do within a beat unless they stand still.
const SETTLING: Duration = Duration::from_millis(300);
/// How often it is looked for tasks that have ended by themselves.
const TENDING: Duration = Duration::from_secs(1);
/// Reloads that wait for their turn.
const WAITING: usize = 64;

/// What control runs.
pub(super) struct Control {
    pub(super) present: Shared,
    pub(super) crew: Crew,
    pub(super) report: Arc<Report>,
    pub(super) reader: Reader,
    /// Where changes of the files are looked for.
    pub(super) places: watch::Sender<Places>,
    pub(super) backend: Backend,
    pub(super) checks: Checks,
    pub(super) overseer: Overseer,
    pub(super) keepers: Keepers,
    pub(super) discovery: Discovery,
    pub(super) issuers: Issuers,
    pub(super) traces: Traces,
    /// What quotas have counted.
    pub(super) quotas: Quotas,
    /// What this host may admit of those that several share.
    pub(super) shared_quotas: SharedQuotas,
    pub(super) shared_keys: SharedKeys,
    /// What is summed up of exchanges.
    pub(super) analytics: Analytics,
    /// Who gets records of exchanges.
    pub(super) hooks: Hooks,
    /// The way to the server through which hosts share.
    pub(super) store: Link,
    /// What shares limits through it.
    pub(super) shared_limits: SharedLimits,
    /// Makes the certificate files be looked at now.
    pub(super) look: Arc<Notify>,
    /// Has authorities that failed be asked again now.
    pub(super) again: Arc<Notify>,
    /// Plans that exchanges may still go by. They are freed here and not on a worker.
    pub(super) past: Vec<Arc<Present>>,
    /// A reload or a change of targets that is under way.
    pub(super) step: Option<(Command, Work)>,
    pub(super) waiting: VecDeque<Command>,
    /// A plan that is tried out.
    pub(super) tried: Option<StagedReload>,
    pub(super) origin: Origin,
    /// A new process that is to take over.
    pub(super) rising: Option<Rising>,
    /// Whether one is to be started once no reload is under way.
    pub(super) to_upgrade: bool,
    /// Who waits for the new process.
    pub(super) upgraders: Vec<oneshot::Sender<Result<u32, String>>>,
    /// Whom this process took over from, and what that one has to be told when it is ready.
    pub(super) elder: Option<Elder>,
    pub(super) admin: Option<Served>,
    pub(super) watchdog: Watchdog,
    /// Tells of bans.
    pub(super) herald: Herald,
    /// When it was last looked for tasks that have ended by themselves.
    pub(super) tended: Instant,
}

/// A process that this one took over from.
pub(super) struct Elder {
    pub(super) stream: UnixStream,
    pub(super) pid: u32,
    /// The doors, by their place in what it handed over, that are of no use here; `None` once it has been told.
    pub(super) spare: Option<Vec<usize>>,
}

/// Why the loop ended.
pub(super) enum Ended {
    /// A signal said so.
    Told,
    /// A new process accepts.
    Succeeded(Box<Risen>),
}

/// What a reload waits for.
type Work = Pin<Box<dyn Future<Output = Step> + Send>>;

/// How far a reload has come.
pub(super) enum Step {
    /// It has been read and compiled, or cannot be.
    Prepared(Result<Box<Prepared>, String>),
    /// What it listens on is bound, or cannot be.
    Bound(Box<Prepared>, Result<Bound, BindError>),
    /// What was found of targets could be put into force, or cannot be.
    Found(Result<Box<Renewed>, String>),
    /// A change of targets could be put into force, or cannot be.
    Edited(Result<Box<Ready>, Refused>),
    /// A change of consumers could be put into force, or cannot be.
    Enrolled(Result<Box<enrolment::Ready>, Refused>),
}

impl Control {
    /// Looks after the workers until a signal says stop or a new process takes over. Fails if a worker cannot even start.
    pub(super) async fn watch(
        &mut self,
        signals: &mut Signals,
        commands: &mut tokio::sync::mpsc::Receiver<Command>,
    ) -> Result<Ended, String> {
        let mut announced = false;
        let mut tick = tokio::time::interval(TICK / 10);
        loop {
            let step = async {
                match &mut self.step {
                    Some((_, step)) => step.await,
                    None => std::future::pending().await,
                }
            };
            let rising = async {
                match &mut self.rising {
                    Some(rising) => rising.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = tick.tick() => {
                    if announced {
                        if self.crew.watch() {
                            self.report.reach(&self.crew);
                        }
                        self.past.retain(|past| Arc::strong_count(&past.plan) > 1);
                        self.crew.bans().sweep(net::coarse_now());
                        self.ban_for_rules();
                        self.overseer.look(&self.present.load().plan, net::coarse_now());
                        self.say_that_it_is_well();
                        self.tend();
                        if self.step.is_none() {
                            // What is under way was made for what is in force, and for what is tried out.
                            self.judge().await;
                        }
                        self.follow_sources().await;
                    } else if self.crew.is_ready() {
                        announced = true;
                        tick = tokio::time::interval(TICK);
                        self.announce();
                    } else if self.crew.has_lost_one() {
                        return Err("a worker could not start; the log says why".to_owned());
                    }
                }
                step = step => self.go_on(step).await,
                risen = rising => {
                    self.rising = None;
                    match risen {
                        Ok(risen) => {
                            let pid = risen.child.id().unwrap_or(0);
                            self.upgraders.drain(..).for_each(|reply| drop(reply.send(Ok(pid))));
                            return Ok(Ended::Succeeded(Box::new(risen)));
                        }
                        Err(why) => self.upgrade_failed(&why),
                    }
                }
                Some(command) = commands.recv() => self.obey(command),
                _ = signals.reopen.recv() => self.report.reopen_log(),
                _ = signals.reload.recv() => self.obey(Command::reload(Asker::Signal)),
                _ = signals.upgrade.recv() => self.upgrade(),
                () = signals.stop.asked() => return Ok(Ended::Told),
            }
        }
    }

    /// Says that the process takes connections.
    fn announce(&mut self) {
        self.report.set_ready(true);
        systemd::ready(self.number());
        if let Some(elder) = &mut self.elder
            && let Some(spare) = elder.spare.take()
        {
            match handover::answer(&elder.stream, &Answer::Ready { spare }) {
                Ok(()) => tracing::info!(from = elder.pid, "took over"),
                Err(error) => tracing::warn!(from = elder.pid, %error, "the process before does not listen any more"),
            }
        }
        tracing::info!("ready");
        if self.step.is_none() {
            self.begin_waiting();
        }
    }

    /// Tells the supervisor now and then, unless a worker stands still.
    fn say_that_it_is_well(&mut self) {
        if self.watchdog.is_due() && self.crew.is_well() {
            systemd::well();
        }
    }

    /// Has what ended by itself begin again.
    fn tend(&mut self) {
        if self.tended.elapsed() >= TENDING {
            self.tended = Instant::now();
            self.checks.tend();
            self.discovery.tend();
            self.issuers.tend();
        }
    }

    /// Begins to hand over to a new process, once no reload is under way.
    fn upgrade(&mut self) {
        self.abandon_trial("an upgrade goes before it");
        if self.rising.is_some() {
            tracing::warn!("upgrade: a new process is on its way already");
        } else if self.step.is_some() || self.elder.as_ref().is_some_and(|elder| elder.spare.is_some()) {
            // Nor before this process has taken over itself.
            self.to_upgrade = true;
        } else {
            let operators = self.operators();
            let (quotas, limits) = (self.quotas.keep(false), self.shared_limits.hand_over());
            let kept = async move {
                quotas.await;
                limits.await
            };
            match self.origin.call(&self.present.load(), self.crew.sockets(), operators, kept) {
                Ok(rising) => self.rising = Some(rising),
                Err(why) => self.upgrade_failed(&why),
            }
        }
    }

    fn upgrade_failed(&mut self, why: &str) {
        self.report.reloads().upgrades_failed.inc();
        self.shared_limits.go_on();
        // The new process may have been told to end, and have ended what it was to take over.
        self.crew.sockets().revive();
        self.crew.sockets().tune(&self.present.load().plan);
        tracing::error!("the upgrade failed, this process goes on as it was: {why}");
        self.upgraders.drain(..).for_each(|reply| drop(reply.send(Err(why.to_owned()))));
        self.begin_waiting();
    }

    /// Begins what is asked for, or has it wait for what is under way.
    fn obey(&mut self, command: Command) {
        let Command { by, job } = command;
        let command = match job {
            Job::Upgrade(reply) => {
                tracing::info!(%by, "upgrade: asked for");
                self.upgraders.push(reply);
                return self.upgrade();
            }
            job => Command { by, job },
        };
        // What is in force must not change while it is handed over.
        let waits = self.rising.is_some() || self.step.is_some() && !matches!(command.job, Job::Ban(..));
        if waits {
            if self.waiting.len() < WAITING {
                self.waiting.push_back(command);
            } else {
                self.turn_away(command);
            }
            return;
        }
        let by = command.by;
        match command.job {
            Job::Edit(editing) => self.begin_edit(by, editing),
            Job::Enrol(enrolling) => self.begin_enrolment(by, enrolling),
            Job::Ban(banning, reply) => {
                // Who asked may have left.
                let _ = reply.send(self.ban(&by, banning));
            }
            job => self.begin_reload(Command { by, job }),
        }
    }

    fn turn_away(&mut self, command: Command) {
        let by = command.by;
        match command.job {
            Job::Edit(editing) => drop(editing.reply.send(Err(Refused::Busy))),
            Job::Enrol(enrolling) => drop(enrolling.reply.send(Err(Refused::Busy))),
            Job::Ban(_, reply) => drop(reply.send(Err(Refused::Busy))),
            job => self.fail(Command { by, job }, "too many reloads wait already".to_owned()),
        }
    }

    fn begin_reload(&mut self, wanted: Command) {
        self.abandon_trial("another reload goes before it");
        self.look.notify_one();
        self.again.notify_waiters();
        systemd::reloading();
        let prepare = self.reader.prepare(self.present.load_full());
        let step = async move { Step::Prepared(prepare.await.map(Box::new)) };
        self.step = Some((wanted, Box::pin(step)));
    }

    /// Goes on with what is under way.
    async fn go_on(&mut self, step: Step) {
        let Some((wanted, _)) = self.step.take() else { return };
        match step {
            Step::Prepared(Err(diagnostics)) => self.fail(wanted, diagnostics),
            Step::Prepared(Ok(prepared)) if prepared.changes.is_empty() => {
                let told = Told { result: Reloaded::Unchanged, ..self.told(&wanted.by, &prepared) };
                self.report.reloads().unchanged.inc();
                self.report.reloads().last_failed.set(0);
                match wanted.by {
                    // A look that found nothing to do is no event.
                    Asker::Watch => tracing::debug!("{told}"),
                    _ => tracing::info!("{told}"),
                }
                self.tell(wanted, told);
            }
            Step::Prepared(Ok(prepared)) if wanted.stage().is_some() => self.try_out(wanted, *prepared).await,
            Step::Prepared(Ok(prepared)) => {
                let missing = self.crew.sockets().missing(&prepared.plan);
                let step = async move {
                    let bound = missing.bind().await;
                    Step::Bound(prepared, bound)
                };
                self.step = Some((wanted, Box::pin(step)));
                return;
            }
            Step::Bound(_, Err(error)) => self.fail(wanted, error.to_string()),
            Step::Bound(prepared, Ok(bound)) => match self.put_into_force(&wanted.by, *prepared, bound, None).await {
                Ok(told) => {
                    self.report.reloads().applied.inc();
                    self.report.reloads().last_failed.set(0);
                    self.report.reloads().last_success.set(told.at);
                    tracing::info!("{told}");
                    self.tell(wanted, told);
                }
                Err(why) => self.fail(wanted, why),
            },
            Step::Found(renewed) => self.end_discovery(&wanted.by, renewed).await,
            Step::Edited(ready) => self.end_edit(wanted, ready).await,
            Step::Enrolled(ready) => self.end_enrolment(wanted, ready).await,
        }
        self.begin_waiting();
    }

    /// Begins what waited for the end of what was under way.
    pub(super) fn begin_waiting(&mut self) {
        if std::mem::take(&mut self.to_upgrade) {
            return self.upgrade();
        }
        while self.step.is_none()
            && self.rising.is_none()
            && let Some(next) = self.waiting.pop_front()
        {
            // Those that only say "again" are served by one reload.
            let serves = next.is_reload();
            while serves && self.waiting.front().is_some_and(Command::says_again) {
                self.waiting.pop_front();
            }
            self.obey(next);
        }
    }

    /// Puts a plan into force, and what is to be tried out beside it: its sockets are bound, and what else can fail comes first.
    pub(super) async fn put_into_force(
        &mut self,
        by: &Asker,
        prepared: Prepared,
        bound: Bound,
        beside: Option<Prepared>,
    ) -> Result<Told, String> {
        let old = self.present.load_full();
        let opened = logs::follow(&old.plan.config.access_log, &prepared.plan.config.access_log, self.backend)?;
        egress::look(&prepared.plan)?;
        shelves::follow(&prepared.plan, Some(&old.plan))?;
        let traces = self.traces.prepare(Some(&old.plan), &prepared.plan)?;
        let mut told = self.told(by, &prepared);
        let Prepared { plan, loaded, revision, .. } = prepared;
        let present = Arc::new(old.succeed(Arc::new(plan)));
        let plan = &present.plan;
        self.crew.sockets().add(bound);
        live::welcome(&old.plan, plan, net::coarse_now());
        self.reader.overrides().set_modes(plan);
        let tried = beside.and_then(|beside| self.renewed(beside, &present));
        let (log, file) = match opened {
            Opened::AsBefore => (None, None),
            Opened::Anew(log, file) => (Some(log), Some(file)),
        };
        let trial = tried.as_ref().map(StagedReload::trial);
        // Before workers have records for those that are new.
        self.hooks.follow(plan.config.analytics.as_ref());
        if let Err(error) = self.crew.take_on(present.clone(), limits::max_connections(plan), log, trial) {
            self.crew.sockets().retain(&old.plan);
            self.hooks.follow(old.plan.config.analytics.as_ref());
            return Err(format!("the listening sockets cannot be shared among the workers: {error}"));
        }
        self.present.store(present.clone());
        self.store.follow(present.plan.sharing.as_ref());
        if let Some(tried) = tried {
            self.go_on_trying(tried);
        }
        self.settle().await;
        self.crew.sockets().retain(plan);
        self.crew.sockets().tune(plan);
        self.check_and_discover();
        self.keepers.set(&present, &self.look, &self.again);
        self.discovery.is_applied(revision);
        self.traces.follow(traces);
        if let Some(file) = file
            && let Some(before) = self.report.log_by(file)
        {
            logs::end_later(before);
        }
        self.take(loaded);
        self.past.push(old);
        self.look.notify_one();
        told.plan = present.number;
        Ok(told)
    }

    /// Waits until the workers go by the present plan. One that stands still will when it moves again.
    pub(super) async fn settle(&self) {
        let deadline = Instant::now() + SETTLING;
        let mut behind = self.crew.behind();
        while !behind.is_empty() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_micros(500)).await;
            behind = self.crew.behind();
        }
        for worker in behind {
            tracing::warn!(worker, "the worker stands still: it goes by the new plan once it moves");
        }
    }

    /// This is in force now.
    pub(super) fn take(&mut self, loaded: Loaded) {
        self.report.listens(self.crew.sockets().addresses(&self.present.load().plan));
        self.report.reads(loaded.clone());
        self.reader.take(loaded);
        self.places.send_if_modified(|places| {
            let now = self.reader.places();
            let differs = *places != now;
            *places = now;
            differs
        });
    }

    pub(super) fn number(&self) -> u64 {
        self.present.load().number
    }

    pub(super) fn told(&self, by: &Asker, prepared: &Prepared) -> Told {
        Told {
            at: now(),
            by: by.clone(),
            result: Reloaded::Applied,
            plan: self.number(),
            changes: prepared.changes.clone(),
            deferred: prepared.deferred.clone(),
            diagnostics: prepared.loaded.warnings.to_string(),
        }
    }

    pub(super) fn fail(&mut self, wanted: Command, why: String) {
        let told = Told::failed(wanted.by.clone(), self.number(), why);
        self.report.reloads().failed.inc();
        self.report.reloads().last_failed.set(1);
        tracing::error!("the reload failed, {told}");
        self.tell(wanted, told);
    }

    pub(super) fn tell(&self, wanted: Command, told: Told) {
        systemd::ready(self.number());
        let told = Arc::new(told);
        self.report.remember(told.clone());
        if let Job::Reload { reply: Some(reply), .. } = wanted.job {
            // Who asked may have left.
            let _ = reply.send(told);
        }
    }

    pub(super) fn plan(&self) -> Arc<Plan> {
        self.present.load().plan.clone()
    }
}
