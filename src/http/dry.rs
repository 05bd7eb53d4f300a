//! A request without a connection: what the data plane would do with it, found by the data plane's own functions.
//!
//! What always holds: nothing is sent, opened or counted. What a running process alone knows (which targets are up, what
//! is in flight, challenges under way) is taken at its start: all up, nothing there.

use super::aggregate;
use super::body::Body;
use super::cached;
pub use super::cached::Lookup;
use super::coded;
use super::connection::PeerText;
use super::decide::{self, Decided, Decision, Setting};
use super::edit;
use super::exchange::Heads;
use super::files;
use super::forward::Path;
use super::grpc;
use super::h1::{self, Framing, Incoming, Limits, Parsed, Reject, Scan};
use super::head::{Method, RequestHead, TargetForm};
use super::intake;
use super::onward::{Leaving, onward_path, stripped};
use super::outcome::RequestId;
use super::reply::Reply;
use super::request::{self, View};
use super::rules::{self, Sent};
use super::sticky::Stuck;
use super::trace;
use super::translated::{Chosen, Sought, choose};
use super::tries::is_repeatable;
use crate::compress::Choice as Coding;
use crate::config::model::{RuleKind, RuleMode};
use crate::gateway::idempotency::{self, Refused};
use crate::gateway::{Denial, Note};
use crate::net::{Lease, Peer};
use crate::observe::access::Tls;
use crate::observe::reason::{Reason, Sticking};
use crate::observe::wall;
use crate::plan::Choice;
use crate::plan::path::{self, Forms, Verdict};
use crate::plan::router::Standing;
use crate::plan::{Aggregate, Caching, Forward, Http, Listener, Plan, Respond, Site};
use crate::tls::{Edge, Facts};
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A request, and how it would come.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What is in force.
    pub plan: &'a Plan,
    /// The listener, which speaks HTTP.
    pub listener: &'a Listener,
    /// Its settings for HTTP.
    pub http: &'a Http,
    /// The whole head, as a client sends it by HTTP/1.1.
    pub text: &'a [u8],
    /// Who dials.
    pub peer: Peer,
    /// The port of ours that is dialled; 0 for a Unix socket.
    pub port: u16,
    /// The name that a handshake would ask for; `None` for an address.
    pub name: Option<&'a str>,
    /// Whether it comes by HTTP/2.
    pub multiplexed: bool,
}

/// What would become of a request.
#[derive(Debug)]
pub struct Course {
    /// How its head was read; `None` where it was not understood.
    pub reading: Option<Reading>,
    /// The route's position in the plan, if one takes it.
    pub route: Option<usize>,
    /// What rules say of it, in the order in which they are asked: one may refuse it, by its head the last, by its body any.
    pub rules: Vec<Judgement>,
    /// What the consumer is called that it comes from, or who is none, whom their token is about.
    pub consumer: Option<String>,
    /// Which of the pools that the route's requests are divided among it goes to, and by what; `None`: they are not divided.
    pub chosen: Option<(usize, Choice)>,
    /// How it ends.
    pub end: End,
}

/// What a rule says of a request.
#[derive(Clone, Copy, Debug)]
pub struct Judgement {
    /// Its position in the plan's shape.
    pub rule: usize,
    /// What becomes of the request.
    pub verdict: Says,
    /// Why it is refused, as the log says it.
    pub word: &'static str,
}

/// What becomes of a request by a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// It goes on.
    Passes,
    /// It does not.
    Refuses,
    /// It goes on, as the rule is in shadow mode.
    WouldRefuse,
    /// The rule would ask somebody, and that was not done.
    Unasked,
}

impl Course {
    /// The rule that refuses it, by its position in the plan's shape.
    pub fn denied_by(&self) -> Option<usize> {
        self.rules.iter().rev().find(|last| last.verdict == Says::Refuses).map(|last| last.rule)
    }
}

impl Judgement {
    /// What was noted of a rule that has said something.
    pub(super) fn of(note: &Note<'_>) -> Self {
        let verdict = match (note.denial, note.shadow) {
            (None, _) => Says::Passes,
            (Some(_), false) => Says::Refuses,
            (Some(_), true) => Says::WouldRefuse,
        };
        Self { rule: note.rule, verdict, word: note.denial.map_or("", |denial| denial.word) }
    }
}

/// How a head was read.
#[derive(Debug)]
pub struct Reading {
    /// Who asks: the peer, or whom a trusted proxy names.
    pub client: SocketAddr,
    /// What routes, cache keys and certificates see of the host; `None` where it is none.
    pub host: Option<String>,
    /// The path as it was sent.
    pub raw: Vec<u8>,
    /// The path that routes see.
    pub normal: Vec<u8>,
    /// How targets could read it otherwise.
    pub forms: Forms,
    /// How the routes of the listener stand to it, in the order of [`Http::routes`]; `None` where routing is not reached.
    pub standings: Option<Vec<Standing>>,
    /// The route in whose way only its path's form stands, as a position in the plan.
    pub denied: Option<usize>,
}

/// How a request ends.
#[derive(Debug)]
pub enum End {
    /// We answer.
    Answer(Answer),
    /// A target does.
    Forward(Box<Onward>),
    /// A file is sent, if there is one.
    Files(Box<Files>),
    /// It is put together of what several pools say.
    Aggregate(Parts),
}

/// How the parts of an answer are asked for.
#[derive(Debug)]
pub struct Parts {
    /// What the answer is made of.
    pub aggregate: Arc<Aggregate>,
    /// The head by which parts are asked, as if a client had sent it.
    pub text: Vec<u8>,
    /// Each part, in their order: how it is forwarded, or what stands for it as it is not.
    pub asked: Vec<Result<Box<Onward>, Answer>>,
}

/// Where a file is looked for.
#[derive(Debug)]
pub struct Files {
    /// Among which files.
    pub site: Arc<Site>,
    /// Its name; `None` where no file has such a name, or it is hidden.
    pub name: Option<Vec<u8>>,
    /// What becomes of the request where there is no file, and a pool beside.
    pub otherwise: Option<Box<Onward>>,
}

/// An answer of our own.
#[derive(Debug)]
pub struct Answer {
    /// The status; of a call of gRPC the one that stands for it.
    pub status: u16,
    /// Why it is refused, as metrics count it and as the log says it.
    pub refusal: Option<(Reason, &'static str)>,
    /// Where the client is sent.
    pub location: Option<Vec<u8>>,
    /// What a route or `OPTIONS` says.
    pub respond: Option<Arc<Respond>>,
    /// The gRPC status that goes out in its place, with its name.
    pub grpc: Option<(u8, &'static str)>,
}

/// A request on its way to a target.
#[derive(Debug)]
pub struct Onward {
    /// How.
    pub rule: Arc<Forward>,
    /// The path that the target gets, without the query.
    pub path: Vec<u8>,
    /// Whether that is made of the bytes that were sent, and not of their normal form.
    pub plain: bool,
    /// The target that the client belongs to, or that a hash finds, while all are up, by its position in the pool.
    pub target: Option<usize>,
    /// Where the client belongs, if the pool is sticky.
    pub sticky: Option<Belonging>,
    /// The head that this target gets, or else the first one that takes requests.
    pub head: Vec<u8>,
    /// How it stands to the cache of its route, if that has one.
    pub cached: Option<Lookup>,
    /// Whether a WebSocket is asked for.
    pub websocket: bool,
    /// Whether the request may be sent twice.
    pub repeatable: bool,
    /// What it becomes on its way; `None`: it stays what it is.
    pub translated: Option<String>,
    /// What the client is given of an answer that is compressed; `None`: the route compresses none.
    pub coding: Option<Coding>,
}

/// Where a client belongs, as far as its request says so.
#[derive(Clone, Copy, Debug)]
pub struct Belonging {
    /// The target, by its position in the pool.
    pub owner: Option<usize>,
    /// How it stands.
    pub how: Sticking,
}

/// Finds what would become of a request.
pub fn run(question: &Question<'_>) -> Course {
    let Question { plan, listener, http, text, .. } = *question;
    let mut heads = Heads::default();
    let incoming = match parse(plan, text, &mut heads) {
        Ok(incoming) => incoming,
        Err(reject) => {
            let end = End::Answer(answer(question, &heads, &Reply::reject(reject)));
            return Course { reading: None, route: None, rules: Vec::new(), consumer: None, chosen: None, end };
        }
    };
    let options = Arc::new(Respond::options());
    let session = handshake(question);
    let session = session.as_ref();
    let setting = Setting {
        routes: &plan.routes,
        listener,
        http,
        session,
        options: &options,
        peer: question.peer,
        leaving: false,
        clock: wall::now,
        chance: || 1.0,
    };
    let is_misdirected = |edge: &Edge, host: &[u8]| edge.parts(host, question.name);
    let Decided { client, route, decision } =
        decide::decide(&setting, &mut heads, text, incoming.final_hop, is_misdirected);
    let mut said = Vec::new();
    let refused = route.map(|route| &plan.routes[route]).and_then(|route| {
        let rules = route.rules.as_deref()?;
        let Heads { request, path, who, .. } = &mut heads;
        let is_call = question.multiplexed && grpc::asks(request, text);
        let sent = Sent { head: request, text, normal: path, instead: None, listener, session, is_call };
        rules::would(rules, (route, client.ip()), sent, who, |judgement| said.push(judgement)).err()
    });
    let length = match incoming.framing {
        Framing::Length(length) if matches!(decision, Decision::Forward(..)) => length,
        _ => 0,
    };
    let refused = refused.map(|refused| refused.denial).or_else(|| {
        let is_call = question.multiplexed && grpc::asks(&heads.request, text);
        let mut judged = said.iter_mut().filter(|_| length > 0 && !is_call);
        judged.find_map(|judgement| too_long(plan, judgement, &heads.request, text, length))
    });
    let consumer = heads.who.name().map(str::to_owned);
    let mut chosen = None;
    let end = match decision {
        Decision::Preflight(reply, ..) => End::Answer(answer(question, &heads, &reply)),
        _ if let Some(refused) = refused => End::Answer(answer(question, &heads, &Reply::denied(refused))),
        Decision::Reply(reply) => End::Answer(answer(question, &heads, &reply)),
        Decision::Forward(rule, path) => {
            let member = rule.split.as_ref().and_then(|split| {
                let Heads { request, path, who, .. } = &heads;
                let is_call = question.multiplexed && grpc::asks(request, text);
                let sent = Sent { head: request, text, normal: path, instead: None, listener, session, is_call };
                let name = route.map_or("", |route| plan.routes[route].name.as_str());
                chosen = Some(rules::choose(split, (name, client.ip()), &sent, who));
                split.forward(chosen?.0)
            });
            onward(question, &heads, member.unwrap_or(rule).clone(), path, &incoming, (client, route))
        }
        Decision::Files(site, path) => of_files(question, &heads, site.clone(), path, &incoming, (client, route)),
        Decision::Aggregate(whole, path) => of_parts(question, &heads, whole.clone(), path, (client, route)),
    };
    let reading = read(question, &mut heads, client, &incoming, &end);
    Course { reading: Some(reading), route, rules: said, consumer, chosen, end }
}

/// Refuses by a rule of type idempotency what names a key and has a longer body than the rule takes, as a process does once it reads that.
fn too_long(plan: &Plan, judgement: &mut Judgement, request: &RequestHead, text: &[u8], length: u64) -> Option<Denial> {
    let rule = plan.config.rules.values().nth(judgement.rule)?;
    let RuleKind::Idempotency(of) = &rule.kind else { return None };
    let method = request.method_text.of(text);
    let is_for = of.methods.iter().any(|of| of.as_bytes() == method);
    let names_key = request.values(text, of.header.as_bytes()).next().is_some();
    if judgement.verdict != Says::Passes || !is_for || !names_key || length <= of.max_request_body.0 {
        return None;
    }
    let denial = idempotency::refused(Refused::TooLarge);
    let is_shadow = rule.mode == RuleMode::Shadow;
    judgement.verdict = if is_shadow { Says::WouldRefuse } else { Says::Refuses };
    judgement.word = denial.word;
    (!is_shadow).then_some(denial)
}

/// What a handshake would have agreed on; of it the name is known alone.
fn handshake(question: &Question<'_>) -> Option<Facts> {
    question.listener.tls.as_ref()?;
    Some(Facts {
        version: "",
        cipher: "",
        name: question.name.map(Into::into),
        resumed: false,
        h2: question.multiplexed,
        identity: None,
        shown: None,
        policy: 0,
        state: 0,
    })
}

fn parse(plan: &Plan, text: &[u8], heads: &mut Heads) -> Result<Incoming, Reject> {
    let limits = Limits { head: plan.limits.request_head, fields: plan.limits.headers };
    match h1::parse_request(text, &limits, &mut Scan::default(), &mut heads.request)? {
        Parsed::Complete(incoming) => Ok(incoming),
        Parsed::Partial { .. } => Err(Reject { status: 400, reason: "incomplete" }),
    }
}

/// What there is to tell of a head beyond the decision.
fn read(question: &Question<'_>, heads: &mut Heads, client: SocketAddr, incoming: &Incoming, end: &End) -> Reading {
    let Question { listener, http, text, .. } = *question;
    let Heads { request, path, hosts, .. } = heads;
    let host = hosts.canonical(request.authority.of(text), listener.own_port()).ok();
    let raw = decide::raw_path(request.form, request.path.of(text));
    let verdict = path::normalise(raw, path);
    let normal: &[u8] = if verdict == Verdict::Plain { raw } else { path };
    let forms = if let Verdict::Ambiguous(forms) = verdict { forms } else { Forms::NONE };
    let refusal = match end {
        End::Answer(answer) => answer.refusal.map(|(reason, _)| reason),
        End::Forward(_) | End::Files(_) | End::Aggregate(_) => None,
    };
    let session = handshake(question);
    let routed = !http.redirect_https && !incoming.final_hop && refusal != Some(Reason::Misdirected);
    let (mut standings, mut denied) = (None, None);
    if let Some(host) = host.filter(|_| routed) {
        let view = View {
            head: request,
            text,
            host: host.name,
            path: normal,
            client: client.ip(),
            instead: None,
            listener,
            session: session.as_ref(),
            unclear: &Cell::default(),
        };
        let found = http.router.find(&view).map(|found| found.route);
        standings = Some(http.router.standings(&view, found));
        denied = found.filter(|_| refusal == Some(Reason::AmbiguousPath)).map(|found| http.routes[found]);
    }
    let host = host.map(|host| host.name.escape_ascii().to_string());
    Reading { client, host, raw: raw.to_vec(), normal: normal.to_vec(), forms, standings, denied }
}

fn onward(
    question: &Question<'_>,
    heads: &Heads,
    rule: Arc<Forward>,
    path: Path,
    incoming: &Incoming,
    (client, route): (SocketAddr, Option<usize>),
) -> End {
    let Question { plan, listener, http, text, peer, port, .. } = *question;
    let limit = rule.body_limit(&plan.limits);
    if let Err(error) = Body::new(incoming.framing, Lease::empty(), limit) {
        return End::Answer(answer(question, heads, &intake::refusal_of(&error)));
    }
    let Heads { request, path: normal, .. } = heads;
    let pool = &plan.pools[rule.pool];
    let raw = request.path.of(text);
    let key = pool.key.as_ref().map(|key| {
        let seen = if path.plain { raw } else { normal };
        request::hash_key(key, heads, text, client.ip(), seen)
    });
    let sticky = pool.shared.sticky.as_ref();
    let stuck = sticky.map(|sticky| Stuck::look(sticky, request, text, client.ip(), Duration::ZERO));
    let owner = stuck.and_then(|stuck| stuck.owner);
    let target = owner.or_else(|| pool.shared.owner(key.unwrap_or(0)));
    let first = pool.shared.targets.iter().position(|target| target.weight > 0 && !target.backup);
    let rewritten = match &rule.rewrite {
        Some(rewrite) if request.form != TargetForm::Asterisk => {
            let facts = facts(question, heads, (client, route), ("", ""));
            let paths = (decide::raw_path(request.form, raw), &normal[..]);
            match edit::rewritten(rewrite, &rule, path, paths, &facts) {
                Ok(rewritten) => Some(rewritten),
                Err(refusal) => {
                    return End::Answer(answer(question, heads, &Reply::ambiguous_path(refusal.reason())));
                }
            }
        }
        _ => None,
    };
    let rewritten = rewritten.as_ref();
    let own_path = if path.plain { raw } else { normal };
    let sought = Sought {
        head: request,
        text,
        path: rewritten.map_or_else(|| stripped(&rule, own_path), |rewritten| &rewritten.path),
        is_call: question.multiplexed && grpc::asks(request, text),
        has_body: !matches!(incoming.framing, Framing::None | Framing::Length(0)),
        websocket: incoming.websocket,
    };
    let (translated, change) = match choose(rule.translate.as_deref().unwrap_or_default(), &sought) {
        Chosen::Refused(refusal) => return End::Answer(answer(question, heads, &refusal.into_reply())),
        chosen => (chosen.told(), chosen.change()),
    };
    let mut head = Vec::new();
    if let Some(target) = pool.shared.targets.get(target.or(first).unwrap_or(0)) {
        let (rule, peer_text) = (&*rule, &PeerText::new(peer.ip));
        let tracing = plan.tracing.as_ref();
        let trace = tracing.map(|tracing| trace::would_be(tracing, http.trusts(peer.ip), request, text));
        let certificate = &[];
        let leaving = Leaving {
            listener,
            http,
            rule,
            target,
            path,
            rewritten,
            incoming,
            peer,
            peer_text,
            port,
            certificate,
            trace,
            sticky,
        };
        leaving.encode(request, text, normal, &mut head);
        if let Some(change) = &change {
            change.apply(&mut head);
        }
        if let Some(edits) = rule.edits.as_ref().filter(|edits| !edits.request.is_empty()) {
            let facts = facts(question, heads, (client, route), (&pool.shared.name, &target.name));
            edit::written_request(&edits.request, &facts, &mut head);
        }
    }
    let own = if request.form == TargetForm::Asterisk { b"*" } else { decide::raw_path(request.form, raw) };
    let plain = path.send == path::Forward::Raw;
    let route_path = path;
    let path = match rewritten {
        Some(rewritten) => rewritten.path.clone(),
        None => onward_path(&rule, path, raw, normal).unwrap_or(own).to_vec(),
    };
    let websocket = incoming.websocket && http.websocket;
    let grpc = question.multiplexed && grpc::asks(request, text);
    let would = |caching: &Arc<Caching>| {
        let trusted = http.trusts(peer.ip);
        cached::would(caching, listener, (heads, text), route_path, incoming, (grpc, trusted))
    };
    let cached = rule.cache.as_ref().map(would);
    End::Forward(Box::new(Onward {
        path,
        plain,
        target,
        sticky: stuck.map(|stuck| Belonging { owner, how: stuck.stands(owner) }),
        head,
        cached,
        websocket,
        repeatable: is_repeatable(&rule, request, text),
        translated,
        coding: rule.compress.as_ref().map(|compress| coded::offer(compress, request, text)),
        rule,
    }))
}

/// What edits are filled in from; of the handshake its name is known alone.
fn facts<'a>(
    question: &Question<'a>,
    heads: &'a Heads,
    (client, route): (SocketAddr, Option<usize>),
    (pool, target): (&'a str, &'a str),
) -> edit::Facts<'a> {
    let Question { plan, listener, text, name, multiplexed, .. } = *question;
    edit::Facts {
        client,
        listener: &listener.name,
        route: route.map_or("", |route| &plan.routes[route].name),
        pool,
        target,
        id: RequestId::sample(),
        consumer: heads.who.consumer.as_deref(),
        told: &heads.who.told,
        limits: &heads.who.limits,
        tokens: &heads.who.tokens,
        head: &heads.request,
        text,
        is_http2: multiplexed,
        scheme: listener.scheme(),
        tls: listener.tls.as_ref().map(|_| Tls { version: "", cipher: "", name: name.unwrap_or_default() }),
        status: 0,
    }
}

fn of_files(
    question: &Question<'_>,
    heads: &Heads,
    site: Arc<Site>,
    path: Path,
    incoming: &Incoming,
    seen_as: (SocketAddr, Option<usize>),
) -> End {
    let is_read = matches!(heads.request.method, Method::Get | Method::Head);
    let seen = files::normal_path(path, &heads.request, question.text, &heads.path);
    let name = files::relative(seen, site.strip_prefix.as_deref(), site.dotfiles).map(|name| name.bytes);
    let otherwise = site.otherwise.clone().map(|rule| onward(question, heads, rule, path, incoming, seen_as));
    let is_there = is_read && (name.is_some() || site.fallback.is_some());
    match otherwise {
        Some(End::Forward(onward)) if is_there => End::Files(Box::new(Files { site, name, otherwise: Some(onward) })),
        Some(end) => end,
        None if is_there => End::Files(Box::new(Files { site, name, otherwise: None })),
        None => {
            let (status, reason) = if is_read { (404, Reason::NoFile) } else { (405, Reason::Method) };
            End::Answer(answer(question, heads, &Reply::refusal(status, reason)))
        }
    }
}

fn of_parts(
    question: &Question<'_>,
    heads: &Heads,
    aggregate: Arc<Aggregate>,
    path: Path,
    seen_as: (SocketAddr, Option<usize>),
) -> End {
    if !aggregate::is_served(heads.request.method) {
        return End::Answer(answer(question, heads, &Reply::refusal(405, Reason::Method)));
    }
    let mut text = Vec::new();
    aggregate::write_question(&heads.request, question.text, &mut text);
    let mut asked = Heads { path: heads.path.clone(), who: heads.who.clone(), ..Heads::default() };
    let incoming = match parse(question.plan, &text, &mut asked) {
        Ok(incoming) => incoming,
        Err(reject) => return End::Answer(answer(question, heads, &Reply::reject(reject))),
    };
    let of_part = Question { text: &text, ..*question };
    let each = aggregate.parts.iter().map(|part| {
        match onward(&of_part, &asked, part.forward.clone(), path, &incoming, seen_as) {
            End::Forward(onward) => Ok(onward),
            End::Answer(answer) => Err(answer),
            End::Files(_) | End::Aggregate(_) => Err(answer(question, heads, &Reply::bare(500))),
        }
    });
    let asked = each.collect();
    End::Aggregate(Parts { aggregate, text, asked })
}

fn answer(question: &Question<'_>, heads: &Heads, reply: &Reply) -> Answer {
    let call = question.multiplexed && grpc::asks(&heads.request, question.text);
    Answer {
        status: reply.status,
        refusal: reply.refusal,
        location: reply.location().map(<[u8]>::to_vec),
        respond: reply.respond().cloned(),
        grpc: (call && reply.is_error())
            .then(|| reply.call().map_or_else(|| grpc::status(reply.status), |(code, _)| (code, "unimplemented"))),
    }
}
