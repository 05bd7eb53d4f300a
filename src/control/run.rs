//! The process's life, from binding to the last exchange.

use super::acme::Keepers;
use super::admin::{Doors, Inherited, Served};
use super::analytics::Analytics;
use super::bans::Herald;
use super::certificates;
use super::chronicle::Chronicle;
use super::command::{Command, Commands};
use super::crew::Crew;
use super::discovery::{Board, Discovery};
use super::end::Retired;
use super::guards::Counts;
use super::handover::{self, Answer, GuardText, Inheritance, IssuerText, LiveTarget, TableText, TargetText};
use super::hooks::Hooks;
use super::issuers::{self, Issuers};
use super::keep::Keep;
use super::life::{Control, Elder, Ended};
use super::live::Overseer;
use super::otlp::Traces;
use super::overrides::Overrides;
use super::present::Present;
use super::privileges::Privileges;
use super::quotas::{self, Quotas, SharedQuotas};
use super::reload::Reader;
use super::report::Report;
use super::roster::Roster;
use super::signals::Signals;
use super::sockets::Sockets;
use super::store::idempotency::SharedKeys;
use super::store::{self, Link};
use super::systemd::{self, Watchdog};
use super::upgrade::Origin;
use super::{
    answers, caches, checks, consumers, egress, files, keep_up, limits, live, logs, maintenance, mirrors, shares,
    shelves, splits, sticky,
};
use crate::config::Loaded;
use crate::lane::Desk;
use crate::net::{self, Slot};
use crate::observe::{analytics, file, trace};
use crate::plan::Plan;
use crate::upstream::health::Checks;
use arc_swap::ArcSwap;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, watch};

/// What a process starts with.
pub struct Start {
    /// The file of the configuration, which reloads read again.
    pub path: PathBuf,
    /// What was read.
    pub loaded: Loaded,
    /// What operators have laid over it.
    pub overrides: Overrides,
    /// Where that is kept.
    pub keep: Keep,
    /// What operators have changed of consumers.
    pub roster: Roster,
    /// What was found of targets.
    pub board: Arc<Board>,
    /// What was compiled from all of them.
    pub plan: Plan,
    /// As whom it is to run.
    pub privileges: Privileges,
    /// What the process before handed over, if there is one.
    pub inheritance: Option<Inheritance>,
}

/// How long exit waits for the last log lines.
const LAST_LINES: Duration = Duration::from_secs(1);
/// Batches of records for hooks that may wait to be taken up.
const RECORDS: usize = 256;
/// Commands that may wait at a time.
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
    let (asking, mut commands) = Commands::new(WANTED);
    let mut signals = Signals::new().map_err(|error| format!("cannot listen for signals: {error}"))?;
    // Whoever hands over is told why this process cannot start.
    let voice = inheritance.as_ref().and_then(|inheritance| inheritance.share().ok());
    let tell = |why: String| {
        if let Some(voice) = &voice {
            let _ = handover::answer(voice, &Answer::Failed(why.clone()));
        }
        why
    };
    let watching = asking.clone();
    let mut control = begin(start, inheritance, asking).await.map_err(tell)?;
    let places = control.places.subscribe();
    keep_up("the watch of the configuration's files", move || files::watch(places.clone(), watching.clone()));
    let ended = loop {
        match control.watch(&mut signals, &mut commands).await {
            Err(why) => break Err(tell(why)),
            Ok(Ended::Told) => {
                refuse_all(&mut commands);
                control.drain(&mut signals.stop).await;
                control.crew.sockets().close();
                if let Some(admin) = control.admin.take() {
                    admin.close();
                }
                break Ok(());
            }
            Ok(Ended::Succeeded(risen)) => match control.retire(*risen, &mut signals).await {
                Retired::Done => break Ok(()),
                Retired::Back => {}
            },
        }
    };
    control.quotas.keep(true).await;
    control.shared_limits.leave().await;
    control.shared_quotas.leave().await;
    control.shared_keys.leave().await;
    control.store.leave().await;
    control.analytics.keep().await;
    control.hooks.close().await;
    control.traces.close().await;
    shelves::close(&control.plan());
    control.report.close_log(LAST_LINES);
    ended
}

/// Nobody waits for a process that ends.
fn refuse_all(commands: &mut mpsc::Receiver<Command>) {
    commands.close();
    while commands.try_recv().is_ok() {}
}

/// Binds, starts the workers and all that control runs. `asking`: how operators reach the loop.
async fn begin(start: Start, inheritance: Option<Inheritance>, asking: Commands) -> Result<Control, String> {
    let Start { path, loaded, overrides, keep, roster, board, plan, privileges, .. } = start;
    let plan = Arc::new(plan);
    let Heritage {
        mut sockets,
        admin,
        targets,
        live: known,
        bans,
        sticky,
        guards: counted,
        rules,
        limits: handed,
        issuers: known_issuers,
        number,
        elders,
        elder,
    } = Heritage::of(&plan, inheritance);
    sockets.add(sockets.missing(&plan).bind().await.map_err(|error| error.to_string())?);
    sockets.tune(&plan);
    let admin = plan.config.admin.as_ref().map(|wanted| Doors::open(wanted, admin)).transpose()?;
    let max_connections = limits::max_connections(&plan);
    privileges.give_up(&sockets, admin.as_ref())?;
    let (backend, refused) = net::probe(plan.runtime.driver)
        .map_err(|error| format!("runtime.driver = \"io_uring\", but this system refuses a ring: {error}"))?;
    if let Some(error) = refused {
        tracing::warn!(%error, "io_uring is not allowed here; running on epoll");
    }
    egress::look(&plan)?;
    shelves::follow(&plan, None)?;
    let (log, file) = logs::open(plan.config.access_log.as_ref(), backend)?;
    tracing::info!(workers = plan.runtime.workers, driver = ?backend, max_connections, "starting");
    let present = Arc::new(Present::first(plan, number));
    checks::inherit(&present, &targets);
    sticky::inherit(&present.plan, &sticky);
    Counts::of(&present.plan).take([&counted, &rules]);
    drop((sticky, counted));
    let keeper = quotas::begin(&present.plan, present.control.quotas.clone()).await;
    live::inherit(&present, &known);
    let store = Link::new(present.control.store.clone());
    store.follow(present.plan.sharing.as_ref());
    let serving = store.clone();
    keep_up("the way to the store", move || serving.clone().serve());
    let shared = Arc::new(ArcSwap::new(present.clone()));
    let shared_limits = shares::begin(store.clone(), shared.clone(), handed.as_deref()).await;
    let (queue, spans) = trace::queue();
    let (sums, sheets) = analytics::queue();
    let (records, batches) = file::Queue::open(RECORDS);
    let mut traces = Traces::new(spans, present.control.spans.clone());
    traces.follow(traces.prepare(None, &present.plan)?);
    overrides.set_modes(&present.plan);
    if !overrides.is_empty() {
        let (targets, splits) = (overrides.len(), overrides.splits().len());
        tracing::info!(targets, splits, "what was overridden before is so still: `ringway status --diff` shows it");
    }
    issuers::inherit(&present.plan, &known_issuers);
    issuers::ask_first(&present.plan).await;
    let (keys, claims) = net::desk(store::idempotency::ROOM);
    let desk = Desk { rules: answers::open(present.control.passwords.clone()), keys };
    let mut crew = Crew::start(present.clone(), sockets, backend, max_connections, log, desk, (queue, sums, records))
        .map_err(|error| format!("cannot start the workers: {error}"))?;
    let quotas = Quotas::serve(keeper, shared.clone());
    let shared_quotas = SharedQuotas::serve(store.clone(), shared.clone());
    let shared_keys = SharedKeys::serve(store.clone(), shared.clone(), claims);
    let mut hooks = Hooks::serve(batches, present.control.analytics.clone());
    hooks.follow(present.plan.config.analytics.as_ref());
    let analytics = Analytics::serve(sheets, shared.clone());
    if let Some(Err(why)) = bans.map(|bans| crew.bans().take_text(&bans, net::coarse_now())) {
        tracing::error!("the bans of the process before are lost: {why}");
    }
    let mut discovery = Discovery::new(board.clone(), &present.plan.config.runtime.state_dir);
    discovery.set(&[&present.plan.config]);
    let mut issuers = Issuers::default();
    issuers.set([present.plan.clone()].into_iter());
    let reader = Reader::new(path, loaded, (overrides, roster), keep, board.clone());
    let laid = (reader.overrides().clone(), reader.roster().clone());
    let report = Report::new(shared.clone(), &mut crew, file, reader.loaded().clone(), laid, (board, store.clone()));
    let report = Arc::new(report);
    let (way, bans) = (store.clone(), crew.bans().clone());
    keep_up("the sharing of bans", move || store::bans::share(way.clone(), bans.clone()));
    let (way, sealed) = (store.clone(), shared.clone());
    keep_up("the sharing of tickets' keys", move || store::tickets::share(way.clone(), sealed.clone()));
    let mut checks = Checks::new(fastrand::u64(..), present.control.check_lateness.clone());
    checks.set(checks::wanted(&present, !targets.is_empty()));
    let (look, again) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (watched, looking) = (shared.clone(), look.clone());
    keep_up("the watch of certificates", move || certificates::watch(watched.clone(), looking.clone()));
    let maintained = shared.clone();
    keep_up("the watch of maintenance", move || maintenance::watch(maintained.clone()));
    let (known, told, asked) = (shared.clone(), report.clone(), asking.clone());
    keep_up("the watch of consumers", move || consumers::watch(known.clone(), told.clone(), asked.clone()));
    let (divided, asked) = (shared.clone(), asking.clone());
    keep_up("the watch of splits", move || splits::watch(divided.clone(), asked.clone()));
    let mirrored = shared.clone();
    keep_up("the comparing of mirrors", move || mirrors::watch(mirrored.clone()));
    let tended = shared.clone();
    keep_up("looking after caches", move || caches::tend(tended.clone()));
    let mut keepers = Keepers::default();
    keepers.set(&present, &look, &again);
    if present.plan.runtime.slow.is_some() {
        let told = report.clone();
        keep_up("the chronicle", move || Chronicle::keep(told.clone()));
    }
    let admin = admin.map(|doors| Served::new(doors, report.clone(), asking, &look));
    Ok(Control {
        present: shared,
        crew,
        report,
        places: watch::Sender::new(reader.places()),
        reader,
        backend,
        checks,
        overseer: Overseer::default(),
        keepers,
        discovery,
        issuers,
        traces,
        quotas,
        shared_quotas,
        shared_keys,
        analytics,
        hooks,
        store,
        shared_limits,
        look,
        again,
        past: Vec::new(),
        step: None,
        waiting: VecDeque::new(),
        tried: None,
        origin: Origin::of_this_process(elders),
        rising: None,
        to_upgrade: false,
        upgraders: Vec::new(),
        elder,
        admin,
        watchdog: Watchdog::new(),
        herald: Herald::default(),
        tended: Instant::now(),
    })
}

/// What a process begins with that was there before it.
struct Heritage {
    sockets: Sockets,
    admin: Inherited,
    targets: Vec<TargetText>,
    live: Vec<LiveTarget>,
    bans: Option<String>,
    sticky: Vec<TableText>,
    guards: Vec<GuardText>,
    rules: Vec<GuardText>,
    /// What the process before had of limits that hosts share.
    limits: Option<String>,
    issuers: Vec<IssuerText>,
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
            let (admin, targets, live, bans, sticky, guards, rules, limits, issuers, elders) = Default::default();
            return Self {
                sockets,
                admin,
                targets,
                live,
                bans,
                sticky,
                guards,
                rules,
                limits,
                issuers,
                number: 1,
                elders,
                elder: None,
            };
        };
        let (letter, mut descriptors, stream) = inheritance.open();
        let mut last = |is_there: bool| descriptors.pop_if(|_| is_there).and_then(|last| Slot::adopt(last, false).ok());
        let socket = last(letter.admin_socket);
        let admin = Inherited { tcp: last(letter.admin), socket };
        let (sockets, spare) = Sockets::inherit(workers, plan, &letter.doors, descriptors);
        Self {
            sockets,
            admin,
            targets: letter.targets,
            live: letter.live,
            bans: letter.bans,
            sticky: letter.sticky,
            guards: letter.guards,
            rules: letter.rules,
            limits: letter.limits,
            issuers: letter.issuers,
            number: letter.plan + 1,
            elders: letter.elders,
            elder: Some(Elder { stream, pid: letter.pid, spare: Some(spare) }),
        }
    }
}
