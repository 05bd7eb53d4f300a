//! Clients of HTTP/2: one that is correct, on the `h2` crate, and one that says what it likes, frame by frame.

use super::PATIENCE;
use ::h2::SendStream;
use ::h2::client::{self, ResponseFuture, SendRequest};
use ::h2::ext::Protocol;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// A connection by prior knowledge, and the thread's runtime that drives it while something is asked.
pub struct Client {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub fields: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: HeaderMap,
}

impl Client {
    #[track_caller]
    pub fn to(address: &str) -> Client {
        Client::over(tokio::net::TcpStream::connect(address))
    }

    /// A connection that begins with a PROXY header.
    #[track_caller]
    pub fn announced(address: &str, header: &[u8]) -> Client {
        Client::over(async {
            let mut stream = tokio::net::TcpStream::connect(address).await?;
            tokio::io::AsyncWriteExt::write_all(&mut stream, header).await?;
            Ok(stream)
        })
    }

    /// A connection over TLS for `name`.
    #[track_caller]
    pub fn secure(config: Arc<ClientConfig>, address: &str, name: &str) -> Client {
        Client::over(async {
            let stream = tokio::net::TcpStream::connect(address).await?;
            let name = ServerName::try_from(name.to_owned()).unwrap();
            let stream = TlsConnector::from(config).connect(name, stream).await?;
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            Ok(stream)
        })
    }

    fn over<S>(connect: impl Future<Output = std::io::Result<S>>) -> Client
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let sender = runtime.block_on(async {
            let (sender, connection) = client::handshake(connect.await.unwrap()).await.unwrap();
            tokio::spawn(connection);
            sender
        });
        Client { runtime, sender }
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.ask(request(Method::GET, path), b"").unwrap()
    }

    /// Sends the request with `body` and reads all of the answer.
    pub fn ask(&self, request: Request<()>, body: &[u8]) -> Result<Answer, ::h2::Error> {
        self.block_on(exchange(self.sender.clone(), request, body.to_vec(), None))
    }

    /// The same, with trailers behind the body.
    pub fn ask_with_trailers(&self, request: Request<()>, body: &[u8], trailers: HeaderMap) -> Answer {
        self.block_on(exchange(self.sender.clone(), request, body.to_vec(), Some(trailers))).unwrap()
    }

    /// All of the requests at once.
    pub fn ask_all(&self, requests: Vec<Request<()>>) -> Vec<Result<Answer, ::h2::Error>> {
        self.block_on(async {
            let asked: Vec<_> = requests
                .into_iter()
                .map(|request| tokio::spawn(exchange(self.sender.clone(), request, Vec::new(), None)))
                .collect();
            let mut answers = Vec::new();
            for asked in asked {
                answers.push(asked.await.unwrap());
            }
            answers
        })
    }

    /// A WebSocket by extended CONNECT: sends `bytes` and reads as many as come until there are `wanted`.
    pub fn websocket(&self, path: &str, bytes: &'static [u8], wanted: usize) -> (StatusCode, Vec<u8>) {
        self.block_on(async {
            let (answer, mut stream) = self.upgrade(path).await;
            let answer = answer.await.unwrap();
            let status = answer.status();
            stream.send_data(Bytes::from_static(bytes), false).unwrap();
            let (mut body, mut got) = (answer.into_body(), Vec::new());
            while got.len() < wanted
                && let Some(data) = body.data().await
            {
                let data = data.unwrap();
                body.flow_control().release_capacity(data.len()).unwrap();
                got.extend_from_slice(&data);
            }
            (status, got)
        })
    }

    /// A WebSocket by extended CONNECT that sends `late` when the other side has ended, and then ends too. What came.
    pub fn websocket_to_the_end(&self, path: &str, late: &'static [u8]) -> Vec<u8> {
        self.block_on(async {
            let (answer, mut stream) = self.upgrade(path).await;
            let (mut body, mut got) = (answer.await.unwrap().into_body(), Vec::new());
            while let Some(data) = body.data().await {
                got.extend_from_slice(&data.unwrap());
            }
            stream.send_data(Bytes::from_static(late), true).unwrap();
            // The connection goes on in this thread while somebody waits in it.
            tokio::time::sleep(Duration::from_millis(100)).await;
            got
        })
    }

    /// The status of the answer to a WebSocket by extended CONNECT.
    pub fn websocket_status(&self, path: &str) -> Result<StatusCode, ::h2::Error> {
        self.block_on(async {
            let (answer, _stream) = self.upgrade(path).await;
            answer.await.map(|answer| answer.status())
        })
    }

    async fn upgrade(&self, path: &str) -> (ResponseFuture, SendStream<Bytes>) {
        let mut sender = self.sender.clone().ready().await.unwrap();
        while !sender.is_extended_connect_protocol_enabled() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut request = request(Method::CONNECT, path);
        request.extensions_mut().insert(Protocol::from_static("websocket"));
        request.headers_mut().insert("sec-websocket-version", "13".parse().unwrap());
        sender.send_request(request, false).unwrap()
    }

    #[track_caller]
    fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { timeout(PATIENCE, work).await.expect("an answer in time") })
    }
}

/// A request for `path` at the host that tests use.
pub fn request(method: Method, path: &str) -> Request<()> {
    Request::builder().method(method).uri(format!("http://site.test{path}")).body(()).unwrap()
}

async fn exchange(
    sender: SendRequest<Bytes>,
    request: Request<()>,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
) -> Result<Answer, ::h2::Error> {
    let mut sender = sender.ready().await?;
    let ended = body.is_empty() && trailers.is_none();
    let (answer, mut stream) = sender.send_request(request, ended)?;
    let upload = async {
        let mut rest = Bytes::from(body);
        while !rest.is_empty() {
            stream.reserve_capacity(rest.len());
            let Some(room) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else { return Ok(()) };
            let piece = rest.split_to(room?.min(rest.len()));
            stream.send_data(piece, rest.is_empty() && trailers.is_none())?;
        }
        match trailers {
            Some(trailers) => stream.send_trailers(trailers),
            None => Ok(()),
        }
    };
    let download = async {
        let (parts, mut incoming) = answer.await?.into_parts();
        let mut body = Vec::new();
        while let Some(data) = incoming.data().await {
            let data = data?;
            incoming.flow_control().release_capacity(data.len())?;
            body.extend_from_slice(&data);
        }
        let trailers = incoming.trailers().await?.unwrap_or_default();
        Ok(Answer { status: parts.status, fields: parts.headers, body, trailers })
    };
    let (uploaded, downloaded) = tokio::join!(upload, download);
    if ended { downloaded } else { downloaded.and_then(|answer| uploaded.map(|()| answer)) }
}

/// How a client begins (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection on which frames are written by hand.
pub struct Frames(pub TcpStream);

/// Frame types (RFC 9113 §6).
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

/// How a stream ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With the head of an answer.
    Answer {
        /// Whether its status is 200.
        good: bool,
    },
    /// By RST_STREAM with this code.
    Reset(u32),
    /// With the connection.
    Gone,
}

/// A header block of literals that are not indexed (RFC 7541 §6.2.2): it can say anything.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat();
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

/// `GET /` of https://site.test, from the static table and a literal authority (RFC 7541).
pub const GET: &[u8] = b"\x82\x84\x86\x41\x09site.test";

impl Frames {
    /// Connects and sends the preface.
    #[track_caller]
    pub fn to(address: &str) -> Frames {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE / 3)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(PREFACE).unwrap();
        let mut frames = Frames(stream);
        frames.send(SETTINGS, 0, 0, b"").unwrap();
        frames
    }

    /// One frame.
    pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> std::io::Result<()> {
        self.0.write_all(&Self::frame(kind, flags, stream, payload))
    }

    /// How a stream ends.
    pub fn ending(&mut self, stream: u32) -> Ended {
        loop {
            let mut head = [0; 9];
            if self.0.read_exact(&mut head).is_err() {
                return Ended::Gone;
            }
            let [high, mid, low, kind, _, id @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, high, mid, low]) as usize];
            if self.0.read_exact(&mut payload).is_err() {
                return Ended::Gone;
            }
            match kind {
                HEADERS if u32::from_be_bytes(id) == stream => {
                    // Behind updates of the table's size, 0x88 is `:status: 200` of the static one.
                    let status = payload.iter().find(|byte| **byte & 0xe0 != 0x20);
                    return Ended::Answer { good: status == Some(&0x88) };
                }
                RST_STREAM if u32::from_be_bytes(id) == stream => {
                    return Ended::Reset(u32::from_be_bytes(payload.try_into().unwrap()));
                }
                _ => {}
            }
        }
    }

    /// The next frame's type, stream and payload; `None` if it does not begin within `time`.
    #[track_caller]
    pub fn next(&mut self, time: Duration) -> Option<(u8, u32, Vec<u8>)> {
        self.0.set_read_timeout(Some(time)).unwrap();
        let begun = self.0.peek(&mut [0]);
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
        if begun.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)) {
            return None;
        }
        let mut head = [0; 9];
        self.0.read_exact(&mut head).unwrap();
        let [a, b, c, kind, _, d, e, f, g] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut payload).unwrap();
        Some((kind, u32::from_be_bytes([d, e, f, g]), payload))
    }

    /// Whether the other side ends the connection.
    pub fn ends(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            }
        }
    }
}
