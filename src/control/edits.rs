//! Changes that operators make of targets, and of who is refused: judged, kept, and put into force by control's loop.
//!
//! What always holds: a change is in force and, if it is to last, on the disk when it is told; one that cannot be kept changes
//! nothing. Adding and removing targets takes the way of a reload, though nothing is read anew.

use super::admin::Served;
use super::command::{Asker, Banning, Command, Edit, Edited, Editing, Job, Refused};
use super::handover::Operators;
use super::keep::Keep;
use super::life::{Control, Step};
use super::overrides::{Key, Overrides};
use super::reload::{Renewed, Result as Outcome, Told};
use super::staging::StagedReload;
use crate::config::model::SplitPool;
use crate::net;
use crate::observe::wall::now;
use std::sync::Arc;

/// Overrides that could be put into force: kept, if they are to last.
pub(super) struct Ready {
    overrides: Arc<Overrides>,
    /// The plan with other targets; `None`: they are the same.
    renewed: Option<Renewed>,
    /// The file as it is now, where it was written.
    keep: Option<Keep>,
}

impl Control {
    /// Begins a change of overrides, or refuses it.
    pub(super) fn begin_edit(&mut self, by: Asker, editing: Box<Editing>) {
        let before = self.reader.overrides().clone();
        let next = match self.assess(&editing, &before) {
            // What changes nothing makes nobody else's view of it stale.
            Ok(next) if next.is_same(&before) => before.clone(),
            Ok(next) => Arc::new(next),
            Err(refused) => {
                // Who asked may have left.
                let _ = editing.reply.send(Err(refused));
                return;
            }
        };
        let prepare = (!next.has_the_same_targets(&before)).then(|| {
            let tried = self.tried.as_ref().map(StagedReload::origin);
            self.reader.prepare_under(next.clone(), self.present.load_full(), tried)
        });
        let keep = (!next.keeps_the_same(&before)).then(|| self.reader.keep().clone());
        let overrides = next;
        let step = async move {
            let renewed = match prepare {
                Some(prepare) => match prepare.await {
                    Ok(renewed) => Some(renewed),
                    Err(why) => return Step::Edited(Err(Refused::Invalid(why))),
                },
                None => None,
            };
            match write(keep, overrides.clone()).await {
                Ok(keep) => Step::Edited(Ok(Box::new(Ready { overrides, renewed, keep }))),
                Err(refused) => Step::Edited(Err(refused)),
            }
        };
        self.step = Some((Command { by, job: Job::Edit(editing) }, Box::pin(step)));
    }

    /// What the overrides come to by a change; or why it cannot be made.
    fn assess(&mut self, editing: &Editing, before: &Overrides) -> Result<Overrides, Refused> {
        if let Some(condition) = &editing.condition
            && !self.report.is_current(condition, &self.report.tag())
        {
            return Err(Refused::Stale);
        }
        let in_force = &self.present.load_full().plan.config;
        let pool_of = |key: &Key| {
            in_force.pools.get(&key.pool).ok_or_else(|| Refused::Absent(format!("there is no pool `{}`", key.pool)))
        };
        let has = |key: &Key| -> Result<bool, Refused> {
            Ok(pool_of(key)?.targets.iter().any(|target| target.address.to_string() == key.target))
        };
        let must_have = |key: &Key| match has(key) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refused::Absent(format!("pool `{}` has no target `{}`", key.pool, key.target))),
            Err(refused) => Err(refused),
        };
        let room = |key: &Key| match before.concerns(key) || before.has_room() {
            true => Ok(()),
            false => {
                Err(Refused::Full("too many targets are overridden: write them into the configuration".to_owned()))
            }
        };
        match &editing.edit {
            Edit::Set { key, state, weight, agent, until } => {
                must_have(key)?;
                room(key)?;
                let next = before.with(key, *state, *weight, *until);
                Ok(agent.map_or(next.clone(), |heed| next.with_agent(key, heed, *until)))
            }
            Edit::Add { key, added, until } => {
                if has(key)? {
                    let what = format!("pool `{}` has the target `{}` already", key.pool, key.target);
                    return Err(Refused::Conflict(what));
                }
                room(key)?;
                Ok(before.with_added(key, *added, *until))
            }
            Edit::Remove { key, until } => {
                must_have(key)?;
                room(key)?;
                if pool_of(key)?.targets.len() == 1 {
                    let what = format!(
                        "`{}` is the last target of pool `{}`: add another one first, or set it to maintenance",
                        key.target, key.pool
                    );
                    return Err(Refused::Conflict(what));
                }
                let mut file = self.reader.loaded().config.clone();
                self.discovery.board.lay_over(&mut file);
                let in_file = file
                    .pools
                    .get(&key.pool)
                    .is_some_and(|pool| pool.targets.iter().any(|target| target.address.to_string() == key.target));
                Ok(before.without(key, in_file, *until))
            }
            Edit::Reset(key) => match before.concerns(key) {
                true => Ok(before.reset(key)),
                false => {
                    Err(Refused::Absent(format!("nothing of `{}` in pool `{}` is overridden", key.target, key.pool)))
                }
            },
            Edit::Split { route, weights } => {
                let parts = in_force.routes.get(route).map(|route| &route.split[..]).unwrap_or_default();
                if parts.is_empty() {
                    return Err(Refused::Absent(format!("there is no route `{route}` with a split")));
                }
                if let Some(pool) = weights.keys().find(|&pool| !parts.iter().any(|part| part.pool == *pool)) {
                    return Err(Refused::Absent(format!("pool `{pool}` is not in the split of route `{route}`")));
                }
                if !before.splits().concerns(route) && !before.splits().has_room() {
                    return Err(Refused::Full(
                        "too many splits are overridden: write them into the configuration".into(),
                    ));
                }
                let next = before.with_split(route, weights);
                let weight = |part: &SplitPool| next.splits().weight(route, &part.pool).unwrap_or(part.weight);
                if parts.iter().all(|part| weight(part) == 0) {
                    let what = format!("no pool of route `{route}` would have a weight: nobody would get its requests");
                    return Err(Refused::Conflict(what));
                }
                Ok(next)
            }
            Edit::ResetSplit(route) => match before.splits().concerns(route) {
                true => Ok(before.without_split(route)),
                false => Err(Refused::Absent(format!("nothing of the split of route `{route}` is overridden"))),
            },
            Edit::ResetAll => Ok(before.reset_all()),
        }
    }

    /// Puts a change into force that is judged and kept.
    pub(super) async fn end_edit(&mut self, wanted: Command, ready: Result<Box<Ready>, Refused>) {
        let Command { by, job: Job::Edit(editing) } = wanted else { return };
        let result = match ready {
            Ok(ready) => self.override_by(by, *ready).await,
            Err(refused) => Err(refused),
        };
        if let Err(refused) = &result {
            tracing::warn!(edit = ?editing.edit, why = ?refused, "targets are not changed");
        }
        // Who asked may have left.
        let _ = editing.reply.send(result);
    }

    async fn override_by(&mut self, by: Asker, ready: Ready) -> Result<Edited, Refused> {
        let Ready { overrides, renewed, keep } = ready;
        if let Some(keep) = keep {
            *self.reader.keep() = keep;
        }
        let before = self.reader.override_by(overrides.clone());
        let changes = overrides.changes_since(&before);
        if let Some(renewed) = renewed
            && let Err(why) = self.renew(&by, renewed).await
        {
            self.reader.override_by(before.clone());
            let keep = Some(self.reader.keep().clone());
            if let Ok(Some(keep)) = write(keep, before).await {
                *self.reader.keep() = keep;
            }
            return Err(Refused::Conflict(why));
        }
        let present = self.present.load_full();
        self.plans().for_each(|plan| overrides.set_modes(&plan));
        // What an agent had said may count no more, or again.
        self.checks.show();
        self.report.overridden(overrides.clone());
        if !changes.is_empty() {
            let told = Told {
                at: now(),
                by,
                result: Outcome::Applied,
                plan: present.number,
                changes: changes.clone(),
                deferred: Vec::new(),
                diagnostics: String::new(),
            };
            tracing::info!(by = %told.by, "targets are changed: {told}");
            self.report.remember(Arc::new(told));
        }
        Ok(Edited { overrides, plan: present.number, changes })
    }

    /// What operators have said, and where they come in, for another process.
    pub(super) fn operators(&self) -> Operators {
        let (tcp, socket) = self.admin.as_ref().map(Served::descriptors).unwrap_or_default();
        let tell = |what: &str, text: Result<String, String>| match text {
            Ok(text) => Some(text),
            Err(why) => {
                tracing::error!("{what} cannot be handed over: {why}");
                None
            }
        };
        let overrides = tell("what is overridden", self.reader.overrides().to_text());
        let bans = tell("bans", self.crew.bans().to_text(net::coarse_now()));
        let discovered = tell("targets that were found", self.discovery.board.found().1.to_text());
        Operators { tcp, socket, overrides, bans, discovered }
    }

    /// Changes who is refused, as an operator says.
    pub(super) fn ban(&mut self, by: &Asker, banning: Banning) -> Result<(), Refused> {
        let bans = self.crew.bans().clone();
        let is_current = |condition: &Option<String>| {
            condition.as_ref().is_none_or(|condition| self.report.is_current(condition, &self.report.ban_tag(&bans)))
        };
        match banning {
            Banning::Add(_, _, condition) | Banning::Remove(_, condition) if !is_current(&condition) => {
                Err(Refused::Stale)
            }
            Banning::Add(net, ban, _) => {
                let (reason, left) = (ban.reason.to_string(), ban.left(net::coarse_now()));
                if !bans.add(net, ban) {
                    return Err(Refused::Full("too many clients are banned: ban ranges instead".to_owned()));
                }
                tracing::info!(%by, client = %net, ?left, reason, "banned");
                Ok(())
            }
            Banning::Remove(net, _) => {
                if !bans.remove(&net) {
                    return Err(Refused::Absent(format!("`{net}` is not banned")));
                }
                tracing::info!(%by, client = %net, "no longer banned");
                Ok(())
            }
        }
    }
}

/// Keeps overrides where that is asked for. Returns the file as it is then.
async fn write(keep: Option<Keep>, overrides: Arc<Overrides>) -> Result<Option<Keep>, Refused> {
    let Some(mut keep) = keep else { return Ok(None) };
    let file = keep.file().display().to_string();
    let work = tokio::task::spawn_blocking(move || keep.write(&overrides).map(|()| keep));
    let written = work.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    written.map(Some).map_err(|error| Refused::Unkept(file, error))
}
