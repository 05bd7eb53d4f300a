//! Keeps the sums of analytics in a database: once a second, and when the process ends.
//!
//! What always holds: workers know nothing of it, and nobody waits for it but who ends. Where the database cannot be written,
//! because its disk is full or may not be written, sums wait in memory, which is told by the log and by metrics; beyond sixteen times
//! `max_series` rows what is new is counted as lost. The database is opened when the first sum is there.

mod question;
mod store;

pub use question::{By, Group, Question, Row, Step};

use super::present::Shared;
use crate::config::model;
use crate::observe::analytics::{Key, OTHER, Series, Sheets, Sums};
use crate::observe::counters::Analytics as Counts;
use crate::observe::wall;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::{Failed, Store};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Between two times that sums are written.
const EVERY: Duration = Duration::from_secs(1);
/// How many times in all they are written before it is looked for old ones.
const ROLLING: u32 = 60;
/// How long who ends waits for them to be.
const LAST: Duration = Duration::from_secs(5);
/// Rows that may wait to be written, for each series that there may be.
const BACKLOG: usize = 16;

/// How control has sums written at once.
pub(super) struct Analytics(mpsc::Sender<oneshot::Sender<()>>);

/// What is written, and where.
struct Keeper {
    folder: PathBuf,
    store: Option<Store>,
    sheets: Sheets,
    waiting: HashMap<Key, Sums>,
    /// The series of an hour.
    known: HashSet<Series>,
    hour: u32,
    rounds: u32,
    is_failing: bool,
    has_folded: bool,
    counts: Arc<Counts>,
}

impl Analytics {
    /// Begins to write what comes on `sheets`.
    pub(super) fn serve(sheets: Sheets, shared: Shared) -> Self {
        let present = shared.load();
        let (folder, counts) = (present.plan.config.runtime.state_dir.clone(), present.control.analytics.clone());
        drop(present);
        let keeper = Keeper {
            folder,
            store: None,
            sheets,
            waiting: HashMap::new(),
            known: HashSet::new(),
            hour: 0,
            rounds: 0,
            is_failing: false,
            has_folded: false,
            counts,
        };
        let (sender, asks) = mpsc::channel(4);
        tokio::spawn(serve(keeper, shared, asks));
        Self(sender)
    }

    /// Has all be written at once. Workers must have handed over before.
    pub(super) async fn keep(&self) {
        let kept = async {
            let (done, waits) = oneshot::channel();
            if self.0.send(done).await.is_ok() {
                let _ = waits.await;
            }
        };
        if timeout(LAST, kept).await.is_err() {
            tracing::error!("what analytics have summed up of late could not be written in {LAST:?}");
        }
    }
}

async fn serve(mut keeper: Keeper, shared: Shared, mut asks: mpsc::Receiver<oneshot::Sender<()>>) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let ask = tokio::select! {
            _ = tick.tick() => None,
            ask = asks.recv() => match ask {
                Some(ask) => Some(ask),
                None => return,
            },
        };
        let settings = shared.load().plan.config.analytics.clone();
        keeper.take_up(settings.as_ref().map_or(usize::MAX, |of| of.max_series));
        if settings.is_some() || !keeper.waiting.is_empty() {
            let settings = settings.unwrap_or_default();
            let kept = tokio::task::spawn_blocking(move || {
                let kept = keeper.keep(&settings);
                keeper.tell(kept);
                keeper
            });
            keeper = match kept.await {
                Ok(keeper) => keeper,
                Err(error) => {
                    tracing::error!(%error, "analytics have ended, and are in memory alone from now on");
                    return;
                }
            };
        }
        if let Some(done) = ask {
            if !keeper.waiting.is_empty() {
                let lost: u64 = keeper.waiting.values().map(|sums| sums.requests).sum();
                tracing::error!(lost, "requests that analytics could not write are lost");
            }
            // Who has asked may not wait any more.
            let _ = done.send(());
        }
    }
}

impl Keeper {
    /// Takes up what workers have handed over.
    fn take_up(&mut self, most: usize) {
        let room = most.saturating_mul(BACKLOG);
        let mut lost = 0;
        while let Some(sheet) = self.sheets.take() {
            for (mut key, sums) in sheet {
                self.fold(&mut key, sums.requests, most);
                let has_room = self.waiting.len() < room;
                match self.waiting.get_mut(&key) {
                    Some(own) => own.add(&sums),
                    None if has_room => drop(self.waiting.insert(key, sums)),
                    None => lost += sums.requests,
                }
            }
        }
        self.counts.lost.add(lost);
        self.count_waiting();
    }

    /// Has a consumer be one of the others where an hour has too many series.
    fn fold(&mut self, key: &mut Key, requests: u64, most: usize) {
        if key.minute / 60 != self.hour {
            self.hour = key.minute / 60;
            self.known.clear();
        }
        if &*key.series.consumer != OTHER && !self.known.contains(&key.series) {
            match self.known.len() < most {
                true => drop(self.known.insert(key.series.clone())),
                false => key.series.consumer = OTHER.into(),
            }
        }
        if &*key.series.consumer == OTHER {
            self.counts.folded.add(requests);
            if !std::mem::replace(&mut self.has_folded, true) {
                tracing::warn!(
                    max_series = most,
                    "analytics have more series than max_series: further consumers are summed up as \"(other)\""
                );
            }
        }
    }

    /// Writes what waits, and looks for what is old now and then.
    fn keep(&mut self, settings: &model::Analytics) -> Result<(), Failed> {
        if self.store.is_none() {
            self.store = Some(Store::open(&self.folder)?);
        }
        let Some(store) = &mut self.store else { return Ok(()) };
        if !self.waiting.is_empty() {
            store.write(&self.waiting)?;
            self.waiting.clear();
            self.count_waiting();
        }
        if self.rounds == 0 {
            let Some(store) = &mut self.store else { return Ok(()) };
            if store.roll_up(wall::now(), &settings.retention, settings.max_series)? {
                // There is more of it: it goes on in a second.
                return Ok(());
            }
        }
        self.rounds = (self.rounds + 1) % ROLLING;
        Ok(())
    }

    fn count_waiting(&self) {
        self.counts.waiting.set(self.waiting.values().map(|sums| sums.requests).sum());
    }

    /// Tells what came of it, once for as long as it is so.
    fn tell(&mut self, kept: Result<(), Failed>) {
        match kept {
            Ok(()) => {
                self.counts.kept.inc();
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("what analytics sum up is written again");
                }
            }
            Err(why) => {
                self.counts.failed.inc();
                // Its file may have been taken away, or be another one.
                self.store = None;
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::error!(why, "what analytics sum up is in memory alone, and lost if this process ends now");
                }
            }
        }
    }
}

/// What is asked for, of the database in a folder: `None` if it is more than `most` rows. May wait for the disk.
pub(super) fn read(folder: &Path, question: &Question, most: usize) -> Result<Option<Vec<Row>>, String> {
    Store::open(folder)?.read(question, most)
}
