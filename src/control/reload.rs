//! A new configuration for a process that runs: read, checked and compiled where it holds up nobody, then put into force as a
//! whole.
//!
//! What always holds: one that has a fault, or needs what cannot be had, changes nothing.

use super::command::Asker;
use super::discovery::{self, Board};
use super::issuers;
use super::keep::Keep;
use super::overrides::Overrides;
use super::present::Present;
use super::roster::Roster;
use super::secrets;
use crate::config::diff::{self, Change};
use crate::config::model::Config;
use crate::config::{self, Fault, KeyPath, Listed, Loaded};
use crate::observe::wall;
use crate::plan::{self, Plan};
use serde::Serialize;
use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How a plan is tried out before it is put into force.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    /// The share of connections that go by it, 0 to 1.
    pub share: f64,
    /// For how long.
    pub span: Duration,
}

/// How a reload went, or a change of targets.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// When it was over, seconds since 1970.
    pub at: u64,
    /// Who asked for it.
    pub by: Asker,
    /// What became of it.
    pub result: Result,
    /// The number of the plan that is in force now.
    pub plan: u64,
    /// What differs from the configuration before.
    pub changes: Vec<Change>,
    /// Keys that differ and take effect only when the process is started anew, or by an upgrade.
    pub deferred: Vec<String>,
    /// What is allowed but likely a mistake, and what was wrong, as `check` tells it.
    pub diagnostics: String,
}

/// What became of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Result {
    /// It is in force.
    Applied,
    /// A share of connections goes by it, beside the one in force.
    Trying,
    /// It was tried out, and has not proven itself.
    RolledBack,
    /// There was nothing to change.
    Unchanged,
    /// It changed nothing, for something was wrong.
    Failed,
}

/// The last reloads, the newest last.
#[derive(Clone, Debug, Default)]
pub struct History(VecDeque<Arc<Told>>);

/// Reloads that are remembered.
const REMEMBERED: usize = 50;

/// Reads configurations and compiles them.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    /// What is in force.
    loaded: Loaded,
    /// What is laid over it.
    overrides: Arc<Overrides>,
    /// What operators have changed of consumers, likewise.
    roster: Arc<Roster>,
    /// Where the overrides are kept.
    keep: Keep,
    /// What is found of targets.
    board: Arc<Board>,
}

/// Other targets that could be put into force.
pub struct Renewed {
    /// What is in force, with them.
    pub present: Prepared,
    /// What is tried out beside it, with them, or why they cannot be had there; `None`: nothing was tried out.
    pub tried: Option<std::result::Result<Prepared, String>>,
}

/// A configuration that could be put into force.
pub struct Prepared {
    /// The plan.
    pub plan: Plan,
    /// What it was compiled from.
    pub loaded: Loaded,
    /// What differs.
    pub changes: Vec<Change>,
    /// Keys that differ and cannot be changed while the process runs.
    pub deferred: Vec<String>,
    /// The last change of what was found that is in the plan.
    pub revision: u64,
}

impl History {
    /// All that are remembered, the newest last.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Arc<Told>> {
        self.0.iter()
    }

    /// These and one more; the oldest is forgotten in time.
    pub fn with(&self, told: Arc<Told>) -> Self {
        let forgotten = (self.0.len() + 1).saturating_sub(REMEMBERED);
        Self(self.0.iter().skip(forgotten).cloned().chain([told]).collect())
    }
}

impl Reader {
    /// Reads `path`, of which `loaded` is in force with what is on `board` and under `overrides`, which are kept in `keep`, and `roster`.
    pub fn new(
        path: PathBuf,
        loaded: Loaded,
        (overrides, roster): (Overrides, Roster),
        keep: Keep,
        board: Arc<Board>,
    ) -> Self {
        Self { path, loaded, overrides: Arc::new(overrides), roster: Arc::new(roster), keep, board }
    }

    /// The files and folders that a change of the configuration would be seen in, if it is to be looked for.
    pub fn places(&self) -> Vec<PathBuf> {
        match self.loaded.config.runtime.watch {
            true => [self.loaded.sources.places(), plan::files::places(&self.loaded.config)].concat(),
            false => Vec::new(),
        }
    }

    /// This is in force now.
    pub fn take(&mut self, loaded: Loaded) {
        self.loaded = loaded;
    }

    /// These are laid over it from now on. Returns those before.
    pub fn override_by(&mut self, overrides: Arc<Overrides>) -> Arc<Overrides> {
        std::mem::replace(&mut self.overrides, overrides)
    }

    /// These changes of consumers are laid over it from now on. Returns those before.
    pub fn have(&mut self, roster: Arc<Roster>) -> Arc<Roster> {
        std::mem::replace(&mut self.roster, roster)
    }

    /// What operators have changed of consumers.
    pub fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }

    /// What is in force.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// What is laid over it.
    pub fn overrides(&self) -> &Arc<Overrides> {
        &self.overrides
    }

    /// Where that is kept.
    pub fn keep(&mut self) -> &mut Keep {
        &mut self.keep
    }

    /// Reads and compiles what is to follow `present`. Fails with what `check` would tell.
    pub fn prepare(
        &self,
        present: Arc<Present>,
    ) -> impl Future<Output = std::result::Result<Prepared, String>> + use<> {
        let (path, before, overrides) = (self.path.clone(), self.loaded.clone(), self.overrides.clone());
        let (board, roster) = (self.board.clone(), self.roster.clone());
        async move {
            let load = move || config::load(&path, &|name| std::env::var(name).ok());
            let loaded = blocking(move || load().map_err(|report| report.to_string())).await?;
            // A pool that is new has its targets from its first request on.
            discovery::ask_first(&board, &loaded.config, false).await;
            let prepared = blocking(move || {
                secrets::make(&loaded.config)?;
                let mut changes = diff::changes(&before.sources, &loaded.sources);
                if before.listed != loaded.listed
                    && before.config.runtime.consumers_file == loaded.config.runtime.consumers_file
                {
                    changes.push(of_a_file("runtime.consumers_file".to_owned()));
                }
                let (config, deferred) = defer(&present.plan.config, loaded.config.clone());
                let make = |config: &Config| plan::succeed(config, &present.plan);
                let mut prepared = compile(config, (&board, &overrides, &roster), loaded, make, (changes, deferred))?;
                prepared.changes.extend(of_files(&prepared.plan, &present.plan));
                Ok(prepared)
            })
            .await?;
            // Nor is a token refused that came just after the keys of a new issuer were wanted.
            issuers::ask_first(&prepared.plan).await;
            Ok(prepared)
        }
    }

    /// Compiles what is in force, and what is `tried` out beside it, under these overrides and with what is found of targets now.
    /// Nothing is read.
    pub fn prepare_under(
        &self,
        overrides: Arc<Overrides>,
        present: Arc<Present>,
        tried: Option<(Loaded, Arc<Present>)>,
    ) -> impl Future<Output = std::result::Result<Renewed, String>> + use<> {
        let changes = overrides.changes_since(&self.overrides);
        self.prepare_again((overrides, self.roster.clone(), changes), None, present, tried)
    }

    /// The same with these changes of consumers, and with those that are `listed` in the file of consumers, where that has changed.
    pub fn prepare_for(
        &self,
        roster: Arc<Roster>,
        listed: Option<Arc<Listed>>,
        present: Arc<Present>,
        tried: Option<(Loaded, Arc<Present>)>,
    ) -> impl Future<Output = std::result::Result<Renewed, String>> + use<> {
        self.prepare_again((self.overrides.clone(), roster, Vec::new()), listed, present, tried)
    }

    fn prepare_again(
        &self,
        (overrides, roster, changes): (Arc<Overrides>, Arc<Roster>, Vec<Change>),
        listed: Option<Arc<Listed>>,
        present: Arc<Present>,
        tried: Option<(Loaded, Arc<Present>)>,
    ) -> impl Future<Output = std::result::Result<Renewed, String>> + use<> {
        let (loaded, board) = (self.loaded.clone(), self.board.clone());
        blocking(move || {
            let file = loaded.config.runtime.consumers_file.clone();
            let with = |loaded: Loaded| match &listed {
                Some(listed) if loaded.config.runtime.consumers_file == file => loaded.with(listed.clone()),
                _ => Ok(loaded),
            };
            let again = |loaded: Loaded, of: &Plan, beside: Option<&Plan>| {
                let (config, deferred) = defer(&present.plan.config, loaded.config.clone());
                let make = |config: &Config| plan::renew(config, of, beside);
                compile(config, (&board, &overrides, &roster), loaded, make, (changes.clone(), deferred))
            };
            let beside = tried.as_ref().map(|(_, tried)| &*tried.plan);
            let renewed = again(with(loaded)?, &present.plan, beside)?;
            let tried = tried.map(|(loaded, tried)| again(with(loaded)?, &tried.plan, Some(&renewed.plan)));
            Ok(Renewed { present: renewed, tried })
        })
    }
}

fn compile(
    mut config: Config,
    (board, overrides, roster): (&Board, &Overrides, &Roster),
    mut loaded: Loaded,
    make: impl FnOnce(&Config) -> std::result::Result<Plan, Vec<Fault>>,
    (changes, deferred): (Vec<Change>, Vec<String>),
) -> std::result::Result<Prepared, String> {
    let (revision, found) = board.found();
    found.lay_over(&mut config);
    overrides.lay_over(&mut config);
    roster.lay_over(&mut config);
    let plan = make(&config).map_err(|faults| loaded.sources.report(&faults).to_string())?;
    loaded.warn(plan.warnings());
    Ok(Prepared { plan, loaded, changes, deferred, revision })
}

/// Files that are named as before and have something else in them.
fn of_files(plan: &Plan, before: &Plan) -> Vec<Change> {
    plan.files.changed_since(&before.files).iter().map(KeyPath::to_string).map(of_a_file).collect()
}

/// A file that is named by this key.
fn of_a_file(key: String) -> Change {
    Change { key, from: Some("(what the file had)".to_owned()), to: Some("(what it has now)".to_owned()) }
}

/// Does what takes its time where it holds up nobody.
fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::result::Result<T, String> + Send + 'static,
) -> impl Future<Output = std::result::Result<T, String>> {
    let work = tokio::task::spawn_blocking(work);
    async move { work.await.unwrap_or_else(|error| Err(format!("the configuration could not be compiled: {error}"))) }
}

impl Prepared {
    /// The keys that differ and cannot be tried out by a share of connections: what all of them have in common.
    pub fn too_much_to_try(&self) -> Vec<&str> {
        let may = |key: &str| {
            let listeners_pool = key.starts_with("listeners.") && key.ends_with(".pool");
            listeners_pool || ["routes.", "pools.", "rules.", "tests."].iter().any(|kind| key.starts_with(kind))
        };
        self.changes.iter().map(|change| change.key.as_str()).filter(|key| !may(key)).collect()
    }
}

/// What even an upgrade cannot change: who runs as one user cannot take on another one, and a filter goes on.
const OF_STARTS: [&str; 3] = ["runtime.user", "runtime.group", "runtime.seccomp"];

/// Puts back what cannot be changed while the process runs, and names it.
fn defer(before: &Config, mut config: Config) -> (Config, Vec<String>) {
    let mut deferred = Vec::new();
    let mut keep = |differs: bool, key: &str| {
        if differs {
            deferred.push(key.to_owned());
        }
    };
    keep(before.runtime.workers != config.runtime.workers, "runtime.workers");
    keep(before.runtime.driver != config.runtime.driver, "runtime.driver");
    keep(before.runtime.state_dir != config.runtime.state_dir, "runtime.state_dir");
    keep(before.runtime.user != config.runtime.user, "runtime.user");
    keep(before.runtime.group != config.runtime.group, "runtime.group");
    keep(before.runtime.seccomp != config.runtime.seccomp, "runtime.seccomp");
    keep(before.admin != config.admin, "admin");
    for (name, listener) in &mut config.listeners {
        // What is bound stays as it was bound.
        let before = before.listeners.get(name);
        let Some(old) = before.filter(|old| old.listen.iter().any(|address| listener.listen.contains(address))) else {
            continue;
        };
        keep(old.interface != listener.interface, &format!("listeners.{name}.interface"));
        keep(old.transparent != listener.transparent, &format!("listeners.{name}.transparent"));
        keep(old.v6only != listener.v6only, &format!("listeners.{name}.v6only"));
        listener.interface.clone_from(&old.interface);
        (listener.transparent, listener.v6only) = (old.transparent, old.v6only);
    }
    config.runtime.workers = before.runtime.workers;
    config.runtime.driver = before.runtime.driver;
    config.runtime.state_dir.clone_from(&before.runtime.state_dir);
    config.runtime.user.clone_from(&before.runtime.user);
    config.runtime.group.clone_from(&before.runtime.group);
    config.runtime.seccomp = before.runtime.seccomp;
    config.admin.clone_from(&before.admin);
    (config, deferred)
}

impl Told {
    /// A reload that came to nothing.
    pub fn failed(by: Asker, plan: u64, diagnostics: String) -> Self {
        let (changes, deferred) = (Vec::new(), Vec::new());
        Self { at: wall::now(), by, result: Result::Failed, plan, changes, deferred, diagnostics }
    }
}

impl fmt::Display for Result {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Applied => "applied",
            Self::Trying => "trying",
            Self::RolledBack => "rolled-back",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
        })
    }
}

impl fmt::Display for Told {
    /// As a person reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.result {
            Result::Failed => return write!(f, "nothing is changed:\n{}", self.diagnostics.trim_end()),
            Result::Unchanged => write!(f, "nothing to change: plan {} stays in force", self.plan)?,
            Result::Applied => write!(f, "plan {} is in force", self.plan)?,
            Result::Trying => write!(f, "tried out beside plan {}, which stays in force", self.plan)?,
            Result::RolledBack => {
                return write!(f, "rolled back, plan {} stays in force: {}", self.plan, self.diagnostics.trim_end());
            }
        }
        for change in &self.changes {
            write!(f, "\n  {change}")?;
        }
        for key in &self.deferred {
            let when = if OF_STARTS.contains(&key.as_str()) { "start" } else { "upgrade or start" };
            write!(f, "\n  ! {key} takes effect with the next {when}")?;
        }
        if !self.diagnostics.is_empty() {
            write!(f, "\n{}", self.diagnostics.trim_end())?;
        }
        Ok(())
    }
}
