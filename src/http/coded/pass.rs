//! An answer that is recoded on its way to the client.
//!
//! What always holds: a body that is here as a whole is coded in one go and has a length; of another one, what has come goes out when
//! nothing more is at hand. No more than a piece is worked on before others have their turn.

use super::edited::Edited;
use super::head::{self, Recoding, Setting, Verdict};
use crate::compress::{self, Coding, Decoder, Encoder, Fault};
use crate::http::answer::{Answer, Broken, Passed, body_of, cut_by};
use crate::http::body::{Body, BodyError};
use crate::http::exchange::Exchange;
use crate::http::h1::{self, Framing};
use crate::http::head::Version;
use crate::http::sticky;
use crate::http::transfer::{INLINE, push_content, push_end};
use crate::net::{self, Either, Lease, coarse_now, race};
use crate::observe::compression::Recoded;
use crate::observe::counters::WorkerSet;
use crate::observe::reason::{Failure, Uncompressed};
use crate::plan::Compress;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// How long the rest of a short body of known length is waited for, so that it can be coded in one go: less than anybody sees.
const GRACE: Duration = Duration::from_millis(2);
/// Coded bytes that are sent without waiting for more.
const READY: usize = 16 << 10;
/// Bytes that are decoded at a time.
const DECODED: usize = 64 << 10;

/// What the body goes through.
pub(super) enum Coder {
    Encoder(Encoder, usize),
    Decoder(Decoder),
}

/// What has come of a body, and how the client gets it.
struct Content {
    body: Body,
    /// What was received and not passed on.
    first: Lease,
    framing: Framing,
    recoding: Recoding,
    coder: Option<Coder>,
    /// Bytes as they came, where they have been coded already.
    coded: Option<u64>,
}

/// What becomes of the answer whose head is in the exchange and stands in `text`, with a body of `framed` bytes, if that is known.
pub(in crate::http) fn of(
    exchange: &Exchange<'_>,
    rule: &Compress,
    framed: Option<u64>,
    text: &[u8],
) -> Option<Recoding> {
    // Calls of gRPC have a coding of their own.
    if exchange.grpc {
        return None;
    }
    let connection = exchange.connection;
    let worker = &connection.lane.worker;
    let setting = Setting {
        rule,
        request: &exchange.heads.request,
        asked: &exchange.text,
        secure: sticky::is_secure(exchange),
        certified: connection.client.facts().is_some_and(|facts| facts.identity.is_some()),
        busy: worker.busy.get(),
    };
    let response = &exchange.heads.response;
    let length = head::length(response, text, exchange.heads.request.method, framed);
    match head::decide(&setting, response, text, length) {
        Verdict::Leave(why) => {
            why.into_iter().for_each(|why| worker.compression.skipped.left(why));
            None
        }
        Verdict::Recode(recoding) => Some(recoding),
    }
}

impl Answer<'_> {
    /// What becomes of an answer whose head stands in `text`, by the route's settings.
    pub(in crate::http) fn recoding(
        &self,
        exchange: &Exchange<'_>,
        rule: &Compress,
        answer: &h1::Answer,
        text: &[u8],
    ) -> Option<Recoding> {
        let framed = match answer.framing {
            Framing::Length(length) => Some(length),
            Framing::None => Some(0),
            Framing::Chunked | Framing::UntilClose => None,
        };
        of(exchange, rule, framed, text)
    }

    /// Passes on an answer that changes; `edited` is the text of its head where that is not what came.
    pub(in crate::http) async fn pass_recoded(
        &self,
        exchange: &mut Exchange<'_>,
        answer: &h1::Answer,
        mut held: Lease,
        edited: Option<Vec<u8>>,
        (recoding, silence): (Recoding, Duration),
    ) -> Result<Passed, Broken> {
        self.is_under_way();
        let counters = self.counters();
        counters.received.add(held.len() as u64);
        let mut text = edited.unwrap_or_else(|| {
            let mut text = Vec::with_capacity(answer.head_len + 256);
            text.extend_from_slice(&held[..answer.head_len]);
            text
        });
        held.advance(answer.head_len);
        let body = body_of(exchange, answer, held).map_err(|_| self.broken(Failure::BadResponse, true))?;
        let content = self.prepare(exchange, answer, body, recoding, silence).await?;
        let Content { mut body, first, framing, recoding, coder, coded } = content;
        let worker = &self.transfer.connection.lane.worker;
        count(worker, recoding);
        recoding.rewrite(&mut exchange.heads.response, &mut text);
        exchange.keep_alive &= framing != Framing::UntilClose && self.may_go_on();
        let mut out = Lease::with_room(text.len() + 256 + first.len().min(INLINE));
        self.write_head(exchange, framing, &text, &mut out);
        drop(text);
        let passed = self.begins(exchange, answer);
        match coder {
            Some(coder) => {
                let mut flow = Flow::new(self, framing, out, Some(coder), None);
                let result = flow.pass(exchange, &mut body, first, silence).await;
                flow.count(worker, recoding);
                result?;
            }
            None => {
                if let (Some(taken), Recoding::Encode { coding, .. }) = (coded, recoding) {
                    tally(&worker.compression.encoded[coding.index()], taken, first.len() as u64);
                }
                self.pass_plain(exchange, &mut body, out, first, framing, silence).await?;
            }
        }
        Ok(Passed { reusable: answer.keep_alive && !body.has_beyond(), ..passed })
    }

    /// Takes what is at hand of a body, and finds how the client gets it.
    async fn prepare(
        &self,
        exchange: &Exchange<'_>,
        answer: &h1::Answer,
        mut body: Body,
        recoding: Recoding,
        silence: Duration,
    ) -> Result<Content, Broken> {
        let version = exchange.heads.request.version;
        let framing = answer.framing.towards(version);
        let mut first = body.take_first();
        let unchanged = |body, first, recoding| Content { body, first, framing, recoding, coder: None, coded: None };
        if answer.framing == Framing::None {
            return Ok(unchanged(body, first, recoding));
        }
        let era = self.transfer.connection.era;
        let most = era.plan.limits.compression / era.plan.runtime.workers.max(1);
        let streamed = if version == Version::Http10 { Framing::UntilClose } else { Framing::Chunked };
        match recoding {
            Recoding::Vary(_) | Recoding::WeakTag => Ok(unchanged(body, first, recoding)),
            Recoding::Decode(coding) => Ok(match Decoder::new(coding, most) {
                Some(decoder) => {
                    let coder = Some(Coder::Decoder(decoder));
                    Content { body, first, framing: streamed, recoding, coder, coded: None }
                }
                None => unchanged(body, first, Recoding::Vary(Some(Uncompressed::Memory))),
            }),
            Recoding::Encode { coding, level, needed, .. } => {
                let piece = coding.piece(level);
                self.gather(&mut body, &mut first, answer.framing, piece, silence).await?;
                if body.is_ended() && first.len() <= piece {
                    let whole = encode_whole(coding, level, &first, needed)?;
                    let Some(out) = whole else {
                        return Ok(unchanged(body, first, Recoding::Vary(Some(Uncompressed::Gain))));
                    };
                    let framing = if body.trailers().is_empty() { Framing::Length(out.len() as u64) } else { streamed };
                    let coded = Some(first.len() as u64);
                    return Ok(Content { body, first: out, framing, recoding, coder: None, coded });
                }
                Ok(match Encoder::new(coding, level, most) {
                    Some(encoder) => {
                        let coder = Some(Coder::Encoder(encoder, piece));
                        Content { body, first, framing: streamed, recoding, coder, coded: None }
                    }
                    None => unchanged(body, first, Recoding::Vary(Some(Uncompressed::Memory))),
                })
            }
        }
    }

    /// Adds what is at hand of `body` to `first`, up to a piece. If that can be all of it, waits a moment for the rest.
    pub(super) async fn gather(
        &self,
        body: &mut Body,
        first: &mut Lease,
        framing: Framing,
        piece: usize,
        silence: Duration,
    ) -> Result<(), Broken> {
        let target = self.transfer.target;
        let counters = self.counters();
        let before = first.len();
        body.gather(target, first);
        counters.received.add((first.len() - before) as u64);
        let fits = matches!(framing, Framing::Length(length) if length <= piece as u64);
        let end = coarse_now() + GRACE;
        while !body.is_ended() && first.len() < piece {
            let received = {
                let mut next = pin!(body.next(target, silence));
                match poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx))).await {
                    Poll::Ready(received) => received,
                    Poll::Pending => {
                        let left = end.saturating_sub(coarse_now());
                        if !fits || left.is_zero() {
                            return Ok(());
                        }
                        match race(next, net::sleep(left)).await {
                            Either::Left(received) => received,
                            Either::Right(()) => return Ok(()),
                        }
                    }
                }
            };
            let received = received.map_err(|error| self.broken(cut_by(&error), true))?.unwrap_or_default();
            counters.received.add(received.len() as u64);
            first.reserve(received.len());
            first.buffer().extend_from_slice(&received);
        }
        Ok(())
    }

    /// Sends a head, and passes on a body that needs no work any more.
    pub(super) async fn pass_plain(
        &self,
        exchange: &mut Exchange<'_>,
        body: &mut Body,
        mut out: Lease,
        mut first: Lease,
        framing: Framing,
        silence: Duration,
    ) -> Result<(), Broken> {
        if first.len() <= INLINE {
            exchange.outcome.body_out += first.len() as u64;
            push_content(framing, &first, out.buffer());
            first = Lease::empty();
            if body.is_ended() {
                push_end(framing, body.trailers(), out.buffer());
            }
        }
        let along = if framing == Framing::Chunked { Lease::empty() } else { std::mem::take(&mut first) };
        exchange.outcome.body_out += along.len() as u64;
        self.send_both(exchange, out, along).await?;
        if body.is_ended() && first.is_empty() {
            return Ok(());
        }
        self.pass_body(exchange, body, first, framing, silence).await
    }
}

/// A whole body in its coding; `None`: that would be no gain.
pub(super) fn encode_whole(coding: Coding, level: u8, body: &[u8], needed: bool) -> Result<Option<Lease>, Broken> {
    let mut out = Lease::with_room(body.len());
    match compress::whole(coding, level, body, out.buffer()) {
        Ok(true) => Ok(Some(out)),
        Ok(false) if needed => {
            let mut out = Lease::new();
            let mut encoder = Encoder::new(coding, level, usize::MAX).ok_or(Broken::Cut(Failure::Internal))?;
            let pushed = encoder.push(body, out.buffer()).and_then(|()| encoder.finish(out.buffer()));
            pushed.map(|()| Some(out)).map_err(|_| Broken::Cut(Failure::Internal))
        }
        Ok(false) | Err(_) => Ok(None),
    }
}

pub(super) fn count(worker: &WorkerSet, recoding: Recoding) {
    if let Some(why) = recoding.skipped() {
        worker.compression.skipped.left(why);
    }
    if let Recoding::Encode { lowered: true, .. } = recoding {
        worker.compression.lowered.inc();
    }
}

pub(super) fn tally(of: &Recoded, taken: u64, given: u64) {
    of.answers.inc();
    of.taken.add(taken);
    of.given.add(given);
}

/// A body on its way through a coder.
pub(super) struct Flow<'f, 'a> {
    answer: &'f Answer<'a>,
    framing: Framing,
    /// What edits it before that, if its rules do.
    edited: Option<Box<Edited>>,
    /// What is to be sent: at first, the head.
    out: Lease,
    /// What has been coded and is not framed.
    coded: Lease,
    /// `None` once it is finished.
    coder: Option<Coder>,
    /// Whether the client has got anything.
    begun: bool,
    taken: u64,
    given: u64,
}

impl<'f, 'a> Flow<'f, 'a> {
    /// One that begins with the head in `out`.
    pub(super) fn new(
        answer: &'f Answer<'a>,
        framing: Framing,
        out: Lease,
        coder: Option<Coder>,
        edited: Option<Box<Edited>>,
    ) -> Self {
        Self { answer, framing, edited, out, coded: Lease::new(), coder, begun: false, taken: 0, given: 0 }
    }
}

impl Flow<'_, '_> {
    /// Passes on `first` and what comes after it.
    pub(super) async fn pass(
        &mut self,
        exchange: &mut Exchange<'_>,
        body: &mut Body,
        first: Lease,
        silence: Duration,
    ) -> Result<(), Broken> {
        let result = self.pass_all(exchange, body, first, silence).await;
        if !self.begun {
            exchange.outcome.body_out = 0;
        }
        result
    }

    async fn pass_all(
        &mut self,
        exchange: &mut Exchange<'_>,
        body: &mut Body,
        first: Lease,
        silence: Duration,
    ) -> Result<(), Broken> {
        let answer = self.answer;
        let mut next = Some(first);
        while let Some(content) = next {
            self.take(exchange, &content).await?;
            drop(content);
            let received = {
                let mut wait = pin!(answer.next_content(body, silence));
                match poll_fn(|cx| Poll::Ready(wait.as_mut().poll(cx))).await {
                    Poll::Ready(received) => received,
                    Poll::Pending => {
                        self.flush()?;
                        self.send(exchange).await?;
                        wait.await
                    }
                }
            };
            let received = received.ok_or(Broken::Client(None))?;
            next = received.map_err(|error: BodyError| self.cut(cut_by(&error)))?;
            answer.counters().received.add(next.as_ref().map_or(0, |content| content.len() as u64));
        }
        self.finish(exchange).await?;
        self.frame(exchange);
        push_end(self.framing, body.trailers(), self.out.buffer());
        self.send(exchange).await
    }

    /// Edits `content`, if that is to be, and passes it on.
    async fn take(&mut self, exchange: &mut Exchange<'_>, content: &[u8]) -> Result<(), Broken> {
        let Some(mut edited) = self.edited.take() else { return self.push(exchange, content).await };
        let mut left = content;
        loop {
            let mut out = Lease::new();
            let (count, more) = edited.push(left, out.buffer()).map_err(|word| self.uneditable(word))?;
            left = &left[count..];
            self.push(exchange, &out).await?;
            if left.is_empty() && !more {
                break;
            }
            net::breathe().await;
        }
        self.edited = Some(edited);
        Ok(())
    }

    /// Codes `content` and sends what has become of it, as far as that is much.
    async fn push(&mut self, exchange: &mut Exchange<'_>, content: &[u8]) -> Result<(), Broken> {
        self.taken += content.len() as u64;
        let mut left = content;
        while !left.is_empty() {
            let (pushed, consumed) = match &mut self.coder {
                Some(Coder::Encoder(encoder, piece)) => {
                    let count = left.len().min(*piece);
                    (encoder.push(&left[..count], self.coded.buffer()).map(|()| false), count)
                }
                Some(Coder::Decoder(decoder)) => match decoder.push(left, DECODED, self.coded.buffer()) {
                    Ok(step) => (Ok(step.more), step.consumed),
                    Err(fault) => (Err(fault), 0),
                },
                None => {
                    self.coded.buffer().extend_from_slice(left);
                    (Ok(false), left.len())
                }
            };
            let more = pushed.map_err(|fault| self.faulty(fault))?;
            left = &left[consumed..];
            if self.coded.len() >= READY {
                self.send(exchange).await?;
            }
            if !left.is_empty() || more {
                net::breathe().await;
            }
            if left.is_empty() && more {
                self.drain(exchange).await?;
            }
        }
        Ok(())
    }

    /// Decodes what needs no more input.
    async fn drain(&mut self, exchange: &mut Exchange<'_>) -> Result<(), Broken> {
        while let Some(Coder::Decoder(decoder)) = &mut self.coder {
            let step = decoder.push(&[], DECODED, self.coded.buffer());
            let more = step.map_err(|fault| self.faulty(fault))?.more;
            self.send(exchange).await?;
            if !more {
                break;
            }
            net::breathe().await;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Broken> {
        let flushed = match &mut self.coder {
            Some(Coder::Encoder(encoder, _)) => encoder.flush(self.coded.buffer()),
            _ => Ok(()),
        };
        flushed.map_err(|fault| self.faulty(fault))
    }

    async fn finish(&mut self, exchange: &mut Exchange<'_>) -> Result<(), Broken> {
        if let Some(edited) = self.edited.take() {
            let mut out = Lease::new();
            edited.finish(out.buffer()).map_err(|word| self.uneditable(word))?;
            self.push(exchange, &out).await?;
        }
        let finished = match self.coder.take() {
            Some(Coder::Encoder(encoder, _)) => encoder.finish(self.coded.buffer()),
            Some(Coder::Decoder(decoder)) => decoder.finish(),
            None => Ok(()),
        };
        finished.map_err(|fault| self.faulty(fault))
    }

    /// Puts what is coded into its framing.
    fn frame(&mut self, exchange: &mut Exchange<'_>) {
        self.given += self.coded.len() as u64;
        exchange.outcome.body_out += self.coded.len() as u64;
        self.out.reserve(self.coded.len() + 32);
        push_content(self.framing, &self.coded, self.out.buffer());
        self.coded.truncate(0);
    }

    /// Sends what is ready.
    async fn send(&mut self, exchange: &mut Exchange<'_>) -> Result<(), Broken> {
        self.frame(exchange);
        let out = std::mem::replace(&mut self.out, Lease::empty());
        if out.is_empty() {
            return Ok(());
        }
        self.begun = true;
        self.answer.send_both(exchange, out, Lease::empty()).await?;
        let transfer = self.answer.transfer;
        transfer.target.follow(transfer.connection.client);
        Ok(())
    }

    fn uneditable(&self, word: &'static str) -> Broken {
        self.answer.tell_uneditable(word);
        self.cut(Failure::BadBody)
    }

    /// The target's bytes are no such coding, or there is no memory.
    fn faulty(&self, fault: Fault) -> Broken {
        let target = &self.answer.transfer.attempt.target().name;
        tracing::warn!(target, ?fault, "the body of an answer cannot be recoded");
        self.cut(if fault == Fault::Memory { Failure::Internal } else { Failure::BadResponse })
    }

    /// The client must not take what it got for complete; if that is nothing, it can be told.
    fn cut(&self, failure: Failure) -> Broken {
        if !self.begun {
            self.answer.is_under_way();
            return self.answer.broken(failure, true);
        }
        if self.framing == Framing::UntilClose {
            self.answer.transfer.connection.client.reset_on_close();
        }
        Broken::Cut(failure)
    }

    pub(super) fn count(&self, worker: &WorkerSet, recoding: Recoding) {
        match recoding {
            Recoding::Encode { coding, .. } => {
                tally(&worker.compression.encoded[coding.index()], self.taken, self.given);
            }
            Recoding::Decode(coding) => tally(&worker.compression.decoded[coding.index()], self.taken, self.given),
            Recoding::Vary(_) | Recoding::WeakTag => {}
        }
    }
}
