//! Clients of HTTP/1.1 that keep a connection and use it at the worst moment, and those of a listener that comes and goes.

use super::load::{Orders, PATIENCE, mix, wait_for_moment};
use crate::strict::link::{Link, State};
use crate::strict::request::Request;
use crate::strict::tally::{Fault, Trace};
use std::time::{Duration, Instant};

/// Keeps a connection that idles until a moment comes.
pub async fn keep_alive(mut orders: Orders, index: usize) {
    let (host, prefix) = (orders.at.http.to_string(), format!("/route-000{}", index % 8));
    let mut slot = None;
    while wait_for_moment(&mut orders, index).await {
        let begun = Instant::now();
        let open = match kept(&orders, slot.take()) {
            Some(link) => Ok(link),
            None => Link::open(&host).await.inspect(|_| orders.ledger.note(|sum| sum.opened += 1)),
        };
        match open {
            Ok(link) => slot = exchange(&orders, link, &host, &prefix).await,
            Err(fault) => orders.ledger.lose(fault, begun, begun),
        }
    }
}

/// Comes again and again to a listener that is not always there. Who was let in is served.
pub async fn guest(orders: Orders) {
    let host = orders.at.guest.to_string();
    let mut slot = None;
    while !orders.is_over() {
        let begun = Instant::now();
        let open = match kept(&orders, slot.take()) {
            Some(link) => Ok(link),
            None => Link::open(&host).await,
        };
        match open {
            Ok(link) => {
                orders.ledger.note(|sum| sum.opened += 1);
                slot = exchange(&orders, link, &host, "").await;
                // Most come anew: it is the queue that is looked at here.
                if fastrand::u8(..4) > 0 {
                    slot = None;
                }
            }
            Err(Fault::Connect) => orders.ledger.note(|sum| sum.absent += 1),
            Err(fault) => orders.ledger.lose(format!("{fault}, while it connected"), begun, begun),
        }
        tokio::time::sleep(Duration::from_micros(fastrand::u64(200..4_000))).await;
    }
}

/// The connection, if it can be used. One that was ended in order before its next request was sent is no loss.
fn kept(orders: &Orders, link: Option<Link>) -> Option<Link> {
    let link = link?;
    let now = Instant::now();
    match link.state() {
        State::Open => return Some(link),
        State::Closed => orders.ledger.note(|sum| sum.ended += 1),
        State::Reset => orders.ledger.lose("reset between two requests", link.opened, now),
        State::Extra => orders.ledger.lose("bytes that nobody asked for", link.opened, now),
    }
    None
}

async fn exchange(orders: &Orders, mut link: Link, host: &str, prefix: &str) -> Option<Link> {
    let (request, mut wire) = (Request::new(orders.number(), &mix()), Vec::new());
    request.render(host, prefix, None, &mut wire);
    let (opened, sent) = (link.opened, Instant::now());
    let mut trace = Trace { opened, previous: None, target: None };
    let ended = tokio::time::timeout(PATIENCE, link.exchange(&request, &wire, &mut trace)).await;
    match ended.unwrap_or(Err(Fault::Timeout)) {
        Ok(stays) => {
            orders.ledger.note(|sum| sum.passed += 1);
            stays.then_some(link)
        }
        Err(fault) => {
            let (method, id) = (request.method, request.id);
            orders.ledger.lose(format!("{method} {id:x}: {fault}"), opened, sent);
            None
        }
    }
}
