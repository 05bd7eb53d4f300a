//! What happens when `upgrade.drain` is over: the old process is gone, and each of its clients was told in its own way.

use super::proxy::Proxy;
use super::slow;
use crate::checks::Checks;
use crate::messages;
use crate::plain::{self, Connection};
use anyhow::{Context, Result, ensure};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// `upgrade.drain` here.
pub const DRAIN: &str = "3s";
const LIMIT: Duration = Duration::from_secs(3);
/// What the end of a process may take beyond it, on a busy machine.
const SLACK: Duration = Duration::from_secs(2);
/// A Close frame's head, and the code "going away" (RFC 6455 §7.4.1) behind its length of two bytes or more.
const CLOSE: u8 = 0x88;
const GOING_AWAY: [u8; 2] = 1001u16.to_be_bytes();

/// Holds connections of each kind over an upgrade, until the old process is gone.
pub fn run(proxy: &mut Proxy, checks: &mut Checks) -> Result<()> {
    let at = proxy.at;
    let mut sockets = (0..4).map(|_| websocket(at.http)).collect::<Result<Vec<_>>>()?;
    let mut tunnels = (0..4).map(|_| tunnel(at.echo)).collect::<Result<Vec<_>>>()?;
    let mut idle = Connection::open(at.http, false, Duration::from_secs(10))?;
    idle.ask("/128")?;
    idle.answer()?;
    let mut answer = connect(at.http)?;
    write!(answer, "GET /?size={} HTTP/1.1\r\nhost: slow\r\n\r\n", slow::SIZE)?;
    answer.read_exact(&mut [0; 1 << 16])?;

    proxy.processes.upgrade()?;
    let since = Instant::now();
    let served = plain::get(at.http, "/128").is_ok_and(|body| body.len() == 128);
    checks.add("the new process serves at once", served, String::new());
    let mut sound = true;
    while since.elapsed() < LIMIT / 2 {
        for stream in &mut sockets {
            sound &= message(stream).is_ok();
        }
        for stream in &mut tunnels {
            sound &= echo(stream).is_ok();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    checks.add("WebSockets and tunnels live on meanwhile", sound, String::new());
    let left = proxy.processes.wait_for_elders(LIMIT + SLACK);
    let took = since.elapsed();
    let detail = format!("gone after {took:?}, left: {left:?}");
    checks.add("the old process is gone when upgrade.drain is over", left.is_empty() && took > LIMIT / 2, detail);

    let told: Vec<String> = sockets.into_iter().map(farewell).collect();
    checks.add("WebSockets got a Close frame with 1001", told.iter().all(String::is_empty), format!("{told:?}"));
    let ends: Vec<_> = tunnels.iter_mut().map(|stream| stream.read(&mut [0; 64])).collect();
    let is_reset =
        |end: &std::io::Result<usize>| matches!(end, Err(error) if error.kind() == ErrorKind::ConnectionReset);
    checks.add("tunnels were reset", ends.iter().all(is_reset), format!("{ends:?}"));
    let end = std::io::copy(&mut answer, &mut std::io::sink());
    let is_over = end.as_ref().map_or_else(|error| error.kind() == ErrorKind::ConnectionReset, |_| true);
    checks.add("an answer under way was cut, or ended", is_over, format!("{end:?}"));
    checks.add("an idle connection is gone", idle.ask("/128").and_then(|()| idle.answer()).is_err(), String::new());
    Ok(())
}

fn connect(to: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(stream)
}

fn websocket(to: SocketAddr) -> Result<TcpStream> {
    let mut stream = connect(to)?;
    stream.write_all(messages::handshake("/ws").as_bytes())?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).context("in the handshake")?;
        head.push(byte[0]);
    }
    message(&mut stream)?;
    Ok(stream)
}

fn message(stream: &mut TcpStream) -> Result<()> {
    let (mut wire, mut back) = (Vec::new(), [0; 9]);
    messages::push(&mut wire, b"hello", true);
    stream.write_all(&wire)?;
    stream.read_exact(&mut back)?;
    ensure!(back.ends_with(b"hello"), "a message came back changed");
    Ok(())
}

fn tunnel(to: SocketAddr) -> Result<TcpStream> {
    let mut stream = connect(to)?;
    echo(&mut stream)?;
    Ok(stream)
}

fn echo(stream: &mut TcpStream) -> Result<()> {
    let mut back = [0; 5];
    stream.write_all(b"hello")?;
    stream.read_exact(&mut back)?;
    ensure!(&back == b"hello", "bytes came back changed");
    Ok(())
}

/// What is wrong with how a WebSocket was ended; empty if nothing is.
fn farewell(mut stream: TcpStream) -> String {
    let mut last = Vec::new();
    let end = stream.read_to_end(&mut last);
    match last[..] {
        [CLOSE, length, ref reason @ ..] if reason.len() == usize::from(length) && reason.starts_with(&GOING_AWAY) => {
            String::new()
        }
        _ => format!("{last:x?}, then {end:?}"),
    }
}
