//! The process's life, from binding to the last exchange.

use super::acme::Keepers;
use super::admin;
use super::certificates;
use super::crew::Crew;
use super::life::Control;
use super::present::Present;
use super::reload::Reader;
use super::report::Report;
use super::signals::Signals;
use super::sockets::Sockets;
use super::{checks, limits, logs};
use crate::config::Loaded;
use crate::config::model::Admin;
use crate::net::{self, Address};
use crate::plan::Plan;
use crate::upstream::health::Checks;
use arc_swap::ArcSwap;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// What a process starts with.
pub struct Start {
    /// The file of the configuration, which reloads read again.
    pub path: PathBuf,
    /// What was read.
    pub loaded: Loaded,
    /// What was compiled from it.
    pub plan: Plan,
}

/// How long exit waits for the last log lines.
const LAST_LINES: Duration = Duration::from_secs(1);
/// Reloads that may be asked for at a time.
const WANTED: usize = 16;

/// Runs the plan until the process is told to end and what is live has ended, or its time is up.
///
/// Fails, with a message for the user, if something that the plan needs cannot be had: an address, a ring, a log file.
pub fn run(start: Start) -> Result<(), String> {
    net::refuse_huge_pages();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the control thread: {error}"))?;
    let result = runtime.block_on(live(start));
    // What the blocking pool still does must not hold up the exit.
    runtime.shutdown_background();
    result
}

async fn live(start: Start) -> Result<(), String> {
    let Start { path, loaded, plan } = start;
    let plan = Arc::new(plan);
    let mut signals = Signals::new().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let (backend, refused) = net::probe(plan.runtime.driver)
        .map_err(|error| format!("runtime.driver = \"io_uring\", but this system refuses a ring: {error}"))?;
    if let Some(error) = refused {
        tracing::warn!(%error, "io_uring is not allowed here; running on epoll");
    }
    let mut sockets = Sockets::new(plan.runtime.workers);
    sockets.add(sockets.missing(&plan).bind().await.map_err(|error| error.to_string())?);
    let admin = plan.config.admin.as_ref().map(bind_admin).transpose()?;
    let (log, file) = logs::open(plan.config.access_log.as_ref(), backend)?;
    let max_connections = limits::max_connections(&plan);
    tracing::info!(workers = plan.runtime.workers, driver = ?backend, max_connections, "starting");
    let present = Arc::new(Present::first(plan));
    let crew = Crew::start(present.clone(), sockets, backend, max_connections, log)
        .map_err(|error| format!("cannot start the workers: {error}"))?;
    let shared = Arc::new(ArcSwap::new(present.clone()));
    let report = Arc::new(Report::new(shared.clone(), &crew, file));
    let mut checks = Checks::new(fastrand::u64(..), present.control.check_lateness.clone());
    checks.set(checks::wanted(&present));
    let (look, again) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    tokio::spawn(certificates::watch(shared.clone(), look.clone()));
    let mut keepers = Keepers::default();
    keepers.set(&present, &look, &again);
    drop(present);
    let (_asking, mut wanted) = mpsc::channel(WANTED);
    if let Some(listener) = admin {
        let served = admin::serve(listener, report.clone());
        tokio::spawn(async move {
            if let Err(error) = served.await {
                tracing::error!(%error, "the admin listener ended");
            }
        });
    }
    let mut control = Control {
        present: shared,
        crew,
        report,
        reader: Reader::new(path, loaded),
        backend,
        checks,
        keepers,
        look,
        again,
        past: Vec::new(),
        step: None,
        waiting: VecDeque::new(),
    };
    let watched = control.watch(&mut signals, &mut wanted).await;
    if watched.is_ok() {
        control.drain(&mut signals.stop).await;
    }
    control.crew.sockets().close();
    control.report.close_log(LAST_LINES);
    watched
}

fn bind_admin(admin: &Admin) -> Result<std::net::TcpListener, String> {
    let address = Address::Ip(admin.listen);
    let slot = net::probe_bind(&address)
        .and_then(|()| net::bind(&address, false))
        .map_err(|error| format!("the admin listener cannot listen on {address}: {error}"))?;
    tracing::info!(address = %slot.address(), "admin listening");
    Ok(slot.into_std())
}
