//! The process's life, from binding to the last exchange.

use super::acme;
use super::admin;
use super::certificates;
use super::crew::{Crew, LogTo};
use super::report::Report;
use super::sockets::Sockets;
use crate::config::model::{AccessLog, Admin, LogFormat, LogPath};
use crate::net::{self, Address};
use crate::observe::access::Format;
use crate::observe::file::{Destination, FileThread};
use crate::plan::Plan;
use crate::upstream::health;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

/// What control runs beyond the plan.
pub struct Settings {
    /// Where the admin listener listens, if anywhere.
    pub admin: Option<Admin>,
    /// Where requests are logged, if anywhere.
    pub access_log: Option<AccessLog>,
}

/// How often control looks after its workers.
const TICK: Duration = Duration::from_millis(100);
/// Descriptors that are no connections: slots, rings, logs, checks, admin.
const RESERVED: usize = 128;
/// How long exit waits for the last log lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Runs the plan until the process is told to end and what is live has ended, or its time is up.
///
/// Fails, with a message for the user, if something that the plan needs cannot be had: an address, a ring, a log file.
pub fn run(plan: Plan, settings: &Settings) -> Result<(), String> {
    net::refuse_huge_pages();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the control thread: {error}"))?;
    let result = runtime.block_on(live(Arc::new(plan), settings));
    // What the blocking pool still does must not hold up the exit.
    runtime.shutdown_background();
    result
}

async fn live(plan: Arc<Plan>, settings: &Settings) -> Result<(), String> {
    let mut signals = Signals::new().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let (backend, refused) = net::probe(plan.runtime.driver)
        .map_err(|error| format!("runtime.driver = \"io_uring\", but this system refuses a ring: {error}"))?;
    if let Some(error) = refused {
        tracing::warn!(%error, "io_uring is not allowed here; running on epoll");
    }
    let sockets = Sockets::bind(&plan).await.map_err(|error| error.to_string())?;
    let admin = settings.admin.as_ref().map(bind_admin).transpose()?;
    let file = settings.access_log.as_ref().map(|log| open_log(log, backend)).transpose()?;
    let log = settings.access_log.as_ref().zip(file.as_ref()).map(|(log, file)| log_to(log, file));
    let max_connections = max_connections(&plan);
    tracing::info!(workers = plan.runtime.workers, driver = ?backend, max_connections, "starting");
    let crew = Crew::start(plan.clone(), sockets, backend, max_connections, log)
        .map_err(|error| format!("cannot start the workers: {error}"))?;
    let report = Arc::new(Report::new(plan.clone(), &crew, file));
    start_checks(&plan, &report);
    let look = Arc::new(Notify::new());
    tokio::spawn(certificates::watch(plan.clone(), report.health().clone(), look.clone()));
    let again = Arc::new(Notify::new());
    acme::start(&plan, report.health(), &look, &again);
    if let Some(listener) = admin {
        let served = admin::serve(listener, report.clone());
        tokio::spawn(async move {
            if let Err(error) = served.await {
                tracing::error!(%error, "the admin listener ended");
            }
        });
    }
    let mut control = Control { plan, crew, report, look, again };
    let watched = control.watch(&mut signals).await;
    if watched.is_ok() {
        control.drain(&mut signals).await;
    }
    control.crew.close_sockets();
    control.report.close_log(LAST_LINES);
    watched
}

struct Control {
    plan: Arc<Plan>,
    crew: Crew,
    report: Arc<Report>,
    /// Makes the certificate files be looked at now.
    look: Arc<Notify>,
    /// Has authorities that failed be asked again now.
    again: Arc<Notify>,
}

impl Control {
    /// Looks after the workers until a signal says stop. Fails if one cannot even start.
    async fn watch(&mut self, signals: &mut Signals) -> Result<(), String> {
        let mut announced = false;
        let mut tick = tokio::time::interval(TICK / 10);
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    if announced {
                        if self.crew.watch() {
                            self.report.reach(&self.crew);
                        }
                    } else if self.crew.is_ready() {
                        announced = true;
                        tick = tokio::time::interval(TICK);
                        self.report.set_ready(true);
                        tracing::info!("ready");
                    } else if self.crew.has_lost_one() {
                        return Err("a worker could not start; the log says why".to_owned());
                    }
                }
                _ = signals.reopen.recv() => self.report.reopen_log(),
                _ = signals.reload.recv() => {
                    tracing::info!("looking at the certificate files, as asked");
                    self.look.notify_one();
                    self.again.notify_waiters();
                }
                () = signals.stop.asked() => return Ok(()),
            }
        }
    }

    async fn drain(&mut self, signals: &mut Signals) {
        let limit = self.plan.runtime.shutdown_timeout;
        tracing::info!(?limit, "stopping: no new connections, live exchanges end first; a second signal ends at once");
        self.report.set_ready(false);
        self.crew.drain();
        // The workers have descriptors of their own; a socket closes when its worker has emptied its queue.
        self.crew.close_sockets();
        let deadline = Instant::now() + limit;
        let mut tick = tokio::time::interval(TICK / 5);
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    if self.crew.is_gone() {
                        tracing::info!("stopped");
                        return;
                    }
                    if Instant::now() >= deadline {
                        let left: u64 =
                            self.crew.counters().iter().map(|counters| counters.worker.connections.get()).sum();
                        tracing::warn!(connections = left, "stopped: shutdown_timeout is over, what was live is cut");
                        return;
                    }
                }
                () = signals.stop.asked() => {
                    tracing::warn!("stopped at once, as asked twice");
                    return;
                }
            }
        }
    }
}

/// The signals that control listens for.
struct Signals {
    stop: Stop,
    reopen: Signal,
    reload: Signal,
}

struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            stop: Stop { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? },
            reopen: signal(SignalKind::user_defined1())?,
            reload: signal(SignalKind::hangup())?,
        })
    }
}

impl Stop {
    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn bind_admin(admin: &Admin) -> Result<std::net::TcpListener, String> {
    let address = Address::Ip(admin.listen);
    let slot = net::probe_bind(&address)
        .and_then(|()| net::bind(&address, false))
        .map_err(|error| format!("the admin listener cannot listen on {address}: {error}"))?;
    tracing::info!(address = %slot.address(), "admin listening");
    Ok(slot.into_std())
}

fn open_log(log: &AccessLog, backend: net::Backend) -> Result<FileThread, String> {
    let destination = match &log.path {
        LogPath::Stdout => Destination::Stdout,
        LogPath::File(path) => Destination::File(path.clone()),
    };
    FileThread::start(destination, backend != net::Backend::Epoll)
        .map_err(|error| format!("the access log cannot be opened: {error}"))
}

fn log_to(log: &AccessLog, file: &FileThread) -> LogTo {
    let format = match log.format {
        LogFormat::Json => Format::Json,
        LogFormat::Combined => Format::Combined,
        LogFormat::Haproxy => Format::Haproxy,
    };
    LogTo { format, sample: log.sample.0, queue: file.queue() }
}

/// What the file limit allows: each client connection may have one to a target beside it.
fn max_connections(plan: &Plan) -> usize {
    let limit = net::file_limit();
    let addresses: usize = plan.listeners.iter().map(|listener| listener.addresses.len()).sum();
    let idle: usize =
        plan.pools.iter().map(|pool| pool.shared.targets.len().saturating_mul(pool.shared.keepalive.max_idle)).sum();
    // Idle connections to targets may take a quarter at most of what is reckoned with.
    let others = RESERVED + 3 * plan.runtime.workers * addresses + idle.min(limit / 4);
    let fits = limit.saturating_sub(others).max(2) / 2;
    match plan.runtime.max_connections {
        Some(wanted) if wanted > fits => {
            tracing::warn!(wanted, fits, limit, "max_connections is more than the file limit has room for");
            fits
        }
        Some(wanted) => wanted,
        None => fits,
    }
}

fn start_checks(plan: &Arc<Plan>, report: &Report) {
    let specs = plan.checks.iter().map(|check| check.spec.clone()).collect();
    let plan = plan.clone();
    let change = move |index: usize, transition: health::Transition| {
        let check = &plan.checks[index];
        plan.pools[check.pool].shared.targets[check.target].set_up(transition.up);
    };
    tokio::spawn(health::run(specs, fastrand::u64(..), report.health().clone(), change));
}
