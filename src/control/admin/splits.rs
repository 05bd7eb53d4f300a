//! Routes whose requests are divided among pools: how, and other weights.

use super::body::{Json, Path, Query};
use super::change::{By, edited};
use super::desk::Desk;
use super::problem::Problem;
use super::read::{answer, part};
use super::view;
use crate::control::command::Edit;
use crate::control::overrides::HEAVIEST;
use crate::plan::{Plan, Route};
use crate::upstream::split::Seen;
use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use std::sync::Arc;

type From = State<Arc<Desk>>;
type Answer = Result<Response, Problem>;

pub(super) async fn splits(State(desk): From, Query(wanted): Query<view::Part>) -> Answer {
    let present = desk.report.present();
    let split = present.plan.routes.iter().filter(|route| route.split().is_some());
    let shown = part(split, &wanted, |route| route.name.clone(), |route| show(&present.plan, route));
    answer(200, Some(&desk.report.tag()), &shown)
}

pub(super) async fn split(State(desk): From, Path(name): Path<String>) -> Answer {
    let present = desk.report.present();
    let found = present.plan.routes.iter().find(|route| route.name == name && route.split().is_some());
    let absent = || Problem::not_found(format!("there is no route `{name}` with a split"));
    answer(200, Some(&desk.report.tag()), &show(&present.plan, found.ok_or_else(absent)?))
}

pub(super) async fn set(
    State(desk): From,
    Extension(caller): By,
    Path(route): Path<String>,
    headers: HeaderMap,
    Json(view::PatchSplit { weights }): Json<view::PatchSplit>,
) -> Answer {
    if weights.is_empty() {
        return Err(Problem::invalid("nothing is to change: give `weights`"));
    }
    if let Some((pool, weight)) = weights.iter().find(|&(_, &weight)| weight > HEAVIEST) {
        return Err(Problem::invalid(format!("the weight {weight} of pool `{pool}` is above {HEAVIEST}")));
    }
    edited(&desk, caller, Edit::Split { route, weights }, &headers, 200).await
}

pub(super) async fn reset(
    State(desk): From,
    Extension(caller): By,
    Path(route): Path<String>,
    headers: HeaderMap,
) -> Answer {
    edited(&desk, caller, Edit::ResetSplit(route), &headers, 200).await
}

/// All of a plan.
pub(super) fn of(plan: &Plan) -> Vec<view::Split> {
    plan.routes.iter().filter(|route| route.split().is_some()).map(|route| show(plan, route)).collect()
}

fn show(plan: &Plan, route: &Route) -> view::Split {
    let written = plan.written(&route.name);
    let parts = route.split().map(|split| split.shared.parts()).unwrap_or_default();
    let pool = |part: &crate::upstream::split::Part| {
        let Seen { requests, errors, slow } = part.seen();
        let weight = view::Weight { configured: part.written, in_force: part.weight() };
        view::SplitPool { pool: part.pool.clone(), weight, halted: part.is_halted(), requests, errors, slow }
    };
    view::Split {
        route: route.name.clone(),
        by: written.and_then(|written| written.split_by.as_ref()).map(ToString::to_string),
        pools: parts.iter().map(pool).collect(),
    }
}
