//! Delivers a record of each exchange to hooks: by HTTP, to a syslog server, to a file.
//!
//! What always holds: what waits for a hook has a bound of its own, `max_backlog`; below it nothing is lost while the process lives, and
//! it is tried until it is taken; what is beyond is dropped, counted and told. One hook that stands still holds up no other, and no worker.
//!
//! Records come from the workers as lines of JSON, as the access log has them.

mod sink;

use crate::config::model::{Analytics, Hook};
use crate::observe::counters::{Analytics as Counts, HookCounts};
use crate::observe::file::{Batch, Batches};
use arc_swap::ArcSwap;
use hyper::body::Bytes;
use sink::{Sent, Sink};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

/// Batches on their way to a hook that has not looked yet.
const FEED: usize = 256;
/// Bytes that are sent at a time.
const ENOUGH: usize = 256 << 10;
/// How long records wait for more of them.
const PATIENCE: Duration = Duration::from_millis(200);
/// The first pause before a hook that failed is tried again; it doubles up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(15);
/// How long the last records have when there is nothing more to come.
const LAST: Duration = Duration::from_secs(2);

/// The ways to hooks, by their names.
type Feeds = BTreeMap<String, mpsc::Sender<Part>>;

/// The delivery of records, over all plans.
pub(super) struct Hooks {
    records: Batches,
    counts: Arc<Counts>,
    feeds: Arc<ArcSwap<Feeds>>,
    live: BTreeMap<String, (Hook, JoinHandle<()>)>,
}

/// Some records, shared by all hooks.
#[derive(Clone)]
struct Part {
    bytes: Bytes,
    lines: u64,
}

impl Part {
    fn of(batch: Batch) -> Self {
        Self { lines: batch.lines.into(), bytes: batch.bytes.into() }
    }
}

impl Hooks {
    /// Begins to take up records.
    pub(super) fn serve(records: Batches, counts: Arc<Counts>) -> Self {
        let feeds = Arc::<ArcSwap<Feeds>>::default();
        let (taken, fed, counted) = (records.clone(), feeds.clone(), counts.clone());
        tokio::spawn(async move {
            loop {
                taken.some().await;
                hand_on(&taken, &fed.load(), &counted);
            }
        });
        Self { records, counts, feeds, live: BTreeMap::new() }
    }

    /// Records go there from now on. A hook that stays as it is keeps what waits for it; of others that has a moment.
    pub(super) fn follow(&mut self, analytics: Option<&Analytics>) {
        let none = BTreeMap::new();
        let wanted = analytics.map_or(&none, |of| &of.hooks);
        if self.live.len() == wanted.len() && self.live.iter().all(|(name, (hook, _))| wanted.get(name) == Some(hook)) {
            return;
        }
        hand_on(&self.records, &self.feeds.load(), &self.counts);
        let mut feeds = BTreeMap::clone(&self.feeds.load());
        let mut counted = BTreeMap::clone(&self.counts.hooks.load());
        feeds.retain(|name, _| self.live.get(name).is_some_and(|(hook, _)| wanted.get(name) == Some(hook)));
        self.live.retain(|name, (hook, _)| wanted.get(name) == Some(hook));
        for (name, hook) in wanted {
            if feeds.contains_key(name) {
                continue;
            }
            let (feed, parts) = mpsc::channel(FEED);
            let counts = counted.entry(name.clone()).or_default().clone();
            let delivery = Delivery::new(name, hook, parts, counts);
            feeds.insert(name.clone(), feed);
            self.live.insert(name.clone(), (hook.clone(), tokio::spawn(delivery.run())));
        }
        self.counts.hooks.store(Arc::new(counted));
        self.feeds.store(Arc::new(feeds));
    }

    /// Delivers what there still is, within two seconds. Workers must have handed over before.
    pub(super) async fn close(&mut self) {
        hand_on(&self.records, &self.feeds.load(), &self.counts);
        self.feeds.store(Arc::default());
        for (_, task) in std::mem::take(&mut self.live).into_values() {
            let _ = timeout(LAST * 2, task).await;
        }
    }
}

/// Hands on what workers have handed over.
fn hand_on(records: &Batches, feeds: &Feeds, counts: &Counts) {
    while let Some(batch) = records.take() {
        let part = Part::of(batch);
        for (name, feed) in feeds {
            if feed.try_send(part.clone()).is_err()
                && let Some(hook) = counts.hooks.load().get(name)
            {
                hook.dropped.add(part.lines);
            }
        }
    }
}

/// What goes to one hook.
struct Delivery {
    name: String,
    most: usize,
    parts: mpsc::Receiver<Part>,
    counts: Arc<HookCounts>,
    /// `None` while it is used.
    sink: Option<Sink>,
    waiting: VecDeque<Part>,
    bytes: usize,
    /// What was taken from those that wait, and is not settled yet.
    pending: Option<Part>,
    pause: Duration,
    /// Since when it fails: records that were lost since.
    lost: Option<u64>,
}

impl Delivery {
    fn new(name: &str, hook: &Hook, parts: mpsc::Receiver<Part>, counts: Arc<HookCounts>) -> Self {
        Self {
            name: name.to_owned(),
            most: usize::try_from(hook.max_backlog.0).unwrap_or(usize::MAX),
            parts,
            counts,
            sink: Some(Sink::new(hook)),
            waiting: VecDeque::new(),
            bytes: 0,
            pending: None,
            pause: FIRST_PAUSE,
            lost: None,
        }
    }

    async fn run(mut self) {
        let mut under_way: Option<JoinHandle<(Sink, Part, Sent)>> = None;
        let (mut next, mut end): (Instant, Option<Instant>) = (Instant::now(), None);
        loop {
            let is_idle = under_way.is_none();
            let has_some = self.pending.is_some() || !self.waiting.is_empty();
            if end.is_some_and(|end| Instant::now() >= end || is_idle && !has_some) {
                return self.give_up();
            }
            let delivered = async {
                match &mut under_way {
                    Some(task) => task.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                part = self.parts.recv(), if end.is_none() => match part {
                    Some(part) => self.add(part),
                    // What failed has one more try.
                    None => (next, end) = (Instant::now(), Some(Instant::now() + LAST)),
                },
                done = delivered => {
                    under_way = None;
                    next = Instant::now() + self.settle(done);
                }
                () = sleep_until(next), if is_idle && has_some => under_way = self.set_out(),
                () = sleep_until(end.unwrap_or(next)), if end.is_some() => {}
            }
        }
    }

    /// Takes up records, or drops them where too many wait.
    fn add(&mut self, part: Part) {
        if self.bytes.saturating_add(part.bytes.len()) > self.most {
            if self.lost.is_none_or(|lost| lost == 0) {
                tracing::warn!(hook = self.name, "more than max_backlog waits for a hook: further records are lost");
            }
            self.lost = Some(self.lost.unwrap_or(0) + part.lines);
            return self.counts.dropped.add(part.lines);
        }
        self.bytes += part.bytes.len();
        self.waiting.push_back(part);
        self.counts.waiting.set(self.bytes as u64);
    }

    /// Begins to send what waits.
    fn set_out(&mut self) -> Option<JoinHandle<(Sink, Part, Sent)>> {
        let part = self.pending.take().or_else(|| {
            let mut bytes = Vec::new();
            let mut lines = 0;
            while bytes.len() < ENOUGH
                && let Some(part) = self.waiting.pop_front()
            {
                bytes.extend_from_slice(&part.bytes);
                lines += part.lines;
            }
            (lines > 0).then(|| Part { bytes: bytes.into(), lines })
        })?;
        let mut sink = self.sink.take()?;
        Some(tokio::spawn(async move {
            let sent = sink.send(&part).await;
            (sink, part, sent)
        }))
    }

    /// Sees what became of records, and says when the next may go.
    fn settle(&mut self, done: Result<(Sink, Part, Sent), tokio::task::JoinError>) -> Duration {
        let Ok((sink, mut part, sent)) = done else {
            tracing::error!(hook = self.name, "a hook has ended: its records are lost from now on");
            return LAST_PAUSE;
        };
        self.sink = Some(sink);
        let taken = sent.bytes.min(part.bytes.len());
        self.bytes = self.bytes.saturating_sub(taken);
        self.counts.waiting.set(self.bytes as u64);
        let before = part.lines;
        drop(part.bytes.split_to(taken));
        part.lines = memchr::memchr_iter(b'\n', &part.bytes).count() as u64;
        let settled = before.saturating_sub(part.lines);
        match sent.is_rejected {
            true => self.counts.rejected.add(settled),
            false => self.counts.sent.add(settled),
        }
        self.pending = (!part.bytes.is_empty()).then_some(part);
        match sent.trouble {
            None => {
                self.pause = FIRST_PAUSE;
                if let Some(lost) = self.lost.take() {
                    tracing::info!(hook = self.name, lost, "records are delivered again");
                }
                if self.bytes < ENOUGH { PATIENCE } else { Duration::ZERO }
            }
            Some(why) => {
                if self.lost.is_none() {
                    self.lost = Some(0);
                    tracing::warn!(hook = self.name, why, "records are not delivered; they are kept and tried again");
                }
                let pause = self.pause;
                self.pause = (self.pause * 2).min(LAST_PAUSE);
                pause
            }
        }
    }

    /// Counts what nobody will see.
    fn give_up(&self) {
        let lost = self.pending.iter().chain(&self.waiting).map(|part| part.lines).sum::<u64>();
        self.counts.waiting.set(0);
        if lost > 0 || self.sink.is_none() {
            self.counts.dropped.add(lost);
            tracing::warn!(hook = self.name, lost, "the last records are lost: the hook did not take them in time");
        }
    }
}
