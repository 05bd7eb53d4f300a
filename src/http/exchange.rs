//! One request and its answer: the head is read, a route is found, and the route's action is carried out.
//!
//! What always holds: every request that was understood gets exactly one answer or a closed connection, and is counted
//! and logged exactly once, when the exchange is finished.

use super::aggregate;
use super::buffer::Backlog;
use super::cached::{self, Quick, Room};
use super::connection::{Connection, linger};
use super::decide::{self, Decision, Setting};
use super::edit;
use super::files::{self, Served};
use super::forward;
use super::grpc;
use super::h1::{self, Asker, Incoming, Limits, Parsed, Scan};
use super::head::{Method, RequestHead, ResponseHead, Version};
use super::idempotent;
use super::mirror::Watch;
use super::outcome::{Context, Outcome};
use super::reply::{Reply, owes_body};
use super::request::Unclear;
use super::rules::{self, Judged, Ruled};
use super::sticky::Stuck;
use super::switched::Switched;
use super::taker::Taker;
use super::trace;
use super::translated::{self, Translated};
use crate::gateway::Who;
use crate::lane::Busy;
use crate::net::Lease;
use crate::observe::reason::Reason;
use crate::observe::trace::Facts;
use crate::observe::wall;
use crate::plan::host;
use crate::tls::Edge;
use crate::translate::web::Form as Web;
use std::cell::Cell;
use std::io::ErrorKind;

/// Carries out what was decided of `$exchange`, in the future in which it stands: one within that would be copied whole.
macro_rules! carry_out {
    ($exchange:ident, $decision:ident, $incoming:expr, $received:ident) => {{
        let (forward, path, received) = match $decision {
            Decision::Forward(forward, path) => (forward, path, $received),
            Decision::Reply(reply) | Decision::Preflight(reply, ..) => {
                return $exchange.answer_with_body_unread(reply, $incoming, $received).await;
            }
            Decision::Aggregate(whole, path) => {
                return Box::pin(aggregate::serve($exchange, whole, path, $incoming, $received)).await;
            }
            Decision::Files(site, path) => {
                match Box::pin(files::serve($exchange, site, path, $incoming, $received)).await {
                    Served::Here(next) => return next,
                    Served::Elsewhere(forward, received) => (forward, path, received),
                }
            }
        };
        let forward = match &forward.split {
            None => forward,
            Some(split) => $exchange.member(split).unwrap_or(forward),
        };
        if forward.edits_answers() {
            // A part of a body cannot be edited, and would show what is to be removed.
            $exchange.heads.request.asks_for_all(&$exchange.text);
        }
        if $exchange.heads.who.keyed.is_some() {
            return Box::pin(idempotent::serve($exchange, forward, path, $incoming, received)).await;
        }
        match &forward.cache {
            None => forward::forward($exchange, forward, path, $incoming, received).await,
            Some(caching) => match cached::quick($exchange, forward, caching, path, $incoming) {
                Quick::Answer(out) => {
                    $exchange.send_whole(out).await;
                    $exchange.after(false, received).await
                }
                Quick::Later(plain) => {
                    Box::pin(cached::serve($exchange, forward, caching, path, $incoming, received, plain)).await
                }
            },
        }
    }};
}

/// One request and its answer.
pub(super) struct Exchange<'a> {
    pub(super) connection: Connection<'a>,
    pub(super) heads: &'a mut Heads,
    /// The bytes of the request's head.
    pub(super) text: Lease,
    pub(super) outcome: Outcome,
    /// Whether the client's connection may carry another exchange.
    pub(super) keep_alive: bool,
    /// Whether it is a call of gRPC.
    pub(super) grpc: bool,
    /// In which form of gRPC-Web, if it is one of that.
    pub(super) web: Option<Web>,
    /// Whether the client has been told to go on with its body.
    pub(super) continued: bool,
    /// Whether the target has as long as the client would wait, and no longer.
    pub(super) hurried: bool,
    /// Whether it may be sent again whatever its method, as its target knows it by its key.
    pub(super) again: bool,
    /// What is to be joined, once the exchange is over.
    pub(super) switched: Option<Box<Switched>>,
    /// What the client has still to take of an answer that its target has given.
    pub(super) backlog: Option<Box<Backlog<'a>>>,
    /// Counts it as live.
    pub(super) busy: Option<Busy>,
    /// Where its answer goes, if it is no client's.
    pub(super) taker: Option<Taker<'a>>,
    /// Who looks at its answer, to compare it.
    pub(super) watch: Option<Box<Watch>>,
}

/// What an exchange parses into. Reused by the next one, so that reading a head allocates nothing.
#[derive(Default)]
pub(super) struct Heads {
    pub(super) request: RequestHead,
    pub(super) response: ResponseHead,
    /// The normalised path, where it differs from what the client sent.
    pub(super) path: Vec<u8>,
    /// Room for comparisons.
    pub(super) spare: Vec<u8>,
    /// Path and query that targets get, where the route rewrites them.
    pub(super) rewritten: Option<Box<edit::Rewritten>>,
    /// What the request has become, where the route translates it.
    pub(super) translated: Option<Box<Translated>>,
    /// Who asks, as far as rules have found it out.
    pub(super) who: Who,
    /// What they have said.
    pub(super) ruled: Ruled,
    /// Which parts of its answer are missing, and why.
    pub(super) missing: String,
    /// Where the client belongs, if the pool is sticky.
    pub(super) sticky: Option<Stuck>,
    /// What is noted for a trace.
    pub(super) trace: Facts,
    /// Where keys of caches are made.
    pub(super) keys: Room,
    /// The last route whose condition could not say anything.
    pub(super) unclear: Cell<Option<Unclear>>,
    /// The host that the last request named.
    pub(super) hosts: host::Memo,
}

/// What comes after an exchange.
pub(super) enum After {
    /// The next one, of which this much has been received.
    Next(Lease),
    /// Nothing: the connection is done with.
    End,
    /// Bytes both ways, which go by no plan any more.
    Tunnel(Box<Switched>),
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if !self.outcome.is_finished() {
            self.outcome.given_up(self.connection.lane);
            self.finish();
        }
    }
}

impl Heads {
    pub(super) fn clear(&mut self) {
        self.request.clear();
        self.response.clear();
        self.path.clear();
        self.rewritten = None;
        self.translated = None;
        self.sticky = None;
        self.who.clear();
        self.ruled = Ruled::default();
        self.missing.clear();
        self.trace.clear();
    }
}

impl<'a> Exchange<'a> {
    /// One that begins.
    #[inline(always)]
    pub(super) fn begin(connection: Connection<'a>, heads: &'a mut Heads) -> Self {
        Exchange {
            connection,
            heads,
            text: Lease::empty(),
            outcome: Outcome::begin(&connection),
            keep_alive: false,
            grpc: false,
            web: None,
            continued: false,
            hurried: false,
            again: false,
            switched: None,
            backlog: None,
            busy: Some(connection.lane.enter()),
            taker: None,
            watch: None,
        }
    }
}

impl<'a> Exchange<'a> {
    /// What comes after it, of which [`Exchange::drive`] has left this.
    pub(super) fn end(&mut self, next: Option<Lease>) -> After {
        if let Some(mut switched) = self.switched.take() {
            switched.take_along(self);
            return After::Tunnel(switched);
        }
        self.finish();
        next.map_or(After::End, After::Next)
    }

    fn finish(&mut self) {
        trace::settle(self);
        let context = Context::of(&self.connection, &self.outcome);
        self.outcome.finish(&context, self.heads, &self.text);
        self.heads.clear();
    }

    /// Goes through it; its first bytes are `held`. Returns what was received beyond it, if another one may follow.
    ///
    /// To be awaited where the exchange is: a future around this one would be copied whole.
    pub(super) async fn drive(&mut self, held: Lease) -> Option<Lease> {
        let (incoming, received) = match self.read_head(held).await {
            Ok(read) => read,
            Err(Some(reply)) => {
                self.answer(reply, true).await;
                self.linger().await;
                return None;
            }
            Err(None) => return None,
        };
        self.outcome.head_read();
        trace::begin(&self.connection, self.heads, &self.text);
        // There is none over HTTP/1.1.
        self.grpc = self.connection.client.is_multiplexed() && grpc::asks(&self.heads.request, &self.text);
        self.keep_alive = incoming.keep_alive && !self.connection.is_leaving();
        let decision = self.decide(&incoming);
        let refused = match (&decision, self.rules()) {
            (Decision::Preflight(_, rule, admitted), _) => {
                self.count_preflight(*rule, *admitted);
                None
            }
            (_, None) => None,
            (_, Some(chain)) => match self.ask_rules(chain, 0, &[]) {
                Judged::Passed => None,
                Judged::Refused(reply) => Some(reply),
                Judged::Asks(at, question) => Box::pin(self.ruled_with_answers(at, question)).await,
            },
        };
        if let Some(reply) = refused {
            // It may be kept waiting for that answer for long, and is under way no more.
            self.heads.who.holds.let_go();
            return self.answer_with_body_unread(reply, &incoming, received).await;
        }
        let reins = self.heads.who.holds.take_reins();
        if !reins.is_empty() {
            return Box::pin(self.carry_out_slowly(reins, decision, &incoming, received)).await;
        }
        carry_out!(self, decision, &incoming, received)
    }

    /// Carries out what was decided.
    pub(super) async fn carry_out(
        &mut self,
        decision: Decision<'_>,
        incoming: &Incoming,
        received: Lease,
    ) -> Option<Lease> {
        carry_out!(self, decision, incoming, received)
    }

    /// Reads until the head is complete. `Err(None)`: the client left.
    async fn read_head(&mut self, mut held: Lease) -> Result<(Incoming, Lease), Option<Reply>> {
        let limits = &self.connection.era.plan.limits;
        let limits = Limits { head: limits.request_head, fields: limits.headers };
        let mut scan = Scan::default();
        let mut waited = false;
        loop {
            let begun = match h1::parse_request(&held, &limits, &mut scan, &mut self.heads.request) {
                Ok(Parsed::Complete(incoming)) => {
                    let received = held.split_off(incoming.head_len);
                    self.text = held;
                    self.outcome.bytes_in = incoming.head_len as u64;
                    return Ok((incoming, received));
                }
                Ok(Parsed::Partial { begun }) => begun,
                Err(reject) => {
                    self.outcome.bytes_in = held.len() as u64;
                    self.text = held;
                    return Err(Some(Reply::reject(reject)));
                }
            };
            self.outcome.waits();
            if !std::mem::replace(&mut waited, true) {
                self.connection.client.set_deadline(Some(self.connection.listener.timeouts.request_head));
            }
            if held.room() == 0 {
                let more = held.len();
                held.reserve(more);
            }
            match self.connection.client.recv_into(&mut held).await {
                Ok(count) if count > 0 => {}
                Err(error) if error.kind() == ErrorKind::TimedOut && begun => {
                    return Err(Some(Reply::refusal(408, Reason::HeadTimeout)));
                }
                _ => {
                    self.outcome.client_left();
                    return Err(None);
                }
            }
        }
    }

    /// Finds what the plan says about this request.
    fn decide(&mut self, incoming: &Incoming) -> Decision<'a> {
        let Connection { lane, era, listener, http, client, peer, .. } = self.connection;
        let leaving = self.connection.is_leaving();
        let session = client.facts();
        let (routes, options, clock, chance) = (&era.plan.routes[..], &lane.options, wall::now, fastrand::f64);
        let setting = Setting { routes, listener, http, session, options, peer, leaving, clock, chance };
        let is_misdirected = |edge: &Edge, host: &[u8]| edge.is_misdirected(host, || client.facts());
        let decided = decide::decide(&setting, self.heads, &self.text, incoming.final_hop, is_misdirected);
        self.outcome.client = decided.client;
        if let Some(unclear) = self.heads.unclear.take() {
            self.tell_unclear(unclear);
        }
        let would_enter = |edge: &Edge| client.facts().is_none_or(|facts| edge.still_lets_in(facts));
        if !listener.tls.as_deref().is_none_or(would_enter) {
            self.keep_alive = false;
            return Decision::Reply(Reply::refusal(421, Reason::ClientCertificate));
        }
        if self.connection.is_banned(decided.client.ip()) {
            self.keep_alive = false;
            return Decision::Reply(Reply::refusal(403, Reason::Banned));
        }
        if let Some(route) = decided.route {
            self.outcome.route = route;
            crate::net::mark(u32::try_from(route + 1).unwrap_or(0));
        }
        decided.decision
    }

    #[cold]
    fn tell_unclear(&self, (route, error): Unclear) {
        let era = self.connection.era;
        era.counters.route(route).unclear.inc();
        if let Some((name, when)) =
            era.plan.routes.get(route).and_then(|route| Some((&route.name, route.when.as_ref()?)))
        {
            rules::tell_unclear(when, error, ("route", name));
        }
    }

    /// Sends an answer of our own. `close` says that it is the last one on this connection.
    pub(super) async fn answer(&mut self, reply: Reply, close: bool) {
        let Connection { lane, http, .. } = self.connection;
        if let Some(taker) = self.taker
            && !taker.refused(&reply, &self.outcome)
        {
            return;
        }
        self.keep_alive &= !close && !self.connection.is_leaving();
        match reply.refusal {
            Some((reason, word)) => {
                self.outcome.refused(reason, word);
                if self.has_aftermath() {
                    Box::pin(self.comes_of(reason, reply.status)).await;
                }
            }
            None => self.outcome.answered_here(),
        }
        let mut out = Lease::new();
        // The head may not have been understood; a HEAD that was must get no body.
        let is_head = self.text.starts_with(b"HEAD ");
        let method = if is_head { Method::Head } else { self.heads.request.method };
        let id = self.outcome.request_id();
        let page = self.page(&reply);
        let status = page.map_or(reply.status, |page| page.status);
        lane.with_date(|date| {
            let (version, keep_alive) = (self.heads.request.version, self.keep_alive);
            let asker = Asker { version, method, keep_alive, date: date.as_bytes(), hsts: &http.hsts };
            if self.grpc && reply.is_error() {
                let late = self.hurried && reply.status == 504;
                let (status, name) = if late { grpc::DEADLINE_EXCEEDED } else { grpc::status(reply.status) };
                let (status, name) = reply.call().unwrap_or((status, name));
                let content_type = self.web.map(|form| translated::content_type(form, ""));
                let content_type = content_type.as_deref().unwrap_or("application/grpc");
                h1::encode_grpc_error(out.buffer(), (status, name), content_type, id.as_str(), asker);
            } else if let Some(page) = page {
                page.encode(out.buffer(), &reply.told_line(), asker, id.as_str());
            } else {
                reply.encode(out.buffer(), asker, id.as_str());
            }
        });
        if let Some(edits) = self.edits_of_answers().filter(|_| !reply.is_preflight()) {
            edit::written_answer(edits, &edit::Facts { status, ..self.facts() }, out.buffer());
        }
        self.outcome.status = if self.grpc && reply.is_error() { 200 } else { status };
        self.send_whole(out).await;
    }

    /// Sends a whole answer.
    async fn send_whole(&mut self, out: Lease) {
        let Connection { client, listener, .. } = self.connection;
        self.outcome.answers_with(self.connection.era, &out);
        let length = out.len() as u64;
        let head = memchr::memmem::find(&out, b"\r\n\r\n").map_or(length, |end| end as u64 + 4);
        match client.send(out, listener.timeouts.write_stall).await {
            Ok(()) => {
                self.outcome.bytes_out += length;
                self.outcome.body_out += length - head;
            }
            Err(error) => self.gone(&error),
        }
    }

    /// Answers without having read the body: the connection goes on only if there is none left to read.
    pub(super) async fn answer_with_body_unread(
        &mut self,
        reply: Reply,
        incoming: &Incoming,
        received: Lease,
    ) -> Option<Lease> {
        let unread = owes_body(incoming);
        self.answer(reply, unread).await;
        self.after(unread, received).await
    }

    /// What comes after an answer, of which `received` has come. `unread`: some of the request has not been read.
    pub(super) async fn after(&mut self, unread: bool, received: Lease) -> Option<Lease> {
        if self.keep_alive {
            return Some(received);
        }
        if unread || !received.is_empty() {
            self.linger().await;
        }
        None
    }

    /// Passes an interim answer of an origin on (RFC 9110 §15.2). `None`: the client is gone.
    pub(super) async fn interim(&mut self, text: &[u8]) -> Option<()> {
        if self.heads.request.version == Version::Http10 {
            return Some(());
        }
        let mut out = Lease::with_room(text.len());
        out.buffer().extend_from_slice(text);
        let Connection { client, listener, .. } = self.connection;
        self.outcome.bytes_out += text.len() as u64;
        client.send(out, listener.timeouts.write_stall).await.map_err(|error| self.gone(&error)).ok()
    }

    /// Nothing more can be said to the client.
    pub(super) fn gone(&mut self, error: &std::io::Error) {
        self.keep_alive = false;
        self.outcome.unsent(error);
    }

    /// What was put aside of a body cannot be read again: the client must not take its answer for complete.
    #[cold]
    pub(super) fn unreadable(&mut self) {
        self.keep_alive = false;
        self.outcome.refused(Reason::Buffer, Reason::Buffer.word());
        self.connection.client.reset_on_close();
    }

    /// Gives the client time to read the last answer before its connection is closed.
    pub(super) async fn linger(&mut self) {
        self.outcome.answered();
        // What nobody reads need not come slowly.
        linger(self.connection.client.unslowed()).await;
    }
}
