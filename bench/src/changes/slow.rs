//! Clients of HTTP/1.1 that take many seconds for one answer, over several changes.

use super::load::Orders;
use crate::pattern::{Check, Side};
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of an answer: more than all buffers on the way hold, so that it is read from the target to the last moment.
pub const SIZE: usize = 12 << 20;
/// What is read at a time, and the pause after it: five seconds in all.
pub const PIECE: usize = 256 << 10;
/// See [`PIECE`].
pub const PAUSE: Duration = Duration::from_millis(100);

/// Downloads one after the other.
pub async fn download(orders: Orders) {
    while !orders.is_over() {
        let begun = Instant::now();
        let id = orders.number();
        orders.ledger.note(|sum| sum.opened += 1);
        let limit = Duration::from_secs(120);
        match tokio::time::timeout(limit, once(&orders, id)).await {
            Ok(Ok(())) => orders.ledger.note(|sum| sum.passed += 1),
            Ok(Err(error)) => orders.ledger.lose(format!("{id:x}: {error:#}"), begun, begun),
            Err(_) => orders.ledger.lose(format!("{id:x}: not whole within {limit:?}"), begun, begun),
        }
    }
}

async fn once(orders: &Orders, id: u64) -> Result<()> {
    let mut stream = TcpStream::connect(orders.at.http).await?;
    let head = format!("GET /strict/{id:x}?size={SIZE} HTTP/1.1\r\nhost: slow\r\nx-strict-id: {id:x}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    ensure!(text.starts_with("http/1.1 200 "), "{}", text.lines().next().unwrap_or_default());
    ensure!(text.contains(&format!("x-strict-id: {id:x}\r\n")), "another request's answer");
    let (mut check, mut piece) = (Check::new(id, Side::Answer), vec![0; PIECE]);
    while check.seen() < SIZE as u64 {
        let most = PIECE.min(SIZE - check.seen() as usize);
        stream.read_exact(&mut piece[..most]).await?;
        check.feed(&piece[..most]);
        if !orders.is_over() {
            tokio::time::sleep(PAUSE).await;
        }
    }
    ensure!(check.wrong_at().is_none(), "corrupt answer body");
    Ok(())
}
