//! The loop of a log that goes to a syslog server. While the server is away lines wait, as many as there is room for; then
//! the oldest are lost.

use super::link::{Link, Progress};
use super::losses::Losses;
use super::writer::SPARE_BYTES;
use super::{Batch, Destination, Server, Shared};
use crossbeam::channel::{Receiver, Sender as Spent};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes of lines that wait for a server, beside what the queue holds.
const BACKLOG: usize = 4 << 20;
/// The first pause before a server is tried again; it doubles up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// Runs a sender to its end.
pub fn run(server: Server, queued: Receiver<Batch>, spent: Spent<Vec<u8>>, shared: Arc<Shared>) {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(Sender::new(server, queued, spent, shared).run()),
        Err(error) => tracing::error!(%error, "the syslog thread cannot start: all access log lines will be lost"),
    }
}

struct Sender {
    server: Server,
    queued: Receiver<Batch>,
    spent: Spent<Vec<u8>>,
    shared: Arc<Shared>,
    link: Option<Link>,
    backlog: VecDeque<Batch>,
    losses: Losses,
    pause: Duration,
    /// When the server may be tried again.
    retry: Option<Instant>,
}

impl Sender {
    fn new(server: Server, queued: Receiver<Batch>, spent: Spent<Vec<u8>>, shared: Arc<Shared>) -> Self {
        let losses = Losses::new(Destination::Syslog(server.clone()), shared.clone());
        let (link, backlog, pause, retry) = (None, VecDeque::new(), FIRST_PAUSE, None);
        Self { server, queued, spent, shared, link, backlog, losses, pause, retry }
    }

    async fn run(mut self) {
        loop {
            // Asked before the queue is emptied, so that what was sent before `shutdown` is written.
            let closing = self.shared.closing.load(Ordering::Acquire);
            self.collect();
            self.send(closing).await;
            if closing && self.queued.is_empty() {
                let left: u64 = self.backlog.iter().map(|batch| u64::from(batch.lines)).sum();
                self.losses.lose(left);
                return self.losses.tell_last();
            }
            self.losses.tell();
            if !self.queued.is_empty() {
                continue;
            }
            match [self.retry.filter(|_| !self.backlog.is_empty()), self.losses.due()].into_iter().flatten().min() {
                Some(at) => drop(tokio::time::timeout_at(at, self.shared.wake.notified()).await),
                None => self.shared.wake.notified().await,
            }
        }
    }

    /// Takes what is queued, as far as there is room, at the cost of what is older.
    fn collect(&mut self) {
        let mut held: usize = self.backlog.iter().map(|batch| batch.bytes.len()).sum();
        while let Ok(batch) = self.queued.try_recv() {
            self.losses.lost_before(batch.lost_before);
            held += batch.bytes.len();
            self.backlog.push_back(batch);
            while held > BACKLOG
                && let Some(oldest) = self.backlog.pop_front()
            {
                held -= oldest.bytes.len();
                self.losses.lose(u64::from(oldest.lines));
                self.reuse(oldest.bytes);
            }
        }
    }

    /// Sends what waits, until there is nothing more or the server fails. `last`: there will be no other time.
    async fn send(&mut self, last: bool) {
        if self.retry.is_some_and(|at| at > Instant::now() && !last) {
            return;
        }
        while !self.backlog.is_empty() {
            let mut link = match self.link.take() {
                Some(link) => link,
                None => match Link::open(&self.server).await {
                    Ok(link) => link,
                    Err(error) => return self.back_off(&error),
                },
            };
            let Some(batch) = self.backlog.front_mut() else { return };
            let (progress, result) = link.send(&batch.bytes).await;
            batch.bytes.drain(..progress.bytes);
            batch.lines = memchr::memchr_iter(b'\n', &batch.bytes).count() as u32;
            self.account(&progress);
            if let Err(error) = result {
                return self.back_off(&error);
            }
            if let Some(done) = self.backlog.pop_front() {
                self.reuse(done.bytes);
            }
            if self.backlog.is_empty() {
                let settled = link.settle();
                self.account(&settled);
                if settled.lost > 0 {
                    return self.back_off(&io::ErrorKind::ConnectionRefused.into());
                }
            }
            self.link = Some(link);
            self.collect();
        }
    }

    fn account(&mut self, progress: &Progress) {
        self.losses.wrote(progress.written);
        if progress.written > 0 {
            self.losses.works();
            (self.pause, self.retry) = (FIRST_PAUSE, None);
        }
        if progress.lost > 0 {
            self.losses.lose(progress.lost);
        }
    }

    fn back_off(&mut self, error: &io::Error) {
        self.losses.fail(error);
        self.link = None;
        self.retry = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(LAST_PAUSE);
    }

    fn reuse(&self, mut bytes: Vec<u8>) {
        if bytes.capacity() <= SPARE_BYTES {
            bytes.clear();
            // Full means that there are enough.
            let _ = self.spent.try_send(bytes);
        }
    }
}
