//! Splits as control sees them: pools that do badly are taken back, and what metrics tell.
//!
//! What always holds: a pool that is taken back gets nothing from that look on, be it that this can be kept or not.

use super::command::{Asker, Commands, Edit};
use super::present::Shared;
use crate::net;
use crate::observe::scrape::SplitPool;
use crate::plan::Plan;
use crate::upstream::split::{Cause, Judge, Part, Seen};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// Between two looks at who is due.
const EVERY: Duration = Duration::from_millis(100);

/// What is known of one pool of a route.
#[derive(Default)]
struct Watched {
    judge: Judge,
    due: Duration,
}

/// Looks for as long as the process lives.
pub(super) async fn watch(present: Shared, commands: Commands) {
    let mut watched: HashMap<(String, String), Watched> = HashMap::new();
    loop {
        tokio::time::sleep(EVERY).await;
        let (plan, now) = (present.load().plan.clone(), net::coarse_now());
        let mut before = std::mem::take(&mut watched);
        for (route, part) in parts(&plan) {
            let Some(step) = part.step() else { continue };
            let key = (route.to_owned(), part.pool.clone());
            let mut of = before.remove(&key).unwrap_or_default();
            if of.due <= now {
                of.due = now.saturating_add(step);
                if let Some((cause, seen)) = of.judge.look(part, now) {
                    take_back(route, part, (cause, seen), &commands).await;
                }
            }
            watched.insert(key, of);
        }
    }
}

async fn take_back(route: &str, part: &Part, (cause, seen): (Cause, Seen), commands: &Commands) {
    part.take_back();
    let (pool, why) = (&part.pool, cause.word());
    let Seen { requests, errors, slow } = seen;
    tracing::error!(
        route,
        pool,
        why,
        requests,
        errors,
        slow,
        "a pool is taken back: it gets no more requests of the route until `ringway split` says so"
    );
    let edit = Edit::Split { route: route.to_owned(), weights: BTreeMap::from([(pool.clone(), 0)]) };
    if let Err(refused) = commands.edit(Asker::Rollback, edit, None).await {
        tracing::error!(route, pool, "that a pool is taken back cannot be kept, and may be forgotten: {refused}");
    }
}

fn parts(plan: &Plan) -> impl Iterator<Item = (&str, &Part)> {
    plan.routes.iter().flat_map(|route| {
        let parts = route.split().map(|split| split.shared.parts()).unwrap_or_default();
        parts.iter().map(|part| (route.name.as_str(), part))
    })
}

/// The pools that requests of routes are divided among, as metrics show them.
pub(super) fn shown(plan: &Plan) -> Vec<SplitPool> {
    let show = |(route, part): (&str, &Part)| {
        let Seen { requests, errors, slow } = part.seen();
        SplitPool {
            route: route.to_owned(),
            pool: part.pool.clone(),
            weight: part.weight(),
            requests,
            errors,
            slow: part.rollback.as_ref().and_then(|rollback| rollback.latency).map(|_| slow),
            rollbacks: part.rollback.as_ref().map(|_| part.times_taken_back()),
        }
    };
    parts(plan).map(show).collect()
}
