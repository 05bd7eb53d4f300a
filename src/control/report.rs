//! What the process tells about itself: the state behind the admin listener. Control writes it, whoever asks reads it.

use super::admin::AdminState;
use super::caches;
use super::certificates;
use super::chronicle::Chronicle;
use super::crew::Crew;
use super::discovery::Board;
use super::live;
use super::overrides::Overrides;
use super::present::{self, Present};
use super::reload::{History, Told};
use super::roster::Roster;
use super::sticky;
use super::store::Link;
use super::{bans, guards, idempotency, issuers, lifecycles, mirrors, parts, queues, splits};
use crate::config::Loaded;
use crate::lane::bans::Bans;
use crate::net::{self, Post};
use crate::observe::file::FileThread;
use crate::observe::latency::LatenciesSnapshot;
use crate::observe::log;
use crate::observe::process::Process;
use crate::observe::reloads::Reloads;
use crate::observe::scrape::{Scrape, UdpListener};
use crate::observe::wall::now;
use crate::plan::Plan;
use crate::worker::{Admission, Message};
use arc_swap::{ArcSwap, ArcSwapOption};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

/// The state behind the admin listener.
pub struct Report {
    present: present::Shared,
    posts: ArcSwap<Vec<Post<Message>>>,
    file: ArcSwapOption<FileThread>,
    reloads: Reloads,
    history: ArcSwap<History>,
    /// What was read, without what is laid over it.
    loaded: ArcSwap<Loaded>,
    overrides: ArcSwap<Overrides>,
    roster: ArcSwap<Roster>,
    board: Arc<Board>,
    store: Link,
    chronicle: Chronicle,
    /// What each listener listens on, by its position in the plan.
    addresses: ArcSwap<Vec<(usize, String)>>,
    bans: Arc<Bans>,
    admission: Arc<Admission>,
    /// When the process started, seconds since 1970.
    pub started: u64,
    /// What tells the tags of this process from those of another.
    nonce: u32,
    ready: AtomicBool,
    draining: AtomicBool,
}

/// How long a scrape waits for the histograms of a worker, and for all workers to go by the same plan.
const SNAPSHOT: Duration = Duration::from_millis(500);
/// After how long workers are asked again that are about to go by another plan.
const AGAIN: Duration = Duration::from_millis(5);

impl Report {
    /// Tells about what `crew` runs, with the access log's thread if there is one.
    pub fn new(
        present: present::Shared,
        crew: &mut Crew,
        file: Option<Arc<FileThread>>,
        loaded: Loaded,
        (overrides, roster): (Arc<Overrides>, Arc<Roster>),
        (board, store): (Arc<Board>, Link),
    ) -> Self {
        let addresses = crew.sockets().addresses(&present.load().plan);
        let reloads = Reloads::default();
        reloads.last_success.set(now());
        Self {
            present,
            posts: ArcSwap::from_pointee(crew.posts()),
            file: ArcSwapOption::new(file),
            reloads,
            history: ArcSwap::default(),
            loaded: ArcSwap::from_pointee(loaded),
            overrides: ArcSwap::new(overrides),
            roster: ArcSwap::new(roster),
            board,
            store,
            chronicle: Chronicle::default(),
            addresses: ArcSwap::from_pointee(addresses),
            bans: crew.bans().clone(),
            admission: crew.admission().clone(),
            started: now(),
            nonce: fastrand::u32(..),
            ready: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        }
    }

    /// Learns the ways to the workers anew, after one was started again.
    pub fn reach(&self, crew: &Crew) {
        self.posts.store(Arc::new(crew.posts()));
    }

    /// Says whether the process takes connections.
    pub fn set_ready(&self, ready: bool) {
        // It was ready before, or never will be.
        self.draining.store(!ready, Ordering::Release);
        self.ready.store(ready, Ordering::Release);
    }

    /// Whether the process is ending.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// This was read, and is in force now.
    pub fn reads(&self, loaded: Loaded) {
        self.loaded.store(Arc::new(loaded));
    }

    /// This is laid over it now.
    pub fn overridden(&self, overrides: Arc<Overrides>) {
        self.overrides.store(overrides);
    }

    /// These changes of consumers are laid over it now.
    pub fn enrolled(&self, roster: Arc<Roster>) {
        self.roster.store(roster);
    }

    /// This is listened on now, by the listeners' positions in the plan.
    pub fn listens(&self, addresses: Vec<(usize, String)>) {
        self.addresses.store(Arc::new(addresses));
    }

    /// What runs now.
    pub fn present(&self) -> Arc<Present> {
        self.present.load_full()
    }

    /// What was read, without what is laid over it.
    pub fn loaded(&self) -> Arc<Loaded> {
        self.loaded.load_full()
    }

    /// What is laid over it.
    pub fn overrides(&self) -> Arc<Overrides> {
        self.overrides.load_full()
    }

    /// What operators have changed of consumers.
    pub fn roster(&self) -> Arc<Roster> {
        self.roster.load_full()
    }

    /// What is found of targets.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// The way to the server through which hosts share.
    pub fn store(&self) -> &Link {
        &self.store
    }

    /// What has happened of late.
    pub fn chronicle(&self) -> &Chronicle {
        &self.chronicle
    }

    /// What each listener listens on, by its position in the plan.
    pub fn addresses(&self) -> Arc<Vec<(usize, String)>> {
        self.addresses.load_full()
    }

    /// Who is refused.
    pub fn bans(&self) -> &Bans {
        &self.bans
    }

    /// How many connections there may be.
    pub fn max_connections(&self) -> u64 {
        self.admission.max()
    }

    /// The ways to the workers.
    pub fn posts(&self) -> Arc<Vec<Post<Message>>> {
        self.posts.load_full()
    }

    /// The last reloads and changes, the newest last.
    pub fn history(&self) -> Arc<History> {
        self.history.load_full()
    }

    /// What changes with every change of targets: a strong entity tag (RFC 9110 §8.8.3).
    pub fn tag(&self) -> String {
        format!("\"{:x}-{}-{}\"", self.nonce, self.present.load().number, self.overrides.load().revision)
    }

    /// What changes with every change of bans.
    pub fn ban_tag(&self, bans: &Bans) -> String {
        format!("\"{:x}-b{}\"", self.nonce, bans.revision())
    }

    /// Whether `If-Match: condition` holds for what has this tag (RFC 9110 §13.1.1).
    pub fn is_current(&self, condition: &str, tag: &str) -> bool {
        condition.trim() == "*" || condition.split(',').any(|one| one.trim() == tag)
    }

    /// What became of reloads.
    pub fn reloads(&self) -> &Reloads {
        &self.reloads
    }

    /// Remembers how a reload went.
    pub fn remember(&self, told: Arc<Told>) {
        self.history.rcu(|history| history.with(told.clone()));
    }

    /// Opens the access log's file anew, after it was rotated away.
    pub fn reopen_log(&self) {
        if let Some(file) = &*self.file.load() {
            file.reopen();
        }
    }

    /// The access log's thread is another one from now on. Returns the one before.
    pub fn log_by(&self, file: Option<Arc<FileThread>>) -> Option<Arc<FileThread>> {
        self.file.swap(file)
    }

    /// Ends the access log, waiting for its last lines for at most `limit`.
    pub fn close_log(&self, limit: Duration) {
        if self.file.load().as_ref().is_some_and(|file| !file.shutdown(limit)) {
            tracing::warn!("the last lines of the access log are lost: it took none in time");
        }
    }

    /// What runs now, and the histograms of all workers. A worker goes by a plan a little later than control does, so that it may be asked
    /// again; if one says nothing of its own there are none at all, as the sum of some is no count that only grows.
    pub async fn measured(&self) -> (Arc<Present>, LatenciesSnapshot) {
        let started = Instant::now();
        loop {
            let present = self.present.load_full();
            if let Some(latencies) = self.latencies(&present.plan).await {
                return (present, latencies);
            }
            if started.elapsed() >= SNAPSHOT {
                return (present, LatenciesSnapshot::default());
            }
            sleep(AGAIN).await;
        }
    }

    /// The histograms of all workers; `None`: one stands still, or does not go by `plan`.
    async fn latencies(&self, plan: &Arc<Plan>) -> Option<LatenciesSnapshot> {
        let posts = self.posts.load_full();
        let mut merged = LatenciesSnapshot::default();
        for post in posts.iter() {
            let mut next = Some(0);
            while let Some(from) = next {
                let (sender, answer) = oneshot::channel();
                let reply = move |page| drop(sender.send(page));
                // A full mailbox is that of a worker that stands still.
                let _ = post.send(Message::Snapshot(from, Box::new(reply)));
                let page = timeout(SNAPSHOT, answer).await.ok()?.ok()?;
                if !Arc::ptr_eq(&page.plan, plan) {
                    return None;
                }
                merged.merge(&page.latencies);
                next = page.next;
            }
        }
        Some(merged)
    }
}

impl AdminState for Report {
    async fn metrics(&self) -> String {
        let (present, latencies) = self.measured().await;
        let file = self.file.load_full();
        let udp = present.plan.datagrams();
        let udp: Vec<_> = udp.map(|(of, udp)| UdpListener { listener: of.index, pool: udp.pool }).collect();
        Scrape {
            shape: &present.plan.shape,
            workers: &present.workers,
            control: &present.control,
            latencies: &latencies,
            certificates: &certificates::of(&present.plan),
            secure_pools: &certificates::of_pools(&present.plan),
            queues: &queues::of(&present.plan),
            splits: &splits::shown(&present.plan),
            mirrors: &mirrors::shown(&present.plan),
            lifecycles: &lifecycles::of(&present.plan),
            parts: &parts::shown(&present.plan),
            bans: bans::figures(&self.bans),
            tarpits: &bans::tarpits(&present.plan),
            idempotency: &idempotency::shown(&present.plan),
            guards: &guards::of(&present.plan, net::coarse_now()),
            rule_keys: &guards::of_rules(&present.plan, net::coarse_now()),
            caches: &caches::of(&present.plan),
            sticky_pools: &sticky::pools(&present.plan),
            datagrams: &udp,
            live: &live::shown(&present.plan, net::coarse_now()),
            discovered: &self.board.discovered(),
            issuers: &issuers::shown(&present.plan),
            sharing: present.plan.sharing.is_some(),
            access_log: file.as_deref().map(FileThread::lines),
            tracing: present.plan.tracing.is_some(),
            compression: present.plan.compresses(),
            log_lines_dropped: log::dropped(),
            plan: present.number,
            reloads: &self.reloads,
            process: Process::read(),
        }
        .text()
    }

    fn ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }
}
