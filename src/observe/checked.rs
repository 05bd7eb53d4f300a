//! What health checks show of a target: counts, its state, and what the last ones found.

use super::counters::{Counter, Counters, Gauge};
use super::reason::Outcome;
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use std::time::Duration;

/// What the last check of a target found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastCheck {
    /// How far it came, and how it ended.
    pub outcome: Outcome,
    /// The number that the target's protocol has for it.
    pub code: Option<u32>,
    /// In words.
    pub words: String,
    /// How long it took.
    pub took: Duration,
    /// When it was over, in seconds since 1970.
    pub at: u64,
}

/// A target's state as health checks see it. Control alone writes it.
#[derive(Debug)]
pub struct TargetHealth {
    /// 1 while the target may be used, 0 while it is down.
    pub up: Gauge,
    /// Checks passed.
    pub passed: Counter,
    /// Checks failed.
    pub failed: Counter,
    /// Changes from up to down and back.
    pub changes: Counter,
    /// The last check; `None`: there was none yet.
    pub last: ArcSwapOption<LastCheck>,
    /// The last time that an agent was asked beside it.
    pub last_agent: ArcSwapOption<LastCheck>,
}

/// What came of the checks of all targets that a pool has or had. Control alone writes it.
#[derive(Debug, Default)]
pub struct PoolHealth {
    /// Checks by what came of them; of agents beside them as well.
    pub outcomes: Counters<{ Outcome::COUNT }>,
}

impl Default for TargetHealth {
    /// Up, and no check has run.
    fn default() -> Self {
        let up = Gauge::default();
        up.set(1);
        Self {
            up,
            passed: Counter::default(),
            failed: Counter::default(),
            changes: Counter::default(),
            last: ArcSwapOption::empty(),
            last_agent: ArcSwapOption::empty(),
        }
    }
}

impl TargetHealth {
    /// Counts a check, or an agent that is asked `beside` it, and shows what it found.
    pub fn note(&self, last: LastCheck, beside: bool) {
        if beside {
            return self.last_agent.store(Some(Arc::new(last)));
        }
        if last.outcome.is_good() {
            self.passed.inc()
        } else {
            self.failed.inc()
        }
        self.last.store(Some(Arc::new(last)));
    }

    /// There is no such check any more.
    pub fn forget(&self, beside: bool) {
        if beside { self.last_agent.store(None) } else { self.last.store(None) }
    }
}
