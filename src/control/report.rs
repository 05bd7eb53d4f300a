//! What the process tells about itself: the state behind the admin listener.

use super::admin::AdminState;
use super::certificates;
use super::crew::Crew;
use super::present;
use super::reload::{History, Told, now};
use crate::net::Post;

use crate::observe::file::FileThread;
use crate::observe::latency::LatenciesSnapshot;
use crate::observe::log;
use crate::observe::process::Process;
use crate::observe::reloads::Reloads;
use crate::observe::scrape::Scrape;
use crate::plan::Plan;
use crate::worker::Message;
use arc_swap::{ArcSwap, ArcSwapOption};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The state behind the admin listener.
pub struct Report {
    present: present::Shared,
    posts: ArcSwap<Vec<Post<Message>>>,
    file: ArcSwapOption<FileThread>,
    reloads: Reloads,
    history: ArcSwap<History>,
    ready: AtomicBool,
}

/// How long a scrape waits for the histograms of the workers.
const SNAPSHOT: Duration = Duration::from_millis(500);

impl Report {
    /// Tells about what `crew` runs, with the access log's thread if there is one.
    pub fn new(present: present::Shared, crew: &Crew, file: Option<Arc<FileThread>>) -> Self {
        let reloads = Reloads::default();
        reloads.last_success.set(now());
        Self {
            present,
            posts: ArcSwap::from_pointee(crew.posts()),
            file: ArcSwapOption::new(file),
            reloads,
            history: ArcSwap::default(),
            ready: AtomicBool::new(false),
        }
    }

    /// Learns the ways to the workers anew, after one was started again.
    pub fn reach(&self, crew: &Crew) {
        self.posts.store(Arc::new(crew.posts()));
    }

    /// Says whether the process takes connections.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
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

    /// The histograms of all workers that go by `plan`. One that stands still costs the scrape its own, not its answer.
    async fn latencies(&self, plan: &Arc<Plan>) -> LatenciesSnapshot {
        let posts = self.posts.load_full();
        let mut merged = LatenciesSnapshot::default();
        let collect = async {
            for post in posts.iter() {
                let mut next = Some(0);
                while let Some(from) = next {
                    let (sender, answer) = oneshot::channel();
                    let reply = move |page| drop(sender.send(page));
                    // A full mailbox is that of a worker that stands still.
                    let _ = post.send(Message::Snapshot(from, Box::new(reply)));
                    let Ok(Ok(page)) = timeout(SNAPSHOT, answer).await else { break };
                    if !Arc::ptr_eq(&page.plan, plan) {
                        break;
                    }
                    merged.merge(&page.latencies);
                    next = page.next;
                }
            }
        };
        collect.await;
        merged
    }
}

impl AdminState for Report {
    async fn metrics(&self) -> String {
        let present = self.present.load_full();
        let latencies = self.latencies(&present.plan).await;
        let file = self.file.load_full();
        Scrape {
            shape: &present.plan.shape,
            workers: &present.workers,
            control: &present.control,
            latencies: &latencies,
            certificates: &certificates::of(&present.plan),
            secure_pools: &certificates::of_pools(&present.plan),
            access_log: file.as_deref().map(FileThread::lines),
            tracing: present.plan.tracing.is_some(),
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
