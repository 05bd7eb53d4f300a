//! What can be read.

use super::body::{Path, Query};
use super::desk::Desk;
use super::problem::Problem;
use super::show;
use super::sticky;
use super::view::{self, Page, Used};
use crate::control::certificates;
use crate::control::present::Present;
use crate::control::report::Report;
use crate::control::store::Host;
use crate::net;
use crate::observe::log;
use crate::observe::process::Process;
use crate::observe::wall::now;
use crate::plan::Plan;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;

type From = State<Arc<Desk>>;
type Answer = Result<Response, Problem>;

/// How many there are on a part of a list, unless it is said.
const PART: usize = 1000;

/// An answer in JSON. `tag` is what changes with what may be changed of it.
pub(super) fn answer(status: u16, tag: Option<&str>, value: &impl Serialize) -> Answer {
    let told = |error: serde_json::Error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    let mut text = serde_json::to_vec(value).map_err(told)?;
    text.push(b'\n');
    let mut response = text.into_response();
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(tag) = tag.and_then(|tag| HeaderValue::from_str(tag).ok()) {
        headers.insert(ETAG, tag);
    }
    Ok(response)
}

/// The part of a list that is wanted. `name` is what the list is in the order of.
pub(super) fn part<S, T>(
    all: impl IntoIterator<Item = S>,
    wanted: &view::Part,
    name: impl Fn(&S) -> String,
    show: impl Fn(S) -> T,
) -> Page<T> {
    let limit = wanted.limit.unwrap_or(PART);
    let mut rest = all.into_iter().filter(|one| wanted.after.as_ref().is_none_or(|after| name(one) > *after));
    let (mut items, mut last) = (Vec::new(), None);
    for one in rest.by_ref().take(limit) {
        last = Some(name(&one));
        items.push(show(one));
    }
    Page { items, next: rest.next().and(last) }
}

pub(super) async fn status(State(desk): From) -> Answer {
    answer(200, None, &status_of(&desk.report, &desk.report.present()))
}

pub(super) fn status_of(report: &Report, present: &Present) -> view::Status {
    let state = match (report.is_draining(), super::AdminState::ready(report)) {
        (true, _) => "draining",
        (false, true) => "ready",
        (false, false) => "starting",
    };
    view::Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started: report.started,
        uptime: now().saturating_sub(report.started),
        state: state.to_owned(),
        plan: present.number,
        workers: present.workers.len(),
        connections: show::connections(report, present),
        overrides: report.overrides().len() + report.overrides().splits().len(),
        bans: report.bans().len(),
        log_level: log::filter(),
        analytics: present.plan.config.analytics.is_some(),
        store: store_of(report, present),
        last_reload: report.history().all().next_back().map(|told| (&**told).into()),
    }
}

fn store_of(report: &Report, present: &Present) -> Option<view::Store> {
    let sharing = present.plan.sharing.as_ref()?;
    let (standing, counts) = (report.store().standing(), &present.control.store);
    let state = match standing.up {
        Some(true) => "up",
        Some(false) => "away",
        None => "unknown",
    };
    let host = |host: &Host| view::StoreHost { id: host.id.clone(), name: host.name.clone() };
    Some(view::Store {
        place: sharing.url.to_string(),
        state: state.to_owned(),
        since: standing.since,
        trouble: standing.trouble.clone(),
        latency_us: counts.latency.get(),
        calls: counts.calls.get(),
        failures: counts.failures.get(),
        id: report.store().id().to_owned(),
        expected: sharing.hosts,
        hosts: standing.hosts.iter().map(host).collect(),
    })
}

pub(super) async fn plan(State(desk): From) -> Answer {
    let config = &desk.report.present().plan.config;
    let told = |error: serde_json::Error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    let mut value = serde_json::to_value(config).map_err(told)?;
    desk.report.loaded().sources.conceal_in(&mut value);
    answer(200, Some(&desk.report.tag()), &value)
}

pub(super) async fn listeners(State(desk): From, Query(wanted): Query<view::Part>) -> Answer {
    let present = desk.report.present();
    let name = |index: &usize| present.plan.listeners[*index].name.clone();
    let show = |index| show::listener(&desk.report, &present, index);
    answer(200, None, &part(0..present.plan.listeners.len(), &wanted, name, show))
}

pub(super) async fn routes(State(desk): From, Query(wanted): Query<view::Part>) -> Answer {
    let present = desk.report.present();
    let name = |index: &usize| present.plan.routes[*index].name.clone();
    answer(200, None, &part(0..present.plan.routes.len(), &wanted, name, |index| show::route(&present, index)))
}

pub(super) async fn pools(State(desk): From, Query(wanted): Query<view::Part>) -> Answer {
    let (tag, present, overrides) = (desk.report.tag(), desk.report.present(), desk.report.overrides());
    let name = |index: &usize| present.plan.pools[*index].shared.name.clone();
    let show = |index| show::pool(&desk.report, &present, &overrides, index);
    answer(200, Some(&tag), &part(0..present.plan.pools.len(), &wanted, name, show))
}

pub(super) async fn pool(State(desk): From, Path(name): Path<String>) -> Answer {
    let (tag, present, overrides) = (desk.report.tag(), desk.report.present(), desk.report.overrides());
    answer(200, Some(&tag), &show::pool(&desk.report, &present, &overrides, find_pool(&present, &name)?))
}

pub(super) async fn targets(State(desk): From, Path(name): Path<String>, Query(wanted): Query<view::Part>) -> Answer {
    let (tag, present, overrides) = (desk.report.tag(), desk.report.present(), desk.report.overrides());
    let pool = find_pool(&present, &name)?;
    let targets = &present.plan.pools[pool].shared.targets;
    let mut order: Vec<usize> = (0..targets.len()).collect();
    order.sort_by(|&a, &b| targets[a].name.cmp(&targets[b].name));
    let belonging = sticky::belonging(&present, pool);
    let show = |index| show::target(&desk.report, &present, &overrides, (pool, index), &belonging);
    answer(200, Some(&tag), &part(order, &wanted, |index| targets[*index].name.clone(), show))
}

pub(super) async fn target(State(desk): From, Path((pool, target)): Path<(String, String)>) -> Answer {
    let (tag, present, overrides) = (desk.report.tag(), desk.report.present(), desk.report.overrides());
    let place = find_pool(&present, &pool)?;
    let targets = &present.plan.pools[place].shared.targets;
    let absent = || Problem::not_found(format!("pool `{pool}` has no target `{target}`"));
    let index = targets.iter().position(|known| known.name == target).ok_or_else(absent)?;
    let belonging = sticky::belonging(&present, place);
    answer(200, Some(&tag), &show::target(&desk.report, &present, &overrides, (place, index), &belonging))
}

pub(super) async fn overrides(State(desk): From) -> Answer {
    let (tag, present, overrides) = (desk.report.tag(), desk.report.present(), desk.report.overrides());
    let mut written = desk.report.loaded().config.clone();
    desk.report.board().lay_over(&mut written);
    let items = overrides.rows(&written, &present.plan.config);
    let splits = overrides.splits().rows(&present.plan);
    answer(200, Some(&tag), &view::Overrides { revision: overrides.revision, items, splits })
}

pub(super) async fn reloads(State(desk): From) -> Answer {
    let history = desk.report.history();
    let items = history.all().rev().map(|told| (&**told).into()).collect::<Vec<view::Reload>>();
    answer(200, None, &Page { items, next: None })
}

pub(super) async fn certificates(State(desk): From) -> Answer {
    answer(200, None, &Page { items: certificates_of(&desk.report.present().plan), next: None })
}

pub(super) fn certificates_of(plan: &Arc<Plan>) -> Vec<view::Certificate> {
    let at = i64::try_from(now()).unwrap_or(i64::MAX);
    let of = |(file, left): (String, i64)| view::Certificate {
        listener: None,
        pool: None,
        file,
        not_after: at.saturating_add(left),
        left,
    };
    let mut items = Vec::new();
    for certificates in certificates::of(plan) {
        let listener = Some(plan.listeners[certificates.listener].name.clone());
        items.extend(
            certificates
                .ending
                .into_iter()
                .map(|ending| view::Certificate { listener: listener.clone(), ..of(ending) }),
        );
    }
    for certificate in certificates::of_pools(plan) {
        let pool = Some(plan.pools[certificate.pool].shared.name.clone());
        items.extend(certificate.ending.map(|ending| view::Certificate { pool, ..of(ending) }));
    }
    items
}

pub(super) async fn limits(State(desk): From) -> Answer {
    let present = desk.report.present();
    let process = Process::read();
    let limits = &present.plan.limits;
    let limits = view::Limits {
        connections: show::connections(&desk.report, &present),
        descriptors: Used { open: process.open_fds.unwrap_or_default(), max: process.max_fds.unwrap_or_default() },
        request_head: limits.request_head as u64,
        headers: limits.headers,
        request_body: limits.request_body,
    };
    answer(200, None, &limits)
}

pub(super) async fn bans(State(desk): From, Query(wanted): Query<view::Part>) -> Answer {
    let bans = desk.report.bans();
    let (tag, now) = (desk.report.ban_tag(bans), net::coarse_now());
    let mut all: Vec<(String, view::Ban)> = bans
        .all()
        .into_iter()
        .map(|(client, ban)| {
            let left = ban.left(now).map(|left| left.as_millis().div_ceil(1000) as u64);
            let (client, reason) = (client.to_string(), ban.reason.to_string());
            (client.clone(), view::Ban { client, reason, rule: ban.rule.as_deref().map(str::to_owned), left })
        })
        .collect();
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    answer(200, Some(&tag), &part(all, &wanted, |(name, _)| name.clone(), |(_, ban)| ban))
}

pub(super) async fn log_level() -> Answer {
    answer(200, None, &view::LogLevel { filter: log::filter() })
}

pub(super) fn find_pool(present: &Present, name: &str) -> Result<usize, Problem> {
    let pools = &present.plan.pools;
    pools
        .binary_search_by(|pool| pool.shared.name.as_str().cmp(name))
        .map_err(|_| Problem::not_found(format!("there is no pool `{name}`")))
}
