//! What can be changed. Everything but the log's level is asked of control's loop.

use super::body::{Json, Optional, Path, Query};
use super::connections;
use super::desk::Desk;
use super::guard::Caller;
use super::problem::Problem;
use super::read::answer;
use super::view::{self, Changed};
use crate::config::model::Address;
use crate::config::units::{Invalid, Share, Span};
use crate::control::command::{Banning, Edit};
use crate::control::overrides::{Added, Key};
use crate::control::reload::{Result as Outcome, Stage};
use crate::lane::Choice;
use crate::lane::bans::Ban;
use crate::net;
use crate::observe::log;
use axum::Extension;
use axum::extract::State;
use axum::http::header::IF_MATCH;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;

type From = State<Arc<Desk>>;
pub(super) type By = Extension<Caller>;
type Answer = Result<Response, Problem>;

/// Bytes of a ban's reason.
const REASON: usize = 200;

pub(super) async fn reload(
    State(desk): From,
    Extension(caller): By,
    Optional(new): Optional<view::NewReload>,
) -> Answer {
    let told = desk.commands.reload(caller.asker(), stage(new.unwrap_or_default())?).await?;
    let status = match told.result {
        Outcome::Failed => 422,
        Outcome::Trying => 202,
        _ => 200,
    };
    answer(status, Some(&desk.report.tag()), &view::Reload::from(&*told))
}

pub(super) async fn upgrade(State(desk): From, Extension(caller): By) -> Answer {
    match desk.commands.upgrade(caller.asker()).await? {
        Ok(pid) => answer(200, None, &view::Upgrade { pid }),
        Err(why) => Err(Problem::new(StatusCode::CONFLICT, why)),
    }
}

pub(super) async fn set_target(
    State(desk): From,
    Extension(caller): By,
    Path((pool, target)): Path<(String, String)>,
    headers: HeaderMap,
    Json(patch): Json<view::PatchTarget>,
) -> Answer {
    let view::PatchTarget { state, weight, agent, until } = patch;
    if state.is_none() && weight.is_none() && agent.is_none() {
        return Err(Problem::invalid("nothing is to change: give `state`, `weight` or `agent`"));
    }
    if let Some(Some(weight)) = weight {
        check_weight(weight)?;
    }
    let edit = Edit::Set { key: Key { pool, target: canonical(&target)? }, state, weight, agent, until };
    edited(&desk, caller, edit, &headers, 200).await
}

pub(super) async fn return_target(
    State(desk): From,
    Extension(caller): By,
    Path((pool, target)): Path<(String, String)>,
) -> Answer {
    let name = canonical(&target)?;
    let present = desk.report.present();
    let absent = || Problem::not_found(format!("there is no target `{name}` in a pool `{pool}`"));
    let known = &present.plan.pool(&pool).ok_or_else(absent)?.shared;
    let target = known.targets.iter().find(|target| target.name == name).ok_or_else(absent)?;
    let by = caller.asker().to_string();
    if !known.give_back(target, &format!("{by} has it return"), net::coarse_now()) {
        return Err(Problem::new(StatusCode::CONFLICT, format!("target `{name}` of pool `{pool}` is not ejected")));
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn add_target(
    State(desk): From,
    Extension(caller): By,
    Path(pool): Path<String>,
    headers: HeaderMap,
    Json(new): Json<view::NewTarget>,
) -> Answer {
    let view::NewTarget { address, weight, backup, until } = new;
    check_weight(weight)?;
    let key = Key { pool, target: canonical(&address)? };
    edited(&desk, caller, Edit::Add { key, added: Added { weight, backup }, until }, &headers, 201).await
}

pub(super) async fn remove_target(
    State(desk): From,
    Extension(caller): By,
    Path((pool, target)): Path<(String, String)>,
    Query(view::Lasting { until }): Query<view::Lasting>,
    headers: HeaderMap,
) -> Answer {
    let edit = Edit::Remove { key: Key { pool, target: canonical(&target)? }, until };
    edited(&desk, caller, edit, &headers, 200).await
}

pub(super) async fn reset_target(
    State(desk): From,
    Extension(caller): By,
    Path((pool, target)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    edited(&desk, caller, Edit::Reset(Key { pool, target: canonical(&target)? }), &headers, 200).await
}

pub(super) async fn reset_all(State(desk): From, Extension(caller): By, headers: HeaderMap) -> Answer {
    edited(&desk, caller, Edit::ResetAll, &headers, 200).await
}

pub(super) async fn ban(
    State(desk): From,
    Extension(caller): By,
    Path(client): Path<String>,
    headers: HeaderMap,
    Json(new): Json<view::NewBan>,
) -> Answer {
    let client = network(&client)?;
    let view::NewBan { span, reason, close } = new;
    if reason.len() > REASON || reason.chars().any(char::is_control) {
        return Err(Problem::invalid(format!("`reason` is one line of at most {REASON} bytes")));
    }
    let span = span.as_deref().map(duration).transpose()?;
    let until = span.map(|span| net::coarse_now().saturating_add(span.0));
    let banning = Banning::Add(client, Ban { until, rule: None, reason: reason.as_str().into() }, condition(&headers));
    desk.commands.ban(caller.asker(), banning).await?;
    if close {
        let choice = Choice { client: Some(client), ..Choice::default() };
        connections::end(&desk, &caller, &choice).await?;
    }
    let left = span.map(|span| span.0.as_secs());
    let tag = desk.report.ban_tag(desk.report.bans());
    answer(200, Some(&tag), &view::Ban { client: client.to_string(), reason, rule: None, left })
}

pub(super) async fn unban(
    State(desk): From,
    Extension(caller): By,
    Path(client): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let banning = Banning::Remove(network(&client)?, condition(&headers));
    desk.commands.ban(caller.asker(), banning).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn set_log_level(Extension(caller): By, Json(level): Json<view::LogLevel>) -> Answer {
    log::set_filter(&level.filter).map_err(Problem::invalid)?;
    let filter = log::filter();
    tracing::info!(by = %caller.asker(), filter, "the log tells something else from now on");
    answer(200, None, &view::LogLevel { filter })
}

pub(super) async fn edited(desk: &Desk, caller: Caller, edit: Edit, headers: &HeaderMap, status: u16) -> Answer {
    let edited = desk.commands.edit(caller.asker(), edit, condition(headers)).await?;
    answer(status, Some(&desk.report.tag()), &Changed { plan: edited.plan, changes: edited.changes })
}

/// How a reload is tried out first, if it is.
fn stage(new: view::NewReload) -> Result<Option<Stage>, Problem> {
    match (new.share, new.span) {
        (None, None) => Ok(None),
        (Some(share), Some(span)) => {
            let share: Share = share.parse().map_err(|invalid| unfit("share", &share, &invalid))?;
            if share.0 <= 0.0 || share.0 >= 1.0 {
                return Err(Problem::invalid("`share` is more than 0% and less than 100%"));
            }
            Ok(Some(Stage { share: share.0, span: duration(&span)?.0 }))
        }
        _ => Err(Problem::invalid("a reload is tried out by a `share` `for` some time: give both, or neither")),
    }
}

fn duration(text: &str) -> Result<Span, Problem> {
    let span: Span = text.parse().map_err(|invalid| unfit("for", text, &invalid))?;
    if span.0.is_zero() { Err(Problem::invalid("`for` must be longer than 0s")) } else { Ok(span) }
}

fn unfit(field: &str, text: &str, invalid: &Invalid) -> Problem {
    let help = invalid.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
    Problem::invalid(format!("`{field}` cannot be `{text}`: {}{help}", invalid.what))
}

/// What the state must be for the change to be made.
pub(super) fn condition(headers: &HeaderMap) -> Option<String> {
    let lines: Vec<&str> = headers.get_all(IF_MATCH).iter().map(|line| line.to_str().unwrap_or_default()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

fn check_weight(weight: u32) -> Result<(), Problem> {
    match weight {
        0..=256 => Ok(()),
        _ => Err(Problem::invalid(format!("`weight` is 0 to 256, not {weight}"))),
    }
}

/// A target's address in its one form.
pub(super) fn canonical(text: &str) -> Result<String, Problem> {
    match Address::parse_target(text) {
        Ok(Address::Unix(path)) if !path.is_absolute() => {
            Err(Problem::invalid(format!("`{text}` is no target's address: the path must begin with `/`")))
        }
        Ok(address) => Ok(address.to_string()),
        Err(invalid) => {
            let help = invalid.help.map(|help| format!("; {help}")).unwrap_or_default();
            Err(Problem::invalid(format!("`{text}` is no target's address: {}{help}", invalid.what)))
        }
    }
}

/// An address or a range.
pub(super) fn network(text: &str) -> Result<IpNet, Problem> {
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let net = net.map_err(|_| Problem::invalid(format!("`{text}` is no address and no range such as 10.0.0.0/8")))?;
    if net.prefix_len() == 0 {
        return Err(Problem::invalid(format!("`{text}` is everybody")));
    }
    if net.trunc() != net {
        return Err(Problem::invalid(format!("`{text}` has bits beyond its prefix: write {}", net.trunc())));
    }
    // One that is written as IPv6 is the same client.
    Ok(match net {
        IpNet::V6(v6) => {
            v6.addr().to_ipv4_mapped().filter(|_| v6.prefix_len() == 128).map_or(net, |v4| IpAddr::V4(v4).into())
        }
        IpNet::V4(_) => net,
    })
}
