//! Mirrors as control sees them: answers are compared here, off the workers, and what metrics tell.
//!
//! What always holds: reports are told on this thread alone, so that none is lost to another; comparing is done aside.

use super::present::Shared;
use crate::observe::scrape;
use crate::plan::{Mirror, Plan};
use crate::upstream::mirror::{Difference, Fate, Kind, Missed, Pair, Report};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Between two looks at pairs of answers that wait.
const EVERY: Duration = Duration::from_millis(50);
/// Pairs of a mirror that are compared at a time.
const AT_ONCE: usize = 64;
/// How often it is told of a mirror that it does not get all.
const TOLD: Duration = Duration::from_secs(60);

/// Pairs, each with how it differs or why that cannot be said.
type Looked = Vec<(Pair, Result<Vec<Difference>, Missed>)>;

/// Compares answers for as long as the process lives.
pub(super) async fn watch(present: Shared) {
    let (mut lost, mut told) = (HashMap::new(), Instant::now());
    loop {
        tokio::time::sleep(EVERY).await;
        let plan = present.load().plan.clone();
        for (_, mirror) in mirrors(&plan) {
            while mirror.shared.has_waiting() {
                let shared = mirror.shared.clone();
                let looked = tokio::task::spawn_blocking(move || {
                    let pairs = std::iter::from_fn(|| shared.take()).take(AT_ONCE);
                    let look = |pair: Pair| {
                        let found = pair.rules.compare(&pair.main, &pair.mirrored);
                        (pair, found)
                    };
                    pairs.map(look).collect::<Looked>()
                });
                let Ok(looked) = looked.await else { break };
                note(mirror, looked);
            }
        }
        if told.elapsed() > TOLD {
            told = Instant::now();
            tell_lost(&plan, &mut lost);
        }
    }
}

fn note(mirror: &Mirror, looked: Looked) {
    let mut report = Report::clone(&mirror.shared.report());
    let now = SystemTime::now();
    for (pair, found) in looked {
        match found {
            Ok(found) => report.add(now, (&pair.method, &pair.path), &found, pair.rules.examples),
            Err(why) => mirror.shared.miss(why),
        }
    }
    mirror.shared.tell(report);
}

/// Begins the report of a mirror anew.
pub(super) fn reset(mirror: &Mirror) {
    mirror.shared.tell(Report::default());
}

/// Says of which mirrors requests were lost of late.
fn tell_lost(plan: &Plan, lost: &mut HashMap<String, u64>) {
    for (route, mirror) in mirrors(plan) {
        let count = |fate| mirror.shared.counted(fate);
        let all = count(Fate::Busy) + count(Fate::Timeout) + count(Fate::Failed);
        let before = lost.insert(route.to_owned(), all).unwrap_or(0);
        if all > before {
            let (pool, requests) = (&mirror.pool, all - before);
            tracing::warn!(
                route,
                pool,
                requests,
                "a mirror has not answered all that it should have got; clients notice nothing of that"
            );
        }
    }
}

/// Those of a plan, by their routes.
pub(super) fn mirrors(plan: &Plan) -> impl Iterator<Item = (&str, &Arc<Mirror>)> {
    plan.routes.iter().filter_map(|route| Some((route.name.as_str(), route.mirror()?)))
}

/// Mirrors, as metrics show them.
pub(super) fn shown(plan: &Plan) -> Vec<scrape::Mirror> {
    let show = |(route, mirror): (&str, &Arc<Mirror>)| {
        let shared = &mirror.shared;
        let report = shared.report();
        scrape::Mirror {
            route: route.to_owned(),
            pool: mirror.pool.clone(),
            in_flight: shared.in_flight(),
            fates: Fate::ALL.map(|fate| (fate.word(), shared.counted(fate))),
            compared: mirror.compare.as_ref().map(|_| scrape::Compared {
                same: report.compared - report.different,
                different: report.different,
                kinds: Kind::ALL.map(|kind| (kind.word(), report.kinds[kind as usize])),
                missed: Missed::ALL.map(|why| (why.word(), shared.missed(why))),
            }),
        }
    };
    mirrors(plan).map(show).collect()
}
