//! Clients' connections: each worker is asked for its own, a page at a time, so that none holds up its loop.

use super::body::{Path, Query};
use super::change::{canonical, network};
use super::desk::Desk;
use super::guard::Caller;
use super::problem::Problem;
use super::read::answer;
use super::view;
use crate::lane::{Choice, Guest, GuestId, Speech, piece};
use crate::net::Post;
use crate::plan::Plan;
use crate::worker::{Message, Reply};
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;
use xxhash_rust::xxh3::xxh3_64;

type From = State<Arc<Desk>>;
type Answer = Result<Response, Problem>;

/// How long a worker may take for an answer: one that stands still is passed over.
const PATIENCE: Duration = Duration::from_millis(500);
/// Connections on a part of the list, unless it is said.
const PART: usize = 100;
/// Connections that one request ends.
const ENDED: usize = 10_000;

pub(super) async fn list(State(desk): From, Query(wanted): Query<view::Connections>) -> Answer {
    let view::Connections { listener, client, target, limit, after } = wanted;
    let choice = choice(&desk, listener, client, target)?;
    let limit = limit.unwrap_or(PART);
    let (first, mut from) = match after.as_deref().map(read_id) {
        None => (0, 0),
        Some(Some((worker, id))) => (worker, (id.place as usize).saturating_add(1)),
        Some(None) => return Err(Problem::invalid("`after` is the `next` of the part before")),
    };
    let _look = desk.looks.acquire().await;
    let plan = desk.report.present().plan.clone();
    let names = targets(&plan);
    let mut items = Vec::new();
    let mut next = None;
    'workers: for (worker, post) in desk.report.posts().iter().enumerate().skip(first) {
        let mut at = Some(std::mem::take(&mut from));
        while let Some(place) = at {
            let message = |reply| Message::Guests(choice.clone(), place, reply);
            let Some((guests, more)) = ask(post, message).await else { break };
            for guest in guests {
                if items.len() == limit {
                    next = items.last().map(|last: &view::Connection| last.id.clone());
                    break 'workers;
                }
                items.push(show(worker, guest, &names));
            }
            at = more;
        }
    }
    answer(200, None, &view::Page { items, next })
}

pub(super) async fn close_some(
    State(desk): From,
    Extension(caller): Extension<Caller>,
    Query(wanted): Query<view::Ended>,
) -> Answer {
    let choice = choice(&desk, wanted.listener, wanted.client, wanted.target)?;
    if choice.is_open() {
        return Err(Problem::invalid("say which connections: give `listener`, `client` or `target`"));
    }
    let closed = end(&desk, &caller, &choice).await?;
    answer(200, None, &closed)
}

pub(super) async fn close(State(desk): From, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let absent = || Problem::not_found(format!("there is no connection `{id}`"));
    let (worker, guest) = read_id(&id).ok_or_else(absent)?;
    let posts = desk.report.posts();
    let post = posts.get(worker).ok_or_else(absent)?;
    match ask(post, |reply| Message::Cut(guest, reply)).await {
        Some(true) => {
            tracing::info!(by = %caller.asker(), id, "a connection is ended");
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        Some(false) => Err(absent()),
        None => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("worker {worker} stands still"))),
    }
}

/// Ends the connections that are meant, up to a bound.
pub(super) async fn end(desk: &Desk, caller: &Caller, choice: &Choice) -> Result<view::Closed, Problem> {
    let _look = desk.looks.acquire().await;
    let mut closed = 0;
    let mut more = false;
    for post in desk.report.posts().iter() {
        let mut at = Some(0);
        while let Some(place) = at {
            if closed >= ENDED {
                more = true;
                break;
            }
            let message = |reply| Message::CutAll(choice.clone(), place, reply);
            let Some((count, next)) = ask(post, message).await else { break };
            closed += count;
            at = next;
        }
    }
    tracing::info!(by = %caller.asker(), closed, ?choice, "connections are ended");
    Ok(view::Closed { closed, more })
}

async fn ask<T: Send + 'static>(post: &Post<Message>, message: impl FnOnce(Reply<T>) -> Message) -> Option<T> {
    let (sender, answer) = oneshot::channel();
    // A full mailbox is that of a worker that stands still.
    post.send(message(Box::new(|value| drop(sender.send(value))))).ok()?;
    timeout(PATIENCE, answer).await.ok()?.ok()
}

fn choice(
    desk: &Desk,
    listener: Option<String>,
    client: Option<String>,
    target: Option<String>,
) -> Result<Choice, Problem> {
    if let Some(name) = &listener
        && desk.report.present().plan.listener(name).is_none()
    {
        return Err(Problem::not_found(format!("there is no listener `{name}`")));
    }
    let client = client.as_deref().map(network).transpose()?;
    let target = target.as_deref().map(canonical).transpose()?;
    Ok(Choice { listener, client, target: target.map(|target| piece(xxh3_64(target.as_bytes()))) })
}

/// Targets by what connections remember of them.
fn targets(plan: &Plan) -> HashMap<u32, &str> {
    let all = plan.pools.iter().flat_map(|pool| &pool.shared.targets);
    all.map(|target| (piece(target.id), target.name.as_str())).collect()
}

fn show(worker: usize, guest: Guest, names: &HashMap<u32, &str>) -> view::Connection {
    let protocol = match guest.speech {
        Speech::Http1 => "h1",
        Speech::Http2 => "h2",
        Speech::Tunnel => "tunnel",
        Speech::Datagrams => "udp",
    };
    let client = match guest.port {
        0 => "unix".to_owned(),
        port => std::net::SocketAddr::new(guest.client, port).to_string(),
    };
    view::Connection {
        id: write_id(worker, guest.id),
        client,
        listener: guest.listener,
        worker,
        age: guest.age,
        protocol: protocol.to_owned(),
        target: names.get(&guest.target).map(|&name| name.to_owned()),
        datagrams_in: guest.passed.map(|passed| passed.datagrams[0]),
        datagrams_out: guest.passed.map(|passed| passed.datagrams[1]),
        bytes_in: guest.passed.map(|passed| passed.bytes[0]),
        bytes_out: guest.passed.map(|passed| passed.bytes[1]),
    }
}

fn write_id(worker: usize, id: GuestId) -> String {
    format!("{worker}-{:x}-{:x}-{:x}", id.place, id.since, id.serial)
}

fn read_id(text: &str) -> Option<(usize, GuestId)> {
    let mut pieces = text.split('-');
    let worker = pieces.next()?.parse().ok()?;
    let mut hex = || u64::from_str_radix(pieces.next()?, 16).ok();
    let (place, since, serial) = (hex()?, u32::try_from(hex()?).ok()?, u8::try_from(hex()?).ok()?);
    pieces.next().is_none().then_some((worker, GuestId { place, since, serial }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_written_and_nothing_else_is_one() {
        let id = GuestId { place: 4096, since: 77, serial: 255 };
        assert_eq!(read_id(&write_id(3, id)), Some((3, id)));
        let far = GuestId { place: 7 << 32 | 5, ..id };
        assert_eq!(read_id(&write_id(0, far)), Some((0, far)));
        for text in ["", "3", "3-1000-4d", "3-1000-4d-100", "3-1000-4d-ff-0", "x-1-1-1", "3-1-1ffffffff-1", "----"] {
            assert_eq!(read_id(text), None, "{text}");
        }
    }
}
