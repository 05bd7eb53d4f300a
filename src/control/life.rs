//! Control's loop: looking after the workers, putting plans into force, and draining at the end.

use super::acme::Keepers;
use super::crew::Crew;
use super::logs::{self, Opened};
use super::present::{Present, Shared};
use super::reload::{Prepared, Reader, Result as Reloaded, Told, Wanted, now};
use super::report::Report;
use super::signals::{Signals, Stop};
use super::sockets::{BindError, Bound};
use super::{checks, limits};
use crate::net::Backend;
use crate::plan::Plan;
use crate::upstream::health::Checks;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How often control looks after its workers.
const TICK: Duration = Duration::from_millis(100);
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
    /// Looks after the workers until a signal says stop. Fails if one cannot even start.
    pub(super) async fn watch(
        &mut self,
        signals: &mut Signals,
        wanted: &mut tokio::sync::mpsc::Receiver<Wanted>,
    ) -> Result<(), String> {
        let mut announced = false;
        let mut tick = tokio::time::interval(TICK / 10);
        loop {
            let step = async {
                match &mut self.step {
                    Some((_, step)) => step.await,
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
                    } else if self.crew.is_ready() {
                        announced = true;
                        tick = tokio::time::interval(TICK);
                        self.report.set_ready(true);
                        tracing::info!("ready");
                    } else if self.crew.has_lost_one() {
                        return Err("a worker could not start; the log says why".to_owned());
                    }
                }
                step = step => self.go_on(step).await,
                Some(wanted) = wanted.recv() => self.want(wanted),
                _ = signals.reopen.recv() => self.report.reopen_log(),
                _ = signals.reload.recv() => self.want(Wanted::by_signal()),
                () = signals.stop.asked() => return Ok(()),
            }
        }
    }

    /// Begins a reload, or has it wait for the one that is under way.
    fn want(&mut self, wanted: Wanted) {
        if self.step.is_some() {
            if self.waiting.len() < WAITING {
                self.waiting.push_back(wanted);
            } else {
                self.fail(wanted, "too many reloads wait already".to_owned());
            }
            return;
        }
        self.look.notify_one();
        self.again.notify_waiters();
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
                tracing::info!("{told}");
                self.tell(wanted, told);
            }
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
        self.checks.set(checks::wanted(&present));
        self.keepers.set(&present, &self.look, &self.again);
        if let Some(file) = file
            && let Some(before) = self.report.log_by(file)
        {
            logs::end_later(before);
        }
        self.reader.take(loaded);
        self.past.push(old);
        self.look.notify_one();
        told.plan = present.number;
        Ok(told)
    }

    /// Waits until the workers go by the present plan. One that stands still will when it moves again.
    async fn settle(&self) {
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
        let told = Arc::new(told);
        self.report.remember(told.clone());
        if let Some(reply) = wanted.reply {
            // Who asked may have left.
            let _ = reply.send(told);
        }
    }

    /// Ends what is live, within the plan's time.
    pub(super) async fn drain(&mut self, stop: &mut Stop) {
        let limit = self.plan().runtime.shutdown_timeout;
        tracing::info!(?limit, "stopping: no new connections, live exchanges end first; a second signal ends at once");
        self.report.set_ready(false);
        self.crew.drain(false);
        // The workers have descriptors of their own; a socket closes when its worker has emptied its queue.
        self.crew.sockets().close();
        let deadline = Instant::now() + limit;
        let mut tick = tokio::time::interval(TICK / 5);
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    if self.crew.is_gone() {
                        tracing::info!("stopped");
                        return;
                    }
                    if Instant::now() >= deadline {
                        let left = self.crew.connections();
                        tracing::warn!(connections = left, "stopped: shutdown_timeout is over, what was live is cut");
                        return;
                    }
                }
                () = stop.asked() => {
                    tracing::warn!("stopped at once, as asked twice");
                    return;
                }
            }
        }
    }

    fn plan(&self) -> Arc<Plan> {
        self.present.load().plan.clone()
    }
}
