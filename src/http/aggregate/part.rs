//! One part of an answer: a pool is asked for it in the client's place, and what it says is held.
//!
//! What always holds: no more is held of it than the route allows, and all of it counts as held; it is over when whoever puts the
//! whole together no longer waits for it.

use crate::gateway::Who;
use crate::gateway::openapi::{Fault, is_object};
use crate::http::apart::{Silent, read_again};
use crate::http::buffer::Charge;
use crate::http::connection::{Connection, keep_heads, take_heads};
use crate::http::exchange::Exchange;
use crate::http::forward::{self, Path};
use crate::http::h1::Framing;
use crate::http::head::{Name, RequestHead, ResponseHead};
use crate::http::json::{codings, is_json};
use crate::http::outcome::{self, Outcome};
use crate::http::reply::Reply;
use crate::http::taker::Taker;
use crate::http::trace::begin_part;
use crate::lane::Ticket;
use crate::net::{self, Lease, breathe};
use crate::observe::reason::{Failure, Gathered, Reason};
use crate::observe::trace;
use crate::plan::{Aggregate, Part};
use crate::tls::Channel;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};

/// What is asked of all parts.
pub(super) struct Question<'a> {
    pub(super) connection: Connection<'a>,
    /// The route's position in the plan.
    pub(super) route: usize,
    pub(super) client: std::net::SocketAddr,
    pub(super) path: Path,
    pub(super) who: Who,
    /// The place of the whole in a trace, if it has one.
    pub(super) trace: Option<trace::Context>,
    /// The normal path, where the raw one is not.
    pub(super) normal: Vec<u8>,
    /// The whole head.
    pub(super) text: Vec<u8>,
}

/// What comes of a part.
pub(in crate::http) struct Gather<'a> {
    pub(super) part: &'a Part,
    aggregate: &'a Aggregate,
    /// Bytes that all parts may still have.
    left: &'a Cell<usize>,
    state: RefCell<State>,
    tries: Cell<u32>,
    counted: Cell<bool>,
}

struct State {
    content: Vec<u8>,
    /// Counts it as held.
    charge: Charge,
    stage: Stage,
    /// Bytes that were read of what is of no use.
    read: usize,
}

#[derive(Debug)]
enum Stage {
    /// It is on its way.
    Coming,
    /// All of it has come.
    Whole,
    /// It has no content, and is not meant to.
    Nothing,
    /// It is there and good.
    Good,
    /// It has failed.
    Failed(Lack),
}

/// How a part has failed.
#[derive(Clone, Debug)]
pub(super) struct Lack {
    pub(super) what: Gathered,
    /// The same as the log has it.
    pub(super) word: Cow<'static, str>,
    /// What the client gets where there is no answer without it.
    pub(super) status: u16,
    /// How that is counted; `None`: it is what the client asked for.
    pub(super) failure: Option<Failure>,
    /// Why it was not asked for, if it was not.
    pub(super) refusal: Option<(Reason, &'static str)>,
}

/// Bytes of an answer of no use that are read so that its connection can be used again.
const READ: usize = 64 << 10;
/// Of what is longer others have their turn before it is read as JSON. It is read at one go: how long that takes has its bound in how
/// much is taken of a part.
const LONG: usize = 64 << 10;

impl Lack {
    fn of(what: Gathered, word: impl Into<Cow<'static, str>>) -> Self {
        Self { what, word: word.into(), status: 502, failure: Some(Failure::BadResponse), refusal: None }
    }

    fn plain(what: Gathered) -> Self {
        Self::of(what, what.word())
    }

    fn failed(failure: Failure, status: u16) -> Self {
        Self { status, failure: Some(failure), ..Self::of(Gathered::Failed, failure.word()) }
    }

    fn json(fault: Fault) -> Self {
        Self { failure: Some(Failure::BadBody), ..Self::of(Gathered::BadJson, fault.word()) }
    }
}

impl<'a> Gather<'a> {
    pub(super) fn new(
        part: &'a Part,
        aggregate: &'a Aggregate,
        left: &'a Cell<usize>,
        connection: &Connection<'_>,
    ) -> Self {
        let charge = Charge::new(connection, usize::MAX);
        let state = State { content: Vec::new(), charge, stage: Stage::Coming, read: 0 };
        let (state, tries, counted) = (RefCell::new(state), Cell::new(0), Cell::new(false));
        Self { part, aggregate, left, state, tries, counted }
    }

    /// Asks for it, and holds what comes.
    pub(super) async fn ask(&self, question: &Question<'_>) {
        let Question { connection, route, client, path, who, trace, normal, text } = question;
        let mut heads = take_heads();
        let Some(incoming) = read_again(text, &mut heads.request) else { return keep_heads(heads) };
        (heads.path, heads.who) = (normal.clone(), who.clone());
        begin_part(connection, &mut heads, trace.as_ref());
        let whole = Whole(connection.client);
        let connection = Connection { client: Channel::Multiplexed(&whole), ticket: Ticket::NONE, ..*connection };
        let mut exchange = Exchange::begin(connection, &mut heads);
        // It is under way for as long as what it is a part of.
        exchange.busy = None;
        exchange.text = Lease::with_room(text.len());
        exchange.text.buffer().extend_from_slice(text);
        exchange.outcome = Outcome::told(&connection);
        (exchange.outcome.route, exchange.outcome.client) = (*route, *client);
        exchange.taker = Some(Taker::Part(self));
        let rule = &self.part.forward;
        let forwarded = forward::forward(&mut exchange, rule, *path, &incoming, Lease::empty());
        if net::timeout(self.aggregate.timeout, Box::pin(forwarded)).await.is_none() {
            self.is_late();
            connection.era.counters.pool(rule.pool).failures.failed(Failure::ResponseTimeout);
            exchange.outcome.target_failed(Failure::ResponseTimeout);
        }
        self.tries.set(exchange.outcome.tries);
        self.is_over(exchange.outcome.why());
        let Exchange { heads: asked, outcome, text, .. } = &mut exchange;
        let told = outcome::Context::of(&connection, outcome);
        outcome.tell_part(&told, asked, text, &self.part.name);
        drop(exchange);
        heads.clear();
        keep_heads(heads);
        self.read().await;
    }

    /// It was not there in time.
    fn is_late(&self) {
        self.state.borrow_mut().stage = Stage::Failed(Lack {
            status: 504,
            failure: Some(Failure::ResponseTimeout),
            ..Lack::plain(Gathered::Timeout)
        });
    }

    /// No more comes.
    fn is_over(&self, why: &'static str) {
        let mut state = self.state.borrow_mut();
        if matches!(state.stage, Stage::Coming) {
            let failure = Failure::ALL.iter().copied().find(|failure| failure.word() == why);
            let failure = failure.unwrap_or(Failure::Reset);
            state.stage = Stage::Failed(Lack::failed(failure, Reply::failure(failure).status));
        }
    }

    /// Reads what has come as JSON.
    async fn read(&self) {
        if !matches!(self.state.borrow().stage, Stage::Whole) {
            return;
        }
        if self.state.borrow().content.len() > LONG {
            breathe().await;
        }
        let mut state = self.state.borrow_mut();
        state.stage = match is_object(&state.content, self.aggregate.bounds) {
            Ok(false) if self.part.member.is_none() => Stage::Failed(Lack::plain(Gathered::NoObject)),
            Ok(_) => Stage::Good,
            Err(fault) => Stage::Failed(Lack::json(fault)),
        };
    }

    /// Whether there is no answer any more as this has failed.
    pub(super) fn fails_all(&self) -> bool {
        self.part.required && matches!(self.state.borrow().stage, Stage::Failed(_))
    }

    /// Tries that were sent to targets.
    pub(super) fn tries(&self) -> u32 {
        self.tries.get()
    }

    /// What it has come to: a text in JSON, nothing where it has none, or how it has failed. `None`: nobody waits for it any more.
    pub(super) fn outcome(&self) -> Option<Result<Option<Vec<u8>>, Lack>> {
        let mut state = self.state.borrow_mut();
        let outcome = match std::mem::replace(&mut state.stage, Stage::Coming) {
            Stage::Good => Ok(Some(std::mem::take(&mut state.content))),
            Stage::Nothing => Ok(None),
            Stage::Failed(lack) => Err(lack),
            Stage::Coming | Stage::Whole => return None,
        };
        self.counted.set(true);
        self.part.counts.count(outcome.as_ref().map_or_else(|lack| lack.what, |_| Gathered::Good));
        Some(outcome)
    }

    /// The head of its answer has come.
    pub(in crate::http) fn begin(&self, head: &ResponseHead, text: &[u8], framing: Framing) {
        let mut state = self.state.borrow_mut();
        let is_coded = || head.values(text, b"content-encoding").flat_map(codings).next().is_some();
        let kind = head.find(Name::ContentType).map(|field| field.value.of(text));
        let most = self.aggregate.max_body.min(self.left.get());
        let lack = match head.status {
            status if !self.part.expect.has(status) => {
                let word = format!("status-{status}");
                let passed = self.part.pass_status.as_ref().is_some_and(|all| all.has(status));
                let lack = Lack::of(Gathered::Status, word);
                if passed { Lack { status, failure: None, ..lack } } else { lack }
            }
            204 | 205 => {
                state.stage = Stage::Nothing;
                return;
            }
            _ if !kind.is_some_and(is_json) || is_coded() => Lack::plain(Gathered::Type),
            _ if matches!(framing, Framing::Length(length) if length > most as u64) => Lack::plain(Gathered::TooLarge),
            _ => return,
        };
        state.stage = Stage::Failed(lack);
    }

    /// Content has come. False: no more is of use.
    pub(in crate::http) fn take(&self, content: &[u8]) -> bool {
        let mut state = self.state.borrow_mut();
        match &state.stage {
            Stage::Coming => {}
            Stage::Failed(lack) => {
                let reads = lack.what != Gathered::TooLarge;
                state.read += content.len();
                return reads && state.read <= READ;
            }
            _ => return content.is_empty(),
        }
        let length = state.content.len() + content.len();
        let lack = match () {
            () if length > self.aggregate.max_body || content.len() > self.left.get() => Gathered::TooLarge,
            () if !state.charge.has_room(content.len()) => Gathered::NoRoom,
            () => {
                self.left.set(self.left.get() - content.len());
                state.charge.add(content.len());
                state.content.extend_from_slice(content);
                return true;
            }
        };
        if lack == Gathered::NoRoom {
            state.charge.is_full();
        }
        state.content = Vec::new();
        state.stage = Stage::Failed(Lack::plain(lack));
        false
    }

    /// It is complete.
    pub(in crate::http) fn end(&self) {
        let mut state = self.state.borrow_mut();
        if matches!(state.stage, Stage::Coming) {
            state.stage = Stage::Whole;
        }
    }

    /// There is none.
    pub(in crate::http) fn refused(&self, reply: &Reply) {
        let lack = match (reply.cause(), reply.refusal) {
            (Some(failure), _) => Lack::failed(failure, reply.status),
            (None, refusal) => Lack { status: reply.status, refusal, ..Lack::plain(Gathered::Refused) },
        };
        self.state.borrow_mut().stage = Stage::Failed(lack);
    }
}

impl Drop for Gather<'_> {
    fn drop(&mut self) {
        if !self.counted.get() {
            self.part.counts.count(Gathered::GivenUp);
        }
    }
}

/// Writes the head by which parts are asked: the client's own, but for what asks for less than the whole or in another form.
pub(in crate::http) fn write_question(head: &RequestHead, text: &[u8], out: &mut Vec<u8>) {
    let named = head.find(Name::Host).is_some();
    out.extend_from_slice(b"GET ");
    out.extend_from_slice(head.target.of(text));
    out.extend_from_slice(if named { b" HTTP/1.1\r\n" } else { b" HTTP/1.0\r\n" });
    for field in head.fields.iter().filter(|field| stays(field.kind, field.name.of(text))) {
        for part in [field.name.of(text), b": ", field.value.of(text), b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(b"Accept: application/json\r\nAccept-Encoding: identity\r\n\r\n");
}

fn stays(kind: Name, name: &[u8]) -> bool {
    const OTHERWISE: [&[u8]; 8] = [
        b"accept",
        b"accept-encoding",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"range",
    ];
    let ends_here = matches!(
        kind,
        Name::Connection
            | Name::ContentLength
            | Name::ContentType
            | Name::Expect
            | Name::Http2Settings
            | Name::KeepAlive
            | Name::Nominated
            | Name::Te
            | Name::Trailer
            | Name::TransferEncoding
            | Name::Upgrade
    );
    !ends_here && !OTHERWISE.iter().any(|other| name.eq_ignore_ascii_case(other))
}

/// In the place of the client that the whole is for: answers to parts do not go there.
struct Whole<'a>(Channel<'a>);

impl Silent for Whole<'_> {
    fn client(&self) -> Option<Channel<'_>> {
        Some(self.0)
    }
}
