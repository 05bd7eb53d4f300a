//! A plan that is tried out: a share of connections goes by it, until it has proven itself or failed.
//!
//! What always holds: a change of targets, by those who are found or by operators, comes to both plans and ends no trial; what is
//! the same in both plans is one.

use super::command::{Asker, Command};
use super::crew::Trial;
use super::life::Control;
use super::present::Present;
use super::reload::{Prepared, Renewed, Result as Reloaded, Stage, Told};
use super::sockets::Bound;
use super::trial::{self, Verdict};
use super::{checks, limits, live};
use crate::config::Loaded;
use crate::lane::Share;
use crate::net;
use crate::observe::wall::now;
use crate::plan::Plan;
use std::sync::Arc;
use std::time::Instant;

/// A plan that is tried out.
pub(super) struct StagedReload {
    trial: Trial,
    told: Told,
    loaded: Loaded,
    stage: Stage,
    since: Instant,
}

impl StagedReload {
    /// What the workers are told of it.
    pub(super) fn trial(&self) -> &Trial {
        &self.trial
    }

    /// The plan, and what it was compiled from.
    pub(super) fn origin(&self) -> (Loaded, Arc<Present>) {
        (self.loaded.clone(), self.trial.candidate.clone())
    }
}

impl Control {
    /// Has a share of connections go by a plan, beside the present one.
    pub(super) async fn try_out(&mut self, wanted: Command, prepared: Prepared) {
        let Some(stage) = wanted.stage() else { return };
        let beyond = prepared.too_much_to_try();
        if !beyond.is_empty() {
            let why = format!(
                "a staged reload changes routes, rules and pools alone, and here differs {}: reload without a share",
                beyond.join(", ")
            );
            return self.fail(wanted, why);
        }
        let mut told = self.told(&wanted.by, &prepared);
        told.result = Reloaded::Trying;
        let Prepared { plan, loaded, .. } = prepared;
        self.reader.overrides().set_modes(&plan);
        live::welcome(&self.present.load().plan, &plan, net::coarse_now());
        let candidate = Arc::new(self.present.load().succeed(Arc::new(plan)));
        let trial = Trial { candidate, share: Share::of(stage.share), tallies: Default::default() };
        self.crew.try_out(&trial);
        self.settle().await;
        self.report.reloads().trying.set(1);
        tracing::info!(share = stage.share, span = ?stage.span, "{told}");
        self.tried = Some(StagedReload { trial, told: told.clone(), loaded, stage, since: Instant::now() });
        self.check_and_discover();
        self.tell(wanted, told);
    }

    /// Puts other targets into force, and into what is tried out.
    pub(super) async fn renew(&mut self, by: &Asker, renewed: Renewed) -> Result<(), String> {
        let Renewed { present, tried } = renewed;
        let beside = match tried {
            Some(Ok(beside)) => Some(beside).filter(|_| self.tried.is_some()),
            Some(Err(why)) => {
                self.abandon_trial(&format!("it cannot have the targets that there are now: {why}"));
                None
            }
            None => None,
        };
        if present.plan.config != self.present.load().plan.config {
            return self.put_into_force(by, present, Bound::default(), beside).await.map(drop);
        }
        self.discovery.is_applied(present.revision);
        let tried = self.tried.as_ref().map(|tried| &tried.trial.candidate.plan.config);
        if let Some(beside) = beside.filter(|beside| tried != Some(&beside.plan.config)) {
            self.renew_trial(beside).await;
        }
        Ok(())
    }

    /// The plans that connections go by now.
    pub(super) fn plans(&self) -> impl Iterator<Item = Arc<Plan>> {
        let tried = self.tried.as_ref().map(|tried| tried.trial.candidate.plan.clone());
        [self.plan()].into_iter().chain(tried)
    }

    /// What is tried out with other targets, beside `present`: the same trial, and it goes on.
    pub(super) fn renewed(&self, prepared: Prepared, present: &Present) -> Option<StagedReload> {
        let StagedReload { trial, told, stage, since, .. } = self.tried.as_ref()?;
        let Prepared { plan, loaded, .. } = prepared;
        self.reader.overrides().set_modes(&plan);
        live::welcome(&trial.candidate.plan, &plan, net::coarse_now());
        let candidate = Arc::new(present.succeed(Arc::new(plan)));
        let trial = Trial { candidate, share: trial.share, tallies: trial.tallies.clone() };
        Some(StagedReload { trial, told: told.clone(), loaded, stage: *stage, since: *since })
    }

    /// This is tried out from now on, in place of what was.
    pub(super) fn go_on_trying(&mut self, tried: StagedReload) {
        self.past.extend(self.tried.replace(tried).map(|before| before.trial.candidate));
    }

    /// What is tried out has other targets, and what is in force has not.
    async fn renew_trial(&mut self, prepared: Prepared) {
        let Some(tried) = self.renewed(prepared, &self.present.load_full()) else { return };
        self.crew.try_out(&tried.trial);
        self.go_on_trying(tried);
        self.settle().await;
        self.check_and_discover();
    }

    /// Has the targets of all that runs be checked and looked for.
    pub(super) fn check_and_discover(&mut self) {
        let present = self.present.load_full();
        let mut configs = vec![&present.plan.config];
        match &self.tried {
            Some(StagedReload { trial, .. }) => {
                configs.push(&trial.candidate.plan.config);
                self.checks.set(checks::of_both(&present, &trial.candidate));
            }
            None => self.checks.set(checks::wanted(&present, false)),
        }
        self.discovery.set(&configs);
        let plans: Vec<_> = self.plans().collect();
        self.issuers.set(plans.into_iter());
    }

    /// Looks whether what is tried out has proven itself.
    pub(super) async fn judge(&mut self) {
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
        if let Err(error) = self.crew.take_on(present.clone(), limits::max_connections(&present.plan), None, None) {
            tracing::error!(%error, "the plan that was tried out is not promoted");
            return;
        }
        let old = self.present.swap(present.clone());
        self.settle().await;
        self.check_and_discover();
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
    pub(super) fn abandon_trial(&mut self, why: &str) {
        let Some(tried) = self.tried.take() else { return };
        let present = self.present.load_full();
        if let Err(error) = self.crew.take_on(present.clone(), limits::max_connections(&present.plan), None, None) {
            tracing::error!(%error, "what is tried out cannot be taken back yet");
            self.tried = Some(tried);
            return;
        }
        self.check_and_discover();
        self.past.push(tried.trial.candidate);
        let told = Told { result: Reloaded::RolledBack, at: now(), diagnostics: why.to_owned(), ..tried.told };
        self.report.reloads().rolled_back.inc();
        self.report.reloads().trying.set(0);
        tracing::warn!("{told}");
        self.report.remember(Arc::new(told));
    }
}
