//! Clients of HTTP/2 in clear, by prior knowledge.

use super::load::{Orders, PATIENCE, mix, wait_for_moment};
use super::slow;
use crate::pattern::{Check, Side};
use crate::strict::request::{Methods, Mix, Request};
use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use std::future::poll_fn;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, spawn_local};
use tokio::time::timeout;

/// A connection.
#[derive(Clone)]
struct Link {
    requests: SendRequest<Bytes>,
    opened: Instant,
}

/// Streams that a busy client has open at a time, at most.
const STREAMS: usize = 4;

/// Sends without pause.
pub async fn busy(orders: Orders) {
    let mut slot = None;
    while !orders.is_over() {
        let Some(link) = ready(&orders, &mut slot).await else { continue };
        let mut streams = JoinSet::new();
        for _ in 0..fastrand::usize(1..=STREAMS) {
            let (orders, link) = (orders.clone(), link.clone());
            streams.spawn_local(async move { exchange(&orders, link, &mix(), Duration::ZERO).await });
        }
        streams.join_all().await;
        tokio::time::sleep(Duration::from_micros(fastrand::u64(..20_000))).await;
    }
}

/// Keeps a connection that idles until a moment comes.
pub async fn idle(mut orders: Orders, index: usize) {
    let mut slot = None;
    while wait_for_moment(&mut orders, index).await {
        if let Some(link) = ready(&orders, &mut slot).await {
            exchange(&orders, link, &mix(), Duration::ZERO).await;
        }
    }
}

/// Takes many seconds for each answer.
pub async fn download(orders: Orders) {
    let mix = Mix { methods: Methods::Get, bodies: 0.0, chunked: 0.0, close: 0.0, sizes: vec![slow::SIZE] };
    let mut slot = None;
    while !orders.is_over() {
        if let Some(link) = ready(&orders, &mut slot).await {
            exchange(&orders, link, &mix, slow::PAUSE).await;
        }
    }
}

/// The connection in `slot`, or a new one if the proxy has ended it in order.
async fn ready(orders: &Orders, slot: &mut Option<Link>) -> Option<Link> {
    if let Some(link) = slot.take() {
        match link.requests.clone().ready().await {
            Ok(requests) => {
                let link = Link { requests, ..link };
                return Some(slot.insert(link).clone());
            }
            // It was told to come back by another connection.
            Err(error) if error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR) => {}
            Err(error) if error.get_io().is_none() && !error.is_go_away() => {}
            Err(error) => orders.ledger.lose(format!("an idle connection ended: {error}"), link.opened, Instant::now()),
        }
        orders.ledger.note(|sum| sum.ended += 1);
    }
    let begun = Instant::now();
    match timeout(PATIENCE, open(orders)).await.unwrap_or_else(|_| bail!("no connection in time")) {
        Ok(link) => Some(slot.insert(link).clone()),
        Err(error) => {
            orders.ledger.lose(format!("not opened: {error:#}"), begun, begun);
            tokio::time::sleep(Duration::from_millis(20)).await;
            None
        }
    }
}

async fn open(orders: &Orders) -> Result<Link> {
    let opened = Instant::now();
    let stream = TcpStream::connect(orders.at.http).await?;
    stream.set_nodelay(true)?;
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(256 << 10).initial_connection_window_size(1 << 20);
    let (requests, connection) = builder.handshake(stream).await?;
    spawn_local(async move { drop(connection.await) });
    orders.ledger.note(|sum| sum.opened += 1);
    Ok(Link { requests: requests.ready().await?, opened })
}

/// One request with its answer, of which the reader takes a piece at a time with `pause` after it.
async fn exchange(orders: &Orders, mut link: Link, mix: &Mix, pause: Duration) {
    let request = Request::new(orders.number(), mix);
    let (id, method, sent) = (request.id, request.method, Instant::now());
    let uri = format!("http://{}{}", orders.at.http, request.path(""));
    let head = http::Request::builder().method(method).uri(uri).header("x-strict-id", format!("{id:x}")).body(());
    let begun =
        head.context("a request").and_then(|head| Ok(link.requests.send_request(head, request.body.is_none())?));
    let (answer, body) = match begun {
        Ok(streams) => streams,
        // Nothing was sent: the connection is about to end.
        Err(_) => return orders.ledger.note(|sum| sum.ended += 1),
    };
    let patience = if pause.is_zero() { PATIENCE } else { Duration::from_secs(120) };
    let whole = async {
        if let Some(size) = request.body {
            send(body, &request, size).await?;
        }
        let (head, body) = answer.await?.into_parts();
        ensure!(head.status == 200, "status {}", head.status);
        let field = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        ensure!(field("x-strict-id") == format!("{id:x}"), "another request's answer");
        ensure!(field("x-received") == request.body.unwrap_or(0).to_string(), "request body lost on the way");
        receive(orders, body, &request, pause).await
    };
    match timeout(patience, whole).await.unwrap_or_else(|_| bail!("not whole within {patience:?}")) {
        Ok(()) => orders.ledger.note(|sum| sum.passed += 1),
        Err(error) => orders.ledger.lose(format!("{method} {id:x}: {error:#}"), link.opened, sent),
    }
}

async fn send(mut to: SendStream<Bytes>, request: &Request, size: usize) -> Result<()> {
    let mut at = 0;
    while at < size {
        to.reserve_capacity((size - at).min(16 << 10));
        let room = poll_fn(|cx| to.poll_capacity(cx)).await.context("the stream ended in mid-request")??;
        let (mut piece, count) = (Vec::new(), room.min(size - at));
        request.append(at, count, &mut piece);
        to.send_data(piece.into(), false)?;
        at += count;
    }
    Ok(to.send_data(Bytes::new(), true)?)
}

async fn receive(orders: &Orders, mut from: RecvStream, request: &Request, pause: Duration) -> Result<()> {
    let (mut check, mut held) = (Check::new(request.id, Side::Answer), 0);
    while let Some(piece) = from.data().await {
        let piece = piece.context("truncated answer")?;
        check.feed(&piece);
        held += piece.len();
        if held >= slow::PIECE / 2 && !pause.is_zero() && !orders.is_over() {
            tokio::time::sleep(pause / 2).await;
        }
        if pause.is_zero() || held >= slow::PIECE / 2 || orders.is_over() {
            from.flow_control().release_capacity(std::mem::take(&mut held))?;
        }
    }
    let expected = if request.method == "HEAD" { 0 } else { request.answer as u64 };
    ensure!(check.seen() == expected, "{} bytes in place of {expected}", check.seen());
    ensure!(check.wrong_at().is_none(), "corrupt answer body");
    Ok(())
}
