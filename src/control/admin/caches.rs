//! Caches as operators see them, and what they have purged. The stores are shared with the workers and belong to nobody, so that
//! they are changed here.

use super::body::{Json, Path, Query};
use super::desk::Desk;
use super::guard::Caller;
use super::problem::Problem;
use super::read::{answer, part};
use super::{show, view};
use crate::cache::store::purge::Force;
use crate::control::caches;
use crate::control::present::Present;
use crate::control::purge::{self, What};
use crate::observe::reason::Cached;
use crate::observe::scrape;
use crate::plan::Action;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

type From = State<Arc<Desk>>;
type By = Extension<Caller>;
type Answer = Result<Response, Problem>;

/// How long the disk may take to note a purge.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn caches(State(desk): From, Query(wanted): Query<view::Part>) -> Answer {
    let present = desk.report.present();
    let name = |of: &scrape::Cache| present.plan.shape.caches[of.cache].clone();
    answer(200, None, &part(caches::of(&present.plan), &wanted, name, |of| shown(&present, &of)))
}

pub(super) async fn cache(State(desk): From, Path(name): Path<String>) -> Answer {
    let present = desk.report.present();
    let cache = find(&present, &name)?;
    answer(200, None, &shown(&present, &caches::of(&present.plan)[cache]))
}

pub(super) async fn purge(
    State(desk): From,
    Extension(caller): By,
    Path(name): Path<String>,
    Json(new): Json<view::NewPurge>,
) -> Answer {
    let present = desk.report.present();
    let cache = find(&present, &name)?;
    purged(&present, &caller, &[cache], &new).await
}

pub(super) async fn purge_all(State(desk): From, Extension(caller): By, Json(new): Json<view::NewPurge>) -> Answer {
    let present = desk.report.present();
    let all: Vec<usize> = (0..present.plan.caches.len()).collect();
    if all.is_empty() {
        return Err(Problem::not_found("there is no cache: the configuration has no [caches]"));
    }
    purged(&present, &caller, &all, &new).await
}

async fn purged(present: &Present, caller: &Caller, caches: &[usize], new: &view::NewPurge) -> Answer {
    let what = what(new)?;
    let force = if new.soft { Force::Soft } else { Force::Hard };
    let done = purge::purge(&present.plan, caches, &what, force).map_err(Problem::invalid)?;
    let mut caches = Vec::new();
    for purge::Done { cache, answers, receipts } in done {
        tracing::info!(by = %caller.asker(), cache, ?what, ?force, answers, "purged");
        for receipt in receipts {
            if !matches!(timeout(PATIENCE, receipt).await, Ok(Ok(Ok(())))) {
                let told =
                    format!("it is purged, but the disk of cache `{cache}` may not remember that over a restart");
                return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, told));
            }
        }
        caches.push(view::PurgedCache { cache, answers });
    }
    answer(200, None, &view::Purged { caches })
}

/// The one thing that is to be purged.
fn what(new: &view::NewPurge) -> Result<What, Problem> {
    let given = [
        new.url.clone().map(What::Url),
        new.prefix.clone().map(What::Prefix),
        new.tag.clone().map(What::Tag),
        new.host.clone().map(What::Host),
        new.all.then_some(What::All),
    ];
    let mut given = given.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(what), None) => Ok(what),
        (None, _) => Err(Problem::invalid("say what: give one of `url`, `prefix`, `tag`, `host` and `all`")),
        (Some(_), Some(_)) => Err(Problem::invalid("give only one of `url`, `prefix`, `tag`, `host` and `all`")),
    }
}

fn find(present: &Present, name: &str) -> Result<usize, Problem> {
    let found = present.plan.shape.caches.iter().position(|known| known == name);
    found.ok_or_else(|| Problem::not_found(format!("there is no cache `{name}`")))
}

fn shown(present: &Present, of: &scrape::Cache) -> view::Cache {
    let plan = &present.plan;
    let uses = |route: &&crate::plan::Route| match &route.action {
        Action::Forward(rule) => rule.cache.as_ref().is_some_and(|caching| caching.index == of.cache),
        _ => false,
    };
    let mut requests = view::CacheRequests::default();
    for how in Cached::ALL {
        let count = show::sum(present, |worker| worker.cache(of.cache).requests.get()[how.index()]);
        let place = match how.result() {
            "hit" => &mut requests.hit,
            "stale" => &mut requests.stale,
            "revalidated" => &mut requests.revalidated,
            "collapsed" => &mut requests.collapsed,
            "bypass" => &mut requests.bypass,
            _ => &mut requests.miss,
        };
        *place += count;
    }
    let tier = |tier: &scrape::Tier| {
        let scrape::Tier { name, bytes, limit, objects, evicted, disk: _ } = *tier;
        view::Tier { tier: name.to_owned(), bytes, max: limit, objects, evicted }
    };
    let unkept = of.unkept.iter().filter(|(_, count)| *count > 0);
    view::Cache {
        name: plan.shape.caches[of.cache].clone(),
        routes: plan.routes.iter().filter(uses).map(|route| route.name.clone()).collect(),
        tiers: of.tiers.iter().map(tier).collect(),
        requests,
        sent: show::sum(present, |worker| worker.cache(of.cache).sent.get()),
        fills: of.asking,
        stored: of.stored,
        validated: of.validated,
        not_stored: unkept.map(|(why, count)| ((*why).to_owned(), *count)).collect(),
        purged: of.purged,
    }
}
