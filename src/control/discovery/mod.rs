//! Targets that come and go by themselves: names, services, files and endpoints are asked for them, each by a task of its own.
//!
//! What always holds: a source that does not answer changes nothing; a change is put into force by control's loop as a change of
//! these pools' targets alone, and no more often than once a second; the order of an answer means nothing.

mod apply;
mod board;
mod endpoint;
mod file;
mod found;
mod keep;
mod listing;
mod names;
mod pace;
mod records;

pub use board::{Board, Source};
pub use found::{Found, Key, Usual};

use crate::config::model::{self, Config, Discover, Dns};
use endpoint::Endpoint;
use file::Listed;
use futures_util::future::join_all;
use keep::Keep;
use names::Names;
use pace::{Heard, Limits, Pace};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// How long a start or a reload waits for sources that have told nothing yet.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks all sources of the plan in force.
pub(super) struct Discovery {
    pub(super) board: Arc<Board>,
    tasks: BTreeMap<Key, Task>,
    keep: Keep,
    /// The change that was put into force last.
    applied: u64,
    /// When the next one may be.
    due: Instant,
}

/// Asks one of them.
struct Task {
    wanted: (Discover, Dns),
    source: Arc<Source>,
    handle: AbortHandle,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

/// A way to ask.
enum Way {
    Dns(Names, String, u16),
    Srv(Names, String),
    File(Listed),
    Http(Box<Endpoint>),
    Nowhere,
}

impl Way {
    fn to(discover: &Discover, dns: &Dns) -> Self {
        match discover.source() {
            Some(model::Source::Dns(name, port)) => Self::Dns(Names::new(discover, dns), name.to_owned(), port),
            Some(model::Source::Srv(service)) => Self::Srv(Names::new(discover, dns), service.to_owned()),
            Some(model::Source::File(path)) => Self::File(Listed::new(path, Usual::of(discover))),
            Some(model::Source::Http(url)) => Self::Http(Box::new(Endpoint::new(url, discover))),
            None => Self::Nowhere,
        }
    }

    /// Asks once. Targets come in their order, and no more than there may be; how many more there are is told beside.
    async fn ask(&mut self, most: usize) -> (Heard, usize) {
        let heard = match self {
            Self::Dns(names, name, port) => names.addresses(name, *port).await,
            Self::Srv(names, service) => names.services(service).await,
            Self::File(file) => file.look().await,
            Self::Http(endpoint) => endpoint.ask().await,
            Self::Nowhere => Heard::Failed("it is not said where targets are found".to_owned()),
        };
        match heard {
            Heard::Targets(targets, _) if targets.is_empty() => (Heard::Nothing("the list is empty".to_owned()), 0),
            Heard::Targets(mut targets, ttl) => {
                let beyond = found::tidy(&mut targets, most);
                (Heard::Targets(targets, ttl), beyond)
            }
            heard => (heard, 0),
        }
    }
}

/// How often a source may be asked.
fn limits(discover: &Discover) -> Limits {
    let (min, max) = match discover.source() {
        Some(model::Source::File(_)) => (file::EVERY, file::EVERY),
        Some(model::Source::Http(_)) => (discover.interval.0, discover.interval.0),
        _ => (discover.min_ttl.0, discover.max_ttl.0),
    };
    Limits { min, max, hold: discover.hold.0 }
}

/// Asks the sources that have told nothing yet, or `all` of them, and waits for what they say, but not for long.
pub(super) async fn ask_first(board: &Board, config: &Config, all: bool) {
    let (_, found) = board.found();
    let unknown = |key: &Key| all || found.get(key).is_none();
    let asking = Key::all(config).into_iter().filter(unknown).filter_map(|key| {
        let discover = config.pools.get(&key.pool)?.discover.as_ref()?;
        Some(async move {
            let asked = Way::to(discover, &config.dns).ask(discover.max_targets).await;
            if let (Heard::Targets(targets, _), _) = asked {
                board.learn(&key, targets.into());
            }
        })
    });
    // Who has answered by then has been heard.
    let _ = timeout(PATIENCE, join_all(asking)).await;
}

/// What is known of targets when a process starts: what the process before it has found if it hands over, else what the sources say,
/// and what was kept in `state_dir` of those that say nothing. Blocks, but not for long; to be asked before there are other threads.
pub fn recall(config: &Config, handed: Option<String>) -> Arc<Board> {
    let board = Arc::new(Board::default());
    if Key::all(config).is_empty() {
        return board;
    }
    let handed = handed.and_then(|text| match Found::from_text(&text) {
        Ok(found) => Some(found),
        Err(why) => {
            eprintln!("ringway: the targets that the process before has found are lost: {why}");
            None
        }
    });
    let all = handed.is_none();
    board.recall(handed.unwrap_or_else(|| Keep::read(&config.runtime.state_dir)));
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            runtime.block_on(ask_first(&board, config, all));
            runtime.shutdown_background();
        }
        Err(error) => eprintln!("ringway: targets cannot be looked for yet: {error}"),
    }
    board
}

impl Discovery {
    /// Asks nobody yet.
    pub(super) fn new(board: Arc<Board>, state_dir: &Path) -> Self {
        let applied = board.revision();
        Self { board, tasks: BTreeMap::new(), keep: Keep::new(state_dir), applied, due: Instant::now() }
    }

    /// The targets of these configurations' pools are looked for from now on, of which the first is in force. A source that is the
    /// same is asked on as before.
    pub(super) fn set(&mut self, configs: &[&Config]) {
        let mut before = std::mem::take(&mut self.tasks);
        let keys = configs.iter().flat_map(|config| Key::all(config).into_iter().map(move |key| (*config, key)));
        for (config, key) in keys {
            let Some(discover) = config.pools.get(&key.pool).and_then(|pool| pool.discover.as_ref()) else { continue };
            if self.tasks.contains_key(&key) {
                continue;
            }
            let wanted = (discover.clone(), config.dns.clone());
            let task = match before.remove(&key) {
                Some(task) if task.wanted == wanted => task,
                old => {
                    let same = old.as_ref().map(|task| task.source.clone());
                    drop(old);
                    let source = same.unwrap_or_else(|| Arc::new(Source::new(key.clone(), discover.shown())));
                    let work = ask_on(self.board.clone(), source.clone(), wanted.clone());
                    Task { wanted, source, handle: tokio::spawn(work).abort_handle() }
                }
            };
            self.tasks.insert(key, task);
        }
        if self.tasks.is_empty() && before.is_empty() {
            return;
        }
        let in_force = configs.first().into_iter().flat_map(|config| Key::all(config));
        let sources = in_force.filter_map(|key| Some((key.pool.clone(), self.tasks.get(&key)?.source.clone())));
        self.board.have(sources.collect(), &self.tasks.keys().cloned().collect::<Vec<_>>());
    }

    /// Has sources asked on whose tasks have ended by themselves, as one does that panics.
    pub(super) fn tend(&mut self) {
        for task in self.tasks.values_mut().filter(|task| task.handle.is_finished()) {
            let (pool, source) = (&task.source.key.pool, &task.source.shown);
            tracing::error!(
                pool,
                source,
                "nobody asks for targets any more, which is a fault of Ringway's: it begins again"
            );
            let work = ask_on(self.board.clone(), task.source.clone(), task.wanted.clone());
            task.handle = tokio::spawn(work).abort_handle();
        }
    }

    /// Asks nobody any more.
    pub(super) fn stop(&mut self) {
        self.tasks.clear();
    }
}

/// Asks a source for as long as it is wanted.
async fn ask_on(board: Arc<Board>, source: Arc<Source>, (discover, dns): (Discover, Dns)) {
    let known = board.found().1.get(&source.key).map(|answer| answer.targets.clone());
    let mut pace = Pace::new(limits(&discover), known);
    let mut way = Way::to(&discover, &dns);
    let (begun, pool, shown) = (Instant::now(), &source.key.pool, &source.shown);
    let (mut told, mut nothing, mut left_out): (Option<String>, Option<String>, usize) = Default::default();
    source.left_out.set(0);
    loop {
        let (heard, beyond) = way.ask(discover.max_targets).await;
        let heard = match (heard, &nothing) {
            (Heard::Same(_), Some(what)) => Heard::Nothing(what.clone()),
            (heard, _) => heard,
        };
        let was_failing = pace.is_failing();
        let verdict = pace.hear(heard.clone(), begun.elapsed(), fastrand::f64());
        source.note(&heard, verdict.next);
        match &heard {
            Heard::Failed(why) if told.as_ref() != Some(why) => {
                tracing::warn!(pool, source = shown, why, "the source of targets does not answer: the last ones stay");
                told = Some(why.clone());
            }
            Heard::Nothing(what) | Heard::Closed(what) if told.as_ref() != Some(what) => {
                if verdict.held {
                    let hold = discover.hold.0;
                    tracing::warn!(
                        pool,
                        source = shown,
                        what,
                        ?hold,
                        "the source says that there is no target: the last ones stay for now"
                    );
                } else {
                    tracing::warn!(pool, source = shown, what, "the source says that there is no target");
                }
                told = Some(what.clone());
            }
            Heard::Targets(..) | Heard::Same(_) => {
                if was_failing {
                    tracing::info!(pool, source = shown, "the source of targets answers again");
                }
                told = None;
            }
            _ => {}
        }
        if let Heard::Targets(targets, _) = &heard
            && std::mem::replace(&mut left_out, beyond) != beyond
        {
            let taken = targets.len();
            source.left_out.set(beyond as u64);
            tracing::warn!(
                pool,
                source = shown,
                taken,
                beyond,
                "there are more targets than `max_targets`: the last ones are left out"
            );
        }
        match heard {
            Heard::Nothing(what) | Heard::Closed(what) => nothing = Some(what),
            Heard::Targets(..) => nothing = None,
            Heard::Same(_) | Heard::Failed(_) => {}
        }
        if let Some(targets) = verdict.change {
            board.learn(&source.key, targets);
        }
        tokio::time::sleep(verdict.next).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::Pool;

    #[tokio::test]
    async fn a_source_is_asked_on_when_its_task_has_ended_by_itself() {
        let folder = std::env::temp_dir().join(format!("ringway-tend-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("targets");
        let discover = Discover { file: Some(file.clone()), ..Discover::default() };
        let pool = Pool { discover: Some(discover), ..Pool::default() };
        let config = Config { pools: [("a".to_owned(), pool)].into(), ..Config::default() };
        let mut discovery = Discovery::new(Arc::default(), &folder);
        discovery.set(&[&config]);
        discovery.tasks.values().for_each(|task| task.handle.abort());
        while !discovery.tasks.values().all(|task| task.handle.is_finished()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        std::fs::write(&file, "10.0.0.1:80\n").unwrap();
        discovery.tend();
        let known = || discovery.board.found().1.get(&Key::of(&config, "a").unwrap()).is_some();
        let found = timeout(Duration::from_secs(20), async {
            while !known() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        assert!(found.await.is_ok());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
