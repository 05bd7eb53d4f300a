//! All that there is to tell of a request. The names of the fields are those of `--json`: they stay.

use super::notes;
use super::request::Request;
use crate::config::units::Span;
use crate::config::url::Url;
use crate::http::dry::{self, Answer, Course, End, Question};
use crate::plan::router::Standing;
use crate::plan::{self, Plan};
use crate::upstream::balance::Kind;
use serde::Serialize;
use std::collections::HashMap;
use std::time::Duration;

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
    /// All routes, in the order of their names; none where a request ends before routing.
    pub routes: Vec<RouteSeen>,
    /// "forward", "respond", "redirect", or "refuse".
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
    /// How it is forwarded.
    pub forward: Option<Onward>,
    /// What else is worth knowing, in sentences.
    pub notes: Vec<String>,
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
    /// The condition that does not hold: "host", "path", "method", "header", "query", "client_ip".
    pub condition: Option<&'static str>,
    /// In words.
    pub why: String,
    /// The later a condition is looked at, the nearer it was.
    #[serde(skip)]
    pub nearness: usize,
}

/// How a request is forwarded.
#[derive(Clone, Debug, Serialize)]
pub struct Onward {
    /// The pool.
    pub pool: String,
    /// How it chooses.
    pub balance: &'static str,
    /// What a hash is taken of.
    pub key: Option<String>,
    /// The target that the hash finds while all are up.
    pub target: Option<String>,
    /// All targets.
    pub targets: Vec<Target>,
    /// The path that the target gets, without the query.
    pub target_path: String,
    /// The request line that it gets, if it speaks HTTP/1.1.
    pub request_line: String,
    /// The Host that it gets; null where that is its own address.
    pub target_host: Option<String>,
    /// Header lines that the client did not send.
    pub adds: Vec<String>,
    /// Header lines of the client that do not arrive.
    pub drops: Vec<String>,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// What is tried again.
    pub retries: Retries,
    /// Whether it becomes a tunnel, if the target agrees.
    pub websocket: bool,
}

/// A target.
#[derive(Clone, Debug, Serialize)]
pub struct Target {
    /// Its address.
    pub address: String,
    /// Its part of the work beside the others'.
    pub weight: u32,
    /// Whether it works only while no other is up.
    pub backup: bool,
}

/// How long a target may take, in the form of the configuration.
#[derive(Clone, Debug, Serialize)]
pub struct Timeouts {
    /// To be connected to.
    pub connect: String,
    /// To the end of its answer's head.
    pub response_head: String,
    /// Without a byte within its answer.
    pub response_idle: String,
    /// Without a byte in a tunnel.
    pub tunnel: String,
}

/// What is tried again on another target.
#[derive(Clone, Debug, Serialize)]
pub struct Retries {
    /// Tries beyond the first.
    pub attempts: u32,
    /// After what: "connect", "reset".
    pub on: Vec<&'static str>,
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
    let (answer, onward) = match &course.end {
        End::Answer(answer) => (Some(answer), None),
        End::Forward(onward) => (None, Some(&**onward)),
    };
    let refusal = answer.and_then(|answer| answer.refusal);
    let header = |(name, value): &(String, String)| Header { name: name.clone(), value: value.clone() };
    let respond = answer.and_then(|answer| answer.respond.as_ref());
    let name = |route: usize| plan.routes.get(route).map(|route| route.name.clone());
    Explanation {
        entry: None,
        method: request.method.clone(),
        url: request.url.clone(),
        headers: request.headers.iter().map(header).collect(),
        protocol: if request.http2 { "HTTP/2" } else { "HTTP/1.1" },
        peer: request.client.ip().to_string(),
        listener: question.listener.name.clone(),
        listener_why: listener_why.to_owned(),
        client: reading.map(|reading| reading.client.ip().to_string()),
        host: reading.and_then(|reading| reading.host.clone()).filter(|host| !host.is_empty()),
        path: reading.map(|reading| Path {
            sent: readable(&reading.raw),
            normal: readable(&reading.normal),
            forms: reading.forms.words().collect(),
        }),
        route: course.route.and_then(name),
        routes: reading.map(|reading| routes(question, course.route, reading)).unwrap_or_default(),
        outcome: match answer {
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
        forward: onward.map(|onward| forward(plan, question.text, onward)),
        notes: notes::all(url, question, course),
    }
}

/// Bytes of a request as text; those beyond ASCII, which a head never has in a path, stay visible.
fn readable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

fn routes(question: &Question<'_>, taken: Option<usize>, reading: &dry::Reading) -> Vec<RouteSeen> {
    if reading.standings.is_empty() {
        return Vec::new();
    }
    let Question { plan, listener, http, .. } = *question;
    let here: HashMap<usize, &Standing> = http.routes.iter().copied().zip(&reading.standings).collect();
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
    let has = |listener: &plan::Listener| match &listener.protocol {
        plan::Protocol::Http(http) => http.routes.contains(&route),
        plan::Protocol::Tcp { .. } => false,
    };
    let on: Vec<String> =
        plan.listeners.iter().filter(|listener| has(listener)).map(|listener| format!("`{}`", listener.name)).collect();
    match &on[..] {
        [] => "is on no listener".to_owned(),
        on => format!("is not on listener `{listener}`, but on {}", on.join(", ")),
    }
}

fn forward(plan: &Plan, sent: &[u8], onward: &dry::Onward) -> Onward {
    let dry::Onward { rule, .. } = onward;
    let pool = &plan.pools[rule.pool];
    let shared = &pool.shared;
    let (line, head) = lines(&onward.head);
    let (_, own) = lines(sent);
    let is_host = |line: &&String| line.get(..5).is_some_and(|name| name.eq_ignore_ascii_case("host:"));
    let host = head.iter().find(is_host).and_then(|line| line.get(5..)).map(|host| host.trim().to_owned());
    let left = |all: &[String], others: &[String]| -> Vec<String> {
        let mut others: Vec<&String> = others.iter().collect();
        let is_new = |line: &&String| match others.iter().position(|other| other == line) {
            Some(place) => {
                others.swap_remove(place);
                false
            }
            None => true,
        };
        all.iter().filter(is_new).filter(|line| !is_host(line)).cloned().collect()
    };
    let span = |time: Duration| Span(time).to_string();
    Onward {
        pool: shared.name.clone(),
        balance: balance(shared.balance),
        key: pool.key.as_ref().map(ToString::to_string),
        target: onward.target.and_then(|target| shared.targets.get(target)).map(|target| target.name.clone()),
        targets: shared
            .targets
            .iter()
            .map(|target| Target { address: target.name.clone(), weight: target.weight, backup: target.backup })
            .collect(),
        target_path: readable(&onward.path),
        request_line: line,
        target_host: host.filter(|_| rule.host != plan::Host::Target),
        adds: left(&head, &own),
        drops: left(&own, &head),
        timeouts: Timeouts {
            connect: span(shared.timeouts.connect),
            response_head: span(shared.timeouts.response_head),
            response_idle: span(shared.timeouts.response_idle),
            tunnel: span(shared.timeouts.tunnel),
        },
        retries: Retries {
            attempts: rule.attempts,
            on: [(rule.retry_connect, "connect"), (rule.retry_reset && onward.idempotent, "reset")]
                .into_iter()
                .filter_map(|(is_on, word)| is_on.then_some(word))
                .collect(),
        },
        websocket: onward.websocket,
    }
}

/// The first line of a head, and the others.
fn lines(head: &[u8]) -> (String, Vec<String>) {
    let text = readable(head);
    let mut lines = text.split("\r\n").filter(|line| !line.is_empty()).map(str::to_owned);
    (lines.next().unwrap_or_default(), lines.collect())
}

fn balance(kind: Kind) -> &'static str {
    match kind {
        Kind::RoundRobin => "round-robin",
        Kind::LeastConn => "least-conn",
        Kind::Latency => "latency",
        Kind::Random => "random",
        Kind::Hash => "hash",
    }
}
