//! What control is asked to do, by signals and by operators. Control's loop takes one after the other.
//!
//! What always holds: who asks waits with a limit, and control never waits for who has asked.

use super::overrides::{Added, Heed, Key, Overrides, State, Until};
use super::reload::{Stage, Told};
use crate::config::Listed;
use crate::config::diff::Change;
use crate::config::model::Consumer;
use crate::lane::bans::Ban;
use ipnet::IpNet;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Who asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A signal.
    Signal,
    /// A change of the files.
    Watch,
    /// Targets were found, or are gone.
    Discovery,
    /// A pool of a split does badly.
    Rollback,
    /// An operator, by the admin API: from where.
    Admin(String),
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal => f.write_str("signal"),
            Self::Watch => f.write_str("watch"),
            Self::Discovery => f.write_str("discovery"),
            Self::Rollback => f.write_str("rollback"),
            Self::Admin(from) => write!(f, "admin {from}"),
        }
    }
}

impl Serialize for Asker {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Something that control is asked to do.
pub struct Command {
    /// Who asks.
    pub by: Asker,
    /// What for.
    pub job: Job,
}

impl Command {
    /// A reload that nobody waits for.
    pub fn reload(by: Asker) -> Self {
        Self { by, job: Job::Reload { stage: None, reply: None } }
    }

    /// Whether it is a reload that is put into force at once.
    pub fn is_reload(&self) -> bool {
        matches!(self.job, Job::Reload { stage: None, .. })
    }

    /// Whether one that is put into force before it does as well.
    pub fn says_again(&self) -> bool {
        matches!(self.job, Job::Reload { stage: None, reply: None })
    }

    /// If it is a reload that is to be tried out first: how.
    pub fn stage(&self) -> Option<Stage> {
        match self.job {
            Job::Reload { stage, .. } => stage,
            _ => None,
        }
    }
}

/// What control can be asked to do.
pub enum Job {
    /// Read the configuration anew.
    Reload {
        /// If it is to be tried out first: how.
        stage: Option<Stage>,
        /// Who waits to be told how it went.
        reply: Option<oneshot::Sender<Arc<Told>>>,
    },
    /// Change the overrides of targets.
    Edit(Box<Editing>),
    /// Change who is known.
    Enrol(Box<Enrolling>),
    /// Put into force what was found of targets.
    Discover,
    /// Hand over to a new process; who waits is told its number, or why there is none.
    Upgrade(oneshot::Sender<Result<u32, String>>),
    /// Refuse clients from now on, or no more.
    Ban(Banning, oneshot::Sender<Result<(), Refused>>),
}

/// A change of the overrides.
pub struct Editing {
    /// What is to change.
    pub edit: Edit,
    /// Only if the state is the one of this tag.
    pub condition: Option<String>,
    /// Who waits.
    pub reply: oneshot::Sender<Result<Edited, Refused>>,
}

/// What may be changed of the overrides.
#[derive(Clone, Debug)]
pub enum Edit {
    /// A target's state or weight, or whether its agent is heeded. A weight of `Some(None)` is the configuration's again.
    Set {
        /// Which target.
        key: Key,
        /// What is wanted of it.
        state: Option<State>,
        /// Its weight.
        weight: Option<Option<u32>>,
        /// Whether what an agent says of it counts.
        agent: Option<Heed>,
        /// How long that lasts.
        until: Until,
    },
    /// A target more.
    Add {
        /// Which one.
        key: Key,
        /// How it is used.
        added: Added,
        /// How long that lasts.
        until: Until,
    },
    /// A target less.
    Remove {
        /// Which one.
        key: Key,
        /// How long that lasts.
        until: Until,
    },
    /// A target as the configuration has it.
    Reset(Key),
    /// Weights of pools in the split of a route.
    Split {
        /// The route.
        route: String,
        /// The weights by pool; 0 halts one.
        weights: BTreeMap<String, u32>,
    },
    /// The split of a route as the configuration has it.
    ResetSplit(String),
    /// All targets and splits as the configuration has them.
    ResetAll,
}

/// A change of consumers.
pub struct Enrolling {
    /// What is to change.
    pub change: Enrol,
    /// As with [`Editing::condition`].
    pub condition: Option<String>,
    /// Who waits.
    pub reply: oneshot::Sender<Result<Enrolled, Refused>>,
}

/// What may be changed of consumers.
pub enum Enrol {
    /// One of this name is this one.
    Put(String, Consumer),
    /// There is none of this name.
    Remove(String),
    /// These stand in the file at this path.
    Listed(PathBuf, Arc<Listed>),
}

/// What such a change came to.
#[derive(Debug)]
pub struct Enrolled {
    /// The number of the plan in force.
    pub plan: u64,
    /// Whether anything has changed.
    pub changed: bool,
}

/// What a change came to.
#[derive(Debug)]
pub struct Edited {
    /// What is overridden now.
    pub overrides: Arc<Overrides>,
    /// The number of the plan in force.
    pub plan: u64,
    /// What has changed by it.
    pub changes: Vec<Change>,
}

/// A change of the bans.
pub enum Banning {
    /// Refuse these clients; the tag is as with [`Editing::condition`].
    Add(IpNet, Ban, Option<String>),
    /// Refuse them no more.
    Remove(IpNet, Option<String>),
}

/// Why control does not do something.
#[derive(Debug)]
pub enum Refused {
    /// There is no such pool, target, consumer or ban.
    Absent(String),
    /// It cannot be done as things are.
    Conflict(String),
    /// It cannot be what it is to be.
    Invalid(String),
    /// The state is not the one that the change was made for.
    Stale,
    /// It cannot be kept, so that nothing is changed.
    Unkept(String, io::Error),
    /// There is room for no more of them.
    Full(String),
    /// Control has too much to do, or is ending.
    Busy,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(what) | Self::Conflict(what) | Self::Invalid(what) | Self::Full(what) => f.write_str(what),
            Self::Stale => f.write_str("somebody has changed it since"),
            Self::Unkept(file, error) => write!(f, "`{file}` cannot be written: {error}"),
            Self::Busy => f.write_str("control has too much to do, or is ending"),
        }
    }
}

/// How long control may take for a change.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take for a reload, which reads files and waits for addresses.
const RELOAD: Duration = Duration::from_secs(60);
/// How long a new process may take, and what waits before it.
const UPGRADE: Duration = Duration::from_secs(90);

/// The way to control's loop.
#[derive(Clone)]
pub struct Commands(mpsc::Sender<Command>);

impl Commands {
    /// The way, and control's end of it. So many may wait.
    pub fn new(capacity: usize) -> (Self, mpsc::Receiver<Command>) {
        let (sender, receiver) = mpsc::channel(capacity);
        (Self(sender), receiver)
    }

    /// Has the configuration read anew, once there is room for the order. False: control is ending.
    pub async fn tell_to_reload(&self, by: Asker) -> bool {
        self.0.send(Command::reload(by)).await.is_ok()
    }

    /// Has the configuration read anew and waits for what becomes of it.
    pub async fn reload(&self, by: Asker, stage: Option<Stage>) -> Result<Arc<Told>, Refused> {
        let (reply, told) = oneshot::channel();
        self.send(by, Job::Reload { stage, reply: Some(reply) })?;
        timeout(RELOAD, told).await.ok().and_then(Result::ok).ok_or(Refused::Busy)
    }

    /// Hands over to a new process and waits until it accepts. Returns its number, or why it could not start.
    pub async fn upgrade(&self, by: Asker) -> Result<Result<u32, String>, Refused> {
        let (reply, risen) = oneshot::channel();
        self.send(by, Job::Upgrade(reply))?;
        timeout(UPGRADE, risen).await.ok().and_then(Result::ok).ok_or(Refused::Busy)
    }

    /// Changes overrides.
    pub async fn edit(&self, by: Asker, edit: Edit, condition: Option<String>) -> Result<Edited, Refused> {
        let (reply, edited) = oneshot::channel();
        self.send(by, Job::Edit(Box::new(Editing { edit, condition, reply })))?;
        timeout(PATIENCE, edited).await.ok().and_then(Result::ok).unwrap_or(Err(Refused::Busy))
    }

    /// Changes who is known.
    pub async fn enrol(&self, by: Asker, change: Enrol, condition: Option<String>) -> Result<Enrolled, Refused> {
        let (reply, enrolled) = oneshot::channel();
        self.send(by, Job::Enrol(Box::new(Enrolling { change, condition, reply })))?;
        timeout(RELOAD, enrolled).await.ok().and_then(Result::ok).unwrap_or(Err(Refused::Busy))
    }

    /// Changes bans.
    pub async fn ban(&self, by: Asker, banning: Banning) -> Result<(), Refused> {
        let (reply, done) = oneshot::channel();
        self.send(by, Job::Ban(banning, reply))?;
        timeout(PATIENCE, done).await.ok().and_then(Result::ok).unwrap_or(Err(Refused::Busy))
    }

    fn send(&self, by: Asker, job: Job) -> Result<(), Refused> {
        self.0.try_send(Command { by, job }).map_err(|_| Refused::Busy)
    }
}
