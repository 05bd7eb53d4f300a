//! A load of a connection for each request, made cheap enough that the proxy's core is full before its own.
//!
//! It is one thread without an event loop: connections are waited for in the order in which they were opened, which is
//! about the order in which a proxy serves them, so that five system calls make a request, and a quarter of
//! the connections is waited for at once. As wrk does it, the client closes as soon as the answer is whole. Over TLS each has a
//! whole handshake of its own before the request.

use crate::body::Body;
use crate::{plain, tls};
use anyhow::{Context, Result, bail, ensure};
use rustls::ClientConnection;
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Arguments of `bench short`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Proxy.
    #[arg(long)]
    pub address: SocketAddr,
    /// Over TLS.
    #[arg(long)]
    pub tls: bool,
    /// What to ask for.
    #[arg(long, default_value = "/128")]
    pub path: String,
    /// Connections at a time, each with one request.
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Seconds.
    #[arg(long, default_value_t = 5.0)]
    pub duration: f64,
}

/// How much longer than asked it may take. One limit for all costs nothing, one for each request a system call.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs it and prints how many answers came whole; fails if a connection broke.
pub fn run(args: Args) -> Result<()> {
    let duration = Duration::from_secs_f64(args.duration);
    std::thread::spawn(move || {
        std::thread::sleep(duration + PATIENCE);
        eprintln!("bench: a request has waited longer than {PATIENCE:?}");
        std::process::exit(1);
    });
    let request = format!("GET {} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n", args.path);
    let mut open = VecDeque::with_capacity(args.connections);
    for _ in 0..args.connections {
        open.push_back(Exchange::begin(&args, request.as_bytes())?);
    }
    let (mut buffer, mut answers) = (vec![0; 64 << 10], 0u64);
    let end = Instant::now() + duration;
    while Instant::now() < end {
        // The last of them is waited for first: the others are there by then, and the thread has slept but once.
        let oldest: Vec<Exchange> = open.drain(..open.len().div_ceil(4)).rev().collect();
        for mut exchange in oldest {
            if exchange.advance(request.as_bytes(), &mut buffer)? {
                answers += 1;
                drop(exchange);
                exchange = Exchange::begin(&args, request.as_bytes())?;
            }
            open.push_back(exchange);
        }
    }
    println!("{answers} answers");
    Ok(())
}

/// A connection with its one request.
enum Exchange {
    Clear(TcpStream),
    Tls(TcpStream, Box<ClientConnection>),
}

impl Exchange {
    /// Opens it and sends what can be sent at once: the request, or the first flight of a handshake.
    fn begin(args: &Args, request: &[u8]) -> Result<Self> {
        let mut stream = TcpStream::connect(args.address).context("connect")?;
        if !args.tls {
            stream.write_all(request)?;
            return Ok(Self::Clear(stream));
        }
        let mut tls = Box::new(tls::client()?);
        tls.write_tls(&mut stream)?;
        Ok(Self::Tls(stream, tls))
    }

    /// Waits for what comes next; whether that was the answer, and not the handshake's end, which the request is sent with.
    fn advance(&mut self, request: &[u8], buffer: &mut [u8]) -> Result<bool> {
        match self {
            Self::Clear(stream) => answer(stream, buffer).map(|()| true),
            Self::Tls(stream, tls) if tls.is_handshaking() => {
                while tls.is_handshaking() {
                    ensure!(tls.read_tls(stream).context("in the handshake")? > 0, "closed in the handshake");
                    tls.process_new_packets()?;
                }
                tls.writer().write_all(request)?;
                tls.write_tls(stream)?;
                Ok(false)
            }
            Self::Tls(stream, tls) => answer(rustls::Stream::new(tls.as_mut(), stream), buffer).map(|()| true),
        }
    }
}

/// Waits for an answer with content-length.
fn answer(mut socket: impl Read, buffer: &mut [u8]) -> Result<()> {
    let mut filled = 0;
    loop {
        let count = socket.read(&mut buffer[filled..]).context("before the answer was whole")?;
        ensure!(count > 0, "closed before the answer was whole, or the answer is too large");
        filled += count;
        let length = match plain::head(&buffer[..filled])? {
            Some((head, Body::Length(length))) => head as u64 + length,
            Some(_) => bail!("no content-length"),
            None => continue,
        };
        ensure!(filled as u64 <= length, "bytes beyond the answer");
        if filled as u64 == length {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_pieces_is_taken_whole() {
        let take = |wire: &str, cut: usize| {
            let (first, second) = wire.as_bytes().split_at(cut);
            answer(first.chain(second), &mut [0; 256])
        };
        let wire = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        (1..wire.len()).for_each(|cut| take(wire, cut).unwrap());
        assert!(take(&wire[..wire.len() - 1], 9).is_err());
        assert!(take(&format!("{wire}!"), 9).is_err());
        assert!(take(&wire.replace("200", "503"), 9).is_err());
    }
}
