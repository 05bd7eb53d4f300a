//! Whether all is well: what a person woken at night wants to know first.
//!
//! What always holds: what operators have wanted themselves (a target that drains, a ban) is no trouble, unless nothing is left to
//! do the work.

use super::read;
use super::show;
use super::splits;
use super::view::{self, Finding, Headline, Severity, Used};
use crate::control::chronicle::Moment;
use crate::control::overrides::State;
use crate::control::report::Report;
use crate::observe::reason::Class;
use std::time::Duration;

/// What is looked at.
pub(super) struct Facts {
    status: view::Status,
    pools: Vec<view::Pool>,
    splits: Vec<view::Split>,
    certificates: Vec<view::Certificate>,
    /// Thousandths of its time that each worker is at work.
    busy: Vec<u64>,
    late: Option<Late>,
}

/// What happened of late.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Late {
    requests: u64,
    errors: u64,
    accepted: u64,
    failed: u64,
}

/// Of late: long enough for a share to mean something, short enough for the end of trouble to be seen.
const LATE: Duration = Duration::from_secs(30);
/// Fewer errors are chance.
const FEWEST: u64 = 3;
const DAY: i64 = 86_400;

/// What happened of late, of moments with the newest first.
pub(super) fn of_late<'a>(moments: impl Iterator<Item = &'a Moment>) -> Option<Late> {
    let (mut late, mut span) = (Late::default(), Duration::ZERO);
    for moment in moments {
        let totals = &moment.totals;
        late.requests += totals.requests.iter().sum::<u64>();
        late.errors += totals.requests[Class::ServerError.index()];
        late.accepted += totals.accepted;
        late.failed += totals.failed;
        span += moment.span;
        if span >= LATE {
            break;
        }
    }
    (span > Duration::ZERO).then_some(late)
}

/// What there is to look at.
pub(super) fn gather(report: &Report, late: Option<Late>) -> Facts {
    let (present, overrides) = (report.present(), report.overrides());
    let pools = 0..present.plan.pools.len();
    Facts {
        status: read::status_of(report, &present),
        pools: pools.map(|index| show::pool(report, &present, &overrides, index)).collect(),
        splits: splits::of(&present.plan),
        certificates: read::certificates_of(&present.plan),
        busy: present.workers.iter().map(|worker| worker.worker.busy.get()).collect(),
        late,
    }
}

/// What is not well of it.
pub(super) fn of(facts: &Facts) -> Headline {
    let mut items = Vec::new();
    traffic(facts.late, &mut items);
    facts.pools.iter().for_each(|pool| of_pool(pool, &mut items));
    facts.splits.iter().for_each(|split| of_split(split, &mut items));
    facts.certificates.iter().for_each(|certificate| items.extend(of_certificate(certificate)));
    items.extend(facts.status.last_reload.as_ref().and_then(of_reload));
    items.extend(facts.status.store.as_ref().and_then(of_store));
    of_process(facts, &mut items);
    items.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let worst = items.first();
    Headline {
        state: worst.map_or(Severity::Well, |worst| worst.severity),
        text: worst.map_or_else(|| "All is well".to_owned(), |worst| worst.text.clone()),
        items,
    }
}

fn finding(severity: Severity, of: &str, text: String, more: Option<String>) -> Finding {
    Finding { severity, of: of.to_owned(), text, more }
}

fn traffic(late: Option<Late>, items: &mut Vec<Finding>) {
    let Some(Late { requests, errors, accepted, failed }) = late else { return };
    let mut tell = |errors: u64, all: u64, what: &str, more: String| {
        // In whole per mille.
        let share = (errors * 1000).checked_div(all).unwrap_or(0).min(1000);
        let severity = match share {
            _ if errors < FEWEST => return,
            50.. => Severity::Bad,
            10.. => Severity::Warn,
            _ => return,
        };
        let digits = if share < 100 { format!("{}.{}", share / 10, share % 10) } else { (share / 10).to_string() };
        items.push(finding(severity, "traffic", format!("{digits} % of {what} fail"), Some(more)));
    };
    let seconds = LATE.as_secs();
    let more = format!("{errors} of {requests} in the last {seconds} s were answered with 500 or above");
    tell(errors, requests, "requests", more);
    if requests == 0 {
        let more = format!("{failed} tries failed for {accepted} connections in the last {seconds} s");
        tell(failed, accepted.max(failed), "connections", more);
    }
}

fn of_pool(pool: &view::Pool, items: &mut Vec<Finding>) {
    let name = &pool.name;
    let wanted = || pool.targets.iter().filter(|target| target.state == State::Ready);
    let named = |targets: &[&view::Target]| {
        let told: Vec<String> = targets.iter().take(3).map(|target| target_told(target)).collect();
        let rest = targets.len().saturating_sub(3);
        told.join("; ") + &if rest > 0 { format!("; and {rest} more") } else { String::new() }
    };
    let down: Vec<&view::Target> = wanted().filter(|target| !target.up).collect();
    let ejected: Vec<&view::Target> = wanted().filter(|target| target.up && target.ejected.is_some()).collect();
    let all = pool.targets.len();
    let works = |target: &&view::Target| target.up && target.ejected.is_none() && target.weight.in_force > 0;
    if !wanted().any(|target| works(&target)) {
        let more = match all {
            0 => "it has none".to_owned(),
            _ => format!(
                "{} down, {} ejected, {} taken out by operators",
                down.len(),
                ejected.len(),
                all - wanted().count()
            ),
        };
        items.push(finding(Severity::Bad, "pool", format!("No target of pool {name} takes work"), Some(more)));
    } else {
        let mut tell = |targets: &[&view::Target], word: &str| {
            let text = match targets {
                [] => return,
                [one] => format!("{} of pool {name} is {word}", one.address),
                several => format!("{} of {all} targets of pool {name} are {word}", several.len()),
            };
            items.push(finding(Severity::Warn, "target", text, Some(named(targets))));
        };
        tell(&down, "down");
        tell(&ejected, "ejected");
    }
    if pool.panic {
        let more = "too few of its targets are up for checks to be believed: all of them get work".to_owned();
        items.push(finding(Severity::Warn, "pool", format!("Pool {name} is in panic"), Some(more)));
    }
    if let Some(queue) = pool.queue.filter(|queue| queue.waiting > 0) {
        let severity = if queue.waiting >= queue.length { Severity::Bad } else { Severity::Warn };
        let text = format!("{} wait for a target of pool {name}", queue.waiting);
        items.push(finding(severity, "pool", text, Some(format!("{} may", queue.length))));
    }
    if let Some(trouble) = pool.discovery.as_ref().and_then(|discovery| discovery.trouble.clone()) {
        let text = format!("The targets of pool {name} cannot be found out");
        items.push(finding(Severity::Warn, "pool", text, Some(trouble)));
    }
}

fn target_told(target: &view::Target) -> String {
    let why = match (&target.ejected, &target.check) {
        (Some(ejected), _) if target.up => format!("{}, for {} s", ejected.reason, ejected.left),
        (_, Some(check)) if check.detail.is_empty() => check.result.clone(),
        (_, Some(check)) => format!("{}, {}", check.result, check.detail),
        _ => "not checked yet".to_owned(),
    };
    format!("{}: {why}", target.address)
}

fn of_store(store: &view::Store) -> Option<Finding> {
    let text = "Redis is away: each host goes on with its last share".to_owned();
    (store.state == "away").then(|| finding(Severity::Warn, "store", text, store.trouble.clone()))
}

fn of_split(split: &view::Split, items: &mut Vec<Finding>) {
    for pool in split.pools.iter().filter(|pool| pool.halted) {
        let text = format!("Pool {} was taken back from route {}", pool.pool, split.route);
        let more = "it failed or lagged, and gets nothing until its weight is set: see `ringway split`".to_owned();
        items.push(finding(Severity::Warn, "split", text, Some(more)));
    }
}

fn of_certificate(certificate: &view::Certificate) -> Option<Finding> {
    let days = certificate.left.div_euclid(DAY);
    let severity = match days {
        ..3 => Severity::Bad,
        3..14 => Severity::Warn,
        _ => return None,
    };
    let text = match certificate.left {
        ..0 => format!("Certificate {} has ended", certificate.file),
        left if left < DAY => format!("Certificate {} ends in {} hours", certificate.file, left / 3600),
        _ => format!("Certificate {} ends in {days} days", certificate.file),
    };
    let listener = certificate.listener.as_ref().map(|name| format!("listener {name}"));
    let more = listener.or_else(|| certificate.pool.as_ref().map(|name| format!("pool {name}")));
    Some(finding(severity, "certificate", text, more))
}

fn of_reload(reload: &view::Reload) -> Option<Finding> {
    let text = match &*reload.result {
        "failed" => "The last reload changed nothing: it has faults",
        "rolled-back" => "The last reload was rolled back",
        _ => return None,
    };
    let more = reload.diagnostics.lines().find(|line| !line.trim().is_empty()).map(str::to_owned);
    Some(finding(Severity::Warn, "reload", text.to_owned(), more))
}

fn of_process(facts: &Facts, items: &mut Vec<Finding>) {
    if facts.status.state != "ready" {
        let text = format!("Ringway is {}", facts.status.state);
        items.push(finding(Severity::Bad, "process", text, Some("it takes no new connections".to_owned())));
    }
    let Used { open, max } = facts.status.connections;
    let share = (open * 100).checked_div(max).unwrap_or(0);
    if share >= 80 {
        let severity = if share >= 95 { Severity::Bad } else { Severity::Warn };
        let text = format!("{share} % of the client connections that may be are open");
        items.push(finding(severity, "process", text, Some(format!("{open} of {max}: see runtime.max_connections"))));
    }
    let busy: Vec<String> =
        facts.busy.iter().enumerate().filter(|(_, busy)| **busy >= 950).map(|(worker, _)| worker.to_string()).collect();
    if !busy.is_empty() {
        let text = format!("Worker {} is at work all of its time", busy.join(", "));
        items.push(finding(Severity::Warn, "process", text, Some("its core is full: requests wait".to_owned())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn facts(pools: serde_json::Value) -> Facts {
        let used = json!({ "open": 10, "max": 1000 });
        let status = json!({
            "version": "1", "pid": 1, "started": 0, "uptime": 9, "state": "ready", "plan": 1, "workers": 2, "connections": used,
            "overrides": 0, "bans": 0, "log_level": "info",
        });
        Facts {
            status: serde_json::from_value(status).unwrap(),
            pools: serde_json::from_value(pools).unwrap(),
            splits: Vec::new(),
            certificates: Vec::new(),
            busy: vec![100, 200],
            late: Some(Late { requests: 1000, errors: 1, accepted: 10, failed: 1 }),
        }
    }

    /// A pool with these targets: state, whether it is up.
    fn pool(targets: &[(&str, bool)]) -> serde_json::Value {
        let target = |(i, (state, up)): (usize, &(&str, bool))| {
            let weight = json!({ "configured": 1, "in_force": u32::from(*state == "ready") });
            json!({ "address": format!("10.0.0.{i}:80"), "weight": weight, "backup": false, "state": state, "up": up,
                "in_flight": 0, "requests": 0, "errors": 0, "origin": "config", "sticky": null })
        };
        let targets: Vec<_> = targets.iter().enumerate().map(target).collect();
        json!([{ "name": "site", "balance": "random", "protocol": "http", "tls": false, "checked": true, "up": 1, "in_flight": 0,
            "requests": 0, "errors": 0, "targets": targets }])
    }

    fn told(facts: &Facts) -> Vec<(Severity, String)> {
        of(facts).items.into_iter().map(|finding| (finding.severity, finding.text)).collect()
    }

    #[test]
    fn what_operators_wanted_is_no_trouble_unless_nothing_is_left() {
        let well = of(&facts(pool(&[("ready", true), ("drain", true), ("maintenance", false)])));
        assert_eq!((well.state, &*well.text, well.items.len()), (Severity::Well, "All is well", 0));
        let none = of(&facts(pool(&[("drain", true), ("maintenance", true)])));
        assert_eq!((none.state, &*none.text), (Severity::Bad, "No target of pool site takes work"));
    }

    #[test]
    fn the_worst_comes_first() {
        let mut facts = facts(pool(&[("ready", true), ("ready", false)]));
        assert_eq!(told(&facts), [(Severity::Warn, "10.0.0.1:80 of pool site is down".to_owned())]);
        facts.late = Some(Late { requests: 200, errors: 12, accepted: 1, failed: 12 });
        let headline = of(&facts);
        assert_eq!((headline.state, &*headline.text), (Severity::Bad, "6.0 % of requests fail"));
        assert_eq!(headline.items.len(), 2);
    }

    #[test]
    fn a_few_errors_are_no_trouble_and_failing_connections_are() {
        let mut facts = facts(json!([]));
        for (late, expected) in [
            (Late { requests: 3, errors: 2, accepted: 1, failed: 2 }, None),
            (Late { requests: 1000, errors: 9, accepted: 1, failed: 9 }, None),
            (Late { requests: 1000, errors: 15, accepted: 1, failed: 0 }, Some("1.5 % of requests fail")),
            (Late { requests: 0, errors: 0, accepted: 40, failed: 40 }, Some("100 % of connections fail")),
        ] {
            facts.late = Some(late);
            assert_eq!(told(&facts).first().map(|(_, text)| text.as_str()), expected, "{late:?}");
        }
    }

    #[test]
    fn a_pool_that_was_taken_back_is_told() {
        let mut facts = facts(json!([]));
        let part = |pool: &str, halted: bool| {
            json!({ "pool": pool, "weight": { "configured": 5, "in_force": if halted { 0 } else { 95 } }, "halted": halted,
                "requests": 9, "errors": 1, "slow": 0 })
        };
        let split = json!([{ "route": "api", "by": null, "pools": [part("old", false), part("new", true)] }]);
        facts.splits = serde_json::from_value(split).unwrap();
        assert_eq!(told(&facts), [(Severity::Warn, "Pool new was taken back from route api".to_owned())]);
    }

    #[test]
    fn certificates_reloads_and_full_processes_are_told() {
        let mut facts = facts(json!([]));
        let certificate = |left| view::Certificate {
            listener: Some("web".into()),
            pool: None,
            file: "a.pem".into(),
            not_after: 0,
            left,
        };
        facts.certificates = vec![certificate(20 * DAY), certificate(5 * DAY), certificate(-1)];
        facts.status.connections = Used { open: 990, max: 1000 };
        facts.busy = vec![10, 990];
        let texts: Vec<String> = told(&facts).into_iter().map(|(_, text)| text).collect();
        assert_eq!(
            texts,
            [
                "Certificate a.pem has ended",
                "99 % of the client connections that may be are open",
                "Certificate a.pem ends in 5 days",
                "Worker 1 is at work all of its time",
            ]
        );
    }
}
