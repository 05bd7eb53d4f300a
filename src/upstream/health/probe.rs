//! One question to one target: does it take a connection, over TLS where the pool has it, does it answer a GET as expected?

use crate::tls::{Cargo, Outbound};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use hyper_util::rt::TokioIo;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

/// A response head that is larger fails the check, bytes.
const MAX_HEAD: usize = 16 * 1024;

/// Where a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP.
    Ip(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// What a check asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Passes if the target takes a connection, and the handshake comes to its end.
    Tcp,
    /// Passes if a GET is answered with an expected status. Only the head counts; the body is not read.
    Http {
        /// The request target, in origin form.
        path: String,
        /// The Host header; `None`: the target's address.
        host: Option<String>,
        /// Inclusive ranges of statuses that pass.
        expect: Vec<(u16, u16)>,
    },
}

/// Why a check failed.
#[derive(Debug)]
pub enum ProbeError {
    /// There was no connection.
    Connect(io::Error),
    /// There was no connection in time.
    ConnectTimeout,
    /// The TLS handshake failed, or the certificate is not verified.
    Handshake(io::Error),
    /// No certificate could be for the host that is asked.
    Name,
    /// The TLS handshake did not end in time.
    HandshakeTimeout,
    /// There was no response head in time.
    ResponseTimeout,
    /// The target closed the connection before its response head was complete.
    Closed,
    /// The answer is not HTTP/1.
    NotHttp,
    /// The response head is larger than 16 KiB.
    HeadTooLarge,
    /// The status is not an expected one.
    Status(u16),
    /// The path or the host of the check cannot be sent.
    Request(String),
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => f.write_str("connection refused"),
                io::ErrorKind::ConnectionReset => f.write_str("connection reset"),
                io::ErrorKind::HostUnreachable => f.write_str("host unreachable"),
                io::ErrorKind::NetworkUnreachable => f.write_str("network unreachable"),
                io::ErrorKind::NotFound => f.write_str("no such socket"),
                _ => write!(f, "cannot connect: {error}"),
            },
            Self::ConnectTimeout => f.write_str("connect timeout"),
            Self::Handshake(error) => write!(f, "TLS: {error}"),
            Self::Name => f.write_str("TLS: no certificate could be for the host that is asked"),
            Self::HandshakeTimeout => f.write_str("TLS handshake timeout"),
            Self::ResponseTimeout => f.write_str("response timeout"),
            Self::Closed => f.write_str("closed without an answer"),
            Self::NotHttp => f.write_str("the answer is not HTTP/1"),
            Self::HeadTooLarge => f.write_str("the response head is too large"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Request(what) => write!(f, "the check cannot be sent: {what}"),
        }
    }
}

impl std::error::Error for ProbeError {}

/// Asks the target at `address` once, over TLS if there is any, for at most `timeout` in all.
///
/// # Errors
/// Why the check failed.
pub async fn run(
    address: &Address,
    tls: Option<&Outbound>,
    probe: &Probe,
    timeout: Duration,
) -> Result<(), ProbeError> {
    let deadline = Instant::now() + timeout;
    let late = |_| ProbeError::ConnectTimeout;
    match address {
        Address::Ip(ip) => {
            let stream = timeout_at(deadline, TcpStream::connect(ip)).await.map_err(late)?;
            begin(stream.map_err(ProbeError::Connect)?, tls, probe, &ip.to_string(), deadline).await
        }
        Address::Unix(path) => {
            let stream = timeout_at(deadline, UnixStream::connect(path)).await.map_err(late)?;
            begin(stream.map_err(ProbeError::Connect)?, tls, probe, "localhost", deadline).await
        }
    }
}

/// Does the handshake, if there is one to be done, and asks.
async fn begin<S>(
    stream: S,
    tls: Option<&Outbound>,
    probe: &Probe,
    authority: &str,
    deadline: Instant,
) -> Result<(), ProbeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (host, cargo) = match probe {
        Probe::Tcp => (authority, Cargo::Bytes(None)),
        Probe::Http { host, .. } => (host.as_deref().unwrap_or(authority), Cargo::Exchanges),
    };
    let Some(tls) = tls else { return ask(stream, probe, host, deadline).await };
    let (config, name) = tls.check(host.as_bytes(), cargo).ok_or(ProbeError::Name)?;
    let shaken = timeout_at(deadline, TlsConnector::from(config).connect(name, stream)).await;
    let stream = shaken.map_err(|_| ProbeError::HandshakeTimeout)?.map_err(ProbeError::Handshake)?;
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => ask_multiplexed(stream, probe, host, deadline).await,
        _ => ask(stream, probe, host, deadline).await,
    }
}

async fn ask<S>(stream: S, probe: &Probe, host: &str, deadline: Instant) -> Result<(), ProbeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Probe::Http { path, expect, .. } = probe else { return Ok(()) };
    let request = request(path, host)?;
    let status = timeout_at(deadline, get(stream, request)).await.map_err(|_| ProbeError::ResponseTimeout)??;
    judge(status, expect)
}

/// The same by HTTP/2.
async fn ask_multiplexed<S>(stream: S, probe: &Probe, host: &str, deadline: Instant) -> Result<(), ProbeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Probe::Http { path, expect, .. } = probe else { return Ok(()) };
    let request = hyper::Request::get(format!("https://{host}{path}"))
        .header(USER_AGENT, HeaderValue::from_static("ringway-health"))
        .body(())
        .map_err(|error| ProbeError::Request(error.to_string()))?;
    let status = timeout_at(deadline, async {
        let (sender, connection) = ::h2::client::handshake(stream).await?;
        let answer = async { sender.ready().await?.send_request(request, true)?.0.await };
        tokio::select! {
            biased;
            answer = answer => answer.map(|answer| answer.status().as_u16()),
            ended = connection => Err(ended.err().unwrap_or_else(|| ::h2::Reason::NO_ERROR.into())),
        }
    });
    let status = status.await.map_err(|_| ProbeError::ResponseTimeout)?.map_err(|_| ProbeError::Closed)?;
    judge(status, expect)
}

fn judge(status: u16, expect: &[(u16, u16)]) -> Result<(), ProbeError> {
    if expect.iter().any(|(from, to)| (*from..=*to).contains(&status)) {
        Ok(())
    } else {
        Err(ProbeError::Status(status))
    }
}

fn request(path: &str, host: &str) -> Result<hyper::Request<Empty<Bytes>>, ProbeError> {
    let unfit = |error: hyper::http::Error| ProbeError::Request(error.to_string());
    hyper::Request::get(path)
        .header(HOST, host)
        .header(USER_AGENT, HeaderValue::from_static("ringway-health"))
        .header(CONNECTION, HeaderValue::from_static("close"))
        .body(Empty::new())
        .map_err(unfit)
}

/// The status of the final response. The connection is dropped with the body unread.
async fn get<S>(stream: S, request: hyper::Request<Empty<Bytes>>) -> Result<u16, ProbeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut client = http1::Builder::new();
    client.max_buf_size(MAX_HEAD);
    let (mut sender, connection) = client.handshake(TokioIo::new(stream)).await.map_err(classify)?;
    let mut response = std::pin::pin!(sender.send_request(request));
    let answer = tokio::select! {
        biased;
        answer = &mut response => answer,
        // What ended the connection is known better here; if nothing went wrong the response is there.
        ended = connection => match ended {
            Ok(()) => response.await,
            Err(error) => Err(error),
        },
    };
    Ok(answer.map_err(classify)?.status().as_u16())
}

fn classify(error: hyper::Error) -> ProbeError {
    if error.is_parse_too_large() {
        ProbeError::HeadTooLarge
    } else if error.is_parse() {
        ProbeError::NotHttp
    } else {
        ProbeError::Closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, UnixListener};

    const SOON: Duration = Duration::from_millis(300);

    fn http() -> Probe {
        Probe::Http { path: "/healthz?deep=1".into(), host: None, expect: vec![(200, 299), (404, 404)] }
    }

    /// A target that answers each connection with `answer`, keeps it open, and tells what it was asked.
    async fn target(answer: &'static [u8]) -> (Address, tokio::sync::mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Ip(listener.local_addr().unwrap());
        let (tell, asked) = tokio::sync::mpsc::channel(10);
        tokio::spawn(async move {
            let mut kept = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = vec![0; 4096];
                let length = stream.read(&mut head).await.unwrap();
                let _ = tell.send(String::from_utf8_lossy(&head[..length]).into_owned()).await;
                let _ = stream.write_all(answer).await;
                kept.push(stream);
            }
        });
        (address, asked)
    }

    async fn failure(address: &Address, probe: &Probe) -> String {
        run(address, None, probe, SOON).await.expect_err("the check must fail").to_string()
    }

    #[tokio::test]
    async fn a_get_carries_what_targets_expect() {
        let (address, mut asked) = target(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        run(&address, None, &http(), SOON).await.unwrap();
        let head = asked.recv().await.unwrap().to_ascii_lowercase();
        let Address::Ip(ip) = address else { panic!("an IP address") };
        assert!(head.starts_with("get /healthz?deep=1 http/1.1\r\n"), "{head}");
        for line in [format!("host: {ip}\r\n"), "user-agent: ringway-health\r\n".into(), "connection: close\r\n".into()]
        {
            assert!(head.contains(&line), "{head}");
        }
        let named = Probe::Http { path: "/".into(), host: Some("app.example".into()), expect: vec![(204, 204)] };
        run(&address, None, &named, SOON).await.unwrap();
        assert!(asked.recv().await.unwrap().contains("host: app.example\r\n"));
    }

    #[tokio::test]
    async fn a_body_that_never_ends_does_not_matter() {
        let (address, _asked) = target(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nsome").await;
        run(&address, None, &http(), SOON).await.unwrap();
    }

    #[tokio::test]
    async fn an_early_hint_is_not_the_answer() {
        let hinted =
            b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n";
        let (address, _asked) = target(hinted).await;
        assert_eq!(failure(&address, &http()).await, "status 503");
    }

    #[tokio::test]
    async fn each_failure_has_its_words() {
        let (silent, _asked) = target(b"").await;
        run(&silent, None, &Probe::Tcp, SOON).await.unwrap();
        assert_eq!(failure(&silent, &http()).await, "response timeout");
        let (stalls, _asked) = target(b"HTTP/1.1 200 OK\r\nx: ").await;
        assert_eq!(failure(&stalls, &http()).await, "response timeout");
        let (nonsense, _asked) = target(b"SSH-2.0-OpenSSH_9.6\r\n\r\n").await;
        assert_eq!(failure(&nonsense, &http()).await, "the answer is not HTTP/1");
        let (huge, _asked) = target(HUGE).await;
        assert_eq!(failure(&huge, &http()).await, "the response head is too large");
        let bad = Probe::Http { path: "/ \n".into(), host: None, expect: vec![] };
        assert!(failure(&silent, &bad).await.starts_with("the check cannot be sent: "));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Ip(listener.local_addr().unwrap());
        let closes = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
        });
        assert_eq!(failure(&address, &http()).await, "closed without an answer");
        closes.await.unwrap();
        assert_eq!(failure(&address, &Probe::Tcp).await, "connection refused");
        assert_eq!(failure(&Address::Unix("/nonexistent.sock".into()), &http()).await, "no such socket");
    }

    static HUGE: &[u8] = &{
        let mut head = [b'a'; 100_000];
        let start = b"HTTP/1.1 200 OK\r\nx: ";
        let mut i = 0;
        while i < start.len() {
            head[i] = start[i];
            i += 1;
        }
        head
    };

    #[tokio::test]
    async fn a_target_on_a_unix_socket_is_asked_for_localhost() {
        let path = std::env::temp_dir().join(format!("ringway-probe-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.unwrap();
            stream.write_all(b"HTTP/1.0 404 Not Found\r\n\r\n").await.unwrap();
            String::from_utf8_lossy(&head[..length]).into_owned()
        });
        run(&Address::Unix(path.clone()), None, &http(), SOON).await.unwrap();
        assert!(server.await.unwrap().contains("host: localhost\r\n"));
        std::fs::remove_file(&path).unwrap();
    }
}
