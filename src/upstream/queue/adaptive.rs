//! A target's limit that follows its latency, as all workers share it.

use super::gradient::{Gradient, Settings};
use super::sync::TryLock;
use crate::upstream::local::Local;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A limit that follows a target's latency.
pub struct Adaptive {
    settings: Settings,
    gradient: TryLock<Gradient>,
    limit: AtomicU32,
}

impl Adaptive {
    /// For a target of which nothing is known yet.
    pub fn new(settings: Settings) -> Self {
        let gradient = Gradient::new(settings, fastrand::f64());
        Self { settings, limit: AtomicU32::new(gradient.limit()), gradient: TryLock::new(gradient) }
    }

    /// Whether it goes by these settings.
    pub fn is_by(&self, settings: &Settings) -> bool {
        self.settings == *settings
    }

    /// The limit as of now.
    pub(super) fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Learns that an answer took so long. An answer that comes while another worker tells of one is not learnt from: any of many
    /// will do. Returns the limit if that has changed.
    fn answered(&self, took: Duration, in_flight: u32, now: Duration) -> Option<u32> {
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let mut changed = None;
        self.gradient.enter(|gradient| {
            changed = gradient.answered(nanos(took), in_flight, nanos(now));
            if let Some(limit) = changed {
                self.limit.store(limit, Ordering::Relaxed);
            }
        });
        changed
    }
}

impl fmt::Debug for Adaptive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adaptive")
            .field("settings", &self.settings)
            .field("limit", &self.limit())
            .finish_non_exhaustive()
    }
}

impl Local {
    /// A target's answer took so long to its first byte: a limit that follows its latency learns from it.
    #[inline]
    pub fn answered(&self, target: usize, took: Duration, now: Duration) {
        if self.pool().queue.is_some() {
            self.learn(target, took, now);
        }
    }

    fn learn(&self, target: usize, took: Duration, now: Duration) {
        let Some(target) = self.pool().targets.get(target) else { return };
        let Some(adaptive) = &target.adaptive else { return };
        if let Some(limit) = adaptive.answered(took, target.room().slots.taken(), now) {
            target.room().set_ceiling(limit);
            self.pool().look_at_line();
        }
    }
}
