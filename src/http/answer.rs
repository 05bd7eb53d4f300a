//! The answer of a target on its way to the client.
//!
//! What always holds: interim answers go on, exactly one final answer does, and one that ends early is never made to
//! look complete.

mod opening;
mod replaced;

use super::body::{Body, BodyError};
use super::buffer::{self, Begun};
use super::cached;
use super::coded::edited::{Verdict, weaken};
use super::connection::Connection;
use super::exchange::Exchange;
use super::h1::{self, Framing, Limits, Parsed, Question, Scan};
use super::head::Version;
use super::reply::Reply;
use super::taker::Taker;
use super::transfer::{INLINE, Transfer, push_content, push_end, send_content};
use super::translated;
use crate::net::{Either, Lease, coarse_now, race};
use crate::observe::reason::Failure;
use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// An answer that was passed on.
pub(super) struct Passed {
    /// Whether the target's connection may carry another exchange.
    pub(super) reusable: bool,
    /// What the target's `Keep-Alive: timeout` allows.
    pub(super) keep_alive: Option<Duration>,
    /// What the target sent behind a `101 Switching Protocols`: both sides are to be joined now.
    pub(super) switched: Option<Lease>,
    /// How long the target took to its first byte.
    pub(super) first_byte: Duration,
}

/// Why a try did not come to an answer.
pub(super) enum Broken {
    /// The client failed us; what to say to it, if anything can be said.
    Client(Option<Reply>),
    /// The client took no byte for too long.
    Stalled,
    /// The target failed before the client got its final answer.
    Target {
        /// How.
        failure: Failure,
        /// Whether any byte of an answer had come.
        answered: bool,
        /// Whether not a byte of the request can have reached it.
        unsent: bool,
    },
    /// The target answered with a status that is tried again elsewhere. The client has seen nothing of it.
    GivenUp {
        /// Whether the target's connection may carry another exchange.
        reusable: bool,
        /// What the target's `Keep-Alive: timeout` allows.
        keep_alive: Option<Duration>,
    },
    /// The target failed in mid-answer: the client's connection is cut.
    Cut(Failure),
    /// What was put aside of a body cannot be read again, in mid-answer: the client's connection is cut.
    Unreadable,
}

impl Broken {
    /// The same of a connection that was ended as its target is down.
    pub(super) fn by_its_end(self) -> Self {
        match self {
            Self::Target { failure: Failure::Reset, answered, unsent } => {
                Self::Target { failure: Failure::Down, answered, unsent }
            }
            Self::Cut(Failure::Reset) => Self::Cut(Failure::Down),
            other => other,
        }
    }
}

/// An answer on its way.
pub(super) struct Answer<'a> {
    pub(super) transfer: &'a Transfer<'a>,
    /// Whether not a byte of the request can have reached the target.
    pub(super) unsent: bool,
    /// Whether all of the request has been received from the client.
    whole: Cell<bool>,
    /// Whether all of it is held as well, so that it can be sent again.
    repeatable: Cell<bool>,
    sent_at: Instant,
    /// What has come of the head so far.
    held: RefCell<Lease>,
    first_byte: Cell<Option<Duration>>,
    stage: Cell<Stage>,
    /// When the head must be complete, by the coarse clock; none while the request is still being sent.
    due: Cell<Option<Duration>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Waiting for bytes of a head: nothing is lost if the wait is begun anew.
    Waiting,
    /// An interim answer is on its way to the client, or the final one is being prepared.
    Interim,
    /// The final answer is.
    Final,
}

/// How long an answer may take before the client is watched for leaving.
pub(super) const PATIENCE: Duration = Duration::from_millis(200);

impl<'a> Answer<'a> {
    /// The answer to a request that was sent at `sent_at`, with as much of its body as has been received.
    pub(super) fn new(transfer: &'a Transfer<'a>, sent_at: Instant, body: &Body) -> Self {
        Self {
            transfer,
            unsent: false,
            whole: Cell::new(body.is_ended()),
            repeatable: Cell::new(body.is_ended() && body.is_held()),
            sent_at,
            held: RefCell::new(Lease::empty()),
            first_byte: Cell::new(None),
            stage: Cell::new(Stage::Waiting),
            due: Cell::new(None),
        }
    }

    /// Goes on with what has come of it.
    pub(super) fn take_up(&self, exchange: &mut Exchange<'_>, held: Lease) {
        if !held.is_empty() {
            self.note_first_byte(exchange);
            self.held.replace(held);
        }
    }

    /// Whether nothing is lost if [`Answer::pass`] is begun anew.
    pub(super) fn is_waiting(&self) -> bool {
        self.stage.get() == Stage::Waiting
    }

    /// All of the request has now been received from the client, and is `held` as well.
    pub(super) fn request_is_whole(&self, held: bool) {
        self.whole.set(true);
        self.repeatable.set(held);
    }

    /// Whether the client has got bytes of the final answer.
    pub(super) fn is_begun(&self) -> bool {
        self.stage.get() == Stage::Final
    }

    /// Reads the answer and passes it on. Its head must come within `limit`; without one the request is still being
    /// sent, and whoever sends it bounds the wait.
    pub(super) async fn pass(&self, exchange: &mut Exchange<'_>, limit: Option<Duration>) -> Result<Passed, Broken> {
        for _ in 0..=INTERIM_ANSWERS {
            self.stage.set(Stage::Waiting);
            self.due.set(limit.map(|limit| coarse_now().saturating_add(limit)));
            let (answer, mut held) = self.read_head(exchange).await?;
            if answer.tunnel {
                return self.switch(exchange, &answer, held).await;
            }
            if !answer.interim {
                // RFC 8441 §5: over HTTP/2 a 2xx would say that the tunnel stands.
                let good = (200..300).contains(&exchange.heads.response.status);
                if good && self.transfer.websocket() && self.transfer.connection.client.is_multiplexed() {
                    return Err(self.broken(Failure::BadResponse, true));
                }
                if let Some(tries) = self.transfer.tries
                    && self.repeatable.get()
                    && tries.gives_up(exchange.heads.response.status, self.transfer)
                {
                    return Err(self.given_up(exchange, &answer, held));
                }
                if let Some(watch) = &mut exchange.watch {
                    watch.head(&exchange.heads.response, &held);
                }
                if let Some(taker) = exchange.taker.filter(Taker::takes_all) {
                    // Rarer than an answer to a client.
                    return Box::pin(self.fill(exchange, taker, &answer, held)).await;
                }
                if let Some(page) = exchange.intercepts() {
                    return Box::pin(self.replace(exchange, page, &answer, held)).await;
                }
                return self.pass_final(exchange, &answer, held).await;
            }
            let goes_on = exchange.heads.response.status == 100;
            // RFC 9110 §15.2: interim answers are passed on, but not to a client of HTTP/1.0. Of several targets that are asked one
            // after the other, the first has told the client to go on.
            if exchange.heads.request.version == Version::Http11 && !(goes_on && exchange.continued) {
                exchange.continued |= goes_on;
                self.stage.set(Stage::Interim);
                let mut out = Lease::new();
                h1::encode_interim(out.buffer(), &exchange.heads.response, &held);
                self.send(exchange, out).await?;
            }
            held.advance(answer.head_len);
            self.held.replace(held);
        }
        Err(self.broken(Failure::BadResponse, true))
    }

    async fn read_head(&self, exchange: &mut Exchange<'_>) -> Result<(h1::Answer, Lease), Broken> {
        let limits = Limits { head: RESPONSE_HEAD, fields: RESPONSE_FIELDS };
        let websocket = self.transfer.websocket();
        let question = Question { method: exchange.heads.request.method, websocket };
        let mut scan = Scan::default();
        loop {
            let held = self.held.take();
            if !held.is_empty() {
                match h1::parse_response(&held, &question, &limits, &mut scan, &mut exchange.heads.response) {
                    Ok(Parsed::Complete(answer)) => return Ok((answer, held)),
                    Ok(Parsed::Partial { .. }) => {}
                    Err(bad) => {
                        tracing::debug!(target = self.transfer.attempt.target().name, bad.reason, "bad response");
                        return Err(self.broken(Failure::BadResponse, true));
                    }
                }
            }
            self.held.replace(held);
            self.wait().await?;
            if self.first_byte.get().is_none() {
                self.note_first_byte(exchange);
            }
        }
    }

    fn note_first_byte(&self, exchange: &mut Exchange<'_>) {
        let took = self.sent_at.elapsed();
        self.first_byte.set(Some(took));
        exchange.outcome.first_byte(took);
        exchange.heads.trace.first_byte(took);
    }

    /// Waits for more bytes of the head.
    async fn wait(&self) -> Result<(), Broken> {
        let target = self.transfer.target;
        let Some(due) = self.due.get() else { return self.receive().await.map_err(|error| self.failed(&error)) };
        let limit = due.saturating_sub(coarse_now());
        target.set_deadline(Some(limit.min(PATIENCE)));
        match self.receive().await {
            Err(error) if error.kind() == ErrorKind::TimedOut && limit > PATIENCE => {}
            result => return result.map_err(|error| self.failed(&error)),
        }
        target.set_deadline(Some(limit - PATIENCE));
        // Rarer than an answer that comes soon, and larger.
        Box::pin(self.wait_long()).await
    }

    /// Waits for more bytes of the head while the client is watched for leaving.
    async fn wait_long(&self) -> Result<(), Broken> {
        let client = self.transfer.connection.client;
        client.set_deadline(None);
        match race(self.receive(), client.closed()).await {
            Either::Left(result) => result.map_err(|error| self.failed(&error)),
            Either::Right(true) => Err(Broken::Client(None)),
            // The client has sent its next request: it is still there, and can be watched no further.
            Either::Right(false) => self.receive().await.map_err(|error| self.failed(&error)),
        }
    }

    /// One receive behind what is held. Given up, it loses nothing.
    async fn receive(&self) -> io::Result<()> {
        let target = self.transfer.target;
        if self.held.borrow().is_empty() {
            let received = target.recv().await?;
            if received.is_empty() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.held.replace(received);
            return Ok(());
        }
        target.wait().await?;
        let mut held = self.held.borrow_mut();
        if held.room() == 0 {
            let more = held.len();
            held.reserve(more);
        }
        match target.recv_now(&mut held)? {
            Some(0) => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn failed(&self, error: &io::Error) -> Broken {
        match error.kind() {
            ErrorKind::TimedOut => self.broken(Failure::ResponseTimeout, self.first_byte.get().is_some()),
            ErrorKind::InvalidData => self.unreadable(),
            // The target says that it has not looked at the request.
            ErrorKind::ConnectionRefused => {
                Broken::Target { failure: Failure::Unprocessed, answered: false, unsent: true }
            }
            _ => match translated::failure(error) {
                Some(failure) => self.broken(failure, true),
                None => self.broken(Failure::Reset, self.first_byte.get().is_some()),
            },
        }
    }

    /// What cannot be read instead of an answer. With TLS 1.3 a target refuses our certificate after the handshake.
    fn unreadable(&self) -> Broken {
        let Transfer { target, attempt, .. } = *self.transfer;
        match target.failure().filter(|_| self.first_byte.get().is_none()) {
            Some(error) => {
                attempt.tell_trouble(error);
                self.broken(Failure::Handshake, false)
            }
            None => self.broken(Failure::BadResponse, true),
        }
    }

    pub(super) fn broken(&self, failure: Failure, answered: bool) -> Broken {
        Broken::Target { failure, answered, unsent: self.unsent }
    }

    /// The answer is not passed on: another target is asked. Its connection can be used again if all of it is here.
    #[cold]
    fn given_up(&self, exchange: &mut Exchange<'_>, answer: &h1::Answer, mut held: Lease) -> Broken {
        exchange.heads.trace.answered(exchange.heads.response.status);
        let head = held.len();
        held.advance(answer.head_len);
        let counters = self.transfer.connection.era.counters.pool(self.transfer.rule.pool);
        counters.target(self.transfer.attempt.index()).received.add(head as u64);
        let whole = Body::new(answer.framing, held, u64::MAX).is_ok_and(|body| body.is_ended() && !body.has_beyond());
        let keep_alive = answer.keep_alive_timeout.map(|seconds| Duration::from_secs(seconds.into()));
        Broken::GivenUp { reusable: whole && answer.keep_alive, keep_alive }
    }

    /// Has an answer taken in that goes to no client.
    async fn fill(
        &self,
        exchange: &mut Exchange<'_>,
        taker: Taker<'_>,
        answer: &h1::Answer,
        mut held: Lease,
    ) -> Result<Passed, Broken> {
        let Transfer { connection, timeouts, attempt, .. } = *self.transfer;
        taker.begin(exchange, &held, answer.framing);
        exchange.outcome.status = exchange.heads.response.status;
        attempt.begins_to_answer(exchange.outcome.status, coarse_now());
        self.stage.set(Stage::Final);
        let counters = connection.era.counters.pool(self.transfer.rule.pool).target(attempt.index());
        counters.received.add(held.len() as u64);
        held.advance(answer.head_len);
        let body = body_of(exchange, answer, held);
        let mut body = body.map_err(|_| Broken::Cut(Failure::BadResponse))?;
        let passed = Passed {
            reusable: false,
            keep_alive: answer.keep_alive_timeout.map(|seconds| Duration::from_secs(seconds.into())),
            switched: None,
            first_byte: self.first_byte.get().unwrap_or_default(),
        };
        let mut next = Some(body.take_first());
        while let Some(content) = next {
            if !taker.take(content).await {
                return Ok(passed);
            }
            let received = body.next(self.transfer.target, timeouts.response_idle).await;
            next = received.map_err(|error| Broken::Cut(cut_by(&error)))?;
            counters.received.add(next.as_ref().map_or(0, |content| content.len() as u64));
        }
        taker.end(body.trailers());
        Ok(Passed { reusable: answer.keep_alive && !body.has_beyond(), ..passed })
    }

    async fn pass_final(
        &self,
        exchange: &mut Exchange<'_>,
        answer: &h1::Answer,
        mut held: Lease,
    ) -> Result<Passed, Broken> {
        let target = self.transfer.target;
        let silence = self.silence(exchange, &held);
        let held_to = self.transfer.rule.buffer_response.filter(|_| !self.streams(exchange, &held));
        if let Some(caching) = &self.transfer.rule.cache {
            cached::answered(exchange, caching, self.transfer.path, &held);
        }
        let mut edited = self.edited(exchange, &held[..answer.head_len]);
        match self.body_verdict(exchange, edited.as_deref().unwrap_or(&held)) {
            Verdict::Leave => {}
            Verdict::WeakTag => {
                let text = edited.get_or_insert_with(|| held[..answer.head_len].to_vec());
                weaken(&mut exchange.heads.response, text);
            }
            Verdict::Edit(coding) => {
                return Box::pin(self.pass_edited(exchange, answer, held, edited, (Ok(coding), silence))).await;
            }
            Verdict::Refuse(word) => {
                return Box::pin(self.pass_edited(exchange, answer, held, edited, (Err(word), silence))).await;
            }
        }
        if let Some(rule) = &self.transfer.rule.compress
            && let Some(recoding) = self.recoding(exchange, rule, answer, edited.as_deref().unwrap_or(&held))
        {
            // Rarer than an answer that goes on as it came, and larger.
            return Box::pin(self.pass_recoded(exchange, answer, held, edited, (recoding, silence))).await;
        }
        let framing = answer.framing.towards(exchange.heads.request.version);
        exchange.keep_alive &= framing != Framing::UntilClose && self.may_go_on();
        let mut out = Lease::with_room(answer.head_len + 256 + held.len().min(INLINE));
        self.write_head(exchange, framing, edited.as_deref().unwrap_or(&held), &mut out);
        drop(edited);
        held.advance(answer.head_len);
        let counters = self.counters();
        counters.received.add((answer.head_len + held.len()) as u64);
        let mut body = body_of(exchange, answer, held).map_err(|_| Broken::Target {
            failure: Failure::BadResponse,
            answered: true,
            unsent: false,
        })?;
        let inline = body.first().len() <= INLINE;
        if inline {
            push_content(framing, body.first(), out.buffer());
            let before = out.len();
            body.gather(target, &mut out);
            let gathered = (out.len() - before) as u64;
            counters.received.add(gathered);
            exchange.outcome.body_out += body.first().len() as u64 + gathered;
            if body.is_ended() {
                push_end(framing, body.trailers(), out.buffer());
            }
        }
        let passed = self.begins(exchange, answer);
        let (along, first) = match framing {
            _ if inline => (Lease::empty(), Lease::empty()),
            Framing::Chunked => (Lease::empty(), body.take_first()),
            _ => (body.take_first(), Lease::empty()),
        };
        exchange.outcome.body_out += along.len() as u64;
        if let Some(most) = held_to {
            let begun = Begun { out, along, first, framing };
            Box::pin(buffer::pass(self, exchange, begun, &mut body, silence, most)).await?;
            return Ok(Passed { reusable: answer.keep_alive && !body.has_beyond(), ..passed });
        }
        self.send_both(exchange, out, along).await?;
        if !(body.is_ended() && first.is_empty()) {
            // Rarer than a body that came with its head, and larger.
            Box::pin(self.pass_body(exchange, &mut body, first, framing, silence)).await?;
        }
        Ok(Passed { reusable: answer.keep_alive && !body.has_beyond(), ..passed })
    }

    /// Passes on `first` and what comes after it.
    pub(super) async fn pass_body(
        &self,
        exchange: &mut Exchange<'_>,
        body: &mut Body,
        first: Lease,
        framing: Framing,
        silence: Duration,
    ) -> Result<(), Broken> {
        let Transfer { connection, target, .. } = *self.transfer;
        let stall = connection.listener.timeouts.write_stall;
        let counters = connection.era.counters.pool(self.transfer.rule.pool).target(self.transfer.attempt.index());
        let mut next = Some(first);
        while let Some(content) = next {
            if !content.is_empty() {
                let length = content.len() as u64;
                send_content(connection.client, framing, content, stall)
                    .await
                    .map_err(|error| unsent_to_client(&error))?;
                target.follow(connection.client);
                exchange.outcome.bytes_out += length;
                exchange.outcome.body_out += length;
            }
            let received = self.next_content(body, silence).await.ok_or(Broken::Client(None))?;
            next = received.map_err(|error| {
                if framing == Framing::UntilClose {
                    connection.client.reset_on_close();
                }
                Broken::Cut(cut_by(&error))
            })?;
            counters.received.add(next.as_ref().map_or(0, |content| content.len() as u64));
        }
        if framing == Framing::Chunked {
            let mut last = Lease::new();
            push_end(framing, body.trailers(), last.buffer());
            self.send(exchange, last).await?;
        }
        Ok(())
    }

    /// The head has been taken: it would be lost if [`Answer::pass`] were begun anew.
    pub(super) fn is_under_way(&self) {
        self.stage.set(Stage::Interim);
    }

    /// The next content of the answer; `None` if the client left while there was none.
    pub(super) async fn next_content(
        &self,
        body: &mut Body,
        silence: Duration,
    ) -> Option<Result<Option<Lease>, BodyError>> {
        let Transfer { connection, target, .. } = *self.transfer;
        // While the request is being sent, whoever reads it notices that the client leaves.
        let watches = self.whole.get() && silence > PATIENCE;
        match body.next(target, if watches { PATIENCE } else { silence }).await {
            Err(BodyError::Io(error)) if watches && error.kind() == ErrorKind::TimedOut => {}
            received => return Some(received),
        }
        let silence = silence - PATIENCE;
        let client = connection.client;
        // Rarer than content that comes soon, and larger.
        Box::pin(async move {
            client.set_deadline(None);
            match race(body.next(target, silence), client.closed()).await {
                Either::Left(received) => Some(received),
                Either::Right(true) => None,
                Either::Right(false) => Some(body.next(target, silence).await),
            }
        })
        .await
    }

    /// Passes a `101 Switching Protocols` on.
    async fn switch(
        &self,
        exchange: &mut Exchange<'_>,
        answer: &h1::Answer,
        mut held: Lease,
    ) -> Result<Passed, Broken> {
        if !opening::is_accepted(exchange, &held) {
            // The client has to fail such a connection itself (RFC 6455 §4.1); whoever runs the target should know why.
            let target = &self.transfer.attempt.target().name;
            tracing::warn!(target, "the target's Sec-WebSocket-Accept does not answer the client's key");
            let pool = self.transfer.connection.era.counters.pool(self.transfer.rule.pool);
            pool.failures.failed(Failure::BadResponse);
        }
        let mut out = Lease::new();
        match self.edited(exchange, &held[..answer.head_len]) {
            None => self.encode_switch(exchange, &held, out.buffer()),
            Some(text) => self.encode_switch(exchange, &text, out.buffer()),
        }
        exchange.outcome.answers_with(self.transfer.connection.era, &out);
        exchange.outcome.status = 101;
        exchange.heads.trace.answered(101);
        exchange.keep_alive = false;
        self.stage.set(Stage::Final);
        self.send(exchange, out).await?;
        held.advance(answer.head_len);
        Ok(Passed {
            reusable: false,
            keep_alive: None,
            switched: Some(held),
            first_byte: self.first_byte.get().unwrap_or_default(),
        })
    }

    async fn send(&self, exchange: &mut Exchange<'_>, out: Lease) -> Result<(), Broken> {
        self.send_both(exchange, out, Lease::empty()).await
    }

    /// Sends `out`, and `bulk` behind it.
    pub(super) async fn send_both(&self, exchange: &mut Exchange<'_>, out: Lease, bulk: Lease) -> Result<(), Broken> {
        let Connection { client, listener, .. } = self.transfer.connection;
        let length = (out.len() + bulk.len()) as u64;
        let stall = listener.timeouts.write_stall;
        let sent = match bulk.is_empty() {
            true => client.send(out, stall).await,
            // Rarer, and larger.
            false => Box::pin(client.send_both(out, bulk, stall)).await,
        };
        sent.map_err(|error| unsent_to_client(&error))?;
        exchange.outcome.bytes_out += length;
        Ok(())
    }
}

/// The content of an answer, of which `held` has come. Whoever looks at it is shown it as well.
pub(super) fn body_of(exchange: &mut Exchange<'_>, answer: &h1::Answer, held: Lease) -> Result<Body, BodyError> {
    let mut body = Body::new(answer.framing, held, u64::MAX)?;
    if let Some(watch) = exchange.watch.take() {
        body.show(watch);
    }
    Ok(body)
}

/// Interim answers before the final one.
const INTERIM_ANSWERS: usize = 32;
/// Bytes of a response head.
const RESPONSE_HEAD: usize = 64 << 10;
/// Field lines of a response head.
const RESPONSE_FIELDS: usize = 256;

pub(super) fn unsent_to_client(error: &io::Error) -> Broken {
    if error.kind() == ErrorKind::TimedOut { Broken::Stalled } else { Broken::Client(None) }
}

pub(super) fn cut_by(error: &BodyError) -> Failure {
    match error {
        BodyError::Io(error) if error.kind() == ErrorKind::TimedOut => Failure::IdleTimeout,
        BodyError::Io(error) => translated::failure(error).unwrap_or(Failure::Reset),
        BodyError::Truncated => Failure::Reset,
        BodyError::Malformed(_) | BodyError::TooLarge => Failure::BadResponse,
        // Answers are read from targets alone.
        BodyError::Unreadable => Failure::Internal,
    }
}
