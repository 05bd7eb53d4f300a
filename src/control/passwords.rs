//! Whether passwords fit, computed on threads of their own: each takes a processor for a time that is felt.
//!
//! What always holds: so many are computed at a time and so many wait, for so long; one more is refused at once. Who asks the same as
//! others waits with them. The threads give way to whoever else wants a processor: workers, the control thread and its health checks.
//! They begin with the first question.

use super::answers::Asking;
use crate::gateway::{Failure, Said, password};
use crate::observe::counters::Passwords as Counts;
use crate::observe::reason::PasswordCheck;
use crossbeam::channel;
use std::collections::HashMap;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Passwords that may wait to be computed.
const ROOM: usize = 128;
/// Who may wait for one.
const ASKERS: usize = 4096;
/// How long one may wait before it is begun.
const WAIT: Duration = Duration::from_secs(5);
/// By how much the threads give way to others: a tenth of a processor remains where all want all of it.
const NICE: i32 = 10;

/// A password and a hash.
type Pair = Arc<(Box<[u8]>, Arc<str>)>;

/// The threads, and who waits for them.
pub(super) struct Passwords {
    jobs: Option<channel::Sender<(Pair, Instant)>>,
    done: mpsc::Receiver<(Pair, Outcome)>,
    to_be_done: mpsc::Sender<(Pair, Outcome)>,
    waiting: HashMap<Pair, Vec<Asking>>,
    askers: usize,
    counts: Arc<Counts>,
}

/// What came of a password; `None`: its time was over before it was begun.
type Outcome = Option<bool>;

impl Passwords {
    /// No thread, and nobody who waits.
    pub(super) fn new(counts: Arc<Counts>) -> Self {
        let (to_be_done, done) = mpsc::channel(ROOM);
        Self { jobs: None, done, to_be_done, waiting: HashMap::new(), askers: 0, counts }
    }

    /// Has it computed whether a password fits, for who asks.
    pub(super) fn ask(&mut self, asking: Asking, password: Box<[u8]>, hash: Arc<str>) {
        if self.askers >= ASKERS {
            return self.refuse(asking);
        }
        let pair = Arc::new((password, hash));
        if let Some(others) = self.waiting.get_mut(&pair) {
            others.push(asking);
            self.askers += 1;
            return self.count();
        }
        let jobs = match &self.jobs {
            Some(jobs) => jobs,
            None => self.jobs.insert(hire(&self.to_be_done)),
        };
        match jobs.try_send((pair.clone(), Instant::now())) {
            Ok(()) => {}
            Err(full) => {
                if full.is_disconnected() {
                    self.jobs = None;
                }
                return self.refuse(asking);
            }
        }
        self.waiting.insert(pair, vec![asking]);
        self.askers += 1;
        self.count();
    }

    /// Waits for one that is done. Dropping this loses none.
    pub(super) async fn next(&mut self) -> Option<(Pair, Outcome)> {
        self.done.recv().await
    }

    /// Tells who has asked.
    pub(super) fn tell(&mut self, (pair, outcome): (Pair, Outcome)) {
        let said = || outcome.map(Said::Fits).ok_or(Failure::Timeout);
        let what = match outcome {
            Some(true) => PasswordCheck::Fits,
            Some(false) => PasswordCheck::Wrong,
            None => PasswordCheck::Late,
        };
        self.counts.checks.count(what);
        for asking in self.waiting.remove(&pair).unwrap_or_default() {
            self.askers -= 1;
            asking.answer(said());
        }
        self.count();
    }

    fn refuse(&mut self, asking: Asking) {
        self.counts.checks.count(PasswordCheck::Busy);
        asking.answer(Err(Failure::Busy));
    }

    fn count(&self) {
        self.counts.waiting.set(self.waiting.len() as u64);
    }
}

/// Begins the threads. They end when nobody can ask any more.
fn hire(done: &mpsc::Sender<(Pair, Outcome)>) -> channel::Sender<(Pair, Instant)> {
    let (sender, jobs) = channel::bounded::<(Pair, Instant)>(ROOM);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    for number in 0..(cores / 2).max(1) {
        let (jobs, done) = (jobs.clone(), done.clone());
        let work = move || {
            // Only who may not be told apart from others gives no way; then the number of threads is the bound.
            let _ = rustix::process::setpriority_process(None, NICE);
            for (pair, since) in jobs {
                let fits = || catch_unwind(|| password::fits(&pair.0, &pair.1)).ok();
                let outcome = if since.elapsed() < WAIT { fits() } else { None };
                if done.blocking_send((pair, outcome)).is_err() {
                    return;
                }
            }
        };
        let hired = std::thread::Builder::new().name(format!("ringway-pw{number}")).spawn(work);
        if let Err(error) = hired {
            tracing::error!(%error, "a thread for passwords cannot be started");
        }
    }
    sender
}
