//! What is known of all sources, for whoever asks: control's loop, the operators' API, scrapes.

use super::found::{Answer, Found, Key};
use super::pace::Heard;
use crate::config::model::{Config, Target};
use crate::observe::counters::{Counter, Gauge};
use crate::observe::discovery::Discovered;
use crate::observe::wall::now;
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What is known of all sources. Control's thread alone changes it.
#[derive(Debug, Default)]
pub struct Board {
    found: ArcSwap<Found>,
    /// One more with each change of what was found.
    revision: AtomicU64,
    /// The sources of the plan in force, by pool.
    sources: ArcSwap<BTreeMap<String, Arc<Source>>>,
}

/// A source, as operators see it.
#[derive(Debug)]
pub struct Source {
    /// Where the answers are kept.
    pub key: Key,
    /// What it is called.
    pub shown: String,
    state: ArcSwap<State>,
    /// Questions by what came of them: targets, nothing, no answer.
    counts: [Counter; 3],
    /// Changes of the targets.
    pub changes: Counter,
    /// Targets of the last answer that are left out, as there are more than there may be.
    pub(super) left_out: Gauge,
}

/// How a source is.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// When it last said something that could be used, seconds since 1970; `None`: never.
    pub answered: Option<u64>,
    /// When it is asked next, likewise.
    pub next: Option<u64>,
    /// What came of asking it last, if that was not targets.
    pub trouble: Option<String>,
}

impl Source {
    /// One that nobody has asked yet.
    pub(super) fn new(key: Key, shown: String) -> Self {
        let (changes, left_out) = (Counter::default(), Gauge::default());
        Self { key, shown, state: ArcSwap::default(), counts: Default::default(), changes, left_out }
    }

    /// How it is.
    pub fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// Learns what came of asking it, and when it is asked again.
    pub(super) fn note(&self, heard: &Heard, next: Duration) {
        let (kind, trouble) = match heard {
            Heard::Targets(..) | Heard::Same(_) => (0, None),
            Heard::Nothing(what) | Heard::Closed(what) => (1, Some(what.clone())),
            Heard::Failed(why) => (2, Some(why.clone())),
        };
        self.counts[kind].inc();
        let answered = if kind == 2 { self.state.load().answered } else { Some(now()) };
        let next = Some(now().saturating_add(next.as_millis().div_ceil(1000) as u64));
        self.state.store(Arc::new(State { answered, next, trouble }));
    }
}

impl Board {
    /// What was found, and the number of its change.
    pub fn found(&self) -> (u64, Arc<Found>) {
        // In this order, so that what is found later is never taken for known.
        let revision = self.revision();
        (revision, self.found.load_full())
    }

    /// The number of the last change.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Takes on what another process has found, or this one before it was started anew.
    pub fn recall(&self, found: Found) {
        self.found.store(Arc::new(found));
        self.revision.fetch_add(1, Ordering::AcqRel);
    }

    /// A source has other targets.
    pub(super) fn learn(&self, key: &Key, targets: Arc<[Target]>) {
        let answer = Answer { targets, since: now() };
        self.found.store(Arc::new(self.found.load().with(key, answer)));
        self.revision.fetch_add(1, Ordering::AcqRel);
    }

    /// Adds what was found to the targets of a configuration.
    pub fn lay_over(&self, config: &mut Config) {
        self.found.load().lay_over(config);
    }

    /// The sources of the plan in force, by pool.
    pub fn sources(&self) -> Arc<BTreeMap<String, Arc<Source>>> {
        self.sources.load_full()
    }

    /// These are the sources of the plan in force, and `all` those that are asked. What others have told is forgotten.
    pub(super) fn have(&self, sources: BTreeMap<String, Arc<Source>>, all: &[Key]) {
        self.found.store(Arc::new(self.found.load().only(all)));
        self.sources.store(Arc::new(sources));
    }

    /// For a scrape.
    pub fn discovered(&self) -> Vec<Discovered> {
        let (_, found) = self.found();
        let of = |(pool, source): (&String, &Arc<Source>)| Discovered {
            pool: pool.clone(),
            targets: found.get(&source.key).map_or(0, |answer| answer.targets.len()),
            age: source.state().answered.map(|at| now().saturating_sub(at)),
            lookups: [0, 1, 2].map(|kind| source.counts[kind].get()),
            changes: source.changes.get(),
            left_out: source.left_out.get(),
        };
        self.sources().iter().map(of).collect()
    }
}
