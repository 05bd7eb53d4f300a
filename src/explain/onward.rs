//! What there is to tell of a request that is forwarded.

use super::cached::{self, Cached};
use super::explanation::readable;
use super::live;
use super::sticky::{self, Belonging};
use crate::compress::Choice;
use crate::config::model::RetryOn;
use crate::config::units::Span;
use crate::http::dry;
use crate::net::proxy_protocol::Form;
use crate::plan::{self, Plan};
use crate::upstream::balance::Kind;
use crate::upstream::{self, Pool};
use serde::Serialize;
use std::time::Duration;

/// How a request is forwarded.
#[derive(Clone, Debug, Serialize)]
pub struct Onward {
    /// The pool.
    pub pool: String,
    /// How it chooses.
    pub balance: &'static str,
    /// What a hash is taken of.
    pub key: Option<String>,
    /// The target that the client belongs to, or that the hash finds, while all are up.
    pub target: Option<String>,
    /// How the client stays with its target; null where it does not.
    pub sticky: Option<Belonging>,
    /// All targets that are written down.
    pub targets: Vec<Target>,
    /// By which PROXY header the target is told of the client: "v1", "v2", "v2-crc32c"; null if by none.
    pub send_proxy: Option<&'static str>,
    /// Where a running process finds more of them; null: nowhere.
    pub discovery: Option<String>,
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
    /// Where it waits; null: nothing is limited.
    pub queue: Option<Queue>,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// What is tried again.
    pub retries: Retries,
    /// After which time without an answer a second target is asked as well; null: never.
    pub hedge: Option<String>,
    /// What the request becomes on its way; null: it stays what it is.
    pub translated: Option<String>,
    /// How an answer is compressed whose type and length are worth it; null: the route compresses none.
    pub compress: Option<String>,
    /// What becomes of targets that fail or come and go, in sentences.
    pub health: Vec<String>,
    /// How it stands to the cache of its route; null where that has none.
    pub cache: Option<Cached>,
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
    /// What it may have in flight; null: any.
    pub max_in_flight: Option<u32>,
}

/// Where a request waits while its targets have in hand what they may.
#[derive(Clone, Debug, Serialize)]
pub struct Queue {
    /// What all targets together may have in flight; null: any.
    pub max_in_flight: Option<u32>,
    /// How many may wait.
    pub length: usize,
    /// For how long.
    pub timeout: String,
    /// In which class: lower ones are served first.
    pub priority_class: i32,
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
    /// After what: "connect", "reset", "timeout", "bad-response", a status; of those that the request may be sent again after.
    pub on: Vec<String>,
    /// How long one try may take to the head of its answer, in the form of the configuration.
    pub per_try: Option<String>,
    /// The wait before targets that were tried are tried again; null: they are not.
    pub backoff: Option<String>,
    /// The most tries beyond the first, as a share of the route's requests.
    pub budget: Option<String>,
    /// Bytes of the request's body that are held for another try.
    pub body: usize,
}

/// Puts what was found into words. `sent` is the head as the client sends it.
pub(super) fn tell(plan: &Plan, sent: &[u8], onward: &dry::Onward) -> Onward {
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
    let belongs = onward.sticky.is_some_and(|belonging| belonging.owner.is_some());
    Onward {
        pool: shared.name.clone(),
        balance: balance(shared.balance),
        key: pool.key.as_ref().map(ToString::to_string),
        target: onward.target.and_then(|target| shared.targets.get(target)).map(|target| target.name.clone()),
        sticky: shared.sticky.as_ref().and_then(|sticky| {
            sticky::tell(sticky, onward, |place| shared.targets.get(place).map(|target| target.name.clone()))
        }),
        targets: targets(shared),
        send_proxy: form(shared.send_proxy),
        discovery: plan
            .config
            .pools
            .get(&shared.name)
            .and_then(|pool| pool.discover.as_ref())
            .map(|discover| discover.shown()),
        target_path: readable(&onward.path),
        request_line: line,
        target_host: host.filter(|_| rule.host != plan::Host::Target),
        adds: left(&head, &own),
        drops: left(&own, &head),
        queue: shared.queue.as_ref().map(|queue| Queue {
            max_in_flight: queue.limits.max_in_flight,
            length: queue.limits.length,
            timeout: span(shared.timeouts.queue),
            priority_class: rule.priority_class,
        }),
        timeouts: Timeouts {
            connect: span(shared.timeouts.connect),
            response_head: span(shared.timeouts.response_head),
            response_idle: span(shared.timeouts.response_idle),
            tunnel: span(shared.timeouts.tunnel),
        },
        retries: retries(&rule.retry, onward.repeatable),
        hedge: rule.hedge.filter(|_| onward.repeatable && !onward.websocket && !belongs).map(span),
        translated: onward.translated.clone(),
        compress: rule.compress.as_ref().zip(onward.coding).map(|(compress, choice)| compression(compress, choice)),
        health: live::tell(shared),
        cache: rule.cache.as_deref().zip(onward.cached.as_ref()).map(|(caching, lookup)| cached::tell(caching, lookup)),
        websocket: onward.websocket,
    }
}

/// How an answer is compressed.
fn compression(compress: &plan::Compress, choice: Choice) -> String {
    match choice {
        Choice::Coded(coding) | Choice::Needed(coding) => format!("{coding}, level {}", compress.level(coding)),
        Choice::Identity => {
            let offered: Vec<&str> = compress.codings.iter().map(|coding| coding.token()).collect();
            format!("none: the client does not ask for {}", offered.join(", "))
        }
    }
}

/// What is tried again of a request that may be sent twice, or may not.
fn retries(retry: &plan::Retry, repeatable: bool) -> Retries {
    let on = &retry.on;
    let words = [
        (on.connect, "connect"),
        (on.reset && repeatable, "reset"),
        (on.timeout && repeatable, "timeout"),
        (on.bad_response && repeatable, "bad-response"),
    ];
    let statuses = on.statuses.iter().filter(|_| repeatable).map(|&(low, high)| RetryOn::Status(low, high).to_string());
    Retries {
        attempts: retry.attempts,
        on: words.into_iter().filter(|(is_on, _)| *is_on).map(|(_, word)| word.to_owned()).chain(statuses).collect(),
        per_try: retry.per_try.map(|span| Span(span).to_string()),
        backoff: retry.backoff.map(|span| Span(span).to_string()),
        budget: retry.budget.as_ref().map(|budget| budget.percent()),
        body: retry.body,
    }
}

/// The first line of a head, and the others.
fn lines(head: &[u8]) -> (String, Vec<String>) {
    let text = readable(head);
    let mut lines = text.split("\r\n").filter(|line| !line.is_empty()).map(str::to_owned);
    (lines.next().unwrap_or_default(), lines.collect())
}

/// All targets of a pool.
pub(super) fn targets(pool: &Pool) -> Vec<Target> {
    let target = |target: &upstream::Target| Target {
        address: target.name.clone(),
        weight: target.weight,
        backup: target.backup,
        max_in_flight: target.max_in_flight,
    };
    pool.targets.iter().map(target).collect()
}

/// By which header targets are told of clients, as a configuration has it.
pub(super) fn form(form: Option<Form>) -> Option<&'static str> {
    form.map(|form| match form {
        Form::Line => "v1",
        Form::Binary => "v2",
        Form::Sealed => "v2-crc32c",
    })
}

/// How a target is chosen, as a configuration has it.
pub(super) fn balance(kind: Kind) -> &'static str {
    match kind {
        Kind::RoundRobin => "round-robin",
        Kind::LeastConn => "least-conn",
        Kind::Latency => "latency",
        Kind::Random => "random",
        Kind::Hash => "hash",
    }
}
