//! Issuers of tokens, whose keys are fetched: each by a task of its own, when what is known of it grows old or a token names a key that
//! is not known.
//!
//! What always holds: an issuer that does not answer changes nothing until what is known of it is too old; tokens have it asked no
//! more often than every [`COOLDOWN`] seconds. A process that follows begins with what is known here.

mod fetch;
mod legacy;
mod pace;

pub(super) use legacy::{hand_over, inherit};

use crate::gateway::issuer::{COOLDOWN, Fetched, Issuer, Known};
use crate::observe::issuers::Asked;
use crate::observe::wall::now;
use crate::plan::Plan;
use fetch::{Answer, Fetch};
use futures_util::future::join_all;
use pace::Pace;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout};

/// How long a start or a reload waits for issuers of whom nothing is known yet.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the issuers of the plans in force.
#[derive(Default)]
pub(super) struct Issuers {
    tasks: Vec<Task>,
}

/// Asks one of them.
struct Task {
    issuer: Arc<Issuer>,
    handle: AbortHandle,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

impl Issuers {
    /// The issuers of these plans are asked from now on. One that is the same is asked on as before.
    pub(super) fn set(&mut self, plans: impl Iterator<Item = Arc<Plan>>) {
        let mut before = std::mem::take(&mut self.tasks);
        for plan in plans {
            for (_, issuer) in &plan.issuers {
                let is_it = |task: &Task| Arc::ptr_eq(&task.issuer, issuer);
                if self.tasks.iter().any(is_it) {
                    continue;
                }
                let same = before.iter().position(is_it).map(|place| before.swap_remove(place));
                self.tasks.push(same.unwrap_or_else(|| Task::begin(issuer.clone())));
            }
        }
    }

    /// Has issuers asked on whose tasks have ended by themselves, as one does that panics.
    pub(super) fn tend(&mut self) {
        for task in self.tasks.iter_mut().filter(|task| task.handle.is_finished()) {
            let issuer = task.issuer.wanted().place.url();
            tracing::error!(issuer, "nobody asks for keys any more, which is a fault of Ringway's: it begins again");
            *task = Task::begin(task.issuer.clone());
        }
    }
}

/// Asks the issuers of a plan of whom nothing is known yet, and waits for what they say, but not for long.
pub(super) async fn ask_first(plan: &Plan) {
    let unknown = plan.issuers.iter().map(|(_, issuer)| issuer).filter(|issuer| issuer.known().is_none());
    let asking = unknown.map(|issuer| async {
        // If it fails it is asked again soon, and that it does is told then.
        if let Ok(Answer { known, .. }) = Fetch::new(issuer.wanted().clone()).get().await {
            learn(issuer, known);
        }
    });
    // Who has answered by then has been heard.
    let _ = timeout(PATIENCE, join_all(asking)).await;
}

/// What metrics tell of the issuers of a plan.
pub(super) fn shown(plan: &Plan) -> Vec<Asked> {
    let of = |(rule, issuer): &(String, Arc<Issuer>)| Asked {
        rule: rule.clone(),
        keys: issuer.known().as_ref().map(|known| known.keys.count()),
        age: issuer.answered().map(|at| now().saturating_sub(at)),
        fetches: issuer.fetches(),
    };
    plan.issuers.iter().map(of).collect()
}

impl Task {
    fn begin(issuer: Arc<Issuer>) -> Self {
        let work = ask_on(issuer.clone());
        Self { issuer, handle: tokio::spawn(work).abort_handle() }
    }
}

/// Asks an issuer for as long as it is wanted.
async fn ask_on(issuer: Arc<Issuer>) {
    let wanted = issuer.wanted();
    let url = wanted.place.url();
    let mut fetch = Fetch::new(wanted.clone());
    let mut pace = Pace::new(wanted.refresh);
    let mut told: Option<String> = None;
    // What was known before this task began is as old as its clock says, which a plan before may have seen to.
    let old = issuer.answered().map_or(Duration::ZERO, |at| Duration::from_secs(now().saturating_sub(at)));
    let mut end = Instant::now() + wanted.stale.saturating_sub(old);
    // How long it is good for was not kept.
    let rest = if issuer.known().is_some() { pace.answered(Some(Duration::ZERO), 0.0) } else { Duration::ZERO };
    let mut due = Instant::now() + rest;
    let mut last: Option<Instant> = None;
    loop {
        let mut for_a_token = false;
        tokio::select! {
            () = sleep_until(due) => {}
            () = sleep_until(end), if issuer.known().is_some() => {
                if issuer.forget() {
                    tracing::error!(issuer = url, stale = ?wanted.stale, "the keys are too old: tokens are refused until there are others");
                }
                continue;
            }
            () = issuer.is_wanted() => {
                if last.is_some_and(|last| last.elapsed() < Duration::from_secs(COOLDOWN)) {
                    issuer.answers();
                    continue;
                }
                last = Some(Instant::now());
                for_a_token = true;
            }
        }
        match fetch.get().await {
            Ok(Answer { known, age }) => {
                let next = pace.answered(age, fastrand::f64());
                (due, end) = (Instant::now() + next, Instant::now() + wanted.stale);
                if told.take().is_some() {
                    tracing::info!(issuer = url, "the keys can be fetched again");
                }
                learn(&issuer, known);
            }
            Err(why) => {
                issuer.failed();
                due = Instant::now() + pace.failed(fastrand::f64());
                if told.as_ref() != Some(&why) {
                    tell_why(&issuer, &why);
                    told = Some(why);
                }
            }
        }
        if for_a_token {
            // Not before: who comes meanwhile waits for what is asked, too.
            issuer.was_asked(now());
        }
        issuer.answers();
    }
}

fn learn(issuer: &Issuer, known: Known) {
    let (count, skipped) = (known.keys.count(), known.keys.skipped().to_vec());
    if issuer.learn(known, now()) == Fetched::Changed {
        let url = issuer.wanted().place.url();
        tracing::info!(issuer = url, keys = count, "the keys are new");
        skipped.iter().for_each(|why| tracing::info!(issuer = url, "{why}"));
    }
}

fn tell_why(issuer: &Issuer, why: &str) {
    let url = issuer.wanted().place.url();
    match issuer.known().is_some() {
        true => tracing::warn!(issuer = url, why, "the keys cannot be fetched: those that are known stay in force"),
        false => {
            tracing::error!(issuer = url, why, "the keys cannot be fetched, and there are none: tokens are refused")
        }
    }
}
