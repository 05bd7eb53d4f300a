//! Small WebSocket messages (RFC 6455): the load that sends each connection's next one when the last has come back, and
//! the framing that the backend shares. Through a TCP listener the handshake is just the first message.

use crate::wait::wait;
use anyhow::{Context, Result, ensure};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// The key of the RFC's own example (section 1.3), and what it must be answered with.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// The answer that accepts [`KEY`].
pub const ACCEPTANCE: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
    sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

const FINAL_BINARY: u8 = 0x82;
const MASKED: u8 = 0x80;
/// Says that the length follows in two bytes.
const TWO_BYTES: u8 = 126;

/// Arguments of `bench messages`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Proxy.
    #[arg(long)]
    pub address: SocketAddr,
    /// Where the WebSocket is.
    #[arg(long, default_value = "/ws")]
    pub path: String,
    /// Connections, each with one message at a time.
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Bytes of a message, at most 65,535.
    #[arg(long, default_value_t = 128)]
    pub size: u16,
    /// Seconds.
    #[arg(long, default_value_t = 5.0)]
    pub duration: f64,
}

/// Runs it and prints how many messages came back; fails if a connection broke or a message came back changed.
pub fn run(args: Args) -> Result<()> {
    let payload = vec![b'm'; args.size.into()];
    let mut message = Vec::new();
    push(&mut message, &payload, true);
    let mut poll = Poll::new()?;
    let mut streams = Vec::new();
    for slot in 0..args.connections {
        let mut stream = open(&args)?;
        stream.write_all(&message)?;
        stream.set_nonblocking(true)?;
        poll.registry().register(&mut SourceFd(&stream.as_raw_fd()), Token(slot), Interest::READABLE)?;
        streams.push((stream, Vec::new()));
    }
    let (mut events, mut buffer) = (Events::with_capacity(args.connections), vec![0; 1 << 16]);
    let end = Instant::now() + Duration::from_secs_f64(args.duration);
    let mut answers = 0u64;
    while Instant::now() < end {
        wait(&mut poll, &mut events, Some(Duration::from_millis(100)))?;
        for event in &events {
            let (stream, input) = &mut streams[event.token().0];
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) => anyhow::bail!("closed by the proxy"),
                    Ok(count) => input.extend_from_slice(&buffer[..count]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
                while let Some(found) = first(input)? {
                    ensure!(input[found.clone()] == payload, "a message came back changed");
                    input.drain(..found.end);
                    answers += 1;
                    stream.write_all(&message)?;
                }
            }
        }
    }
    println!("{answers} answers");
    Ok(())
}

fn open(args: &Args) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(args.address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(handshake(&args.path).as_bytes())?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).context("in the handshake")?;
        head.push(byte[0]);
    }
    ensure!(head.starts_with(b"HTTP/1.1 101"), "no WebSocket: {}", String::from_utf8_lossy(&head));
    Ok(stream)
}

/// What asks for the WebSocket at `path`.
pub fn handshake(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: bench\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\n\r\n"
    )
}

/// Appends a message in one frame. The mask that a client must use is zero, so that the payload is as it was.
pub fn push(out: &mut Vec<u8>, payload: &[u8], masked: bool) {
    let flag = if masked { MASKED } else { 0 };
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&[FINAL_BINARY, TWO_BYTES | flag]);
    out.extend_from_slice(&length.to_be_bytes());
    if masked {
        out.extend_from_slice(&[0; 4]);
    }
    out.extend_from_slice(payload);
}

/// Where the payload of the first message in `input` is; its end is the frame's. `None` if it is not whole. Fails on what
/// [`push`] does not write.
pub fn first(input: &[u8]) -> Result<Option<Range<usize>>> {
    let [kind, flags, high, low, ..] = *input else { return Ok(None) };
    ensure!(kind == FINAL_BINARY && flags & !MASKED == TWO_BYTES, "not a message of this load");
    let start = if flags & MASKED == 0 { 4 } else { 8 };
    let end = start + usize::from(u16::from_be_bytes([high, low]));
    Ok((input.len() >= end).then_some(start..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_found_once_it_is_whole() {
        for masked in [false, true] {
            let mut wire = Vec::new();
            push(&mut wire, b"hello", masked);
            assert_eq!(first(&wire[..wire.len() - 1]).unwrap(), None);
            assert_eq!(&wire[first(&wire).unwrap().unwrap()], b"hello");
        }
        assert!(first(b"HTTP").is_err());
    }
}
