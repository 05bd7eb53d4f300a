//! From what runs to what the API says of it. Pure: everything is read from what control and the workers publish.

use super::sticky;
use super::view::{self, Used, Weight};
use crate::control::discovery::Source;
use crate::control::overrides::{Key, Overrides, State};
use crate::control::present::Present;
use crate::control::reload::Told;
use crate::control::report::Report;
use crate::net;
use crate::observe::counters::{LastCheck, WorkerCounters};
use crate::observe::reason::Class;
use crate::observe::wall::now;
use crate::plan::{Action, Listener, Protocol};
use crate::upstream::agent::Said;
use crate::upstream::queue::Queue;
use serde_json::Value;
use std::sync::Arc;

impl From<&Told> for view::Reload {
    fn from(told: &Told) -> Self {
        Self {
            at: told.at,
            by: told.by.to_string(),
            result: told.result.to_string(),
            plan: told.plan,
            changes: told.changes.clone(),
            deferred: told.deferred.clone(),
            diagnostics: told.diagnostics.clone(),
        }
    }
}

/// The client connections of the process.
pub(super) fn connections(report: &Report, present: &Present) -> Used {
    let open = sum(present, |worker| worker.worker.connections.get());
    Used { open, max: report.max_connections() }
}

pub(super) fn listener(report: &Report, present: &Present, index: usize) -> view::Listener {
    let listener = &present.plan.listeners[index];
    let addresses = report.addresses();
    let listened = addresses.iter().filter(|(of, _)| *of == index).map(|(_, address)| address.clone());
    let pool = |pool: usize| present.plan.pools[pool].shared.name.clone();
    let (protocol, pool, routes) = match &listener.protocol {
        Protocol::Tcp { pool: of } => ("tcp", of.map(pool), 0),
        Protocol::Udp(udp) => ("udp", Some(pool(udp.pool)), 0),
        Protocol::Http(http) => ("http", http.fallback.as_ref().map(|forward| pool(forward.pool)), http.routes.len()),
    };
    let passing = listener.front.as_ref().map_or(0, |front| front.routes());
    view::Listener {
        name: listener.name.clone(),
        addresses: listened.collect(),
        protocol: protocol.to_owned(),
        tls: listener.tls.is_some(),
        pool,
        routes: routes + passing,
        connections: sum(present, |worker| worker.listener(index).open.get()),
        accepted: sum(present, |worker| worker.listener(index).accepted.get()),
        requests: sum(present, |worker| worker.listener(index).requests.get().iter().sum()),
        sessions: listener.is_udp().then(|| sum(present, |worker| worker.listener(index).datagrams.sessions.get())),
        datagrams: listener.is_udp().then(|| sum(present, |worker| worker.listener(index).datagrams.received.get())),
        datagrams_lost: listener
            .is_udp()
            .then(|| sum(present, |worker| worker.listener(index).datagrams.lost.get().iter().sum())),
        refused: sum(present, |worker| worker.listener(index).refusals.get().iter().sum()),
        received: sum(present, |worker| worker.listener(index).received.get()),
        sent: sum(present, |worker| worker.listener(index).sent.get()),
    }
}

pub(super) fn route(present: &Present, index: usize) -> view::Route {
    let plan = &present.plan;
    let route = &plan.routes[index];
    let written = plan.written(&route.name);
    let is_on = |listener: &&Arc<Listener>| {
        let http = matches!(listener.protocol, Protocol::Http(_));
        written.is_some_and(|written| {
            http && plan.config.is_on(written, &listener.name) || plan.config.passes_on(written, &listener.name)
        })
    };
    let names = written.map(|route| if route.passthrough { &route.sni } else { &route.hosts });
    let (action, pool) = match &route.action {
        Action::Forward(forward) => ("forward", Some(plan.pools[forward.pool].shared.name.clone())),
        Action::Aggregate(_) => ("aggregate", None),
        Action::Files(site) => {
            ("files", site.otherwise.as_ref().map(|forward| plan.pools[forward.pool].shared.name.clone()))
        }
        Action::Respond(_) => ("respond", None),
        Action::Redirect(_) => ("redirect", None),
        Action::Pass(pool) => ("passthrough", Some(plan.pools[*pool].shared.name.clone())),
    };
    view::Route {
        name: route.name.clone(),
        listeners: plan.listeners.iter().filter(is_on).map(|listener| listener.name.clone()).collect(),
        hosts: names.cloned().unwrap_or_default(),
        paths: written.map(|route| route.paths.clone()).unwrap_or_default(),
        methods: written.map(|route| route.methods.clone()).unwrap_or_default(),
        action: action.to_owned(),
        pool,
        requests: sum(present, |worker| {
            let route = worker.route(index);
            route.requests.get().iter().sum::<u64>() + route.connections.get()
        }),
        errors: sum(present, |worker| worker.route(index).requests.get()[Class::ServerError.index()]),
    }
}

pub(super) fn pool(report: &Report, present: &Present, overrides: &Overrides, index: usize) -> view::Pool {
    let pool = &present.plan.pools[index].shared;
    let written = present.plan.config.pools.get(&pool.name);
    let word = |value: Option<Value>| value.and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default();
    view::Pool {
        name: pool.name.clone(),
        balance: word(written.and_then(|pool| serde_json::to_value(pool.balance).ok())),
        protocol: word(written.and_then(|pool| serde_json::to_value(pool.protocol).ok())),
        tls: pool.tls.is_some(),
        checked: written.is_some_and(|pool| pool.health.is_some() || pool.agent.is_some()),
        panic: pool.is_doubted(),
        up: pool.targets.iter().filter(|target| target.is_up() && target.weight() > 0).count(),
        in_flight: sum(present, |worker| worker.pool(index).in_flight.get()),
        max_in_flight: pool.queue.as_ref().and_then(Queue::limit),
        queue: pool.queue.as_ref().map(|queue| view::Queue {
            waiting: queue.len(),
            length: queue.limits.length,
            queued: sum(present, |worker| worker.pool(index).queued.get()),
        }),
        requests: sum(present, |worker| worker.pool(index).requests.get()),
        errors: sum(present, |worker| worker.pool(index).failures.get().iter().sum()),
        targets: {
            let belonging = sticky::belonging(present, index);
            let show = |place| target(report, present, overrides, (index, place), &belonging);
            (0..pool.targets.len()).map(show).collect()
        },
        discovery: report.board().sources().get(&pool.name).map(|source| discovery(report, source)),
    }
}

fn discovery(report: &Report, source: &Source) -> view::Discovery {
    let (_, found) = report.board().found();
    let (state, answer) = (source.state(), found.get(&source.key));
    view::Discovery {
        source: source.shown.clone(),
        targets: answer.map(|answer| answer.targets.len()),
        since: answer.map(|answer| answer.since),
        age: state.answered.map(|at| now().saturating_sub(at)),
        next: state.next.map(|at| at.saturating_sub(now())),
        trouble: state.trouble.clone(),
    }
}

/// `belonging`: as [`sticky::belonging`] has it for the pool.
pub(super) fn target(
    report: &Report,
    present: &Present,
    overrides: &Overrides,
    (pool, index): (usize, usize),
    belonging: &[view::Belonging],
) -> view::Target {
    let of = &present.plan.pools[pool].shared;
    let target = &of.targets[index];
    let key = Key { pool: of.name.clone(), target: target.name.clone() };
    let health = present.control.target(pool, index);
    let (asked, said) = (health.last_agent.load_full(), target.said());
    view::Target {
        address: target.name.clone(),
        weight: Weight { configured: target.weight, in_force: target.weight() },
        backup: target.backup,
        state: State::of(target.mode()),
        up: target.passes_checks(),
        check: health.last.load().as_deref().map(check),
        agent: (asked.is_some() || said != Said::default() || !target.heeds_agent()).then(|| view::Agent {
            said: said.to_string(),
            off: !target.heeds_agent(),
            limit: said.limit,
            asked: asked.as_deref().map(check),
        }),
        follows: follows(present, pool, index),
        ejected: target.ejection().left(net::coarse_now()).map(|left| view::Ejection {
            reason: target.ejection().why().to_string(),
            times: target.ejection().times(),
            left: left.as_millis().div_ceil(1000) as u64,
        }),
        slow_start: of.warming(index, net::coarse_now()),
        in_flight: u64::from(target.in_flight()),
        max_in_flight: target.limit(),
        requests: sum(present, |worker| worker.pool(pool).target(index).requests.get()),
        errors: sum(present, |worker| worker.pool(pool).target(index).failures.get()),
        origin: origin(report, overrides, &key).to_owned(),
        sticky: belonging.get(index).copied(),
    }
}

/// Who says that a target is there, and how.
fn origin(report: &Report, overrides: &Overrides, key: &Key) -> &'static str {
    let loaded = report.loaded();
    let is_written = || {
        let pool = loaded.config.pools.get(&key.pool);
        pool.is_some_and(|pool| pool.targets.iter().any(|target| target.address.to_string() == key.target))
    };
    match overrides.concerns(key) {
        true => "override",
        false if report.board().sources().contains_key(&key.pool) && !is_written() => "discovery",
        false => "config",
    }
}

fn check(last: &LastCheck) -> view::Check {
    view::Check {
        result: last.outcome.word().to_owned(),
        code: last.code,
        detail: last.words.clone(),
        took_ms: u64::try_from(last.took.as_millis()).unwrap_or(u64::MAX),
        at: last.at,
    }
}

/// The target that is checked in the place of this one.
fn follows(present: &Present, pool: usize, index: usize) -> Option<String> {
    let followed = present.plan.checks.iter().find(|check| check.followers.contains(&(pool, index)))?;
    Some(format!("{}/{}", followed.spec.pool, followed.spec.target))
}

pub(super) fn sum(present: &Present, value: impl Fn(&WorkerCounters) -> u64) -> u64 {
    present.workers.iter().map(|worker| value(worker)).fold(0, u64::wrapping_add)
}
