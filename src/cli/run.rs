//! `ringway run`: reads the configuration and runs it.

use crate::config::{self, Report};
use crate::control::discovery;
use crate::control::overrides::Overrides;
use crate::control::{self, Inheritance, Keep, Privileges, Start};
use crate::net;
use crate::observe::log::Logger;
use crate::plan;
use crate::tls::Rings;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// How long exit waits for the last lines of the operational log.
const LAST_LINES: Duration = Duration::from_millis(500);

/// Runs the configuration at `path` until the process is told to end.
pub fn run(path: &Path) -> ExitCode {
    let mut inheritance = match Inheritance::take() {
        Ok(inheritance) => inheritance,
        Err(error) => {
            eprintln!("ringway: {error}");
            return ExitCode::FAILURE;
        }
    };
    let refuse = |report: &Report, inheritance: Option<&Inheritance>| {
        if let Some(inheritance) = inheritance {
            inheritance.fail(&report.to_string());
        }
        refuse(report)
    };
    let environment = |name: &str| std::env::var(name).ok();
    let mut loaded = match config::load(path, &environment) {
        Ok(loaded) => loaded,
        Err(report) => return refuse(&report, inheritance.as_ref()),
    };
    let confined = inheritance.as_ref().is_some_and(|inheritance| inheritance.letter.confined);
    let privileges = match Privileges::begin(&loaded, confined) {
        Ok(privileges) => privileges,
        Err(why) => return refuse_for(&why, inheritance.as_ref()),
    };
    let (keep, kept, damage) = Keep::open(&loaded.config.runtime.state_dir);
    let handed = inheritance.as_mut().and_then(|inheritance| inheritance.letter.overrides.take());
    let (overrides, lost) = match handed.as_deref().map(Overrides::from_text) {
        Some(Ok(handed)) => (handed, None),
        Some(Err(why)) => (kept, Some(format!("what was overridden until a restart is lost in the upgrade: {why}"))),
        None => (kept, None),
    };
    let made = control::secrets::make(&loaded.config);
    let roster = match made.and_then(|()| control::recall(&loaded.config.runtime.state_dir)) {
        Ok(roster) => roster,
        Err(why) => return refuse_for(&why, inheritance.as_ref()),
    };
    let mut config = loaded.config.clone();
    let found = inheritance.as_mut().and_then(|inheritance| inheritance.letter.discovered.take());
    let board = discovery::recall(&config, found);
    board.lay_over(&mut config);
    overrides.lay_over(&mut config);
    roster.lay_over(&mut config);
    let workers = loaded.config.runtime.workers.unwrap_or_else(|| net::allowed_cores().len());
    let kept =
        inheritance.as_mut().map(|inheritance| std::mem::take(&mut inheritance.letter.rings)).unwrap_or_default();
    let plan = match plan::inherit(&config, workers, Rings::adopt(kept)) {
        Ok(plan) => plan,
        Err(faults) => return refuse(&loaded.sources.report(&faults), inheritance.as_ref()),
    };
    loaded.warn(plan.warnings());
    if let Err(why) = privileges.regain() {
        return refuse_for(&why, inheritance.as_ref());
    }
    let logger = match Logger::start() {
        Ok(logger) => logger,
        Err(error) => {
            eprintln!("ringway: {error}");
            return ExitCode::from(2);
        }
    };
    if !loaded.warnings.is_empty() {
        eprintln!("{}", loaded.warnings);
    }
    for trouble in damage.into_iter().chain(lost) {
        tracing::error!("{trouble}");
    }
    // The default hook writes to standard error itself, which may be a pipe that nobody reads.
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a panic was caught: please report it")));
    let path = path.to_owned();
    let start = Start { path, loaded, overrides, keep, roster, board, plan, privileges, inheritance };
    let result = control::run(start);
    logger.flush(LAST_LINES);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ringway: {error}");
            ExitCode::FAILURE
        }
    }
}

fn refuse_for(why: &str, inheritance: Option<&Inheritance>) -> ExitCode {
    if let Some(inheritance) = inheritance {
        inheritance.fail(why);
    }
    eprintln!("ringway: {why}");
    ExitCode::from(2)
}

fn refuse(report: &Report) -> ExitCode {
    eprintln!("{report}");
    ExitCode::from(2)
}
