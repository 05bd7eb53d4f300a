//! Who is known: shown without what they prove themselves with, made, replaced and removed.

use super::body::{Json, Path, Query};
use super::change::condition;
use super::desk::Desk;
use super::guard::Caller;
use super::problem::Problem;
use super::read::{answer, part};
use super::view::{self, NewConsumer};
use crate::config;
use crate::config::model::{Consumer, Secret};
use crate::control::command::Enrol;
use crate::control::report::Report;
use crate::gateway::{Key, Mark};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

type From = State<Arc<Desk>>;
type Answer = Result<Response, Problem>;

/// Keys and certificates that a consumer may have, and groups that they may be in.
const MOST: usize = 64;
/// Characters of a key's hash that are shown: enough to tell those of a consumer from each other.
const SHOWN: usize = "sha256:".len() + 8;

pub(super) async fn consumers(State(desk): From, Query(wanted): Query<view::Part>) -> Answer {
    let (report, present) = (&desk.report, desk.report.present());
    let all = present.plan.config.consumers.iter();
    let page = part(all, &wanted, |(name, _)| (*name).clone(), |(name, of)| shown(report, name, of));
    answer(200, Some(&report.tag()), &page)
}

pub(super) async fn consumer(State(desk): From, Path(name): Path<String>) -> Answer {
    answer(200, Some(&desk.report.tag()), &find(&desk.report, &name)?)
}

pub(super) async fn put_consumer(
    State(desk): From,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(new): Json<NewConsumer>,
) -> Answer {
    let name = named(&name)?;
    let change = Enrol::Put(name.clone(), made(new)?);
    desk.commands.enrol(caller.asker(), change, condition(&headers)).await?;
    answer(200, Some(&desk.report.tag()), &find(&desk.report, &name)?)
}

pub(super) async fn remove_consumer(
    State(desk): From,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Answer {
    desk.commands.enrol(caller.asker(), Enrol::Remove(name), condition(&headers)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn find(report: &Report, name: &str) -> Result<view::Consumer, Problem> {
    let present = report.present();
    let found = present.plan.config.consumers.get(name);
    let found = found.ok_or_else(|| Problem::not_found(format!("there is no consumer `{name}`")))?;
    Ok(shown(report, name, found))
}

fn shown(report: &Report, name: &str, of: &Consumer) -> view::Consumer {
    let key = |key: &Secret| Key::written(&key.0).ok()?.hashed().get(..SHOWN).map(str::to_owned);
    let from = match () {
        () if report.roster().has(name) => "api",
        () if report.loaded().listed.contains_key(name) => "file",
        () => "configuration",
    };
    view::Consumer {
        name: name.to_owned(),
        groups: of.groups.clone(),
        keys: of.keys.iter().filter_map(key).collect(),
        certificates: of.certificates.clone(),
        from: from.to_owned(),
    }
}

/// The consumer that is wanted; its keys are hashes.
fn made(new: NewConsumer) -> Result<Consumer, Problem> {
    let NewConsumer { groups, keys, certificates } = new;
    if [groups.len(), keys.len(), certificates.len()].into_iter().any(|count| count > MOST) {
        return Err(Problem::invalid(format!("a consumer has at most {MOST} groups, keys and certificates")));
    }
    let groups = groups.iter().map(|group| named(group)).collect::<Result<_, _>>()?;
    // What was sent as a key is not said again.
    let key = |(place, key): (usize, String)| match Key::written(&key) {
        Ok(key) => Ok(Secret(key.hashed())),
        Err(why) => Err(Problem::invalid(format!("key {}: {why}; make one by: openssl rand -hex 24", place + 1))),
    };
    let keys = keys.into_iter().enumerate().map(key).collect::<Result<_, _>>()?;
    for certificate in &certificates {
        Mark::written(certificate).map_err(|why| Problem::invalid(format!("certificate `{certificate}`: {why}")))?;
    }
    Ok(Consumer { groups, keys, certificates, keys_file: None })
}

fn named(text: &str) -> Result<String, Problem> {
    config::name(text).map_err(|invalid| Problem::invalid(format!("`{text}` is no name: {}", invalid.what)))
}
