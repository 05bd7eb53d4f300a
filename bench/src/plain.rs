//! A plain blocking HTTP client for what is not measured: readiness, counts, metrics, and connections that idle.

use crate::body::Body;
use crate::tls;
use anyhow::{Context, Result, bail, ensure};
use rustls::{ClientConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A keep-alive connection with at most one request under way.
#[derive(Debug)]
pub struct Connection(Stream);

#[derive(Debug)]
enum Stream {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Connection {
    /// Connects, over TLS if `tls`; every step fails after `limit` without progress.
    pub fn open(address: SocketAddr, tls: bool, limit: Duration) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, limit)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        if !tls {
            return Ok(Self(Stream::Clear(stream)));
        }
        let mut stream = StreamOwned::new(tls::client()?, stream);
        // Not with the first request: a proxy does not wait long for a handshake.
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).context("TLS handshake")?;
        }
        Ok(Self(Stream::Tls(Box::new(stream))))
    }

    /// Sends a GET.
    pub fn ask(&mut self, path: &str) -> Result<()> {
        let request = |host: SocketAddr| format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n");
        match &mut self.0 {
            Stream::Clear(stream) => stream.write_all(request(stream.peer_addr()?).as_bytes())?,
            Stream::Tls(stream) => stream.write_all(request(stream.sock.peer_addr()?).as_bytes())?,
        }
        Ok(())
    }

    /// Waits for the answer to it, which must be a whole 200.
    pub fn answer(&mut self) -> Result<Vec<u8>> {
        let (mut input, mut buffer, mut body) = (Vec::new(), [0; 16 << 10], None);
        let mut data = Vec::new();
        loop {
            if body.is_none()
                && let Some((head, framing)) = head(&input)?
            {
                input.drain(..head);
                body = Some(framing);
            }
            if let Some(body) = &mut body {
                let taken = body.feed(&input, |piece| data.extend_from_slice(piece))?;
                input.drain(..taken);
                if body.is_complete() {
                    ensure!(input.is_empty(), "bytes beyond the answer");
                    return Ok(data);
                }
            }
            let count = match &mut self.0 {
                Stream::Clear(stream) => stream.read(&mut buffer)?,
                Stream::Tls(stream) => stream.read(&mut buffer)?,
            };
            match count {
                0 if matches!(body, Some(Body::UntilClose)) => return Ok(data),
                0 => anyhow::bail!("closed before the answer was complete"),
                count => input.extend_from_slice(&buffer[..count]),
            }
        }
    }
}

/// Reads one answer with a content-length to its end; how many bytes it was, head and body.
pub fn take(mut source: impl Read) -> Result<u64> {
    let (mut input, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let count = source.read(&mut buffer).context("before the answer was whole")?;
        ensure!(count > 0, "closed before the answer was whole");
        input.extend_from_slice(&buffer[..count]);
        if let Some((head, body)) = head(&input)? {
            let Body::Length(length) = body else { bail!("no content-length") };
            let whole = head as u64 + length;
            ensure!(input.len() as u64 <= whole, "bytes beyond the answer");
            if input.len() as u64 == whole {
                return Ok(whole);
            }
        }
    }
}

/// The body of `path` at `address`, on a connection of its own.
pub fn get(address: SocketAddr, path: &str) -> Result<Vec<u8>> {
    fetch(address, false, path)
}

fn fetch(address: SocketAddr, tls: bool, path: &str) -> Result<Vec<u8>> {
    let mut connection = Connection::open(address, tls, Duration::from_secs(5))?;
    connection.ask(path)?;
    connection.answer().with_context(|| format!("GET {path} from {address}"))
}

/// Waits until `path` at `address` answers 200, over TLS if `tls`.
pub fn wait_for(address: SocketAddr, tls: bool, path: &str, limit: Duration) -> Result<()> {
    let end = Instant::now() + limit;
    loop {
        match fetch(address, tls, path) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > end => return Err(error).context(format!("not ready after {limit:?}")),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// An address on loopback that is free now.
pub fn free_address() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// The same, by TCP and UDP, and one that stays free while nobody is there: the kernel gives its port to no socket of its own accord.
pub fn lasting_address() -> Result<SocketAddr> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")?;
    let first: u16 = range.split_whitespace().next().context("no range of ports")?.parse()?;
    for _ in 0..1000 {
        let address = SocketAddr::from(([127, 0, 0, 1], fastrand::u16(10_000.min(first / 2)..first)));
        if std::net::TcpListener::bind(address).is_ok() && std::net::UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no port is free below {first}")
}

/// The length of the answer's head at the front of `input`, and the framing of the body after it; `None` if it is not
/// whole. Fails on any status but 200.
pub fn head(input: &[u8]) -> Result<Option<(usize, Body)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = parsed.parse(input)? else { return Ok(None) };
    ensure!(parsed.code == Some(200), "status {}", parsed.code.unwrap_or(0));
    let value = |name: &str| {
        let header = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        header.map(|header| String::from_utf8_lossy(header.value))
    };
    let body = match (value("transfer-encoding"), value("content-length")) {
        (Some(_), _) => Body::chunked(),
        (None, Some(length)) => Body::Length(length.parse()?),
        (None, None) => Body::UntilClose,
    };
    Ok(Some((length, body)))
}
