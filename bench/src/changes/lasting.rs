//! Connections that live for as long as the load does: WebSockets and TCP tunnels, with verified bytes there and back all along.

use super::load::{Orders, PATIENCE};
use crate::messages;
use crate::pattern::{self, Side};
use anyhow::{Context, Result, bail, ensure};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A WebSocket.
pub async fn websocket(orders: Orders) {
    last(
        &orders,
        async |opened| open_websocket(&orders, opened).await,
        async |stream, id, at, size| {
            let (mut payload, mut wire) = (vec![0; size], Vec::new());
            pattern::fill(id, Side::Request, at, &mut payload);
            messages::push(&mut wire, &payload, true);
            stream.write_all(&wire).await?;
            let mut back = vec![0; size + 4];
            stream.read_exact(&mut back).await?;
            let found = messages::first(&back)?.context("not a whole message")?;
            ensure!(back[found] == payload, "a message came back changed");
            Ok(())
        },
    )
    .await;
}

/// A tunnel through a TCP listener.
pub async fn tunnel(orders: Orders) {
    last(
        &orders,
        async |opened| open(&orders, orders.at.echo, opened).await,
        async |stream, id, at, size| {
            let (mut piece, mut back) = (vec![0; size], vec![0; size]);
            pattern::fill(id, Side::Request, at, &mut piece);
            stream.write_all(&piece).await?;
            stream.read_exact(&mut back).await?;
            ensure!(back == piece, "bytes came back changed");
            Ok(())
        },
    )
    .await;
}

async fn last(
    orders: &Orders,
    open: impl AsyncFn(&mut Instant) -> Result<TcpStream>,
    turn: impl AsyncFn(&mut TcpStream, u64, u64, usize) -> Result<()>,
) {
    while !orders.is_over() {
        let mut opened = Instant::now();
        let mut stream = match open(&mut opened).await {
            Ok(stream) => stream,
            Err(error) => {
                orders.ledger.lose(format!("not opened: {error:#}"), opened, opened);
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let (id, mut at) = (orders.number(), 0);
        while !orders.is_over() {
            let (sent, size) = (Instant::now(), fastrand::usize(1..4000));
            let ended = timeout(PATIENCE, turn(&mut stream, id, at, size)).await;
            match ended.unwrap_or_else(|_| bail!("no answer in time")) {
                Ok(()) => orders.ledger.note(|sum| sum.passed += 1),
                Err(error) => {
                    orders.ledger.lose(format!("after {at} bytes: {error:#}"), opened, sent);
                    break;
                }
            }
            at += size as u64;
            tokio::time::sleep(Duration::from_micros(fastrand::u64(..4_000))).await;
        }
    }
}

async fn open(orders: &Orders, to: std::net::SocketAddr, opened: &mut Instant) -> Result<TcpStream> {
    *opened = Instant::now();
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    orders.ledger.note(|sum| sum.opened += 1);
    Ok(stream)
}

async fn open_websocket(orders: &Orders, opened: &mut Instant) -> Result<TcpStream> {
    let mut stream = open(orders, orders.at.http, opened).await?;
    stream.write_all(messages::handshake("/ws").as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(PATIENCE, stream.read_u8()).await??);
    }
    ensure!(head.starts_with(b"HTTP/1.1 101"), "no WebSocket: {}", String::from_utf8_lossy(&head));
    Ok(stream)
}
