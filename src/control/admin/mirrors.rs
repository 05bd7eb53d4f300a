//! Routes of which another pool gets requests as well: how that goes, and how answers differ.

use super::body::{Path, Query};
use super::desk::Desk;
use super::problem::Problem;
use super::read::{answer, part};
use super::view;
use crate::control::mirrors as of_plan;
use crate::plan::Mirror;
use crate::upstream::mirror::{Difference, Fate, Kind, Missed, Report};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

type From = State<Arc<Desk>>;
type Answer = Result<Response, Problem>;

pub(super) async fn mirrors(State(desk): From, Query(wanted): Query<view::Part>) -> Answer {
    let present = desk.report.present();
    let name = |(route, _): &(&str, &Arc<Mirror>)| (*route).to_owned();
    let shown = part(of_plan::mirrors(&present.plan), &wanted, name, |(route, mirror)| show(route, mirror));
    answer(200, None, &shown)
}

pub(super) async fn mirror(State(desk): From, Path(name): Path<String>) -> Answer {
    let present = desk.report.present();
    let mirror = present.plan.mirror(&name).ok_or_else(|| absent(&name))?;
    answer(200, None, &show(&name, mirror))
}

pub(super) async fn reset_mirror(State(desk): From, Path(name): Path<String>) -> Answer {
    let present = desk.report.present();
    of_plan::reset(present.plan.mirror(&name).ok_or_else(|| absent(&name))?);
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn absent(name: &str) -> Problem {
    Problem::not_found(format!("there is no route `{name}` with a mirror"))
}

fn show(route: &str, mirror: &Mirror) -> view::Mirror {
    let shared = &mirror.shared;
    view::Mirror {
        route: route.to_owned(),
        pool: mirror.pool.clone(),
        in_flight: shared.in_flight(),
        requests: Fate::ALL.into_iter().map(|fate| (fate.word().to_owned(), shared.counted(fate))).collect(),
        report: mirror.compare.as_ref().map(|_| report(mirror, &shared.report())),
    }
}

fn report(mirror: &Mirror, report: &Report) -> view::MirrorReport {
    let kind = |kind: Kind| (kind.word().to_owned(), report.kinds[kind as usize]);
    let missed = |why: Missed| (why.word().to_owned(), mirror.shared.missed(why));
    let mut places: Vec<_> = report
        .places
        .iter()
        .map(|((kind, at), place)| view::MirrorPlace {
            kind: kind.word().to_owned(),
            at: at.clone(),
            count: place.count,
            main: place.main.clone(),
            mirrored: place.mirrored.clone(),
        })
        .collect();
    places.sort_by_key(|place| Reverse(place.count));
    view::MirrorReport {
        since: seconds(report.since),
        compared: report.compared,
        different: report.different,
        uncompared: Missed::ALL.into_iter().map(missed).collect(),
        kinds: Kind::ALL.into_iter().map(kind).collect(),
        places,
        elsewhere: report.elsewhere,
        examples: report
            .examples
            .iter()
            .rev()
            .map(|example| view::MirrorExample {
                at: seconds(example.at),
                method: example.method.clone(),
                path: example.path.clone(),
                differences: example.differences.iter().map(difference).collect(),
            })
            .collect(),
    }
}

fn difference(of: &Difference) -> view::MirrorDifference {
    let Difference { kind, at, main, mirrored } = of.clone();
    view::MirrorDifference { kind: kind.word().to_owned(), at, main, mirrored }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
