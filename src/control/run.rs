//! The process's life, from binding to the last exchange.

use super::acme::Keepers;
use super::admin::Served;
use super::certificates;
use super::crew::Crew;
use super::end::Retired;
use super::handover::{self, Answer, Inheritance, TargetText};
use super::life::{Control, Elder, Ended};
use super::present::Present;
use super::reload::Reader;
use super::report::Report;
use super::signals::Signals;
use super::sockets::Sockets;
use super::systemd::{self, Watchdog};
use super::upgrade::Origin;
use super::{checks, files, limits, logs};
use crate::config::Loaded;
use crate::config::model::Admin;
use crate::net::{self, Address, Slot};
use crate::plan::Plan;
use crate::upstream::health::Checks;
use arc_swap::ArcSwap;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};

/// What a process starts with.
pub struct Start {
    /// The file of the configuration, which reloads read again.
    pub path: PathBuf,
    /// What was read.
    pub loaded: Loaded,
    /// What was compiled from it.
    pub plan: Plan,
    /// What the process before handed over, if there is one.
    pub inheritance: Option<Inheritance>,
}

/// How long exit waits for the last log lines.
const LAST_LINES: Duration = Duration::from_secs(1);
/// Reloads that may be asked for at a time.
const WANTED: usize = 16;

/// Runs the plan until the process is told to end and what is live has ended, or its time is up.
///
/// Fails, with a message for the user, if something that the plan needs cannot be had: an address, a ring, a log file.
pub fn run(mut start: Start) -> Result<(), String> {
    net::refuse_huge_pages();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the control thread: {error}"))?;
    let inheritance = start.inheritance.take();
    let result = runtime.block_on(live(start, inheritance));
    // What the blocking pool still does must not hold up the exit.
    runtime.shutdown_background();
    result
}

async fn live(start: Start, inheritance: Option<Inheritance>) -> Result<(), String> {
    let Start { path, loaded, plan, .. } = start;
    let mut signals = Signals::new().map_err(|error| format!("cannot listen for signals: {error}"))?;
    // Whoever hands over is told why this process cannot start.
    let voice = inheritance.as_ref().and_then(|inheritance| inheritance.share().ok());
    let tell = |why: String| {
        if let Some(voice) = &voice {
            let _ = handover::answer(voice, &Answer::Failed(why.clone()));
        }
        why
    };
    let mut control = begin(path, loaded, Arc::new(plan), inheritance).await.map_err(tell)?;
    let (asking, mut wanted) = mpsc::channel(WANTED);
    tokio::spawn(files::watch(control.places.subscribe(), asking));
    let ended = loop {
        match control.watch(&mut signals, &mut wanted).await {
            Err(why) => break Err(tell(why)),
            Ok(Ended::Told) => {
                control.drain(&mut signals.stop).await;
                control.crew.sockets().close();
                break Ok(());
            }
            Ok(Ended::Succeeded(risen)) => match control.retire(*risen, &mut signals).await {
                Retired::Done => break Ok(()),
                Retired::Back => {}
            },
        }
    };
    control.report.close_log(LAST_LINES);
    ended
}

/// Binds, starts the workers and all that control runs.
async fn begin(
    path: PathBuf,
    loaded: Loaded,
    plan: Arc<Plan>,
    inheritance: Option<Inheritance>,
) -> Result<Control, String> {
    let (backend, refused) = net::probe(plan.runtime.driver)
        .map_err(|error| format!("runtime.driver = \"io_uring\", but this system refuses a ring: {error}"))?;
    if let Some(error) = refused {
        tracing::warn!(%error, "io_uring is not allowed here; running on epoll");
    }
    let Heritage { mut sockets, admin, targets, number, elders, elder } = Heritage::of(&plan, inheritance);
    sockets.add(sockets.missing(&plan).bind().await.map_err(|error| error.to_string())?);
    let wanted = plan.config.admin.as_ref();
    let admin = wanted.map(|wanted| admin.filter(|slot| serves(slot, wanted)).map_or_else(|| bind_admin(wanted), Ok));
    let admin = admin.transpose()?;
    let (log, file) = logs::open(plan.config.access_log.as_ref(), backend)?;
    let max_connections = limits::max_connections(&plan);
    tracing::info!(workers = plan.runtime.workers, driver = ?backend, max_connections, "starting");
    let present = Arc::new(Present::first(plan, number));
    checks::inherit(&present, &targets);
    let crew = Crew::start(present.clone(), sockets, backend, max_connections, log)
        .map_err(|error| format!("cannot start the workers: {error}"))?;
    let shared = Arc::new(ArcSwap::new(present.clone()));
    let report = Arc::new(Report::new(shared.clone(), &crew, file));
    let mut checks = Checks::new(fastrand::u64(..), present.control.check_lateness.clone());
    checks.set(checks::wanted(&present, !targets.is_empty()));
    let (look, again) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    tokio::spawn(certificates::watch(shared.clone(), look.clone()));
    let mut keepers = Keepers::default();
    keepers.set(&present, &look, &again);
    let admin = admin.map(|slot| {
        tracing::info!(address = %slot.address(), "admin listening");
        Served::new(slot.into_std(), report.clone())
    });
    let reader = Reader::new(path, loaded);
    Ok(Control {
        present: shared,
        crew,
        report,
        places: watch::Sender::new(reader.places()),
        reader,
        backend,
        checks,
        keepers,
        look,
        again,
        past: Vec::new(),
        step: None,
        waiting: VecDeque::new(),
        tried: None,
        origin: Origin::of_this_process(elders),
        rising: None,
        to_upgrade: false,
        elder,
        admin,
        watchdog: Watchdog::new(),
    })
}

/// What a process begins with that was there before it.
struct Heritage {
    sockets: Sockets,
    admin: Option<Slot>,
    targets: Vec<TargetText>,
    /// The number of its first plan.
    number: u64,
    elders: Vec<u32>,
    elder: Option<Elder>,
}

impl Heritage {
    fn of(plan: &Plan, inheritance: Option<Inheritance>) -> Self {
        let workers = plan.runtime.workers;
        let Some(inheritance) = inheritance else {
            let sockets = Sockets::activate(workers, plan, systemd::sockets());
            return Self { sockets, admin: None, targets: Vec::new(), number: 1, elders: Vec::new(), elder: None };
        };
        let (letter, mut descriptors, stream) = inheritance.open();
        let admin = if letter.admin { descriptors.pop() } else { None };
        let (sockets, spare) = Sockets::inherit(workers, plan, &letter.doors, descriptors);
        Self {
            sockets,
            admin: admin.and_then(|descriptor| Slot::adopt(descriptor, false).ok()),
            targets: letter.targets,
            number: letter.plan + 1,
            elders: letter.elders,
            elder: Some(Elder { stream, pid: letter.pid, spare: Some(spare) }),
        }
    }
}

/// Whether an admin listener of the process before is where the configuration wants one.
fn serves(slot: &Slot, wanted: &Admin) -> bool {
    let Address::Ip(address) = slot.address() else { return false };
    address.ip() == wanted.listen.ip() && (wanted.listen.port() == 0 || wanted.listen.port() == address.port())
}

fn bind_admin(admin: &Admin) -> Result<Slot, String> {
    let address = Address::Ip(admin.listen);
    net::probe_bind(&address)
        .and_then(|()| net::bind(&address, false))
        .map_err(|error| format!("the admin listener cannot listen on {address}: {error}"))
}
