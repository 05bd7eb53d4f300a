//! Control's loop: looking after the workers, putting plans into force, and draining at the end.

use super::acme::Keepers;
use super::admin::Served;
use super::crew::{Crew, Trial};
use super::files::Places;
use super::handover::{self, Answer};
use super::logs::{self, Opened};
use super::present::{Present, Shared};
use super::reload::{Asker, Prepared, Reader, Result as Reloaded, Stage, Told, Wanted, now};
use super::report::Report;
use super::signals::Signals;
use super::sockets::{BindError, Bound};
use super::systemd::{self, Watchdog};
use super::trial::{self, Verdict};
use super::upgrade::{Origin, Risen, Rising};
use super::{checks, limits};
use crate::config::Loaded;
use crate::lane::Share;
use crate::net::Backend;
use crate::plan::Plan;
use crate::upstream::health::Checks;
use std::collections::VecDeque;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// How often control looks after its workers.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// How long the workers get to take a plan on before that is told; they do within a beat unless they stand still.
const SETTLING: Duration = Duration::from_millis(300);
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
    pub(super) keepers: Keepers,
    /// Makes the certificate files be looked at now.
    pub(super) look: Arc<Notify>,
    /// Has authorities that failed be asked again now.
    pub(super) again: Arc<Notify>,
    /// Plans that exchanges may still go by. They are freed here and not on a worker.
    pub(super) past: Vec<Arc<Present>>,
    /// A reload that is under way.
    pub(super) step: Option<(Wanted, Work)>,
    pub(super) waiting: VecDeque<Wanted>,
    /// A plan that is tried out.
    pub(super) tried: Option<Tried>,
    pub(super) origin: Origin,
    /// A new process that is to take over.
    pub(super) rising: Option<Rising>,
    /// Whether one is to be started once no reload is under way.
    pub(super) to_upgrade: bool,
    /// Whom this process took over from, and what that one has to be told when it is ready.
    pub(super) elder: Option<Elder>,
    pub(super) admin: Option<Served>,
    pub(super) watchdog: Watchdog,
}

/// A process that this one took over from.
pub(super) struct Elder {
    pub(super) stream: UnixStream,
    pub(super) pid: u32,
    /// The doors, by their place in what it handed over, that are of no use here; `None` once it has been told.
    pub(super) spare: Option<Vec<usize>>,
}

/// A plan that is tried out.
pub(super) struct Tried {
    trial: Trial,
    told: Told,
    loaded: Loaded,
    stage: Stage,
    since: Instant,
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
}

impl Control {
    /// Looks after the workers until a signal says stop or a new process takes over. Fails if a worker cannot even start.
    pub(super) async fn watch(
        &mut self,
        signals: &mut Signals,
        wanted: &mut tokio::sync::mpsc::Receiver<Wanted>,
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
                        self.say_that_it_is_well();
                        self.judge().await;
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
                        Ok(risen) => return Ok(Ended::Succeeded(Box::new(risen))),
                        Err(why) => self.upgrade_failed(&why),
                    }
                }
                Some(wanted) = wanted.recv() => self.want(wanted),
                _ = signals.reopen.recv() => self.report.reopen_log(),
                _ = signals.reload.recv() => self.want(Wanted::by_signal()),
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

    /// Begins to hand over to a new process, once no reload is under way.
    fn upgrade(&mut self) {
        self.abandon_trial("an upgrade goes before it");
        if self.rising.is_some() {
            tracing::warn!("upgrade: a new process is on its way already");
        } else if self.step.is_some() || self.elder.as_ref().is_some_and(|elder| elder.spare.is_some()) {
            // Nor before this process has taken over itself.
            self.to_upgrade = true;
        } else {
            let admin = self.admin.as_ref().and_then(|admin| admin.descriptor().ok());
            match self.origin.call(&self.present.load(), self.crew.sockets(), admin) {
                Ok(rising) => self.rising = Some(rising),
                Err(why) => self.upgrade_failed(&why),
            }
        }
    }

    fn upgrade_failed(&mut self, why: &str) {
        self.report.reloads().upgrades_failed.inc();
        // The new process may have been told to end, and have ended what it was to take over.
        self.crew.sockets().revive();
        tracing::error!("the upgrade failed, this process goes on as it was: {why}");
        self.begin_waiting();
    }

    /// Begins a reload, or has it wait for the one that is under way.
    fn want(&mut self, wanted: Wanted) {
        // What is in force must not change while it is handed over.
        if self.step.is_some() || self.rising.is_some() {
            if self.waiting.len() < WAITING {
                self.waiting.push_back(wanted);
            } else {
                self.fail(wanted, "too many reloads wait already".to_owned());
            }
            return;
        }
        self.abandon_trial("another reload goes before it");
        self.look.notify_one();
        self.again.notify_waiters();
        systemd::reloading();
        let prepare = self.reader.prepare(self.present.load_full());
        let step = async move { Step::Prepared(prepare.await.map(Box::new)) };
        self.step = Some((wanted, Box::pin(step)));
    }

    /// Goes on with the reload under way.
    async fn go_on(&mut self, step: Step) {
        let Some((wanted, _)) = self.step.take() else { return };
        match step {
            Step::Prepared(Err(diagnostics)) => self.fail(wanted, diagnostics),
            Step::Prepared(Ok(prepared)) if prepared.changes.is_empty() => {
                let told = Told { result: Reloaded::Unchanged, ..self.told(&wanted, &prepared) };
                self.report.reloads().unchanged.inc();
                self.report.reloads().last_failed.set(0);
                match wanted.by {
                    // A look that found nothing to do is no event.
                    Asker::Watch => tracing::debug!("{told}"),
                    _ => tracing::info!("{told}"),
                }
                self.tell(wanted, told);
            }
            Step::Prepared(Ok(prepared)) if wanted.stage.is_some() => self.try_out(wanted, *prepared).await,
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
            Step::Bound(prepared, Ok(bound)) => match self.put_into_force(&wanted, *prepared, bound).await {
                Ok(told) => {
                    self.report.reloads().applied.inc();
                    self.report.reloads().last_failed.set(0);
                    self.report.reloads().last_success.set(told.at);
                    tracing::info!("{told}");
                    self.tell(wanted, told);
                }
                Err(why) => self.fail(wanted, why),
            },
        }
        self.begin_waiting();
    }

    /// Begins what waited for the end of what was under way.
    fn begin_waiting(&mut self) {
        if std::mem::take(&mut self.to_upgrade) {
            return self.upgrade();
        }
        // Those that only say "again" are served by one reload.
        let next = self.waiting.pop_front();
        while next.is_some() && self.waiting.front().is_some_and(|wanted| wanted.reply.is_none()) {
            self.waiting.pop_front();
        }
        if let Some(next) = next {
            self.want(next);
        }
    }

    /// Puts a plan into force: its sockets are bound, and what else can fail comes first.
    async fn put_into_force(&mut self, wanted: &Wanted, prepared: Prepared, bound: Bound) -> Result<Told, String> {
        let old = self.present.load_full();
        let opened = logs::follow(&old.plan.config.access_log, &prepared.plan.config.access_log, self.backend)?;
        let mut told = self.told(wanted, &prepared);
        let Prepared { plan, loaded, .. } = prepared;
        let present = Arc::new(old.succeed(Arc::new(plan)));
        let plan = &present.plan;
        self.crew.sockets().add(bound);
        let (log, file) = match opened {
            Opened::AsBefore => (None, None),
            Opened::Anew(log, file) => (Some(log), Some(file)),
        };
        if let Err(error) = self.crew.take_on(present.clone(), limits::max_connections(plan), log) {
            self.crew.sockets().retain(&old.plan);
            return Err(format!("the listening sockets cannot be shared among the workers: {error}"));
        }
        self.present.store(present.clone());
        self.settle().await;
        self.crew.sockets().retain(plan);
        self.checks.set(checks::wanted(&present, false));
        self.keepers.set(&present, &self.look, &self.again);
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

    /// Has a share of connections go by a plan, beside the present one.
    async fn try_out(&mut self, wanted: Wanted, prepared: Prepared) {
        let Some(stage) = wanted.stage else { return };
        let beyond = prepared.too_much_to_try();
        if !beyond.is_empty() {
            let why = format!(
                "a staged reload changes routes, rules and pools alone, and here differs {}: reload without a share",
                beyond.join(", ")
            );
            return self.fail(wanted, why);
        }
        let mut told = self.told(&wanted, &prepared);
        told.result = Reloaded::Trying;
        let Prepared { plan, loaded, .. } = prepared;
        let candidate = Arc::new(self.present.load().succeed(Arc::new(plan)));
        let trial = Trial { candidate, share: Share::of(stage.share), tallies: Default::default() };
        self.crew.try_out(&trial);
        self.settle().await;
        self.checks.set(checks::of_both(&self.present.load(), &trial.candidate));
        self.report.reloads().trying.set(1);
        tracing::info!(share = stage.share, span = ?stage.span, "{told}");
        self.tried = Some(Tried { trial, told: told.clone(), loaded, stage, since: Instant::now() });
        self.tell(wanted, told);
    }

    /// Looks whether what is tried out has proven itself.
    async fn judge(&mut self) {
        let Some(tried) = &self.tried else { return };
        let [present, candidate] = &tried.trial.tallies;
        match trial::judge(present.sum(), candidate.sum(), tried.since.elapsed(), tried.stage.span) {
            Verdict::Open => {}
            Verdict::RolledBack(why) => self.abandon_trial(&why),
            Verdict::Promoted => self.promote().await,
        }
    }

    /// All connections go by what was tried out.
    async fn promote(&mut self) {
        let Some(tried) = self.tried.take() else { return };
        let present = tried.trial.candidate;
        if let Err(error) = self.crew.take_on(present.clone(), limits::max_connections(&present.plan), None) {
            tracing::error!(%error, "the plan that was tried out is not promoted");
            return;
        }
        let old = self.present.swap(present.clone());
        self.settle().await;
        self.checks.set(checks::wanted(&present, false));
        self.past.push(old);
        self.take(tried.loaded);
        let told = Told { result: Reloaded::Applied, at: now(), plan: present.number, ..tried.told };
        self.report.reloads().applied.inc();
        self.report.reloads().trying.set(0);
        self.report.reloads().last_success.set(told.at);
        tracing::info!("it has proven itself: {told}");
        self.report.remember(Arc::new(told));
    }

    /// All connections go by the present plan again, if another one is tried out.
    fn abandon_trial(&mut self, why: &str) {
        let Some(tried) = self.tried.take() else { return };
        let present = self.present.load_full();
        if let Err(error) = self.crew.take_on(present.clone(), limits::max_connections(&present.plan), None) {
            tracing::error!(%error, "what is tried out cannot be taken back yet");
            self.tried = Some(tried);
            return;
        }
        self.checks.set(checks::wanted(&present, false));
        self.past.push(tried.trial.candidate);
        let told = Told { result: Reloaded::RolledBack, at: now(), diagnostics: why.to_owned(), ..tried.told };
        self.report.reloads().rolled_back.inc();
        self.report.reloads().trying.set(0);
        tracing::warn!("{told}");
        self.report.remember(Arc::new(told));
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
    fn take(&mut self, loaded: Loaded) {
        self.reader.take(loaded);
        self.places.send_if_modified(|places| {
            let now = self.reader.places();
            let differs = *places != now;
            *places = now;
            differs
        });
    }

    fn number(&self) -> u64 {
        self.present.load().number
    }

    fn told(&self, wanted: &Wanted, prepared: &Prepared) -> Told {
        Told {
            at: now(),
            by: wanted.by.clone(),
            result: Reloaded::Applied,
            plan: self.number(),
            changes: prepared.changes.clone(),
            deferred: prepared.deferred.clone(),
            diagnostics: prepared.loaded.warnings.to_string(),
        }
    }

    fn fail(&mut self, wanted: Wanted, why: String) {
        let told = Told::failed(wanted.by.clone(), self.number(), why);
        self.report.reloads().failed.inc();
        self.report.reloads().last_failed.set(1);
        tracing::error!("the reload failed, {told}");
        self.tell(wanted, told);
    }

    fn tell(&self, wanted: Wanted, told: Told) {
        systemd::ready(self.number());
        let told = Arc::new(told);
        self.report.remember(told.clone());
        if let Some(reply) = wanted.reply {
            // Who asked may have left.
            let _ = reply.send(told);
        }
    }

    pub(super) fn plan(&self) -> Arc<Plan> {
        self.present.load().plan.clone()
    }
}
