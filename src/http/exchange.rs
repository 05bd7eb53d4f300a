//! One request and its answer: the head is read, a route is found, and the route's action is carried out.
//!
//! What always holds: every request that was understood gets exactly one answer or a closed connection, and is counted
//! and logged exactly once, when the exchange is finished.

use super::connection::{Connection, linger};
use super::forward;
use super::h1::{self, Framing, HeadScan, Parsed};
use super::head::{RequestHead, ResponseHead, Version};
use super::outcome::Outcome;
use super::reply::Reply;
use super::request::{self, View};
use crate::lane::Busy;
use crate::net::Lease;
use crate::observe::reason::Reason;
use crate::plan::{Action, Forward, path};
use std::cell::RefCell;
use std::io::ErrorKind;

/// One request and its answer.
pub(super) struct Exchange<'a> {
    pub(super) connection: Connection<'a>,
    pub(super) heads: Heads,
    /// The bytes of the request's head.
    pub(super) text: Lease,
    pub(super) outcome: Outcome,
    /// Whether the client's connection may carry another exchange.
    pub(super) keep_alive: bool,
    _busy: Busy,
}

/// What an exchange parses into. Reused by the next one, so that reading a head allocates nothing.
#[derive(Default)]
pub(super) struct Heads {
    pub(super) request: RequestHead,
    pub(super) response: ResponseHead,
    /// The host in its one form; empty if there is none.
    pub(super) host: Vec<u8>,
    /// The normalised path, where it differs from what the client sent.
    pub(super) path: Vec<u8>,
    /// Room for comparisons.
    pub(super) spare: Vec<u8>,
}

/// What is to be done with a request.
enum Decision {
    Forward { forward: Forward, path: path::Forward, matched: usize },
    Reply(Reply),
}

thread_local! {
    static HEADS: RefCell<Vec<Heads>> = const { RefCell::new(Vec::new()) };
}
/// Sets of heads that a worker keeps.
const HEADS_KEPT: usize = 64;

/// Runs one exchange that begins with `held`. Returns what was received beyond it if the connection goes on.
pub(super) async fn run(connection: Connection<'_>, held: Lease) -> Option<Lease> {
    let mut exchange = Exchange {
        connection,
        heads: HEADS.with_borrow_mut(Vec::pop).unwrap_or_default(),
        text: Lease::empty(),
        outcome: Outcome::begin(connection.lane),
        keep_alive: false,
        _busy: connection.lane.enter(),
    };
    let next = exchange.drive(held).await;
    exchange.finish();
    next
}

impl Exchange<'_> {
    async fn drive(&mut self, held: Lease) -> Option<Lease> {
        let (parsed, received) = match self.read_head(held).await {
            Ok(read) => read,
            Err(Some(reply)) => {
                self.answer(reply, true).await;
                linger(self.connection.client).await;
                return None;
            }
            Err(None) => return None,
        };
        self.outcome.head_read();
        self.keep_alive = parsed.keep_alive && !self.connection.lane.draining.is_raised();
        match self.decide() {
            Decision::Forward { forward, path, matched } => {
                forward::forward(self, &forward, path, matched, &parsed, received).await
            }
            Decision::Reply(reply) => self.answer_with_body_unread(reply, parsed.framing, received).await,
        }
    }

    /// Reads until the head is complete. `Err(None)`: the client left.
    async fn read_head(&mut self, mut held: Lease) -> Result<(Parsed, Lease), Option<Reply>> {
        let limits = &self.connection.lane.plan.limits;
        let limits = h1::Limits { head: limits.request_head, fields: limits.headers };
        let mut scan = HeadScan::default();
        let mut waited = false;
        loop {
            match h1::parse_request(&held, &limits, &mut scan, &mut self.heads.request) {
                Ok(Some(parsed)) => {
                    let received = held.split_off(parsed.head_len);
                    self.text = held;
                    self.outcome.bytes_in = parsed.head_len as u64;
                    return Ok((parsed, received));
                }
                Ok(None) => {}
                Err(reject) => {
                    self.text = held;
                    return Err(Some(Reply::refusal(reject.status, reject.reason)));
                }
            }
            if !std::mem::replace(&mut waited, true) {
                self.connection.client.set_deadline(Some(self.connection.listener.timeouts.request_head));
            }
            if held.room() == 0 {
                held.reserve(held.len());
            }
            match self.connection.client.recv_into(&mut held).await {
                Ok(0) => {
                    self.outcome.client_left();
                    return Err(None);
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    return Err(Some(Reply::refusal(408, Reason::HeadTimeout)));
                }
                Err(_) => {
                    self.outcome.client_left();
                    return Err(None);
                }
            }
        }
    }

    /// Finds what the plan says about this request.
    fn decide(&mut self) -> Decision {
        let Connection { lane, http, peer, .. } = self.connection;
        let Heads { request, host, path, spare, .. } = &mut self.heads;
        let text: &[u8] = &self.text;
        self.outcome.client = request::client_address(http, peer, request, text);
        if let Err(reason) = request::canonical_host(request, text, host) {
            return Decision::Reply(Reply::refusal(400, reason));
        }
        if http.redirect_https {
            return Decision::Reply(Reply::to_https(request, text, host));
        }
        path.clear();
        let raw = request.path.of(text);
        let verdict = path::normalise(raw, path);
        let (normal, forms) = match &verdict {
            path::Verdict::Plain => (raw, path::Forms::NONE),
            path::Verdict::Changed(forms) => (&path[..], *forms),
        };
        let view = View { head: request, text, host, path: normal, client: self.outcome.client.ip() };
        let found = http.router.find(&view);
        let route = found.as_ref().and_then(|found| Some((http.routes.get(found.route)?, found.matched)));
        let allowed = route.map_or(path::Forms::NONE, |(&route, _)| lane.plan.routes[route].allowed);
        let path = match path::forward(forms, allowed) {
            Ok(path) => path,
            Err(_) => return Decision::Reply(Reply::refusal(400, Reason::AmbiguousPath)),
        };
        if forms.intersects(path::Forms::PARAMETER) {
            let mut other = false;
            path::readings(normal, forms, spare, |reading| {
                let read = http.router.find(&View { path: reading, ..view });
                other |= read.map(|found| found.route) != found.as_ref().map(|found| found.route);
                !other
            });
            if other {
                return Decision::Reply(Reply::refusal(400, Reason::AmbiguousPath));
            }
        }
        match route {
            Some((&route, matched)) => {
                self.outcome.route = route;
                match &lane.plan.routes[route].action {
                    Action::Forward(forward) => Decision::Forward { forward: forward.clone(), path, matched },
                    Action::Respond(respond) => Decision::Reply(Reply::respond(respond)),
                    Action::Redirect(to) => Decision::Reply(Reply::redirect(to, request, text, host)),
                }
            }
            None => match http.fallback {
                Some(pool) => Decision::Forward { forward: Forward::to(pool), path, matched: 0 },
                None => Decision::Reply(Reply::refusal(404, Reason::NoRoute)),
            },
        }
    }

    /// Sends an answer of our own. `close` says that it is the last one on this connection.
    pub(super) async fn answer(&mut self, reply: Reply, close: bool) {
        let Connection { lane, client, listener, .. } = self.connection;
        self.keep_alive &= !close;
        if let Some(reason) = reply.reason {
            self.outcome.refused(reason);
        }
        let mut out = Lease::new();
        let head_only = self.heads.request.method_text.of(&self.text) == b"HEAD";
        let id = self.outcome.request_id();
        lane.with_date(|date| {
            reply.encode(out.buffer(), date, &id, head_only, self.keep_alive, self.heads.request.version);
        });
        self.outcome.status = reply.status;
        let length = out.len() as u64;
        match client.send(out, listener.timeouts.write_stall).await {
            Ok(()) => self.outcome.bytes_out += length,
            Err(_) => self.keep_alive = false,
        }
    }

    /// Answers without having read the body: the connection goes on only if there is none left to read.
    pub(super) async fn answer_with_body_unread(
        &mut self,
        reply: Reply,
        framing: Framing,
        received: Lease,
    ) -> Option<Lease> {
        let unread = !matches!(framing, Framing::None | Framing::Length(0));
        self.answer(reply, unread).await;
        if self.keep_alive {
            return Some(received);
        }
        if unread || !received.is_empty() {
            linger(self.connection.client).await;
        }
        None
    }

    /// Whether the client can be sent interim responses and chunks.
    pub(super) fn client_version(&self) -> Version {
        self.heads.request.version
    }

    fn finish(mut self) {
        self.outcome.finish(&self.connection, &self.heads.request, &self.text);
        let mut heads = std::mem::take(&mut self.heads);
        heads.request.clear();
        heads.response.clear();
        HEADS.with_borrow_mut(|kept| {
            if kept.len() < HEADS_KEPT {
                kept.push(heads);
            }
        });
    }
}
