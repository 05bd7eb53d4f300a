//! The handshake with a client.

use super::edge::{Edge, Served};
use super::identity::{Identity, Unfit};
use super::session::{Facts, Session, cipher, flush, version};
use crate::net::{Lease, Stream};
use crate::observe::reason::Reason;
use rustls::server::{Accepted, Acceptor};
use rustls::{AlertDescription, CertificateError, Error, HandshakeKind, ServerConnection};
use std::io::{self, ErrorKind};
use std::time::Duration;

/// Why a handshake came to nothing.
#[derive(Debug)]
pub enum Refusal {
    /// The client left without a byte, as those do that only look whether the port is open.
    Silent,
    /// The client left in the middle.
    Left,
    /// It took too long.
    Timeout,
    /// The client speaks HTTP in clear.
    PlainHttp,
    /// No certificate holds the name that the client asked for, or it asked for none.
    UnknownName,
    /// The client has no certificate, or not a good one.
    ClientCertificate(Error),
    /// Anything else that the two cannot agree on.
    Failed(Error),
}

/// How long a refused client gets to read why.
const LINGER: Duration = Duration::from_secs(1);

/// Does the handshake that a client begins on `stream`.
///
/// `http`: a client that speaks HTTP in clear is told that it should not.
pub async fn accept(edge: &Edge, stream: &Stream, http: bool) -> Result<Box<Session>, Refusal> {
    let stall = edge.spec().handshake;
    stream.set_deadline(Some(stall));
    stream.expect_now();
    let result = Handshake { edge, stream, stall }.run().await;
    if let Err(refusal) = &result {
        if matches!(refusal, Refusal::PlainHttp) && http {
            let mut answer = Lease::new();
            answer.buffer().extend_from_slice(SPEAK_TLS);
            let _ = stream.send(answer, LINGER).await;
        }
        if !matches!(refusal, Refusal::Silent | Refusal::Left) {
            linger(stream).await;
        }
    }
    result
}

const SPEAK_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 51\r\n\
    Connection: close\r\n\r\n400 Bad Request\nThis port speaks TLS: use https://\n";

struct Handshake<'a> {
    edge: &'a Edge,
    stream: &'a Stream,
    stall: Duration,
}

impl Handshake<'_> {
    async fn run(&self) -> Result<Box<Session>, Refusal> {
        let (accepted, mut pending) = self.hello().await?;
        let served = self.edge.served();
        let hello = accepted.client_hello();
        if self.edge.spec().strict && !hello.server_name().is_some_and(|name| served.store.knows(name)) {
            self.say(alert(AlertDescription::UnrecognisedName)).await;
            return Err(Refusal::UnknownName);
        }
        let mut connection = match accept_hello(accepted, &served) {
            Ok(connection) => connection,
            Err((error, alert)) => {
                self.say(alert).await;
                return Err(Refusal::Failed(error));
            }
        };
        loop {
            if let Err(error) = feed(&mut connection, &mut pending) {
                let mut last = Lease::new();
                flush(&mut connection, &mut last);
                self.say(last).await;
                return Err(refused(error));
            }
            // What version 1.3 adds behind the handshake, tickets, goes out with the first answer.
            if connection.is_handshaking() || version(connection.protocol_version()) != "1.3" {
                let mut flight = Lease::new();
                if flush(&mut connection, &mut flight) > 0 {
                    self.stream.send(flight, self.stall).await.map_err(|error| gone(&error))?;
                }
            }
            if !connection.is_handshaking() {
                break;
            }
            pending = self.receive().await?;
        }
        let facts = match facts(&connection) {
            Ok(facts) => facts,
            Err(unfit) => {
                let error = match unfit {
                    Unfit::Expired => CertificateError::Expired,
                    Unfit::Malformed => CertificateError::BadEncoding,
                };
                return Err(Refusal::ClientCertificate(Error::InvalidCertificate(error)));
            }
        };
        Ok(Box::new(Session::new(connection, pending, facts)))
    }

    /// Receives until the client's first message is complete. Returns it and what came behind it.
    async fn hello(&self) -> Result<(Accepted, Lease), Refusal> {
        let mut acceptor = Acceptor::default();
        let mut begun = false;
        loop {
            let mut received = match self.receive().await {
                Err(Refusal::Left) if !begun => return Err(Refusal::Silent),
                other => other?,
            };
            if !begun && is_http(&received) {
                return Err(Refusal::PlainHttp);
            }
            begun = true;
            while !received.is_empty() {
                let count = acceptor.read_tls(&mut &received[..]).map_err(|_| too_long())?;
                if count == 0 {
                    return Err(too_long());
                }
                received.advance(count);
                match acceptor.accept() {
                    Ok(Some(accepted)) => return Ok((accepted, received)),
                    Ok(None) => {}
                    Err((error, mut alert)) => {
                        let mut last = Lease::new();
                        // Writing to memory does not fail.
                        let _ = alert.write_all(last.buffer());
                        self.say(last).await;
                        return Err(Refusal::Failed(error));
                    }
                }
            }
        }
    }

    async fn receive(&self) -> Result<Lease, Refusal> {
        match self.stream.recv().await {
            Ok(received) if received.is_empty() => Err(Refusal::Left),
            result => result.map_err(|error| gone(&error)),
        }
    }

    /// Sends an alert to a client that may have gone.
    async fn say(&self, alert: Lease) {
        if !alert.is_empty() {
            let _ = self.stream.send(alert, LINGER).await;
        }
    }
}

/// Takes the client's first message up. Where that fails, the second of the pair is the alert to send.
fn accept_hello(accepted: Accepted, served: &Served) -> Result<ServerConnection, (Error, Lease)> {
    accepted.into_connection(served.config.clone()).map_err(|(error, mut alert)| {
        let mut last = Lease::new();
        // Writing to memory does not fail.
        let _ = alert.write_all(last.buffer());
        (error, last)
    })
}

/// Gives the connection what was received, until the handshake is done or waits for more.
fn feed(connection: &mut ServerConnection, pending: &mut Lease) -> Result<(), Error> {
    while connection.is_handshaking() && !pending.is_empty() {
        let count = connection.read_tls(&mut &pending[..]).map_err(|error| Error::General(error.to_string()))?;
        if count == 0 {
            return Err(Error::General("the client has ended the session".to_owned()));
        }
        pending.advance(count);
        connection.process_new_packets()?;
    }
    Ok(())
}

fn facts(connection: &ServerConnection) -> Result<Facts, Unfit> {
    let certificate = connection.peer_certificates().and_then(<[_]>::first);
    Ok(Facts {
        version: version(connection.protocol_version()),
        cipher: connection.negotiated_cipher_suite().map_or("", |suite| cipher(suite.suite())),
        name: connection.server_name().map(Into::into),
        resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        identity: certificate.map(Identity::read).transpose()?,
    })
}

/// Whether the first bytes are those of an HTTP request rather than of a TLS record.
fn is_http(bytes: &[u8]) -> bool {
    let method = bytes.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    method >= 3 && bytes.get(method).is_none_or(|&byte| byte == b' ')
}

/// An alert in clear that ends the handshake (RFC 8446 §6).
fn alert(description: AlertDescription) -> Lease {
    let mut alert = Lease::new();
    alert.buffer().extend_from_slice(&[21, 3, 3, 0, 2, 2, description.into()]);
    alert
}

fn too_long() -> Refusal {
    Refusal::Failed(Error::General("the first message is too long".to_owned()))
}

fn refused(error: Error) -> Refusal {
    match error {
        Error::NoCertificatesPresented | Error::InvalidCertificate(_) => Refusal::ClientCertificate(error),
        other => Refusal::Failed(other),
    }
}

fn gone(error: &io::Error) -> Refusal {
    if error.kind() == ErrorKind::TimedOut { Refusal::Timeout } else { Refusal::Left }
}

/// Reads on for a moment: closing over unread bytes would reset the connection, and the client would not read why.
async fn linger(stream: &Stream) {
    stream.shutdown();
    stream.set_deadline(Some(LINGER));
    while stream.recv().await.is_ok_and(|bytes| !bytes.is_empty()) {}
}

impl Refusal {
    /// What it counts as; a client that only looked whether the port is open counts as nothing.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Silent => None,
            Self::Timeout => Some(Reason::HandshakeTimeout),
            Self::PlainHttp => Some(Reason::PlainHttp),
            Self::UnknownName => Some(Reason::UnknownName),
            Self::ClientCertificate(_) => Some(Reason::ClientCertificate),
            Self::Left | Self::Failed(_) => Some(Reason::Handshake),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Silent => f.write_str("the client left without a byte"),
            Self::Left => f.write_str("the client left in the middle of the handshake"),
            Self::Timeout => f.write_str("the handshake took too long"),
            Self::PlainHttp => f.write_str("the client speaks HTTP in clear"),
            Self::UnknownName => f.write_str("no certificate holds the name that the client asked for"),
            Self::ClientCertificate(error) => write!(f, "the client's certificate: {error}"),
            Self::Failed(error) => write!(f, "{error}"),
        }
    }
}
