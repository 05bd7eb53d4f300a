//! Changes of who is known: consumers that operators make, replace and remove, and those of the file that the configuration names for
//! them. Control's loop takes the way of a reload with them, though nothing else is read anew.
//!
//! What always holds: a change is in force and, if an operator has made it, on the disk when it is told; one that cannot be is none.

use super::command::{Asker, Command, Enrol, Enrolled, Enrolling, Job, Refused};
use super::kept;
use super::life::{Control, Step};
use super::reload::{Renewed, Result as Outcome, Told};
use super::roster::Roster;
use super::staging::StagedReload;
use crate::config::diff::Change;
use crate::observe::wall::now;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Consumers that could be put into force: kept, if operators have made them.
pub(super) struct Ready {
    roster: Arc<Roster>,
    renewed: Renewed,
    changes: Vec<Change>,
}

/// Where is kept what operators have changed, in `runtime.state_dir`.
const NAME: &str = "consumers.json";
/// A file that is larger was not written by us.
const LARGEST: u64 = 256 << 20;

/// What operators have changed of consumers, as it is kept in a folder. Blocks.
///
/// # Errors
/// It cannot be read: whoever was removed must not come back by that.
pub fn recall(state_dir: &Path) -> Result<Roster, String> {
    let file = state_dir.join(NAME);
    let text = kept::read(&file, LARGEST).and_then(|text| text.as_deref().map(Roster::from_text).transpose());
    text.map(Option::unwrap_or_default).map_err(|why| {
        format!(
            "`{}`, where is kept which consumers were changed by the admin API, cannot be used: {why}\n  help: mend it, or remove it: \
             consumers are as the configuration has them then",
            file.display()
        )
    })
}

impl Control {
    /// Begins a change of consumers, or refuses it.
    pub(super) fn begin_enrolment(&mut self, by: Asker, enrolling: Box<Enrolling>) {
        let (roster, listed, changes) = match self.assess_enrolment(&enrolling) {
            Ok(Some(next)) => next,
            Ok(None) => {
                let plan = self.number();
                // Who asked may have left.
                let _ = enrolling.reply.send(Ok(Enrolled { plan, changed: false }));
                return;
            }
            Err(refused) => {
                let _ = enrolling.reply.send(Err(refused));
                return;
            }
        };
        let tried = self.tried.as_ref().map(StagedReload::origin);
        let prepare = self.reader.prepare_for(roster.clone(), listed, self.present.load_full(), tried);
        let keep = (roster != *self.reader.roster()).then(|| self.roster_file());
        let step = async move {
            let ready = async {
                let renewed = prepare.await.map_err(Refused::Invalid)?;
                write(keep, roster.clone()).await?;
                Ok(Box::new(Ready { roster, renewed, changes }))
            };
            Step::Enrolled(ready.await)
        };
        self.step = Some((Command { by, job: Job::Enrol(enrolling) }, Box::pin(step)));
    }

    /// What a change comes to; `None`: it changes nothing.
    #[allow(clippy::type_complexity, reason = "what comes next is taken apart at once")]
    fn assess_enrolment(
        &self,
        enrolling: &Enrolling,
    ) -> Result<Option<(Arc<Roster>, Option<Arc<crate::config::Listed>>, Vec<Change>)>, Refused> {
        if let Some(condition) = &enrolling.condition
            && !self.report.is_current(condition, &self.report.tag())
        {
            return Err(Refused::Stale);
        }
        let (roster, loaded) = (self.reader.roster(), self.reader.loaded());
        let known = &self.present.load().plan.config.consumers;
        let change = |name: &str, to: Option<&str>| Change {
            key: format!("consumers.{name}"),
            from: known.contains_key(name).then(|| "(who it was)".to_owned()),
            to: to.map(str::to_owned),
        };
        let full =
            || Refused::Full("too many consumers were changed here: write them into the configuration".to_owned());
        match &enrolling.change {
            Enrol::Put(name, _) | Enrol::Remove(name) if !roster.has_room_for(name) => Err(full()),
            Enrol::Put(name, consumer) => {
                let next = Arc::new(roster.with(name, consumer.clone()));
                let is_same = next == *roster;
                Ok((!is_same).then(|| (next, None, vec![change(name, Some("(who it is now)"))])))
            }
            Enrol::Remove(name) if !known.contains_key(name) => {
                Err(Refused::Absent(format!("there is no consumer `{name}`")))
            }
            Enrol::Remove(name) => {
                let below = loaded.config.consumers.contains_key(name);
                Ok(Some((Arc::new(roster.without(name, below)), None, vec![change(name, None)])))
            }
            Enrol::Listed(path, listed) => {
                let is_it = loaded.config.runtime.consumers_file.as_ref() == Some(path) && *listed != loaded.listed;
                let count = |listed: &crate::config::Listed| Some(format!("({} consumers)", listed.len()));
                let (from, to) = (count(&loaded.listed), count(listed));
                let change = Change { key: "runtime.consumers_file".to_owned(), from, to };
                Ok(is_it.then(|| (roster.clone(), Some(listed.clone()), vec![change])))
            }
        }
    }

    /// Puts a change into force that is judged and kept.
    pub(super) async fn end_enrolment(&mut self, wanted: Command, ready: Result<Box<Ready>, Refused>) {
        let Command { by, job: Job::Enrol(enrolling) } = wanted else { return };
        let result = match ready {
            Ok(ready) => self.enrol(by, *ready).await,
            Err(refused) => Err(refused),
        };
        if let Err(refused) = &result {
            tracing::warn!(why = ?refused, "consumers are not changed");
        }
        // Who asked may have left.
        let _ = enrolling.reply.send(result);
    }

    async fn enrol(&mut self, by: Asker, ready: Ready) -> Result<Enrolled, Refused> {
        let Ready { roster, renewed, changes } = ready;
        let before = self.reader.have(roster.clone());
        if let Err(why) = self.renew(&by, renewed).await {
            self.reader.have(before.clone());
            if *before != *roster {
                write(Some(self.roster_file()), before).await?;
            }
            return Err(Refused::Conflict(why));
        }
        self.report.enrolled(roster);
        let plan = self.number();
        let (deferred, diagnostics) = Default::default();
        let told = Told { at: now(), by, result: Outcome::Applied, plan, changes, deferred, diagnostics };
        tracing::info!(by = %told.by, "consumers are changed: {told}");
        self.report.remember(Arc::new(told));
        Ok(Enrolled { plan, changed: true })
    }

    fn roster_file(&self) -> PathBuf {
        self.present.load().plan.config.runtime.state_dir.join(NAME)
    }
}

/// Keeps what operators have changed, if they have.
async fn write(file: Option<PathBuf>, roster: Arc<Roster>) -> Result<(), Refused> {
    let Some(file) = file else { return Ok(()) };
    let shown = file.display().to_string();
    let work = move || kept::replace(&file, &roster.to_text().map_err(io::Error::other)?);
    let written = tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    written.map_err(|error| Refused::Unkept(shown, error))
}
