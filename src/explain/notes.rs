//! What is worth knowing beside the course of a request: what makes it odd, what a running process could do otherwise,
//! what to change where it is refused.

use super::lifecycle;
use crate::config::model::{LimitScope, RuleKind, RuleMode};
use crate::config::url::Url;
use crate::http::dry::{Answer, Course, End, Question};
use crate::observe::reason::Reason;
use crate::observe::wall;
use crate::plan::{Action, Choice, MirrorMethods};
use crate::tls::Demand;

/// Where authorities ask for the answers to their challenges (RFC 8555 §8.3).
const CHALLENGES: &[u8] = b"/.well-known/acme-challenge/";

/// All notes, the most important first.
pub(super) fn all(url: &Url, question: &Question<'_>, course: &Course) -> Vec<String> {
    let Question { plan, listener, http, .. } = question;
    let mut notes = Vec::new();
    if let End::Answer(answer) = &course.end {
        answered(question, course, answer, &mut notes);
    }
    let reading = course.reading.as_ref();
    if let Some(reading) = reading {
        if reading.client.ip() != question.peer.ip {
            let peer = question.peer.ip;
            notes.push(format!("{peer} is a trusted proxy, which says that {} asks", reading.client.ip()));
        }
        if http.answers.is_some() && reading.raw.starts_with(CHALLENGES) {
            notes.push(
                "while a certificate is asked for, the answer to its challenge goes before all of this".to_owned(),
            );
        }
    }
    if let End::Forward(onward) = &course.end
        && let Some(reading) = reading
        && !reading.forms.is_empty()
    {
        let words: Vec<&str> = reading.forms.words().collect();
        let words = words.join(", ");
        notes.push(match onward.plain {
            true => format!("some targets read such a path otherwise ({words}), but no other route is concerned: it goes on as it is"),
            false => format!("some targets read such a path otherwise ({words}): they get it in its normal form"),
        });
    }
    if url.secure != listener.tls.is_some() {
        let (says, is) = if url.secure { ("https", "http") } else { ("http", "https") };
        notes.push(format!("the URL says {says}, but requests come to listener `{}` by {is}", listener.name));
    }
    if let Some(demand) = listener.tls.as_ref().and_then(|edge| edge.demand(question.name)) {
        notes.push(match demand {
            Demand::Required => "the handshake asks for a client certificate: none, no request".to_owned(),
            Demand::Optional => "the handshake asks for a client certificate; a client may have none".to_owned(),
        });
    }
    if let Some(line) = http.hsts.strip_suffix(b"\r\n") {
        notes.push(format!("the answer gets {}", String::from_utf8_lossy(line)));
    }
    let asked = course.rules.iter().filter_map(|said| plan.shape.rules.get(said.rule));
    for name in asked {
        if plan.counted.iter().any(|counted| counted.rule == *name && counted.limiter.shares().is_some()) {
            notes.push(format!(
                "rule `{name}` counts for all hosts of [store.redis]: each lets in by the part that it has"
            ));
        }
    }
    if let Some(edits) = course.route.and_then(|route| plan.routes.get(route)?.edits.as_deref()) {
        if edits.back.is_some() {
            notes.push(
                "Location, cookies and the like of the answer are put back into what the client knows".to_owned(),
            );
        }
        let edits: Vec<String> = edits.response.iter().map(ToString::to_string).collect();
        if !edits.is_empty() {
            notes.push(format!("of the answer's headers: {}", edits.join("; ")));
        }
    }
    notes.extend(
        course
            .route
            .and_then(|route| plan.routes.get(route))
            .iter()
            .flat_map(|route| lifecycle::tell(route, wall::now())),
    );
    notes.extend(carried_out_once(question, course));
    notes.extend(divided(question, course));
    notes.extend(mirrored(question, course));
    let bodies = course.route.and_then(|route| plan.routes.get(route)).and_then(|route| match &route.action {
        Action::Forward(rule) => rule.bodies.as_ref(),
        Action::Aggregate(whole) => whole.bodies.as_ref(),
        _ => None,
    });
    if let Some(bodies) = bodies {
        for (whose, edits) in [("a request", &bodies.request), ("an answer", &bodies.response)] {
            let told: Vec<&str> = edits.iter().flat_map(|edit| &edit.told).map(String::as_str).collect();
            if !told.is_empty() {
                notes.push(format!("of the JSON body of {whose}: {}", told.join("; ")));
            }
        }
    }
    notes
}

/// What becomes of others with its Idempotency-Key.
fn carried_out_once(question: &Question<'_>, course: &Course) -> Option<String> {
    let End::Forward(_) = &course.end else { return None };
    let written = question.plan.written(&question.plan.routes.get(course.route?)?.name)?;
    let method = question.text.split(|byte| *byte == b' ').next()?;
    written.rules.iter().find_map(|name| {
        let rule = question.plan.config.rules.get(name).filter(|rule| rule.mode == RuleMode::Enforce)?;
        let RuleKind::Idempotency(of) = &rule.kind else { return None };
        of.methods.iter().find(|known| known.as_bytes() == method)?;
        let (methods, header, ttl) = (of.methods.join(" and "), &of.header, of.ttl);
        let over = if of.scope == LimitScope::Cluster { " over all hosts of [store.redis]" } else { "" };
        Some(format!(
            "rule `{name}`: of {methods} with the same {header} one is carried out{over}, and its answer given to all for {ttl}"
        ))
    })
}

/// To which pool a request goes where they are divided.
fn divided(question: &Question<'_>, course: &Course) -> Option<String> {
    let (member, choice) = course.chosen?;
    let split = question.plan.routes.get(course.route?)?.split()?;
    let parts = split.shared.parts();
    let told: Vec<String> = parts
        .iter()
        .map(|part| {
            format!(
                "`{}` {}",
                part.pool,
                if part.is_halted() { "halted".to_owned() } else { part.weight().to_string() }
            )
        })
        .collect();
    let pool = &parts.get(member)?.pool;
    let why = match choice {
        Choice::Condition => format!("this one goes to `{pool}` by its condition"),
        Choice::Key => format!("this one stays with `{pool}` by `split_by`"),
        Choice::Chance => format!("each goes by chance, here it is `{pool}`"),
    };
    Some(format!("requests are divided among pools by weight, {}: {why}", told.join(", ")))
}

/// Which other pool gets it as well.
fn mirrored(question: &Question<'_>, course: &Course) -> Option<String> {
    let End::Forward(_) = &course.end else { return None };
    let route = question.plan.routes.get(course.route?)?;
    let (mirror, written) = (route.mirror()?, question.plan.written(&route.name)?.mirror.as_ref()?);
    let which = match &mirror.methods {
        MirrorMethods::Safe => "GET, HEAD and OPTIONS".to_owned(),
        MirrorMethods::All => "any method".to_owned(),
        MirrorMethods::List(methods) => {
            methods.iter().map(|method| String::from_utf8_lossy(method).into_owned()).collect::<Vec<_>>().join(", ")
        }
    };
    let compared = if mirror.compare.is_some() { "is compared" } else { "goes to nobody" };
    Some(format!(
        "pool `{}` gets a copy of {} of requests by {which} with bodies up to {}; its answer {compared}",
        mirror.pool, written.share, written.body
    ))
}

/// What lies behind an answer of our own.
fn answered(question: &Question<'_>, course: &Course, answer: &Answer, notes: &mut Vec<String>) {
    let Question { plan, listener, http, name, .. } = question;
    if http.redirect_https && answer.location.is_some() {
        notes.push(format!("listener `{}` sends everything to https, before routing", listener.name));
    }
    if let Some((status, name)) = answer.grpc {
        notes.push(format!("a call of gRPC gets status 200 and grpc-status {status} ({name}) instead"));
    }
    if let Some(pools) = answer.respond.as_ref().map(|respond| &respond.fail_if_down).filter(|pools| !pools.is_empty())
    {
        let names: Vec<String> = pools.iter().map(|pool| format!("`{}`", pool.name)).collect();
        notes.push(format!("503 instead while pool {} is down, or the process leaves", names.join(" or ")));
    }
    let Some((reason, word)) = answer.refusal else { return };
    let route = course.route.and_then(|route| plan.routes.get(route));
    let mut pages = route.and_then(|route| route.pages.as_deref()).into_iter().chain(http.pages.as_deref());
    if answer.grpc.is_none() && pages.any(|pages| pages.find(answer.status).is_some()) {
        notes.push(format!("a page stands in place of the words of {}", answer.status));
    }
    let reading = course.reading.as_ref();
    match reason {
        Reason::AmbiguousPath => {
            let Some(reading) = reading else { return };
            let names: Vec<String> = reading.forms.names().filter(|name| *name != "//").map(quoted).collect();
            let taker = reading.denied.map(|route| plan.routes[route].name.as_str());
            notes.push("a target could read this path as another one than the routes see".to_owned());
            match (taker, &names[..]) {
                (_, []) => {}
                (Some(route), names) => notes.push(format!(
                    "allow_in_path = [{}] on route `{route}` would let it pass, unless another route takes what a target could \
                     read",
                    names.join(", ")
                )),
                (None, names) => {
                    notes.push(format!("a route could let it pass by allow_in_path = [{}]", names.join(", ")))
                }
            }
        }
        Reason::Unauthenticated | Reason::Forbidden | Reason::Denied => {
            let name = course.denied_by().and_then(|rule| plan.shape.rules.get(rule));
            name.iter().for_each(|name| notes.push(format!("rule `{name}` refuses it")));
            if word == "no-certificate" {
                notes.push("no certificate is shown here: who shows one of a consumer is let in".to_owned());
            }
        }
        Reason::Unanswered if word == "keys-away" => {
            let name = course.denied_by().and_then(|rule| plan.shape.rules.get(rule));
            name.iter().for_each(|name| {
                notes.push(format!(
                    "a process that runs fetches the keys of rule `{name}`, which are not known here: `ringway explain --live` asks \
                     it, and it says 503 only while it has none"
                ))
            });
        }
        Reason::Misdirected => {
            let host = reading.and_then(|reading| reading.host.as_deref()).unwrap_or_default();
            if listener.passes(host.as_bytes()) {
                notes.push(format!(
                    "TLS for `{host}` is passed on unopened: browsers come again on a connection of its own"
                ));
                return;
            }
            let asked = name.map_or("no name".to_owned(), |name| format!("`{name}`"));
            notes.push(format!(
                "the handshake asks for {asked}, whose TLS settings are not those of `{host}`: browsers come again on a \
                 connection of its own"
            ));
        }
        Reason::NoRoute => {
            notes.push(format!("no route takes it, and listener `{}` has no pool to fall back on", listener.name));
        }
        Reason::Maintenance => {
            let name = route.map_or("", |route| &route.name);
            notes.push(format!("route `{name}` is in maintenance; clients of its `allow` see nothing of that"));
        }
        Reason::BodyTooLarge | Reason::Idempotency if course.denied_by().is_some() => {
            let name = course.denied_by().and_then(|rule| plan.shape.rules.get(rule));
            let is_long = reason == Reason::BodyTooLarge || word == "idempotency-body-too-large";
            name.iter().for_each(|name| {
                notes.push(match is_long {
                    true => format!("the body is longer than rule `{name}` takes"),
                    false => format!("rule `{name}` refuses it"),
                });
            });
        }
        Reason::BodyTooLarge => {
            let own = course.route.and_then(|route| plan.written(&plan.routes[route].name));
            notes.push(match own.filter(|route| route.limits.request_body.is_some()) {
                Some(_) => "the body is longer than the limits.request_body of its route".to_owned(),
                None => "the body is longer than limits.request_body".to_owned(),
            });
        }
        Reason::HeadTooLarge => notes.push("the head is larger than limits.request_head".to_owned()),
        Reason::TooManyHeaders => notes.push("there are more headers than limits.headers".to_owned()),
        _ => {}
    }
}

fn quoted(name: &str) -> String {
    format!("{name:?}")
}
