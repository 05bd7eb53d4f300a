//! A worker's side of one plan.

use super::LogChange;
use crate::observe::access::Log;
use crate::observe::counters::{Shape, WorkerCounters};
use crate::observe::latency::{DEFAULT_LIMIT, Latencies};
use crate::observe::tally::Tally;
use crate::plan::{Plan, Pool};
use crate::upstream::Local;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// A worker's side of one plan. Indexes are those of the plan.
pub struct Era {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The worker's side of each pool.
    pub pools: Vec<Rc<Local>>,
    /// What the worker counts.
    pub counters: Arc<WorkerCounters>,
    /// What the worker measures.
    pub latencies: Latencies,
    /// Where it logs requests, if anywhere.
    pub log: Option<Rc<RefCell<Log>>>,
    /// What is counted while a plan is tried out, of this one.
    tally: RefCell<Option<Arc<Tally>>>,
    worker: usize,
}

impl Era {
    /// The first era of worker `index`.
    pub(super) fn new(plan: Arc<Plan>, index: usize, counters: Arc<WorkerCounters>, log: Option<Log>) -> Self {
        let local = |pool: &Pool| Rc::new(Local::new(pool.shared.clone(), index, plan.runtime.workers));
        let pools: Vec<_> = plan.pools.iter().map(local).collect();
        let latencies = Latencies::new(plan.shape.routes.len(), pools.len(), DEFAULT_LIMIT);
        let (log, tally) = (log.map(|log| Rc::new(RefCell::new(log))), RefCell::default());
        Self { pools, counters, latencies, log, tally, worker: index, plan }
    }

    /// The era that follows. Pools that are the same stay as they are; those that changed take their connections along, of those
    /// that `tried` has from there.
    pub(super) fn succeed(
        &self,
        plan: Arc<Plan>,
        counters: Arc<WorkerCounters>,
        log: LogChange,
        tried: Option<&Self>,
    ) -> Self {
        let pool_origins = origins(pool_names(&self.plan.shape), pool_names(&plan.shape));
        let mut route_origins = origins(route_names(&self.plan.shape), route_names(&plan.shape));
        // That of requests that no route took, which is the last of any plan.
        route_origins.push(self.plan.shape.routes.len().checked_sub(1));
        let pool = |(place, origin): (usize, &Option<usize>)| {
            let shared = &plan.pools[place].shared;
            let own = origin.map(|old| &self.pools[old]);
            let is_own = own.is_some_and(|local| Arc::ptr_eq(local.pool(), shared));
            let tried = tried.and_then(|tried| tried.pools.iter().find(|local| local.pool().name == shared.name));
            match tried.filter(|_| !is_own).or(own) {
                Some(local) if Arc::ptr_eq(local.pool(), shared) => local.clone(),
                Some(local) => Rc::new(local.succeed(shared.clone())),
                None => Rc::new(Local::new(shared.clone(), self.worker, plan.runtime.workers)),
            }
        };
        let pools = pool_origins.iter().enumerate().map(pool).collect();
        let latencies = self.latencies.succeed(&route_origins, &pool_origins);
        let log = match log {
            LogChange::None => self.log.clone(),
            LogChange::To(log) => log.map(|log| Rc::new(RefCell::new(*log))),
        };
        Self { plan, pools, counters, latencies, log, tally: RefCell::default(), worker: self.worker }
    }

    /// Counts what comes to an end from now on.
    pub(super) fn tally_by(&self, tally: Option<Arc<Tally>>) {
        self.tally.replace(tally);
    }

    /// An exchange or a connection has ended, after `ns` nanoseconds.
    #[inline]
    pub fn ended(&self, failed: bool, ns: u64) {
        if let Some(tally) = &*self.tally.borrow() {
            tally.add(failed, ns);
        }
    }
}

fn pool_names(shape: &Shape) -> impl Iterator<Item = &str> {
    shape.pools.iter().map(|(name, _)| name.as_str())
}

fn route_names(shape: &Shape) -> impl Iterator<Item = &str> {
    let named = shape.routes.len().saturating_sub(1);
    shape.routes[..named].iter().map(String::as_str)
}

/// For each of `next` the place that the same name has among `last`; both are in the order of their names.
pub(super) fn origins<'a>(
    last: impl Iterator<Item = &'a str>,
    next: impl Iterator<Item = &'a str>,
) -> Vec<Option<usize>> {
    let mut last = last.enumerate().peekable();
    next.map(|name| {
        while last.next_if(|(_, old)| *old < name).is_some() {}
        last.next_if(|(_, old)| *old == name).map(|(place, _)| place)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again_whatever_comes_and_goes() {
        let found = |last: &[&'static str], next: &[&'static str]| origins(last.iter().copied(), next.iter().copied());
        assert_eq!(found(&["a", "c", "d"], &["a", "b", "c"]), [Some(0), None, Some(1)]);
        assert_eq!(found(&["a", "b", "c"], &["c"]), [Some(2)]);
        assert_eq!(found(&[], &["a", "b"]), [None, None]);
        assert_eq!(found(&["x"], &["a", "x", "y"]), [None, Some(0), None]);
    }
}
