//! All that there is to tell of a request. The names of the fields are those of `--json`: they stay.

use super::files::{self, Files};
use super::notes;
use super::onward::{self, Onward};
use super::parts::{self, Aggregate};
use super::passage::Passed;
use super::request::Request;
use crate::config::url::Url;
use crate::http::dry::{self, Answer, Course, End, Judgement, Question, Says};
use crate::plan::router::Standing;
use crate::plan::{self, Plan};
use serde::Serialize;
use std::collections::HashMap;

/// What would become of a request, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// Its position among the entries of a HAR file.
    pub entry: Option<usize>,
    /// The method.
    pub method: String,
    /// The URL.
    pub url: String,
    /// The headers that were given.
    pub headers: Vec<Header>,
    /// "HTTP/1.1" or "HTTP/2".
    pub protocol: &'static str,
    /// Who connects.
    pub peer: String,
    /// The listener that takes it.
    pub listener: String,
    /// Why this one.
    pub listener_why: String,
    /// Who asks: the peer, or whom a trusted proxy names; null where the head is refused.
    pub client: Option<String>,
    /// The host that routes see; null where there is none.
    pub host: Option<String>,
    /// The path; null where the head is refused.
    pub path: Option<Path>,
    /// The route that takes it.
    pub route: Option<String>,
    /// Whether routes are looked at; if not, the request ends before.
    pub routed: bool,
    /// All routes, in the order of their names; none where they are not looked at.
    pub routes: Vec<RouteSeen>,
    /// Who asks, where rules find that out: a consumer, or whom a token is about.
    pub consumer: Option<String>,
    /// What rules say, in the order in which they are asked.
    pub rules: Vec<RuleSeen>,
    /// "forward", "aggregate", "files", "respond", "redirect", "refuse", or "passthrough".
    pub outcome: &'static str,
    /// The status of an answer of Ringway's own.
    pub status: Option<u16>,
    /// Why it is refused, as `ringway_refused_total` counts it.
    pub reason: Option<&'static str>,
    /// Why it is refused, as the access log says it.
    pub word: Option<&'static str>,
    /// The gRPC status that a call gets in place of the status.
    pub grpc_status: Option<u8>,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// The media type of a fixed answer.
    pub content_type: Option<String>,
    /// The body of a fixed answer.
    pub body: Option<String>,
    /// Which file is sent.
    pub files: Option<Files>,
    /// How it is forwarded; beside `files`, where there is no file.
    pub forward: Option<Onward>,
    /// How it is put together of what several pools say.
    pub aggregate: Option<Aggregate>,
    /// How TLS is passed on, before anybody sees a request.
    pub passthrough: Option<Passed>,
    /// What else is worth knowing, in sentences.
    pub notes: Vec<String>,
}

/// What a rule says of the request.
#[derive(Clone, Debug, Serialize)]
pub struct RuleSeen {
    /// Its name.
    pub name: String,
    /// "passes", "refuses", "would refuse" (in shadow mode), or "asks" (somebody whom nobody asked here).
    pub verdict: &'static str,
    /// Why it is refused, as the access log says it.
    pub word: Option<&'static str>,
}

/// A header.
#[derive(Clone, Debug, Serialize)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A path.
#[derive(Clone, Debug, Serialize)]
pub struct Path {
    /// As it was sent.
    pub sent: String,
    /// As routes see it.
    pub normal: String,
    /// How targets could read it otherwise, in the words of the access log.
    pub forms: Vec<&'static str>,
}

/// How a route stands to the request.
#[derive(Clone, Debug, Serialize)]
pub struct RouteSeen {
    /// Its name.
    pub name: String,
    /// "taken", "refused" (only the path's form stands in its way), "yields" (it matches, but another one goes first),
    /// "misses", or "elsewhere" (not on the listener).
    pub standing: &'static str,
    /// The condition that does not hold: "host", "path", "method", "header", "query", "client_ip", "when".
    pub condition: Option<&'static str>,
    /// In words.
    pub why: String,
    /// The later a condition is looked at, the nearer it was.
    #[serde(skip)]
    pub nearness: usize,
}

impl Explanation {
    /// Of a request about which nothing is known yet but where it comes in.
    pub(super) fn of(request: &Request, listener: &str, listener_why: &str) -> Self {
        let header = |(name, value): &(String, String)| Header { name: name.clone(), value: value.clone() };
        Self {
            entry: None,
            method: request.method.clone(),
            url: request.url.clone(),
            headers: request.headers.iter().map(header).collect(),
            protocol: if request.http2 { "HTTP/2" } else { "HTTP/1.1" },
            peer: request.client.ip().to_string(),
            listener: listener.to_owned(),
            listener_why: listener_why.to_owned(),
            client: None,
            host: None,
            path: None,
            route: None,
            routed: false,
            routes: Vec::new(),
            consumer: None,
            rules: Vec::new(),
            outcome: "refuse",
            status: None,
            reason: None,
            word: None,
            grpc_status: None,
            location: None,
            content_type: None,
            body: None,
            files: None,
            forward: None,
            aggregate: None,
            passthrough: None,
            notes: Vec::new(),
        }
    }
}

/// Puts what was found into words.
pub(super) fn tell(
    request: &Request,
    url: &Url,
    question: &Question<'_>,
    listener_why: &str,
    course: &Course,
) -> Explanation {
    let (plan, reading) = (question.plan, course.reading.as_ref());
    let (answer, onward, filed, whole) = match &course.end {
        End::Answer(answer) => (Some(answer), None, None, None),
        End::Forward(onward) => (None, Some(&**onward), None, None),
        End::Files(filed) => (None, filed.otherwise.as_deref(), Some(&**filed), None),
        End::Aggregate(whole) => (None, None, None, Some(whole)),
    };
    let refusal = answer.and_then(|answer| answer.refusal);
    let respond = answer.and_then(|answer| answer.respond.as_ref());
    let name = |route: usize| plan.routes.get(route).map(|route| route.name.clone());
    Explanation {
        client: reading.map(|reading| reading.client.ip().to_string()),
        host: reading.and_then(|reading| reading.host.clone()).filter(|host| !host.is_empty()),
        path: reading.map(|reading| Path {
            sent: readable(&reading.raw),
            normal: readable(&reading.normal),
            forms: reading.forms.words().collect(),
        }),
        route: course.route.and_then(name),
        routed: reading.is_some_and(|reading| reading.standings.is_some()),
        routes: reading.map(|reading| routes(question, course.route, reading)).unwrap_or_default(),
        consumer: course.consumer.clone(),
        rules: course.rules.iter().filter_map(|said| rule(plan, said)).collect(),
        outcome: match answer {
            None if filed.is_some() => "files",
            None if whole.is_some() => "aggregate",
            None => "forward",
            Some(Answer { refusal: Some(_), .. }) => "refuse",
            Some(Answer { location: Some(_), .. }) => "redirect",
            Some(_) => "respond",
        },
        status: answer.map(|answer| answer.status),
        reason: refusal.map(|(reason, _)| reason.word()),
        word: refusal.map(|(_, word)| word),
        grpc_status: answer.and_then(|answer| answer.grpc).map(|(status, _)| status),
        location: answer.and_then(|answer| answer.location.as_deref()).map(readable),
        content_type: respond.map(|respond| respond.content_type.clone()),
        body: respond.map(|respond| respond.body.clone()),
        files: filed.map(files::tell),
        forward: onward.map(|onward| onward::tell(plan, question.text, onward)),
        aggregate: whole.map(|whole| parts::tell(plan, &whole.text, whole)),
        notes: notes::all(url, question, course),
        ..Explanation::of(request, &question.listener.name, listener_why)
    }
}

fn rule(plan: &Plan, said: &Judgement) -> Option<RuleSeen> {
    let verdict = match said.verdict {
        Says::Passes => "passes",
        Says::Refuses => "refuses",
        Says::WouldRefuse => "would refuse",
        Says::Unasked => "asks",
    };
    let name = plan.shape.rules.get(said.rule)?.clone();
    Some(RuleSeen { name, verdict, word: Some(said.word).filter(|word| !word.is_empty()) })
}

/// Bytes of a request as text; those beyond ASCII, which a head never has in a path, stay visible.
pub(super) fn readable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

fn routes(question: &Question<'_>, taken: Option<usize>, reading: &dry::Reading) -> Vec<RouteSeen> {
    let Some(standings) = &reading.standings else { return Vec::new() };
    let Question { plan, listener, http, .. } = *question;
    let here: HashMap<usize, &Standing> = http.routes.iter().copied().zip(standings).collect();
    let first = taken.or(reading.denied).map(|route| plan.routes[route].name.as_str()).unwrap_or_default();
    let seen = |(index, route): (usize, &plan::Route)| {
        let (standing, condition, why, nearness) = match here.get(&index) {
            None => ("elsewhere", None, elsewhere(plan, index, &listener.name), 0),
            Some(Standing::Misses(condition, told)) => {
                ("misses", Some(condition.word()), told.clone(), 1 + *condition as usize)
            }
            Some(Standing::Yields(told)) => ("yields", None, format!("matches, but `{first}`{told}"), 8),
            Some(Standing::Takes(by)) if reading.denied == Some(index) => ("refused", None, by.join("; "), 9),
            Some(Standing::Takes(by)) => ("taken", None, by.join("; "), 9),
        };
        RouteSeen { name: route.name.clone(), standing, condition, why, nearness }
    };
    plan.routes.iter().enumerate().map(seen).collect()
}

fn elsewhere(plan: &Plan, route: usize, listener: &str) -> String {
    if let plan::Action::Pass(_) = plan.routes[route].action {
        return "passes TLS on, and takes no request".to_owned();
    }
    let has = |listener: &plan::Listener| match &listener.protocol {
        plan::Protocol::Http(http) => http.routes.contains(&route),
        plan::Protocol::Tcp { .. } | plan::Protocol::Udp(_) => false,
    };
    let on: Vec<String> =
        plan.listeners.iter().filter(|listener| has(listener)).map(|listener| format!("`{}`", listener.name)).collect();
    match &on[..] {
        [] => "is on no listener".to_owned(),
        on => format!("is not on listener `{listener}`, but on {}", on.join(", ")),
    }
}
