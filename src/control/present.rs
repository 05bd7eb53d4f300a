//! What runs now: the plan, its number, and what is counted under it.

use crate::observe::counters::{ControlCounters, WorkerCounters};
use crate::plan::Plan;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// What runs now. Replaced as a whole when a plan is.
#[derive(Debug)]
pub struct Present {
    /// The first plan has number 1, each that follows one more, over upgrades, too.
    pub number: u64,
    /// The plan.
    pub plan: Arc<Plan>,
    /// What each worker counts, by its number.
    pub workers: Vec<Arc<WorkerCounters>>,
    /// What control counts.
    pub control: Arc<ControlCounters>,
}

/// What runs now, for whoever asks at any time.
pub type Shared = Arc<ArcSwap<Present>>;

impl Present {
    /// The first plan of a process, with its number.
    pub fn first(plan: Arc<Plan>, number: u64) -> Self {
        let workers = (0..plan.runtime.workers).map(|_| Arc::new(WorkerCounters::new(&plan.shape))).collect();
        let control = Arc::new(ControlCounters::new(&plan.shape));
        Self { number, plan, workers, control }
    }

    /// The plan that follows. What keeps its name counts on.
    pub fn succeed(&self, plan: Arc<Plan>) -> Self {
        let (last, next) = (&self.plan.shape, &plan.shape);
        let workers = self.workers.iter().map(|worker| Arc::new(worker.succeed(last, next))).collect();
        let control = Arc::new(self.control.succeed(last, next));
        Self { number: self.number + 1, workers, control, plan }
    }
}
