//! Keeps what quotas have counted in a database, so that it outlives the process: once a second, when the process hands over, and when it
//! ends.
//!
//! What always holds: workers know nothing of it, and nobody waits for it but who hands over or ends. Where the database cannot be had,
//! because its disk is full or another holds it, quotas count in memory, which is told by the log and by metrics, and all of it is
//! written once it can be. The database is opened when the first quota is there.

mod shared;
mod store;

pub(super) use shared::SharedQuotas;

use super::present::Shared;
use crate::gateway::quota::{Draft, Ledger, Quota};
use crate::observe::counters::Quotas as Counts;
use crate::plan::{KeptQuota, Plan};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};
use store::{Failed, Name, Store};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Between two times that counts are written.
const EVERY: Duration = Duration::from_secs(1);
/// How many times in all it is written before it is looked for more keys than twice those that there is room to count.
const THINNING: u32 = 60;
/// How long who hands over or ends waits for them to be.
const LAST: Duration = Duration::from_secs(5);

/// How control has counts written at once.
#[derive(Debug)]
pub(super) struct Quotas(mpsc::Sender<Ask>);

/// Whether it is the last time, and who waits for it.
type Ask = (bool, oneshot::Sender<()>);

/// What is written, and where.
pub(super) struct Keeper {
    folder: PathBuf,
    store: Option<Store>,
    books: HashMap<Name, Book>,
    counts: Arc<Counts>,
}

/// What was written of a quota.
struct Book {
    quota: Quota,
    ledger: Ledger,
    is_read: bool,
    /// The last period before which all is deleted.
    begins: Option<u32>,
    /// How often it was written in that.
    rounds: u32,
}

/// Takes up what quotas of a plan have counted in processes before, before anything is counted.
pub(super) async fn begin(plan: &Plan, counts: Arc<Counts>) -> Keeper {
    let folder = plan.config.runtime.state_dir.clone();
    let mut keeper = Keeper { folder, store: None, books: HashMap::new(), counts };
    let quotas = plan.lasting.quotas().to_vec();
    if quotas.is_empty() {
        return keeper;
    }
    let seed = plan.lasting.seed().clone();
    let taken = tokio::task::spawn_blocking(move || {
        let opened = Store::open(&keeper.folder, seed.load(Ordering::Relaxed));
        if let Ok(store) = &opened {
            seed.store(store.seed(), Ordering::Relaxed);
            quotas.iter().for_each(|kept| kept.quota.table().set_seed(store.seed()));
        }
        let kept = opened.and_then(|store| {
            keeper.store = Some(store);
            keeper.keep(&quotas, now(), false)
        });
        keeper.tell(kept);
        keeper
    });
    match taken.await {
        Ok(keeper) => keeper,
        Err(error) => {
            tracing::error!(%error, "what quotas have counted before is not known");
            let (folder, counts) = (plan.config.runtime.state_dir.clone(), Arc::default());
            Keeper { folder, store: None, books: HashMap::new(), counts }
        }
    }
}

impl Quotas {
    /// Begins to write.
    pub(super) fn serve(keeper: Keeper, shared: Shared) -> Self {
        let (sender, asks) = mpsc::channel(4);
        tokio::spawn(serve(keeper, shared, asks));
        Self(sender)
    }

    /// Has all be written at once. At the end nothing is noted ahead.
    pub(super) fn keep(&self, is_end: bool) -> impl Future<Output = ()> + Send + use<> {
        let sender = self.0.clone();
        async move {
            let kept = async {
                let (done, waits) = oneshot::channel();
                if sender.send((is_end, done)).await.is_ok() {
                    let _ = waits.await;
                }
            };
            if timeout(LAST, kept).await.is_err() {
                tracing::error!("what quotas have counted of late could not be written in {LAST:?}");
            }
        }
    }
}

async fn serve(mut keeper: Keeper, shared: Shared, mut asks: mpsc::Receiver<Ask>) {
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
        let plan = shared.load().plan.clone();
        let (quotas, seed) = (plan.lasting.quotas().to_vec(), plan.lasting.seed().load(Ordering::Relaxed));
        drop(plan);
        let is_end = ask.as_ref().is_some_and(|(is_end, _)| *is_end);
        if !quotas.is_empty() || !keeper.books.is_empty() {
            let kept = tokio::task::spawn_blocking(move || {
                let kept = keeper.open(seed).and_then(|()| keeper.keep(&quotas, now(), is_end));
                keeper.tell(kept);
                keeper
            });
            keeper = match kept.await {
                Ok(keeper) => keeper,
                Err(error) => {
                    tracing::error!(%error, "what quotas count from now on does not outlive this process");
                    return;
                }
            };
        }
        if let Some((_, done)) = ask {
            // Who has asked may not wait any more.
            let _ = done.send(());
        }
    }
}

impl Keeper {
    /// Opens the database, if it is not open.
    fn open(&mut self, seed: u64) -> Result<(), Failed> {
        if self.store.is_some() {
            return Ok(());
        }
        let mut store = Store::open(&self.folder, seed)?;
        if store.seed() != seed {
            tracing::error!(
                "quotas begin anew: what was kept of them could not be read when this process began to count"
            );
            store.begin_anew(seed)?;
        }
        self.store = Some(store);
        Ok(())
    }

    /// Writes what has been counted, and reads what others have.
    fn keep(&mut self, quotas: &[KeptQuota], now: Duration, is_end: bool) -> Result<(), Failed> {
        let Some(store) = &mut self.store else { return Ok(()) };
        for KeptQuota { rule, under, quota } in quotas {
            let name = Name { rule: rule.clone(), under: under.clone() };
            let book = self.books.entry(name).or_insert_with(|| Book::new(quota));
            if !Arc::ptr_eq(book.quota.table(), quota.table()) {
                *book = Book::new(quota);
            }
            book.quota.clone_from(quota);
        }
        let is_there = |name: &Name| quotas.iter().any(|kept| kept.rule == name.rule && kept.under == name.under);
        let has_news = store.has_news()?;
        for (name, book) in &mut self.books {
            let window = book.quota.calendar().window(now);
            if has_news || !book.is_read {
                book.ledger.read(&book.quota, window, store.read(name, window, book.quota.table().size())?, now);
                book.is_read = true;
            }
            if book.begins != Some(window.start) {
                store.forget_before(name, window)?;
                (book.begins, book.rounds) = (Some(window.start), 0);
            }
            book.rounds += 1;
            if book.rounds % THINNING == 0 {
                store.thin_out(name, window, book.quota.table().size().saturating_mul(2))?;
            }
        }
        let drafts: Vec<(Name, Draft)> = self
            .books
            .iter_mut()
            .map(|(name, book)| (name.clone(), book.ledger.draft(&book.quota, now, is_end || !is_there(name))))
            .filter(|(_, draft)| !draft.lines.is_empty())
            .collect();
        if !drafts.is_empty() {
            let totals = store.write(drafts.iter().map(|(name, draft)| (name, draft)))?;
            for ((name, draft), totals) in drafts.iter().zip(totals) {
                if let Some(book) = self.books.get_mut(name) {
                    book.ledger.written(&book.quota, draft, totals, now);
                }
            }
        }
        self.books.retain(|name, _| is_there(name));
        Ok(())
    }

    /// Tells what came of it, once for as long as it is so.
    fn tell(&mut self, kept: Result<(), Failed>) {
        match kept {
            Ok(()) => {
                self.counts.kept.inc();
                if self.counts.failing.get() != 0 {
                    tracing::info!("what quotas count is kept again");
                }
                self.counts.failing.set(0);
            }
            Err(why) => {
                self.counts.failed.inc();
                if self.counts.failing.get() == 0 {
                    tracing::error!(why, "what quotas count is in memory alone, and lost if this process ends now");
                }
                self.counts.failing.set(1);
            }
        }
    }
}

impl Book {
    fn new(quota: &Quota) -> Self {
        Self { quota: quota.clone(), ledger: Ledger::default(), is_read: false, begins: None, rounds: 0 }
    }
}

/// The time since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
