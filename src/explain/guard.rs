//! Who may not even connect.

use super::explanation::Explanation;
use super::request::Request;
use crate::config::model::{ClientLimits, OnRefuse};
use crate::net;
use crate::observe::reason::Reason;
use crate::plan::Plan;
use crate::plan::guard::Barred;

/// What becomes of a request whose connection may not come in, or is counted, whatever else is said of it.
pub(super) fn look(plan: &Plan, request: &Request, mut explanation: Explanation) -> Explanation {
    let name = explanation.listener.clone();
    let guard = plan.listener(&name).and_then(|listener| listener.guard.as_ref());
    let Some((guard, written)) = guard.zip(plan.config.listeners.get(&name)) else { return explanation };
    let client = request.client.ip();
    if !guard.judges(request.client.into()) {
        explanation.notes.push(format!("{client} may send PROXY headers: whom they name is looked at instead of it"));
        return explanation;
    }
    let turned = guard.ask(client, net::coarse_now(), |_, _, _| {}).err().filter(|_| guard.bars(client).is_none());
    if let Some(name) = turned.and_then(|turned| plan.shape.rules.get(turned.rule?)) {
        let why = format!("rule `{name}` of listener `{}` keeps {client} out", explanation.listener);
        return kept_out(why, written.on_refuse, request, &explanation);
    }
    let Some(barred) = guard.bars(client) else {
        if let Some(limits) = guard.limits_of(client).and(written.limits.as_ref()) {
            explanation.notes.push(format!("a client of listener `{name}` may {}", allowance(limits)));
        }
        return explanation;
    };
    let why = match barred {
        Barred::Denied => format!("{client} is in `deny` of listener `{name}`"),
        Barred::NotAllowed => format!("{client} is not in `allow` of listener `{name}`"),
    };
    kept_out(why, written.on_refuse, request, &explanation)
}

fn kept_out(why: String, on_refuse: OnRefuse, request: &Request, explanation: &Explanation) -> Explanation {
    let end = match on_refuse {
        OnRefuse::Reject => "its connection is reset before anything is read",
        OnRefuse::Silent => "its connection is forgotten before anything is read, and it is not told",
    };
    let mut refused = Explanation::of(request, &explanation.listener, &explanation.listener_why);
    (refused.reason, refused.word) = (Some(Reason::Denied.word()), Some(Reason::Denied.word()));
    refused.notes.push(format!("{why}: {end}"));
    refused
}

fn allowance(limits: &ClientLimits) -> String {
    let open = limits.connections.map(|most| format!("have {most} connections open"));
    let made = limits.rate.map(|rate| {
        let burst = limits.burst.unwrap_or(rate.per_second());
        format!("make {rate} of them, {burst} at once")
    });
    let all: Vec<String> = open.into_iter().chain(made).collect();
    all.join(" and ")
}
