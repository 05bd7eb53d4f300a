//! What was found is put into force: control's loop looks whether there is anything new, and goes the way of a reload with it,
//! though nothing is read anew.

use super::Discovery;
use crate::control::command::{Asker, Command, Job};
use crate::control::life::{Control, Step};
use crate::control::reload::Renewed;
use crate::control::staging::StagedReload;
use crate::plan::Plan;
use crate::upstream::Target;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Between two changes: a source that flaps costs a plan a second.
const APART: Duration = Duration::from_secs(1);
/// Until one is tried again that could not be put into force.
const AGAIN: Duration = Duration::from_secs(10);
/// Targets that a line of the log names.
const NAMED: usize = 10;

impl Discovery {
    /// What is known up to this change is in force.
    pub(in crate::control) fn is_applied(&mut self, revision: u64) {
        self.applied = self.applied.max(revision);
    }

    fn is_due(&self) -> bool {
        self.board.revision() != self.applied && Instant::now() >= self.due
    }
}

impl Control {
    /// Begins to put into force what was found, if there is anything new and nothing else is under way.
    pub(in crate::control) async fn follow_sources(&mut self) {
        if !self.discovery.board.sources().is_empty() {
            self.discovery.keep.write(self.discovery.board.found()).await;
        }
        if !self.discovery.is_due() || self.step.is_some() || self.rising.is_some() {
            return;
        }
        self.discovery.due = Instant::now() + APART;
        let tried = self.tried.as_ref().map(StagedReload::origin);
        let prepare = self.reader.prepare_under(self.reader.overrides().clone(), self.present.load_full(), tried);
        let step = async move { Step::Found(prepare.await.map(Box::new)) };
        self.step = Some((Command { by: Asker::Discovery, job: Job::Discover }, Box::pin(step)));
    }

    /// Puts into force what was found.
    pub(in crate::control) async fn end_discovery(&mut self, by: &Asker, renewed: Result<Box<Renewed>, String>) {
        let old = self.present.load_full();
        let result = match renewed {
            Ok(renewed) => self.renew(by, *renewed).await,
            Err(why) => Err(why),
        };
        match result {
            Ok(()) => self.tell_of_targets(&old.plan),
            Err(why) => {
                self.discovery.due = Instant::now() + AGAIN;
                tracing::error!("the targets that were found cannot be put into force: {why}");
            }
        }
    }

    /// Tells who came and who went since `old`, of the pools whose targets are found.
    fn tell_of_targets(&self, old: &Plan) {
        let plan = self.plan();
        for (pool, source) in &*self.discovery.board.sources() {
            let targets = |plan: &Plan| -> Option<HashMap<String, (u32, bool)>> {
                let of = |target: &Target| (target.name.clone(), (target.weight, target.backup));
                Some(plan.pool(pool)?.shared.targets.iter().map(of).collect())
            };
            let (before, after) = (targets(old).unwrap_or_default(), targets(&plan).unwrap_or_default());
            let came = names(after.keys().filter(|name| !before.contains_key(*name)));
            let went = names(before.keys().filter(|name| !after.contains_key(*name)));
            let changed = after.iter().filter(|(name, how)| before.get(*name).is_some_and(|was| was != *how)).count();
            if came.0 == 0 && went.0 == 0 && changed == 0 {
                continue;
            }
            source.changes.inc();
            let (plan, source, targets) = (self.number(), &source.shown, after.len());
            let what = format!("pool {pool}: {} came, {} went", came.0, went.0);
            let (came, went) = (came.1, went.1);
            if targets == 0 {
                tracing::warn!(pool, source, plan, targets, went, "{what}: it has no target any more");
            } else {
                tracing::info!(pool, source, plan, targets, changed, came, went, "{what}");
            }
        }
    }
}

/// How many there are, and the first of their names.
fn names<'a>(all: impl Iterator<Item = &'a String>) -> (usize, String) {
    let mut all: Vec<&str> = all.map(String::as_str).collect();
    all.sort_unstable();
    let more = if all.len() > NAMED { ", …" } else { "" };
    (all.len(), format!("{}{more}", all[..all.len().min(NAMED)].join(", ")))
}
