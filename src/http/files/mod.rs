//! Files of a folder, sent as they are: what a name stands for is found, described, held against what the client has already,
//! and streamed.
//!
//! What always holds: nothing outside of the folder, nothing hidden and nothing but regular files is ever sent; an answer begins
//! once its first bytes are in hand; a file that becomes shorter while it is sent ends the connection and never looks complete.
//! A worker waits for no disk, and a transfer holds two buffers at most.

mod answer;
mod body;
mod describe;
mod find;
mod name;

pub(super) use name::relative;

use super::edit;
use super::exchange::{Exchange, Heads};
use super::forward::Path;
use super::h1::{self, Backward, Incoming, Limits, Parsed, Question, Scan};
use super::head::{Field, Method, RequestHead};
use super::reply::{Reply, owes_body};
use super::transfer::INLINE;
use crate::cache::{self, Fields, Honour};
use crate::net::Lease;
use crate::observe::reason::Reason;
use crate::plan::{Forward, Site};
use answer::Answer;
use body::{Body, Cut};
use find::{Found, Lost};
use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::SystemTime;

/// What became of a request for a file.
pub(super) enum Served<'a> {
    /// It was answered; what was received beyond it, if the client's connection goes on.
    Here(Option<Lease>),
    /// There is no such file, and it goes to a pool.
    Elsewhere(&'a Arc<Forward>, Lease),
}

/// Answers a request for a file of `site`; `received` came behind its head.
pub(super) async fn serve<'a>(
    exchange: &mut Exchange<'_>,
    site: &'a Site,
    path: Path,
    incoming: &Incoming,
    received: Lease,
) -> Served<'a> {
    let is_read = matches!(exchange.heads.request.method, Method::Get | Method::Head);
    let lost = if is_read { find(exchange, site, path).await } else { Err(Lost::Missing) };
    let reply = match (lost, &site.otherwise) {
        (Ok(found), _) => {
            return Served::Here(send(exchange, site, &found, incoming, received).await);
        }
        (Err(Lost::Missing), Some(forward)) => return Served::Elsewhere(forward, received),
        (Err(Lost::Missing), None) if !is_read => Reply::refusal(405, Reason::Method),
        (Err(Lost::Missing), None) => Reply::refusal(404, Reason::NoFile),
        (Err(Lost::Slash), _) => {
            let Heads { request, path: normal, .. } = &*exchange.heads;
            Reply::to_folder(normal_path(path, request, &exchange.text, normal), request, &exchange.text)
        }
        (Err(Lost::Failed(error)), _) => refusal_of(&error),
    };
    Served::Here(exchange.answer_with_body_unread(reply, incoming, received).await)
}

/// The path that routes see.
pub(super) fn normal_path<'p>(path: Path, head: &RequestHead, text: &'p [u8], normal: &'p [u8]) -> &'p [u8] {
    if path.plain { head.path.of(text) } else { normal }
}

async fn find(exchange: &mut Exchange<'_>, site: &Site, path: Path) -> Result<Found, Lost> {
    let Heads { request, path: normal, .. } = &*exchange.heads;
    let path = normal_path(path, request, &exchange.text, normal);
    let name = relative(path, site.strip_prefix.as_deref(), site.dotfiles);
    exchange.outcome.waits();
    let accepts: Vec<&[u8]> = match site.precompressed {
        true => request.values(&exchange.text, b"accept-encoding").collect(),
        false => Vec::new(),
    };
    find::find(site, name, &accepts).await
}

/// What could not be opened or read, in the client's terms.
fn refusal_of(error: &io::Error) -> Reply {
    match error.kind() {
        ErrorKind::PermissionDenied => Reply::refusal(403, Reason::File),
        // Another time it may be there.
        ErrorKind::TimedOut | ErrorKind::ResourceBusy => Reply::refusal(503, Reason::File),
        _ => {
            tracing::debug!(%error, "a file cannot be sent");
            Reply::refusal(500, Reason::File)
        }
    }
}

/// The head of a request as caches see it.
struct Asked<'a>(&'a [Field], &'a [u8]);

impl Fields for Asked<'_> {
    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|field| (field.name.of(self.1), field.value.of(self.1)))
    }
}

/// Sends what was found. Returns what was received beyond the request, if the client's connection goes on.
async fn send(
    exchange: &mut Exchange<'_>,
    site: &Site,
    found: &Found,
    incoming: &Incoming,
    received: Lease,
) -> Option<Lease> {
    let method = exchange.heads.request.method;
    let answer = {
        let asked = Asked(&exchange.heads.request.fields, &exchange.text);
        Answer::of(site, found, method, &cache::Request::of(&asked, Honour::None), SystemTime::now())
    };
    let mut body = Body::new(&found.file, answer.pieces, site.timeout);
    // So that what cannot be read is told by a status.
    let first = match body.next(body::first_part()).await {
        Ok(first) => first,
        Err(error) => {
            let reply = refusal_of(&error);
            return exchange.answer_with_body_unread(reply, incoming, received).await;
        }
    };
    let unread = owes_body(incoming);
    exchange.keep_alive &= !unread && !exchange.connection.is_leaving();
    let mut out = Lease::with_room(answer.head.len() + 256 + if first.len() <= INLINE { first.len() } else { 0 });
    if !encode(exchange, &answer.head, &mut out) {
        return exchange.answer_with_body_unread(Reply::refusal(500, Reason::Internal), incoming, received).await;
    }
    match stream(exchange, &mut body, out, first).await {
        Ok(()) if exchange.keep_alive => return Some(received),
        Ok(()) if unread || !received.is_empty() => exchange.linger().await,
        Ok(()) => {}
        Err(Cut::Client(error)) => exchange.outcome.unsent(&error),
        Err(Cut::File(error)) => {
            tracing::warn!(folder = %site.root.path().display(), %error, "a file was not sent to its end: it is shorter than it was, or cannot be read");
            exchange.outcome.refused(Reason::File, Reason::File.word());
            exchange.connection.client.reset_on_close();
        }
    }
    None
}

/// Writes the head for the client, on the way that those of targets take.
fn encode(exchange: &mut Exchange<'_>, head: &[u8], out: &mut Lease) -> bool {
    let RequestHead { version, method, .. } = exchange.heads.request;
    let question = Question { method, websocket: false };
    let limits = Limits { head: head.len(), fields: h1::MAX_FIELDS };
    let response = &mut exchange.heads.response;
    let Ok(Parsed::Complete(read)) = h1::parse_response(head, &question, &limits, &mut Scan::default(), response)
    else {
        return false;
    };
    let (keep_alive, response) = (exchange.keep_alive, &exchange.heads.response);
    exchange.connection.lane.with_date(|date| {
        let backward = Backward {
            version,
            method,
            framing: read.framing,
            keep_alive,
            tunnel: false,
            date: date.as_bytes(),
            hsts: &exchange.connection.http.hsts,
            marking: None,
        };
        h1::encode_response(out.buffer(), response, head, &backward);
    });
    let status = exchange.heads.response.status;
    if let Some(edits) = exchange.edits_of_answers() {
        edit::written_answer(edits, &edit::Facts { status, ..exchange.facts() }, out.buffer());
    }
    exchange.outcome.answered_here();
    exchange.outcome.status = status;
    exchange.outcome.answers_with(exchange.connection.era, out);
    true
}

/// Sends the head, `first` behind it, and the rest of the content.
async fn stream(exchange: &mut Exchange<'_>, body: &mut Body<'_>, mut out: Lease, first: Lease) -> Result<(), Cut> {
    let connection = exchange.connection;
    let (client, stall) = (connection.client, connection.listener.timeouts.write_stall);
    let head = out.len() as u64;
    let begun = first.len() as u64;
    let sent = if first.len() <= INLINE {
        out.buffer().extend_from_slice(&first);
        drop(first);
        client.send(out, stall).await
    } else {
        client.send_both(out, first, stall).await
    };
    sent.map_err(Cut::Client)?;
    exchange.outcome.bytes_out += head + begun;
    exchange.outcome.body_out += begun;
    if body.is_ended() {
        return Ok(());
    }
    let sent = Cell::new(0);
    let result = match body.next(body::first_part()).await {
        Ok(next) => body.send(&connection, next, &sent).await,
        Err(error) => Err(Cut::File(error)),
    };
    exchange.outcome.bytes_out += sent.get();
    exchange.outcome.body_out += sent.get();
    result
}
