//! An answer whose JSON body rules of its route edit on the way to the client.
//!
//! What always holds: a body is edited as it comes, and what is held of it is bounded; one that cannot be edited goes no further: where
//! the client has seen nothing of the answer it gets 502, else it is cut off, and never takes for whole what is not. What it was told of
//! the bytes that its target has sent is taken back.

use super::head::{self, Recoding};
use super::pass::{self, Coder, Flow, count, encode_whole, tally};
use crate::compress::{Coding, Decoder, Encoder};
use crate::gateway::transform::Editor;
use crate::http::answer::{Answer, Broken, Passed, body_of};
use crate::http::edit::{Facts, values};
use crate::http::exchange::Exchange;
use crate::http::h1::{self, Framing};
use crate::http::head::{ResponseHead, Version};
use crate::http::json::{codings, is_json};
use crate::net::Lease;
use crate::observe::reason::{Failure, Uncompressed};
use crate::plan::{Bodies, BodyEdit};
use std::sync::Arc;
use std::time::Duration;

/// Bytes that are edited at a time.
const PIECE: usize = 64 << 10;

/// What a body goes through.
pub(in crate::http) struct Edited {
    /// Takes its coding off, if it has one.
    decoder: Option<Decoder>,
    editors: Vec<Editor>,
    /// What is on its way between them.
    between: Vec<Vec<u8>>,
}

/// What becomes of an answer.
pub(in crate::http) enum Verdict {
    /// It goes on as it is.
    Leave,
    /// The client has its tag in a weak form.
    WeakTag,
    /// Its body is edited, once this coding is taken off.
    Edit(Option<Coding>),
    /// Its body cannot be edited.
    Refuse(&'static str),
}

/// The edits of an answer with this status.
fn of(bodies: &Bodies, status: u16) -> impl Iterator<Item = &Arc<BodyEdit>> {
    bodies.response.iter().filter(move |edit| edit.statuses.as_ref().is_none_or(|statuses| statuses.has(status)))
}

/// What becomes of the answer whose head is in the exchange and stands in `text`.
pub(in crate::http) fn verdict(exchange: &Exchange<'_>, bodies: &Bodies, text: &[u8]) -> Verdict {
    let (request, response) = (&exchange.heads.request, &exchange.heads.response);
    if exchange.grpc {
        return Verdict::Leave;
    }
    if response.status == 304 {
        return match head::has_weakened(request, &exchange.text, response, text) {
            true => Verdict::WeakTag,
            false => Verdict::Leave,
        };
    }
    if matches!(response.status, ..200 | 204 | 205) || of(bodies, response.status).next().is_none() {
        return Verdict::Leave;
    }
    let is_part = response.status == 206 || response.values(text, b"content-range").next().is_some();
    let types = || response.values(text, b"content-type");
    let in_parts = |kind: &[u8]| kind.get(..10).is_some_and(|kind| kind.eq_ignore_ascii_case(b"multipart/"));
    if !types().any(|kind| is_json(kind) || is_part && in_parts(kind)) {
        return Verdict::Leave;
    }
    if is_part {
        return Verdict::Refuse("json-part");
    }
    let mut codings = response.values(text, b"content-encoding").flat_map(codings);
    match (codings.next(), codings.next()) {
        (None, _) => Verdict::Edit(None),
        (Some(coding), None) => {
            Coding::of(coding).map_or(Verdict::Refuse("coded-body"), |coding| Verdict::Edit(Some(coding)))
        }
        _ => Verdict::Refuse("coded-body"),
    }
}

/// Makes a head say what an answer becomes that is edited.
pub(in crate::http) fn rewrite(head: &mut ResponseHead, text: &mut Vec<u8>) {
    head::edited(head, text);
}

/// Makes the tag of an answer weak.
pub(in crate::http) fn weaken(head: &mut ResponseHead, text: &mut Vec<u8>) {
    head::weaken(head, text);
}

impl Edited {
    /// For the answer whose head is in the exchange and stands in `text`. `None`: there is no memory for it.
    pub(in crate::http) fn new(
        exchange: &Exchange<'_>,
        bodies: &Bodies,
        coding: Option<Coding>,
        text: &[u8],
    ) -> Option<Self> {
        let response = &exchange.heads.response;
        let plan = &exchange.connection.era.plan;
        let most = plan.limits.compression / plan.runtime.workers.max(1);
        let decoder = match coding {
            Some(coding) => Some(Decoder::new(coding, most)?),
            None => None,
        };
        let facts = Facts { status: response.status, ..exchange.facts() };
        let editor = |edit: &Arc<BodyEdit>| {
            Editor::new(edit.edits.clone(), values(&edit.values, &facts, Some((response, text))))
        };
        let editors: Vec<Editor> = of(bodies, response.status).map(editor).collect();
        let between = vec![Vec::new(); editors.len()];
        Some(Self { decoder, editors, between })
    }

    /// Whether a body comes to it without a coding.
    pub(in crate::http) fn is_plain(&self) -> bool {
        self.decoder.is_none()
    }

    /// Takes of `input` and appends what becomes of it, some [`PIECE`] at most. Returns how many bytes are done with, and whether there is
    /// more without more input.
    ///
    /// # Errors
    /// A word for why the body cannot be edited.
    pub(in crate::http) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(usize, bool), &'static str> {
        // What is on its way goes first, that of the last editor before all.
        for place in (1..self.editors.len()).rev() {
            if !self.between[place].is_empty() {
                let waiting = std::mem::take(&mut self.between[place]);
                let count = self.through(place, &waiting, out)?;
                self.between[place].splice(0..0, waiting[count..].iter().copied());
                return Ok((0, true));
            }
        }
        let Some(decoder) = &mut self.decoder else {
            let count = self.through(0, input, out)?;
            return Ok((count, self.is_waiting()));
        };
        let mut waiting = std::mem::take(&mut self.between[0]);
        let (mut consumed, mut more) = (0, false);
        if waiting.is_empty() {
            let step = decoder.push(input, PIECE, &mut waiting).map_err(|_| "coded-body")?;
            (consumed, more) = (step.consumed, step.more);
        }
        let count = self.through(0, &waiting, out)?;
        waiting.drain(..count);
        self.between[0] = waiting;
        Ok((consumed, more || self.is_waiting()))
    }

    /// Nothing more comes.
    ///
    /// # Errors
    /// A word for why the body cannot be edited.
    pub(in crate::http) fn finish(mut self, out: &mut Vec<u8>) -> Result<(), &'static str> {
        debug_assert!(!self.is_waiting());
        if let Some(decoder) = self.decoder.take() {
            decoder.finish().map_err(|_| "coded-body")?;
        }
        for place in 0..self.editors.len() {
            let mut last = Vec::new();
            self.editors[place].finish(&mut last).map_err(|fault| fault.word())?;
            // Little comes at the end: at most what closes a number.
            let mut rest = &last[..];
            for editor in &mut self.editors[place + 1..] {
                let mut next = Vec::new();
                editor.push(rest, usize::MAX, &mut next).map_err(|fault| fault.word())?;
                last = next;
                rest = &last[..];
            }
            out.extend_from_slice(rest);
        }
        Ok(())
    }

    /// Puts `input` through the editor at `place`; what comes out goes on to the next one, or out. Returns how much is done with.
    fn through(&mut self, place: usize, input: &[u8], out: &mut Vec<u8>) -> Result<usize, &'static str> {
        let to = match self.between.get_mut(place + 1) {
            Some(next) => next,
            None => out,
        };
        self.editors[place].push(&input[..input.len().min(PIECE)], PIECE, to).map_err(|fault| fault.word())
    }

    fn is_waiting(&self) -> bool {
        self.between.iter().any(|waiting| !waiting.is_empty())
    }

    /// What becomes of a whole body.
    ///
    /// # Errors
    /// A word for why it cannot be edited.
    pub(in crate::http) fn whole(mut self, body: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        let mut left = body;
        loop {
            let (count, more) = self.push(left, out)?;
            left = &left[count..];
            if left.is_empty() && !more {
                return self.finish(out);
            }
        }
    }
}

impl Answer<'_> {
    /// Says for those who run the target why its answer went no further.
    #[cold]
    pub(super) fn tell_uneditable(&self, word: &'static str) {
        let target = &self.transfer.attempt.target().name;
        tracing::warn!(target, word, "the body of an answer cannot be edited");
    }

    /// What becomes of an answer whose head stands in `text`, if rules edit bodies.
    pub(in crate::http) fn body_verdict(&self, exchange: &Exchange<'_>, text: &[u8]) -> Verdict {
        match self.transfer.rule.bodies.as_deref().filter(|bodies| !bodies.response.is_empty()) {
            Some(bodies) => verdict(exchange, bodies, text),
            None => Verdict::Leave,
        }
    }

    /// Passes on an answer whose body is edited, or cannot be; `edited` is the text of its head where that is not what came.
    pub(in crate::http) async fn pass_edited(
        &self,
        exchange: &mut Exchange<'_>,
        answer: &h1::Answer,
        mut held: Lease,
        edited: Option<Vec<u8>>,
        (coding, silence): (Result<Option<Coding>, &'static str>, Duration),
    ) -> Result<Passed, Broken> {
        self.is_under_way();
        self.counters().received.add(held.len() as u64);
        let uneditable = |word| {
            self.tell_uneditable(word);
            self.broken(Failure::BadBody, true)
        };
        let coding = coding.map_err(uneditable)?;
        let mut text = edited.unwrap_or_else(|| held[..answer.head_len].to_vec());
        let bodies = self.transfer.rule.bodies.as_deref();
        let passes = bodies.and_then(|bodies| Edited::new(exchange, bodies, coding, &text));
        let passes = passes.ok_or_else(|| self.broken(Failure::Internal, true))?;
        rewrite(&mut exchange.heads.response, &mut text);
        held.advance(answer.head_len);
        let mut body = body_of(exchange, answer, held).map_err(|_| self.broken(Failure::BadResponse, true))?;
        let mut first = body.take_first();
        let has_body = answer.framing != Framing::None;
        let mut whole = false;
        if has_body {
            self.gather(&mut body, &mut first, answer.framing, PIECE, silence).await?;
            whole = body.is_ended() && passes.is_plain() && first.len() <= PIECE;
        }
        let version = exchange.heads.request.version;
        let streamed = if version == Version::Http10 { Framing::UntilClose } else { Framing::Chunked };
        let mut passes = Some(Box::new(passes)).filter(|_| has_body);
        if whole && let Some(passes) = passes.take() {
            let mut out = Lease::with_room(first.len());
            passes.whole(&first, out.buffer()).map_err(uneditable)?;
            first = out;
        }
        let (mut recoding, mut coder, mut coded) = (None, None, None);
        if let Some(rule) = &self.transfer.rule.compress {
            recoding = pass::of(exchange, rule, whole.then_some(first.len() as u64), &text);
        }
        if has_body && let Some(Recoding::Encode { coding, level, needed, .. }) = recoding {
            let piece = coding.piece(level);
            let most =
                exchange.connection.era.plan.limits.compression / exchange.connection.era.plan.runtime.workers.max(1);
            let unchanged = |why| Some(Recoding::Vary(Some(why)));
            if whole && first.len() <= piece {
                match encode_whole(coding, level, &first, needed)? {
                    Some(out) => {
                        coded = Some(first.len() as u64);
                        first = out;
                    }
                    None => recoding = unchanged(Uncompressed::Gain),
                }
            } else {
                match Encoder::new(coding, level, most) {
                    Some(encoder) => coder = Some(Coder::Encoder(encoder, piece)),
                    None => recoding = unchanged(Uncompressed::Memory),
                }
            }
        }
        let worker = &self.transfer.connection.lane.worker;
        if let Some(recoding) = recoding {
            count(worker, recoding);
            recoding.rewrite(&mut exchange.heads.response, &mut text);
        }
        let framing = match (has_body, whole && coder.is_none() && body.trailers().is_empty()) {
            (false, _) => Framing::None,
            (true, true) => Framing::Length(first.len() as u64),
            (true, false) => streamed,
        };
        exchange.keep_alive &= framing != Framing::UntilClose && self.may_go_on();
        let mut out = Lease::with_room(text.len() + 256);
        self.write_head(exchange, framing, &text, &mut out);
        drop(text);
        let passed = self.begins(exchange, answer);
        if passes.is_some() || coder.is_some() {
            let mut flow = Flow::new(self, framing, out, coder, passes);
            let result = flow.pass(exchange, &mut body, first, silence).await;
            if let Some(recoding) = recoding {
                flow.count(worker, recoding);
            }
            result?;
        } else {
            if let (Some(taken), Some(Recoding::Encode { coding, .. })) = (coded, recoding) {
                tally(&worker.compression.encoded[coding.index()], taken, first.len() as u64);
            }
            self.pass_plain(exchange, &mut body, out, first, framing, silence).await?;
        }
        Ok(Passed { reusable: answer.keep_alive && !body.has_beyond(), ..passed })
    }
}
