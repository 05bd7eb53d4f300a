//! Answers that are put together of what several pools say as JSON.
//!
//! What always holds: parts are asked at the same time, each as a request of its own with its pool's balancing, retries, timeouts and
//! counts; they are polled by the client's exchange, so that they end with it. Rules have decided of the request before the first is asked. What
//! is put together goes out on the way of what a cache has stored, so that it is edited and coded as any answer.

mod merge;
mod part;

pub(super) use part::{Gather, write_question};

use super::answer::PATIENCE;
use super::cached;
use super::exchange::Exchange;
use super::forward::Path;
use super::h1::Incoming;
use super::head::Method;
use super::reply::{Reply, owes_body};
use crate::net::{self, Either, Lease, race};
use crate::observe::reason::{Gathered, Reason};
use crate::observe::status::reason_phrase;
use crate::plan::{Aggregate, Part};
use merge::Piece;
use part::{Lack, Question};
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

/// The header that says which parts are missing.
const PARTIAL: &str = "Ringway-Partial";

/// What became of a part; `None`: nobody has waited for it.
type Came<'a> = (&'a Part, Option<Result<Option<Vec<u8>>, Lack>>);

/// Answers a request by what its parts say; `received` came behind its head. Returns what was received beyond it, if the client's
/// connection goes on.
pub(super) async fn serve(
    exchange: &mut Exchange<'_>,
    aggregate: &Aggregate,
    path: Path,
    incoming: &Incoming,
    received: Lease,
) -> Option<Lease> {
    if !is_served(exchange.heads.request.method) {
        return exchange.answer_with_body_unread(Reply::refusal(405, Reason::Method), incoming, received).await;
    }
    let left = Cell::new(aggregate.max_total);
    let connection = exchange.connection;
    let all: Vec<Gather<'_>> =
        aggregate.parts.iter().map(|part| Gather::new(part, aggregate, &left, &connection)).collect();
    ask(exchange, path, &all).await?;
    exchange.outcome.tries = all.iter().map(Gather::tries).sum();
    let came: Vec<Came<'_>> = all.iter().map(|gather| (gather.part, gather.outcome())).collect();
    tell(exchange, &came);
    let unread = owes_body(incoming);
    if let Some((part, lack)) = failure_of(&came) {
        let reply = failed(exchange, part, lack);
        return exchange.answer_with_body_unread(reply, incoming, received).await;
    }
    exchange.keep_alive &= !unread && !exchange.connection.is_leaving();
    let (head, content) = put_together(exchange, aggregate, came);
    exchange.outcome.answered_here();
    // What is held of the parts is counted until it is out.
    cached::give(exchange, head, content, aggregate.compress.as_deref(), aggregate.bodies.as_deref()).await;
    drop(all);
    exchange.after(unread, received).await
}

/// Whether requests of this method are answered so.
pub(super) fn is_served(method: Method) -> bool {
    matches!(method, Method::Get | Method::Head)
}

/// Asks for all parts, for as long as they have or until there is no answer any more. `None`: the client has left.
async fn ask(exchange: &mut Exchange<'_>, path: Path, all: &[Gather<'_>]) -> Option<()> {
    let mut text = Vec::with_capacity(exchange.text.len() + 64);
    write_question(&exchange.heads.request, &exchange.text, &mut text);
    let question = Question {
        connection: exchange.connection,
        route: exchange.outcome.route,
        client: exchange.outcome.client,
        path,
        who: exchange.heads.who.clone(),
        trace: exchange.heads.trace.context().copied(),
        normal: if path.plain { Vec::new() } else { exchange.heads.path.clone() },
        text,
    };
    exchange.outcome.waits();
    let mut asked: Vec<Option<Pin<Box<dyn Future<Output = ()> + '_>>>> = Vec::with_capacity(all.len());
    for gather in all {
        asked.push(Some(Box::pin(gather.ask(&question))));
    }
    let joined = poll_fn(|cx| {
        let mut waits = false;
        for (gather, slot) in all.iter().zip(&mut asked) {
            let Some(future) = slot else { continue };
            match future.as_mut().poll(cx) {
                Poll::Pending => waits = true,
                Poll::Ready(()) => {
                    *slot = None;
                    if gather.fails_all() {
                        return Poll::Ready(());
                    }
                }
            }
        }
        if waits { Poll::Pending } else { Poll::Ready(()) }
    });
    let mut joined = pin!(joined);
    if net::timeout(PATIENCE, joined.as_mut()).await.is_some() {
        return Some(());
    }
    let client = exchange.connection.client;
    client.set_deadline(None);
    match race(joined.as_mut(), client.closed()).await {
        Either::Left(()) => {}
        Either::Right(true) => {
            exchange.outcome.client_left();
            return None;
        }
        // The client has sent its next request: it is still there, and can be watched no further.
        Either::Right(false) => joined.await,
    }
    Some(())
}

/// Notes for the log which parts have failed, and how.
fn tell(exchange: &mut Exchange<'_>, came: &[Came<'_>]) {
    let missing = &mut exchange.heads.missing;
    for (part, came) in came {
        let Some(Err(lack)) = came else { continue };
        if !missing.is_empty() {
            missing.push(' ');
        }
        missing.push_str(&part.name);
        missing.push('=');
        missing.push_str(&lack.word);
    }
}

/// The part without which there is no answer, and how it has failed: one that is required, or the first where none has come.
fn failure_of<'a>(came: &'a [Came<'_>]) -> Option<(&'a Part, &'a Lack)> {
    let mut failed = came.iter().filter_map(|(part, came)| match came {
        Some(Err(lack)) => Some((*part, lack)),
        _ => None,
    });
    let is_there = came.iter().any(|(_, came)| matches!(came, Some(Ok(_))));
    let required = failed.clone().find(|(part, _)| part.required);
    required.or_else(|| if is_there { None } else { failed.next() })
}

/// What the client is told where there is no answer without a part.
fn failed(exchange: &mut Exchange<'_>, part: &Part, lack: &Lack) -> Reply {
    if let (Some(failure), None) = (lack.failure, lack.refusal) {
        exchange.outcome.target_failed(failure);
    }
    let how = match lack.what {
        Gathered::Failed => "nobody gave a whole answer",
        Gathered::Timeout => "it did not come in time",
        Gathered::Refused => "it cannot be asked for in this way",
        Gathered::Status => "its status is not one that is expected",
        Gathered::Type => "it is no JSON, or compressed",
        Gathered::TooLarge => "it is too large",
        Gathered::NoRoom => "there is no room for it",
        Gathered::BadJson => "it is no JSON that can be read without doubt",
        Gathered::NoObject => "it is no object",
        Gathered::Good | Gathered::GivenUp => "it is missing",
    };
    let problem = serde_json::json!({
        "title": reason_phrase(lack.status),
        "status": lack.status,
        "detail": format!("Part `{}` of this answer is missing: {how}.", part.name),
        "part": part.name,
    });
    Reply::incomplete(lack.status, lack.refusal, problem.to_string().into())
}

/// The head of the whole, and the whole.
fn put_together(exchange: &Exchange<'_>, aggregate: &Aggregate, came: Vec<Came<'_>>) -> (Vec<u8>, Vec<u8>) {
    let mut missing = Vec::new();
    let texts: Vec<(&Part, Option<Vec<u8>>)> = came
        .into_iter()
        .map(|(part, came)| match came {
            Some(Ok(text)) => (part, text),
            _ => {
                missing.push(&*part.name);
                (part, None)
            }
        })
        .collect();
    let pieces: Vec<Piece<'_>> = texts
        .iter()
        .map(|(part, text)| Piece { member: part.member.as_deref(), text: text.as_deref().unwrap_or(&part.default) })
        .collect();
    let content = merge::merge(&pieces);
    let control = if missing.is_empty() { &aggregate.cache_control } else { "no-store" };
    let mut head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: {control}\r\n").into_bytes();
    if !missing.is_empty() {
        head.extend_from_slice(format!("{PARTIAL}: {}\r\n", missing.join(", ")).as_bytes());
    }
    exchange.connection.lane.with_date(|date| {
        head.extend_from_slice(b"Date: ");
        head.extend_from_slice(date.as_bytes());
        head.extend_from_slice(b"\r\n");
    });
    (head, content)
}
