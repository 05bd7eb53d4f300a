//! What the process tells about itself: the state behind the admin listener.

use super::admin::AdminState;
use super::certificates;
use super::crew::Crew;
use crate::net::Post;
use crate::observe::counters::{ControlCounters, WorkerCounters};
use crate::observe::file::FileThread;
use crate::observe::latency::LatenciesSnapshot;
use crate::observe::log;
use crate::observe::process::Process;
use crate::observe::scrape::Scrape;
use crate::plan::Plan;
use crate::worker::Message;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// The state behind the admin listener.
pub struct Report {
    plan: Arc<Plan>,
    workers: Vec<Arc<WorkerCounters>>,
    health: Arc<ControlCounters>,
    posts: ArcSwap<Vec<Post<Message>>>,
    file: Option<FileThread>,
    ready: AtomicBool,
}

/// How long a scrape waits for the histograms of the workers.
const SNAPSHOT: Duration = Duration::from_millis(500);

impl Report {
    /// Tells about `plan` as `crew` runs it, with the access log's thread if there is one.
    pub fn new(plan: Arc<Plan>, crew: &Crew, file: Option<FileThread>) -> Self {
        Self {
            workers: crew.counters().to_vec(),
            health: Arc::new(ControlCounters::new(&plan.shape)),
            posts: ArcSwap::from_pointee(crew.posts()),
            file,
            ready: AtomicBool::new(false),
            plan,
        }
    }

    /// What control counts: checks, certificates.
    pub fn health(&self) -> &Arc<ControlCounters> {
        &self.health
    }

    /// Learns the ways to the workers anew, after one was started again.
    pub fn reach(&self, crew: &Crew) {
        self.posts.store(Arc::new(crew.posts()));
    }

    /// Says whether the process takes connections.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    /// Opens the access log's file anew, after it was rotated away.
    pub fn reopen_log(&self) {
        if let Some(file) = &self.file {
            file.reopen();
        }
    }

    /// Ends the access log, waiting for its last lines for at most `limit`.
    pub fn close_log(&self, limit: Duration) {
        if self.file.as_ref().is_some_and(|file| !file.shutdown(limit)) {
            tracing::warn!("the last lines of the access log are lost: it took none in time");
        }
    }

    /// The histograms of all workers. A worker that stands still costs the scrape its own, not its answer.
    async fn latencies(&self) -> LatenciesSnapshot {
        let posts = self.posts.load_full();
        let (sender, mut answers) = mpsc::channel(posts.len().max(1));
        for post in posts.iter() {
            let sender = sender.clone();
            let reply = move |snapshot| drop(sender.try_send(snapshot));
            // A full mailbox is that of a worker that stands still.
            let _ = post.send(Message::Snapshot(Box::new(reply)));
        }
        drop(sender);
        let mut merged = LatenciesSnapshot::default();
        let collect = async {
            while let Some(snapshot) = answers.recv().await {
                merged.merge(&snapshot);
            }
        };
        let _ = tokio::time::timeout(SNAPSHOT, collect).await;
        merged
    }
}

impl AdminState for Report {
    async fn metrics(&self) -> String {
        let latencies = self.latencies().await;
        Scrape {
            shape: &self.plan.shape,
            workers: &self.workers,
            control: &self.health,
            latencies: &latencies,
            certificates: &certificates::of(&self.plan),
            secure_pools: &certificates::of_pools(&self.plan),
            access_log: self.file.as_ref().map(FileThread::lines),
            log_lines_dropped: log::dropped(),
            process: Process::read(),
        }
        .text()
    }

    fn ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }
}
