//! `ringway target`: looks at targets and changes them.

use super::ask::{Asked, Trouble, encoded};
use super::status::{all, say, targets};
use super::table::colour;
use crate::control::admin::view::{self, Changed};
use crate::control::overrides::{Heed, State, Until};
use clap::{Args, Subcommand, ValueEnum};
use hyper::Method;
use std::io;
use std::process::ExitCode;

/// What is to be done.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List targets with their states.
    List {
        #[command(flatten)]
        asked: Asked,
        /// The pool; else all of them.
        pool: Option<String>,
    },
    /// Change a target's state or weight, or whether its agent is heeded.
    Set {
        #[command(flatten)]
        asked: Asked,
        /// The pool.
        pool: String,
        /// The target's address.
        target: String,
        /// What is wanted of it.
        #[arg(long, value_enum, required_unless_present_any = ["weight", "agent"])]
        state: Option<StateWord>,
        /// Its weight, 0 to 256, or "config" for that of the configuration.
        #[arg(long, value_name = "N", value_parser = weight)]
        weight: Option<Weight>,
        /// Whether what an agent says of it counts.
        #[arg(long, value_enum)]
        agent: Option<AgentWord>,
        /// How long that lasts.
        #[arg(long, value_enum, default_value = "forever")]
        until: UntilWord,
    },
    /// Add a target to a pool.
    Add {
        #[command(flatten)]
        asked: Asked,
        /// The pool.
        pool: String,
        /// The target's address.
        target: String,
        /// Its weight.
        #[arg(long, value_name = "N", default_value_t = 1)]
        weight: u32,
        /// Use it only while no other target can be.
        #[arg(long)]
        backup: bool,
        /// How long it stays.
        #[arg(long, value_enum, default_value = "forever")]
        until: UntilWord,
    },
    /// Remove a target from its pool; what it has in hand it finishes.
    Remove {
        #[command(flatten)]
        asked: Asked,
        /// The pool.
        pool: String,
        /// The target's address.
        target: String,
        /// How long that lasts.
        #[arg(long, value_enum, default_value = "forever")]
        until: UntilWord,
    },
    /// Have a target come back at once that live traffic has ejected.
    Return {
        #[command(flatten)]
        asked: Asked,
        /// The pool.
        pool: String,
        /// The target's address.
        target: String,
    },
    /// Make a target what the configuration says.
    Reset {
        #[command(flatten)]
        asked: Asked,
        /// The pool.
        #[arg(required_unless_present = "all")]
        pool: Option<String>,
        /// The target's address.
        #[arg(required_unless_present = "all")]
        target: Option<String>,
        /// All targets of all pools.
        #[arg(long, conflicts_with_all = ["pool", "target"])]
        all: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum StateWord {
    /// It works.
    Ready,
    /// No new work; what it has goes on.
    Drain,
    /// It is taken for down.
    Maintenance,
}

#[derive(Clone, Copy, ValueEnum)]
enum AgentWord {
    /// It does.
    On,
    /// It does not, so that a target that the agent has taken out is used again.
    Off,
}

#[derive(Clone, Copy, ValueEnum)]
enum UntilWord {
    /// Until the process is started again.
    Restart,
    /// Until it is taken back.
    Forever,
}

/// A weight, or the configuration's.
#[derive(Clone, Copy)]
struct Weight(Option<u32>);

fn weight(text: &str) -> Result<Weight, String> {
    match text {
        "config" => Ok(Weight(None)),
        _ => text.parse().map(|weight| Weight(Some(weight))).map_err(|_| "it is a number, or \"config\"".to_owned()),
    }
}

impl From<StateWord> for State {
    fn from(word: StateWord) -> Self {
        match word {
            StateWord::Ready => Self::Ready,
            StateWord::Drain => Self::Drain,
            StateWord::Maintenance => Self::Maintenance,
        }
    }
}

impl From<AgentWord> for Heed {
    fn from(word: AgentWord) -> Self {
        match word {
            AgentWord::On => Self::On,
            AgentWord::Off => Self::Off,
        }
    }
}

impl From<UntilWord> for Until {
    fn from(word: UntilWord) -> Self {
        match word {
            UntilWord::Restart => Self::Restart,
            UntilWord::Forever => Self::Forever,
        }
    }
}

/// Does it.
pub fn target(arguments: &Arguments) -> Result<ExitCode, Trouble> {
    let at = |pool: &str, target: &str| format!("/v1/pools/{}/targets/{}", encoded(pool), encoded(target));
    let answer = match &arguments.command {
        Command::List { asked, pool } => {
            let line = asked.line()?;
            let pools: Vec<view::Pool> = match pool {
                Some(pool) => vec![line.get(&format!("/v1/pools/{}", encoded(pool)))?],
                None => all(&line, "/v1/pools")?,
            };
            say(&targets(&pools, colour(&io::stdout())));
            return Ok(ExitCode::SUCCESS);
        }
        Command::Set { asked, pool, target, state, weight, agent, until } => {
            let weight = weight.map(|weight| weight.0);
            let (state, agent) = (state.map(State::from), agent.map(Heed::from));
            let patch = view::PatchTarget { state, weight, agent, until: (*until).into() };
            asked.line()?.ask(Method::PATCH, &at(pool, target), Some(&patch))?
        }
        Command::Add { asked, pool, target, weight, backup, until } => {
            let (address, weight, backup) = (target.clone(), *weight, *backup);
            let new = view::NewTarget { address, weight, backup, until: (*until).into() };
            asked.line()?.ask(Method::POST, &format!("/v1/pools/{}/targets", encoded(pool)), Some(&new))?
        }
        Command::Remove { asked, pool, target, until } => {
            let until = if matches!(until, UntilWord::Restart) { "?until=restart" } else { "" };
            asked.line()?.ask(Method::DELETE, &format!("{}{until}", at(pool, target)), None::<&()>)?
        }
        Command::Return { asked, pool, target } => {
            let path = format!("{}/ejection", at(pool, target));
            let answer = asked.line()?.ask(Method::DELETE, &path, None::<&()>)?;
            if answer.status != 204 {
                return Err(answer.trouble());
            }
            say(&format!("{target} of pool {pool} is no longer ejected\n"));
            return Ok(ExitCode::SUCCESS);
        }
        Command::Reset { asked, pool, target, .. } => {
            let path = match (pool, target) {
                (Some(pool), Some(target)) => format!("/v1/overrides/{}/{}", encoded(pool), encoded(target)),
                _ => "/v1/overrides".to_owned(),
            };
            asked.line()?.ask(Method::DELETE, &path, None::<&()>)?
        }
    };
    let Changed { plan, changes } = answer.good()?;
    if changes.is_empty() {
        say("nothing to change\n");
    }
    for change in &changes {
        say(&format!("{change}\n"));
    }
    if changes.iter().any(|change| change.key.ends_with(".presence")) {
        say(&format!("plan {plan} is in force\n"));
    }
    Ok(ExitCode::SUCCESS)
}
