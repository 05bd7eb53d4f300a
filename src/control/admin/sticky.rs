//! Where clients of pools belong, as operators see it and have it forgotten. The tables are shared with the workers and belong
//! to nobody, so that they are changed here.

use super::body::{Path, Query};
use super::change::canonical;
use super::desk::Desk;
use super::guard::Caller;
use super::problem::Problem;
use super::read::{answer, find_pool};
use super::{show, view};
use crate::control::present::Present;
use crate::net::coarse_now;
use crate::upstream::Sticky;
use crate::upstream::sticky::Noted;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use std::net::IpAddr;
use std::sync::Arc;

type From = State<Arc<Desk>>;
type Answer = Result<Response, Problem>;

/// The clients of each target of a pool; nothing in a pool that is not sticky.
pub(super) fn belonging(present: &Present, pool: usize) -> Vec<view::Belonging> {
    let of = &present.plan.pools[pool].shared;
    let Some(sticky) = &of.sticky else { return Vec::new() };
    let noted = sticky.noted().map(|noted| noted.counts(coarse_now()));
    let one = |target: usize| view::Belonging {
        served: show::sum(present, |worker| worker.pool(pool).target(target).kept.get()),
        noted: noted.as_ref().map(|counts| counts[target]),
    };
    (0..of.targets.len()).map(one).collect()
}

pub(super) async fn sticky(
    State(desk): From,
    Path(pool): Path<String>,
    Query(view::WhoseEntry { client, value }): Query<view::WhoseEntry>,
) -> Answer {
    let present = desk.report.present();
    let (place, noted) = table(&present, &pool)?;
    let found = match key(noted, client.as_deref(), value.as_deref())? {
        None => None,
        Some(key) => {
            let found = noted.peek(key, coarse_now());
            let (target, left) = found.ok_or_else(|| Problem::not_found("it belongs to no target".to_owned()))?;
            Some(view::Found { target: present.plan.pools[place].shared.targets[target].name.clone(), left })
        }
    };
    let view = view::Noted {
        under: noted.under.to_string(),
        size: noted.table.size(),
        entries: noted.counts(coarse_now()).iter().sum(),
        evictions: noted.table.evictions(),
        found,
    };
    answer(200, None, &view)
}

pub(super) async fn forget(
    State(desk): From,
    Extension(caller): Extension<Caller>,
    Path(pool): Path<String>,
    Query(view::Forgotten { target, client, value }): Query<view::Forgotten>,
) -> Answer {
    let present = desk.report.present();
    let (place, noted) = table(&present, &pool)?;
    let now = coarse_now();
    let entries = match (target, key(noted, client.as_deref(), value.as_deref())?) {
        (Some(_), Some(_)) => return Err(Problem::invalid("give one of `target`, `client` and `value`")),
        (Some(target), None) => {
            let name = canonical(&target)?;
            let targets = &present.plan.pools[place].shared.targets;
            let index = targets.iter().position(|known| known.name == name);
            let absent = || Problem::not_found(format!("pool `{pool}` has no target `{target}`"));
            noted.forget(index.ok_or_else(absent)?, now)
        }
        (None, Some(key)) => u64::from(noted.table.remove(key, now)),
        (None, None) => noted.table.forget(None, now),
    };
    tracing::info!(by = %caller.asker(), pool, entries, "where clients belong is forgotten");
    answer(200, None, &view::Forgot { entries })
}

/// The table of a pool, with the pool's place.
fn table<'p>(present: &'p Present, name: &str) -> Result<(usize, &'p Noted), Problem> {
    let place = find_pool(present, name)?;
    let sticky = present.plan.pools[place].shared.sticky.as_ref();
    let noted = sticky.and_then(Sticky::noted);
    Ok((place, noted.ok_or_else(|| Problem::not_found(format!("pool `{name}` notes its clients in no table")))?))
}

/// What one client is noted under, if one is meant.
fn key(noted: &Noted, client: Option<&str>, value: Option<&str>) -> Result<Option<u64>, Problem> {
    match (client, value) {
        (None, None) => Ok(None),
        (Some(client), None) => {
            let ip: IpAddr =
                client.parse().map_err(|_| Problem::invalid(format!("`{client}` is no address of a client")))?;
            let key = noted.source(ip);
            key.map(Some).ok_or_else(|| Problem::invalid("clients are not noted by their addresses: give `value`"))
        }
        (None, Some(value)) if noted.source(IpAddr::from([0, 0, 0, 0])).is_none() => {
            Ok(Some(Noted::key(value.as_bytes())))
        }
        (None, Some(_)) => Err(Problem::invalid("clients are noted by their addresses: give `client`")),
        (Some(_), Some(_)) => Err(Problem::invalid("give one of `target`, `client` and `value`")),
    }
}
