//! Heads changed on their way, as a route says: those of requests once they are written for a target, those of answers before they
//! are written for a client, and of our own answers.
//!
//! What always holds: framing, and what is for one connection alone, is never touched (no edit may name it); what is filled in
//! brings no byte that could end a line. The edits of a request have the last word, on what we say of the client, too. Whoever
//! fetches for others than a client leaves the edits of answers to those that pass them on.

mod apply;
mod back;
mod facts;
mod json;
mod place;
mod url;

pub(super) use facts::Facts;
pub(super) use json::values;
pub(super) use url::{Rewritten, rewritten};

use super::connection::Connection;
use super::exchange::Exchange;
use super::head::{Field, Name, Span};
use crate::plan::{Back, Edit, Edits};

/// Changes the head of a request that has been written to `out`, and nothing else is there.
pub(super) fn written_request(edits: &[Edit], facts: &Facts<'_>, out: &mut Vec<u8>) {
    let mut text = Vec::with_capacity(out.len() + 512);
    text.append(out);
    written(edits, facts, text, true, out);
}

/// Changes the head of an answer that begins `out`.
#[cold]
pub(super) fn written_answer(edits: &[Edit], facts: &Facts<'_>, out: &mut Vec<u8>) {
    let whole = std::mem::take(out);
    let head = memchr::memmem::find(&whole, b"\r\n\r\n").map_or(whole.len(), |end| end + 4);
    written(edits, facts, whole[..head].to_vec(), false, out);
    out.extend_from_slice(&whole[head..]);
}

/// Changes the answer that the exchange has got, whose head is `head`, as its route says: what it says of where things are is put
/// back into what the client knows, then it is edited. Returns the text that its fields stand in from now on; `None`: nothing is
/// changed.
#[cold]
pub(super) fn answer(exchange: &mut Exchange<'_>, head: &[u8]) -> Option<Vec<u8>> {
    let mut fields = std::mem::take(&mut exchange.heads.response.fields);
    let back = exchange.puts_back().filter(|_| fields.iter().any(|field| back::concerns(field, head)));
    let edits = exchange.edits_of_answers();
    let mut text = None;
    if back.is_some() || edits.is_some() {
        let text = text.insert(Vec::with_capacity(head.len() + 512));
        text.extend_from_slice(head);
        if let Some(back) = back {
            place::with(exchange, back, |place| back::put_back(place, &mut fields, text));
        }
        if let Some(edits) = edits {
            let facts = Facts { status: exchange.heads.response.status, ..exchange.facts() };
            let told = apply::apply(edits, &facts, &mut fields, text, false);
            // What has no body, or a part of one, stays what it is.
            let stays = matches!(facts.status, ..200 | 204..=206 | 304);
            exchange.heads.response.told = told.filter(|_| !stays);
        }
    }
    exchange.heads.response.fields = fields;
    text
}

/// Appends to `out` what becomes of a head that we have written, which is all of `text`.
fn written(edits: &[Edit], facts: &Facts<'_>, mut text: Vec<u8>, folds: bool, out: &mut Vec<u8>) {
    let (start, mut fields) = lines(&text);
    apply::apply(edits, facts, &mut fields, &mut text, folds);
    out.reserve(text.len());
    out.extend_from_slice(start.of(&text));
    for field in &fields {
        for part in [field.name.of(&text), b": ", field.value.of(&text), b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// The first line of a head that we have written, with its end, and its fields.
fn lines(head: &[u8]) -> (Span, Vec<Field>) {
    let mut fields = Vec::with_capacity(32);
    // No value that we write holds a line feed.
    let line = |at: usize| memchr::memchr(b'\n', &head[at..]);
    let mut at = line(0).map_or(head.len(), |end| end + 1);
    let start = Span::new(0, at);
    while let Some(length) = line(at).and_then(|end| end.checked_sub(1)).filter(|&length| length > 0) {
        let line = &head[at..at + length];
        let colon = memchr::memchr(b':', line).unwrap_or(length);
        let value = line.get(colon + 1..).unwrap_or_default();
        let blanks = value.len() - value.trim_ascii_start().len();
        let name = Span::new(at, at + colon);
        let value = Span::new((at + colon + 1 + blanks).min(at + length), at + length);
        // Edits ask for no other kind, and what is written again has none.
        let kind = if line[..colon].eq_ignore_ascii_case(b"cookie") { Name::Cookie } else { Name::Other };
        fields.push(Field { name, value, kind });
        at += length + 2;
    }
    (start, fields)
}

impl Exchange<'_> {
    /// What the route changes in answers to its client, if anything.
    pub(super) fn edits_of_answers(&self) -> Option<&[Edit]> {
        Some(&self.edits()?.response[..]).filter(|edits| !edits.is_empty())
    }

    /// What of its targets' answers the route puts back into what its client knows, if anything.
    fn puts_back(&self) -> Option<&Back> {
        self.edits()?.back.as_ref()
    }

    fn edits(&self) -> Option<&Edits> {
        self.connection.era.plan.routes.get(self.outcome.route)?.edits.as_deref()
    }

    /// What edits are filled in from.
    pub(super) fn facts(&self) -> Facts<'_> {
        let Connection { era, listener, client, .. } = self.connection;
        let plan = &era.plan;
        let pool = self.outcome.target.map(|(pool, _)| &plan.pools[pool].shared);
        let target = pool.zip(self.outcome.target).and_then(|(pool, (_, target))| pool.targets.get(target));
        Facts {
            client: self.outcome.client,
            listener: &listener.name,
            route: plan.routes.get(self.outcome.route).map_or("", |route| &route.name),
            pool: pool.map_or("", |pool| &pool.name),
            target: target.map_or("", |target| &target.name),
            id: self.outcome.request_id(),
            consumer: self.heads.who.consumer.as_deref(),
            told: &self.heads.who.told,
            limits: &self.heads.who.limits,
            tokens: &self.heads.who.tokens,
            head: &self.heads.request,
            text: &self.text,
            is_http2: client.is_multiplexed(),
            scheme: listener.scheme(),
            tls: client.facts().map(|facts| facts.record()),
            status: 0,
        }
    }
}

#[cfg(test)]
mod tests;
