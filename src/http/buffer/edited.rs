//! A request's JSON body, edited as rules of its route say.
//!
//! What always holds: no target sees a byte of a body that cannot be edited; what is edited is sent as often as it is needed, and has a
//! length. It counts as held, and no body holds more than its rules say.

use super::Charge;
use super::hold::{Held, go_on, not_whole};
use crate::gateway::Denial;
use crate::gateway::transform::{Editor, Fault};
use crate::http::body::{Body, BodyError};
use crate::http::connection::Connection;
use crate::http::edit::values;
use crate::http::exchange::Exchange;
use crate::http::h1::{Framing, Incoming};
use crate::http::head::Name;
use crate::http::json::{codings, is_digest, is_json};
use crate::http::reply::Reply;
use crate::net::{Lease, breathe};
use crate::observe::reason::Reason;
use crate::plan::BodyEdit;
use std::sync::Arc;

/// Bytes that are edited before others have their turn.
const PIECE: usize = 64 << 10;

/// A body that goes no further, and why.
struct Refused {
    rule: usize,
    denial: Denial,
}

/// A request that was answered instead, or whose client has left.
pub(in crate::http) struct Over;

/// Takes the body of a request and edits it. `None`: there is nothing to edit.
pub(in crate::http) async fn edit(
    exchange: &mut Exchange<'_>,
    edits: &[Arc<BodyEdit>],
    incoming: &Incoming,
    body: &mut Body,
) -> Result<Option<Box<Held>>, Over> {
    let most = edits.iter().map(|edit| edit.most).min().unwrap_or(0);
    match concerned(exchange, edits, incoming, most) {
        Ok(true) => {}
        Ok(false) => return Ok(None),
        Err(refused) => return Err(refuse(exchange, refused).await),
    }
    let mut held = Box::new(Held { incoming: *incoming, charge: Charge::new(&exchange.connection, usize::MAX) });
    go_on(exchange, incoming, body).await.ok_or(Over)?;
    held.incoming.expects_continue = false;
    exchange.outcome.waits();
    let Connection { client, listener, .. } = exchange.connection;
    let (mut content, mut waiting) = (Lease::empty(), true);
    for (place, edit) in edits.iter().enumerate() {
        let values = values(&edit.values, &exchange.facts(), None);
        let mut pass =
            Pass { edit, editor: Editor::new(edit.edits.clone(), values), most, taken: 0, out: Lease::new() };
        // The first takes it as it comes, the others what the one before them has made of it.
        let mut next = Some(std::mem::take(&mut content));
        while let Some(piece) = next {
            if let Err(refused) = pass.push(&piece, &mut held.charge).await {
                return Err(refuse(exchange, refused).await);
            }
            if place > 0 {
                held.charge.sub(piece.len());
                break;
            }
            let mut following = come(body, &mut waiting).await;
            if let Ok(None) = following {
                following = body.next(client, listener.timeouts.client_body).await;
                exchange.outcome.bytes_in +=
                    following.as_ref().map_or(0, |more| more.as_ref().map_or(0, |m| m.len())) as u64;
            }
            next = match following {
                Ok(more) => more,
                Err(error) => {
                    not_whole(exchange, &error).await;
                    return Err(Over);
                }
            };
        }
        match pass.finish(&mut held.charge) {
            Ok(out) => content = out,
            Err(refused) => return Err(refuse(exchange, refused).await),
        }
    }
    for edit in edits {
        exchange.count_body(edit.rule, true);
    }
    let Exchange { heads, text, .. } = exchange;
    heads.request.fields.retain(|field| field.kind != Name::Other || !is_digest(field.name.of(text)));
    if incoming.framing != Framing::Chunked || body.trailers().is_empty() {
        held.incoming.framing = Framing::Length(content.len() as u64);
    }
    body.hold(content, None);
    Ok(Some(held))
}

/// The next content of what has come of a body so far. `None`: all of that was taken.
async fn come(body: &mut Body, waiting: &mut bool) -> Result<Option<Lease>, BodyError> {
    if let Some(piece) = body.next_aside().await? {
        return Ok(Some(piece));
    }
    Ok(std::mem::take(waiting).then(|| body.take_first()))
}

/// Whether the request has a body to edit.
fn concerned(
    exchange: &Exchange<'_>,
    edits: &[Arc<BodyEdit>],
    incoming: &Incoming,
    most: usize,
) -> Result<bool, Refused> {
    if matches!(incoming.framing, Framing::None | Framing::Length(0)) || incoming.websocket || exchange.grpc {
        return Ok(false);
    }
    let Some(first) = edits.first() else { return Ok(false) };
    let (head, text) = (&exchange.heads.request, &exchange.text);
    let no_type = |rule: usize, word| Refused { rule, denial: Denial::new(415, Reason::MediaType, word) };
    // Who says several things may be read by any of them.
    if !head.values(text, b"content-type").any(is_json) {
        return match edits.iter().find(|edit| edit.only_json) {
            Some(edit) => Err(no_type(edit.rule, "no-json")),
            None => Ok(false),
        };
    }
    if head.values(text, b"content-encoding").flat_map(codings).next().is_some() {
        // RFC 9110 §15.5.16: it says what would be taken.
        let mut refused = no_type(first.rule, "coded-body");
        refused.denial.lines.push_str("Accept-Encoding: identity\r\n");
        return Err(refused);
    }
    match incoming.framing {
        Framing::Length(length) if length > most as u64 => Err(too_large(first.rule)),
        _ => Ok(true),
    }
}

fn too_large(rule: usize) -> Refused {
    Refused { rule, denial: Denial::new(413, Reason::BodyTooLarge, Reason::BodyTooLarge.word()) }
}

async fn refuse(exchange: &mut Exchange<'_>, refused: Refused) -> Over {
    exchange.count_body(refused.rule, false);
    exchange.answer(Reply::denied(refused.denial), true).await;
    exchange.linger().await;
    Over
}

/// A body on its way through the edits of one rule.
struct Pass<'e> {
    edit: &'e BodyEdit,
    editor: Editor,
    most: usize,
    taken: usize,
    out: Lease,
}

impl Pass<'_> {
    async fn push(&mut self, mut content: &[u8], charge: &mut Charge) -> Result<(), Refused> {
        self.taken += content.len();
        if self.taken > self.most {
            return Err(too_large(self.edit.rule));
        }
        while !content.is_empty() {
            let before = self.out.len();
            let piece = &content[..content.len().min(PIECE)];
            let taken = self.editor.push(piece, PIECE, self.out.buffer());
            content = &content[taken.map_err(|fault| self.faulty(fault))?..];
            self.charge(before, charge)?;
            if !content.is_empty() {
                breathe().await;
            }
        }
        Ok(())
    }

    fn finish(mut self, charge: &mut Charge) -> Result<Lease, Refused> {
        let before = self.out.len();
        self.editor.finish(self.out.buffer()).map_err(|fault| self.faulty(fault))?;
        self.charge(before, charge)?;
        Ok(self.out)
    }

    /// Counts what has come to what is held.
    fn charge(&self, before: usize, charge: &mut Charge) -> Result<(), Refused> {
        let more = self.out.len() - before;
        if self.out.len() > self.most {
            return Err(too_large(self.edit.rule));
        }
        if !charge.has_room(more) {
            charge.is_full();
            let denial = Denial::new(503, Reason::Buffer, "buffers-full");
            return Err(Refused { rule: self.edit.rule, denial });
        }
        charge.add(more);
        Ok(())
    }

    fn faulty(&self, fault: Fault) -> Refused {
        Refused { rule: self.edit.rule, denial: Denial::new(400, Reason::BadBody, fault.word()) }
    }
}
