//! What has happened of late, whether all is well, and what rules decided.

use super::body::Query;
use super::desk::Desk;
use super::headline;
use super::problem::Problem;
use super::read::{answer, part};
use super::show;
use super::view::{self, Page, Took};
use crate::config::model::Rule;
use crate::control::chronicle::{BOUNDS_US, Chronicle, Latency, Moment};
use crate::control::present::Present;
use crate::control::report::Report;
use crate::observe::counters::RuleSet;
use crate::observe::remark::{Kind, Remark};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

type From = State<Arc<Desk>>;
type Answer = Result<Response, Problem>;

pub(super) async fn traffic(State(desk): From, Query(wanted): Query<view::Moments>) -> Answer {
    let story = watched(&desk.report)?.look().await;
    let items = later(story.moments(wanted.step == Some(10)), wanted.after).into_iter().map(moment).collect();
    answer(200, None, &view::Traffic { bounds: BOUNDS_US.iter().map(|us| millis(us * 1000)).collect(), items })
}

pub(super) async fn exchanges(State(desk): From, Query(wanted): Query<view::Exchanges>) -> Answer {
    let is_wanted = |kind: &Kind| wanted.kind.as_ref().is_none_or(|wanted| *wanted == kind.word());
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(is_wanted).collect();
    if kinds.is_empty() {
        return Err(Problem::invalid("`kind` is \"failed\", \"refused\" or \"slow\""));
    }
    let story = watched(&desk.report)?.look().await;
    let mut all: Vec<Arc<Remark>> = kinds.into_iter().flat_map(|kind| story.remarks(kind).cloned()).collect();
    drop(story);
    all.sort_by_key(|remark| std::cmp::Reverse(remark.start_ns));
    let items = all.iter().map(|remark| exchange(remark)).collect();
    answer(200, None, &Page { items, next: None })
}

pub(super) async fn headline(State(desk): From) -> Answer {
    let of_late = match watched(&desk.report) {
        Ok(chronicle) => headline::of_late(chronicle.look().await.moments(false).rev()),
        Err(_) => None,
    };
    answer(200, None, &headline::of(&headline::gather(&desk.report, of_late)))
}

pub(super) async fn rules(State(desk): From, Query(wanted): Query<view::Part>) -> Answer {
    let present = desk.report.present();
    let name = |index: &usize| present.plan.shape.rules[*index].clone();
    answer(200, None, &part(0..present.plan.shape.rules.len(), &wanted, name, |index| rule(&present, index)))
}

/// Those that were over after this, the newest last. If the clock was put back, those before that are left out; who knows of moments that
/// are yet to come by it gets all there are.
fn later<'a>(moments: impl DoubleEndedIterator<Item = &'a Moment>, after: Option<u64>) -> Vec<&'a Moment> {
    let mut next = u64::MAX;
    let mut found: Vec<&Moment> =
        moments.rev().take_while(|moment| std::mem::replace(&mut next, moment.at) >= moment.at).collect();
    found.reverse();
    if let Some(after) = after.filter(|after| found.last().is_some_and(|last| last.at >= *after)) {
        found.retain(|moment| moment.at > after);
    }
    found
}

fn watched(report: &Report) -> Result<&Chronicle, Problem> {
    let nobody = || Problem::new(StatusCode::CONFLICT, "with admin.dashboard = false nothing is measured for this");
    report.present().plan.runtime.slow.map(|_| report.chronicle()).ok_or_else(nobody)
}

fn moment(moment: &Moment) -> view::Moment {
    let Moment { at, span, totals, connections, in_flight, latency } = moment;
    view::Moment {
        at: *at,
        span_ms: u64::try_from(span.as_millis()).unwrap_or(u64::MAX),
        requests: totals.requests,
        refused: totals.refused,
        failed: totals.failed,
        accepted: totals.accepted,
        received: totals.received,
        sent: totals.sent,
        connections: *connections,
        in_flight: *in_flight,
        latency: latency.as_ref().map(|Latency { p50, p90, p99, longest, steps }| view::Latency {
            p50: millis(p50 * 1000),
            p90: millis(p90 * 1000),
            p99: millis(p99 * 1000),
            max: millis(longest * 1000),
            steps: steps.to_vec(),
        }),
    }
}

fn exchange(remark: &Remark) -> view::Exchange {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    view::Exchange {
        at_ms: remark.start_ns / 1_000_000,
        kind: remark.kind.word().to_owned(),
        reason: some(remark.reason),
        client: remark.client.map(|client| client.to_string()),
        listener: remark.listener.clone(),
        route: some(&remark.route),
        pool: some(&remark.pool),
        target: some(&remark.target),
        tries: remark.tries,
        request: remark.request.as_ref().map(|request| view::Asked {
            id: request.id.clone(),
            method: request.method.clone(),
            host: request.host.clone(),
            path: request.path.clone(),
            status: request.status,
            consumer: some(&request.consumer),
            rule: some(&request.rule),
        }),
        took: Took {
            head: remark.times.request_head.map(millis),
            queue: remark.times.queue.map(millis),
            connect: remark.times.connect.map(millis),
            first_byte: remark.times.first_byte.map(millis),
            total: millis(remark.times.total),
        },
    }
}

fn rule(present: &Present, index: usize) -> view::Rule {
    let config = &present.plan.config;
    let name = &present.plan.shape.rules[index];
    let written = config.rules.get(name).and_then(|rule| serde_json::to_value(rule).ok()).unwrap_or_default();
    let word = |key: &str| written[key].as_str().unwrap_or_default().to_owned();
    let names = |rules: &[String]| rules.contains(name);
    let is_part = |(_, of): &(&String, &Rule)| {
        let of = serde_json::to_value(of).unwrap_or_default();
        of["rules"].as_array().is_some_and(|rules| rules.iter().any(|rule| rule.as_str() == Some(name)))
    };
    let sum = |value: &dyn Fn(&RuleSet) -> u64| show::sum(present, |worker| value(worker.rule(index)));
    view::Rule {
        name: name.clone(),
        kind: word("type"),
        mode: word("mode"),
        routes: config.routes.iter().filter(|(_, of)| names(&of.rules)).map(|(name, _)| name.clone()).collect(),
        listeners: config.listeners.iter().filter(|(_, of)| names(&of.rules)).map(|(name, _)| name.clone()).collect(),
        parts_of: config.rules.iter().filter(is_part).map(|(name, _)| name.clone()).collect(),
        passed: sum(&|rule| rule.passed.get()),
        denied: sum(&|rule| rule.denied.get()),
        shadow_denied: sum(&|rule| rule.shadowed.get()),
        bans: sum(&|rule| rule.bans.get()),
        held: sum(&|rule| rule.held.get()),
    }
}

fn millis(ns: u64) -> f64 {
    (ns / 1000) as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn times(kept: &[u64], after: Option<u64>) -> Vec<u64> {
        let moment = |at: &u64| Moment {
            at: *at,
            span: Duration::from_secs(1),
            totals: Default::default(),
            connections: 0,
            in_flight: 0,
            latency: None,
        };
        let kept: Vec<Moment> = kept.iter().map(moment).collect();
        later(kept.iter(), after).iter().map(|moment| moment.at).collect()
    }

    #[test]
    fn moments_are_told_once_each() {
        assert_eq!(times(&[7, 8, 9], None), [7, 8, 9]);
        assert_eq!(times(&[7, 8, 9], Some(7)), [8, 9]);
        assert!(times(&[7, 8, 9], Some(9)).is_empty());
        assert!(times(&[], Some(9)).is_empty());
    }

    #[test]
    fn a_clock_that_is_put_back_stops_nothing() {
        assert_eq!(times(&[107, 108, 9, 10], Some(108)), [9, 10]);
        assert_eq!(times(&[107, 108, 9, 10], Some(9)), [10]);
        assert_eq!(times(&[107, 108, 9, 10], None), [9, 10]);
    }
}
